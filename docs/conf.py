# SPDX-License-Identifier: BSD-3-Clause
"""The documentation site: ``make docs``. Nothing is fetched while it is built."""

import warnings

import matplotlib
from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

import cbn

matplotlib.use("agg")
warnings.filterwarnings("error", category=DeprecationWarning, module="cbn")

project = "cbn"
author = "the authors of cbn"
copyright = "the authors of cbn"
version = release = cbn.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "myst_nb",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".rst": "restructuredtext", ".md": "myst-nb", ".ipynb": "myst-nb"}
exclude_patterns = [
    "_build",
    "examples",
    "gallery",
    "images",
    "read_model.py",
    "_gallery/*.ipynb",
]
nitpicky = True
nitpick_ignore = [
    (
        "py:class",
        "BaseEstimator",
    ),  # scikit-learn's, whose own site is not asked while this one is built
    ("py:class", "sklearn.base.BaseEstimator"),
    ("py:class", "sklearn.base.ClassifierMixin"),
    ("py:class", "sklearn.base.OutlierMixin"),
]
# Rooms that no reader calls are named in docstrings for those who read the code.
nitpick_ignore_regex = [
    (
        r"py:.*",
        r"cbn\.(bits|cpd|distributed|explain|fit|inference|io|layers|metrics|plots)\..*",
    ),
    (r"py:.*", r"cbn\.iem\.[a-z]+(\..*)?"),
]

autodoc_typehints = "none"  # docstrings say types with shapes and units
autodoc_member_order = "bysource"
autosummary_generate = False
napoleon_google_docstring = False
napoleon_use_param = False
napoleon_use_rtype = False
# as a list: those that are properties have entries of their own
napoleon_custom_sections = [("Attributes", "params_style")]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "_gallery",
    "filename_pattern": r"\.py$",
    "abort_on_example_error": True,
    "show_signature": False,
    "capture_repr": (),  # what scripts print, not the addresses of their objects
    "show_memory": False,
    "min_reported_time": 3600,
    "write_computation_times": False,
    "download_all_examples": False,
    "remove_config_comments": True,
    "reset_modules": ("matplotlib",),
    "within_subsection_order": "FileNameSortKey",
}

html_theme = "furo"
html_title = f"cbn {cbn.__version__}"
html_static_path = ["_static"]
html_css_files = ["cbn.css"]
html_copy_source = False
html_show_sphinx = False
html_last_updated_fmt = None
html_math_renderer = "mathml"


def _inline_math(self, node):
    self.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def _display_math(self, node):
    self.body.append(f'<div class="math">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app):
    """Formulas as MathML, which browsers draw themselves: no script, nothing from elsewhere."""
    app.add_html_math_renderer("mathml", (_inline_math, None), (_display_math, None))
