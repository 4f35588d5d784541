# SPDX-License-Identifier: BSD-3-Clause
"""The programs of introspective energy models load what they use and no more; their options say what fields say."""

import argparse
import subprocess
import sys

import pytest

from cbn._params import specs
from cbn.cli import _iem_data, iem_train
from cbn.cli._fields import add_fields, given_fields
from cbn.datasets.synthetic import KINDS
from cbn.iem import Training
from helpers import programs as cli

HELP = """
import contextlib, io, sys
from {module} import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main(["--help"])
heavy = {{"sklearn", "scipy", "matplotlib", "PIL", "tqdm", "zipfile", "cbn.estimators", "cbn.iem.nn",
         "cbn.iem.settings", "cbn.plots"}}
loaded = heavy & set(sys.modules)
assert not loaded, loaded
"""

WORK = """
import contextlib, io, sys
from cbn.cli import iem_score, iem_train
with contextlib.redirect_stdout(io.StringIO()):
    assert iem_train.main("--synthetic texture --size 32 --levels 0 --quick --quiet".split()) == 0
    assert iem_score.main("--synthetic texture --n 2 --quiet".split()) == 0
loaded = {"sklearn", "matplotlib", "cbn.estimators", "cbn.fit", "cbn.plots"} & set(sys.modules)
assert not loaded, loaded
"""


@pytest.mark.parametrize("program", cli.ENERGY_PROGRAMS)
def test_help_waits_for_nothing(program, tmp_path):
    code = HELP.format(module=cli.module_of(program))
    subprocess.run([sys.executable, "-P", "-c", code], check=True, cwd=tmp_path, env=cli.environment())


@pytest.mark.slow
def test_training_and_scoring_load_no_estimators(tmp_path):
    subprocess.run([sys.executable, "-P", "-c", WORK], check=True, cwd=tmp_path, env=cli.environment())


def test_kinds_of_synthetic_pictures():
    assert _iem_data.KINDS == KINDS


def test_options_of_training_come_from_its_fields():
    parser = argparse.ArgumentParser()
    add_fields(parser, Training)
    given = parser.parse_args(["--optimizer", "sgd", "--epochs", "4,2", "--batch-size", "3"])
    assert Training(**given_fields(given, Training)) == Training("sgd", batch_size=3, epochs=(4, 2))
    assert given_fields(parser.parse_args([]), Training) == {}
    text = " ".join(iem_train.build_parser().format_help().split())
    for spec in specs(Training):
        assert f"--{spec.option}" in text and spec.help[1:-1] in text


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [("--learning-rate", "0", "from 1e-12 to 1000"), ("--batch-size", "1.5", "whole number from 1 to"),
     ("--batch-size", "0", "from 1 to"), ("--epochs", "2,x", "whole numbers"), ("--epochs", "0", "from 1 to"),
     ("--optimizer", "lbfgs", "adam")],
)  # fmt: skip
def test_values_outside_a_field(option, value, words):
    result = cli.call("cbn-iem-train", "--synthetic", "object", option, value)
    cli.assert_one_line_error(result, 2, option, words)
