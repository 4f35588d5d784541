# SPDX-License-Identifier: BSD-3-Clause
"""The programs load what they use and no more: a program that starts in a tenth of a second is used."""

import subprocess
import sys

import numpy as np
import pytest

from cbn.cli import _train_options
from cbn.cpd.base import SCORES
from helpers import programs as cli

HELP = """
import contextlib, importlib, io, sys
for name in ("sample", "score", "inpaint", "show"):
    main = importlib.import_module("cbn.cli." + name).main
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main(["--help"])
assert not {"numpy", "cbn.fit", "cbn.datasets"} & set(sys.modules)
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    importlib.import_module("cbn.cli.train").main(["--help"])
loaded = {"sklearn", "scipy", "matplotlib", "PIL", "tqdm", "numpy.random", "cbn.datasets", "cbn.estimators",
          "cbn.loading", "cbn.fit.recipe", "cbn.iem", "urllib.request"} & set(sys.modules)
assert not loaded, loaded
"""

WORK = """
import contextlib, importlib, io, json, sys
for name, arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()):
        assert importlib.import_module("cbn.cli." + name).main(arguments) == 0
loaded = set(json.loads(sys.argv[2])) & set(sys.modules)
assert not loaded, loaded
"""
HEAVY = ["sklearn", "scipy", "matplotlib", "tqdm", "cbn.estimators", "cbn.loading", "cbn.iem", "urllib.request"]


def run(code, cwd, *arguments):
    words = [cli.json.dumps(own) for own in arguments]
    subprocess.run([sys.executable, "-P", "-c", code, *words], check=True, cwd=cwd, env=cli.environment(), timeout=60)


def test_help_waits_for_nothing(tmp_path):
    run(HELP, tmp_path)


@pytest.mark.slow
def test_programs_load_no_library_that_they_do_not_use(tmp_path):
    images, labels = cli.grey_images(60, 8, 8), np.arange(60) % 2
    np.savez(tmp_path / "split.npz", x_train=images[:40], y_train=labels[:40], x_test=images[40:], y_test=labels[40:])
    data = ["--data", "split.npz", "--quiet"]
    jobs = [
        ["train", [*data, "--digit", "1"]],
        ["train", [*data, "--digit", "all", "--preset", "tree"]],
        ["train", [*data, "--hidden", "2,2,1", "--iterations", "1", "--out", "hidden.cbn"]],
        ["train", [*data, "--classifier", "--out", "both.cbn"]],
        ["sample", ["--quiet"]],
        ["sample", ["both.cbn", "--n", "3"]],
        ["score", data],
        ["score", ["both.cbn", *data]],
        ["inpaint", [*data, "--sweeps", "20"]],
    ]
    run(WORK, tmp_path, jobs, HEAVY)
    run(WORK, tmp_path, [["show", ["--quiet"]]], [name for name in HEAVY if name != "matplotlib"])


def test_scores_of_the_option_are_those_of_networks():
    assert (*SCORES, "contrast") == _train_options.SCORES
