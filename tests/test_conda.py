# SPDX-License-Identifier: BSD-3-Clause
"""The conda recipe asks for what pyproject.toml asks for. conda itself is not needed: the recipe is a jinja2 template."""

import re
import tomllib
from pathlib import Path

import jinja2

import cbn

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "packaging" / "conda" / "meta.yaml"
OF_CONDA = {"matplotlib": "matplotlib-base"}  # without the windows that cbn has no use for


def rendered():
    def load_file_regex(load_file, regex_pattern, from_recipe_dir):
        assert from_recipe_dir
        return re.search(regex_pattern, (RECIPE.parent / load_file).read_text())

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(RECIPE.read_text()).render(
        load_file_regex=load_file_regex, compiler=lambda language: f"{language}_compiler", PYTHON="python"
    )


def listed(recipe, title):
    """The list below a title, without what is for some systems only."""
    lines = re.search(rf"^ +{title}:\n((?: +- .*\n)+)", recipe, re.MULTILINE).group(1)
    found = re.findall(r"- ([^#\n]*?) *(#.*)?$", lines, re.MULTILINE)
    return {item for item, condition in found if not condition}


def named_as_in_conda(requirements):
    parts = [re.fullmatch(r"([\w-]+)(.*)", requirement).groups() for requirement in requirements]
    return {f"{OF_CONDA.get(name.lower(), name.lower())} {version}".strip() for name, version in parts}


def test_recipe_asks_for_what_the_project_asks_for():
    with (ROOT / "pyproject.toml").open("rb") as file:
        settings = tomllib.load(file)
    project, recipe = settings["project"], rendered()
    assert listed(recipe, "run") == named_as_in_conda(project["dependencies"]) | {
        f"python {project['requires-python']}"
    }
    assert listed(recipe, "host") == named_as_in_conda(settings["build-system"]["requires"]) | {"python", "pip"}
    assert listed(recipe, "license_file") == set(project["license-files"])
    assert f"version: {cbn.__version__}" in recipe
    assert f'summary: "{project["description"]}"' in recipe and f"license: {project['license']}" in recipe
