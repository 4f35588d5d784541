# SPDX-License-Identifier: BSD-3-Clause
"""Options alike: one thing has one name, form and place in all programs; the page of options is made of the parsers."""

import argparse
import importlib.util
from pathlib import Path

import pytest

import cbn
from helpers import programs as cli

ROOT = Path(__file__).parents[2]

spec = importlib.util.spec_from_file_location("docs_options", ROOT / "docs" / "options.py")
options = importlib.util.module_from_spec(spec)
spec.loader.exec_module(options)

FOUND = options.parsers()
# Options that several programs have, and what of them differs for a reason.
DIFFERENT = {
    "--calibration": ("metavar", "group"),  # networks also read arrays; to score with it is about verdicts
    "--color": ("choices", "default"),  # networks see grey only; models of pictures either
    "--digit": ("group",),  # of images, or of a classifier alone
    "--false-alarm-rate": ("group",),  # of a model, or of verdicts
    "--learning-rate": ("group",),
    "--maps": ("group",),
    "--model": ("default",),  # of either half
    "--n": ("default", "group"),  # images to draw, or those to read
    "--out": ("default",),
    "--quick": ("group",),
    "--reach": ("group",),
    "--save-kernels": ("group",),
    "--top": ("metavar", "group"),  # pictures that are listed; of a Gaussian model the share of a picture
}


def aspects(parser, action):
    group = next(own.title for own in parser._action_groups if action in own._group_actions)
    return {
        "spellings": options.spellings(action),
        "metavar": action.metavar,
        "choices": None if action.choices is None else list(action.choices),
        "nargs": action.nargs,
        "default": action.default,
        "group": group.replace("pictures", "images"),  # what the halves call them
    }


def shared():
    return {name: of for name, of in options.all_options(FOUND).items() if len(of) > 1}


@pytest.mark.parametrize("name", shared())
def test_an_option_of_several_programs_is_alike(name):
    of = shared()[name]
    seen = {program: aspects(FOUND[program], action) for program, action in of.items()}
    for aspect in next(iter(seen.values())):
        values = {program: own[aspect] for program, own in seen.items()}
        same = all(value == next(iter(values.values())) for value in values.values())
        if aspect in DIFFERENT.get(name, ()):
            assert not same, f"{name}: its {aspect} is the same everywhere; take it from the list"
        else:
            assert same, f"{name}: {aspect} differs: {values}"


@pytest.mark.parametrize("program", FOUND)
def test_places_in_help(program):
    """The model to read comes first, the seed last, and what all programs have in a group of its own."""
    groups = {group.title: group for group in FOUND[program]._action_groups}
    names = [options.spellings(action)[0] for action in groups["options"]._group_actions]
    assert names[0] == "--help"
    assert "--model" not in names or names[1] == "--model"
    assert "--config" not in names or names[1] == "--config"
    assert "--seed" not in names or names[-1] == "--seed"
    common = [options.spellings(action)[0] for action in groups["common options"]._group_actions]
    assert common == ["--threads", "--json", "--quiet", "--completion", "--version"]


@pytest.mark.parametrize("program", FOUND)
def test_every_option_says_what_it_is(program):
    for action in FOUND[program]._actions:
        name = options.spellings(action)[0]
        assert action.help and action.help is not argparse.SUPPRESS, name
        assert not action.help.endswith("."), name
        wordless = action.nargs == 0 or action.choices is not None
        assert wordless or action.metavar, f"{name}: no word for its value"


@pytest.mark.parametrize("program", FOUND)
def test_a_default_is_said_as_it_is(program):
    """ "(default: X)" in the help is what the parser has."""
    for action in FOUND[program]._actions:
        plain = isinstance(action.default, str | int | float) and not isinstance(action.default, bool)
        if plain and action.default != argparse.SUPPRESS and action.option_strings:
            assert f"(default: {action.default}" in action.help, options.spellings(action)[0]


def test_old_spellings_still_work():
    pairs = {
        "cbn-train": ("--images", "--label", "--boosting"),
        "cbn-score": ("--heatmap", "--images", "--label"),
        "cbn-iem-score": ("--heatmap", "--maps", "--images"),
        "cbn-iem-train": ("--images",),
    }
    for program, names in pairs.items():
        known = {name for action in FOUND[program]._actions for name in action.option_strings}
        assert set(names) <= known


def test_the_page_of_options_is_made_of_the_parsers():
    assert options.PAGE.read_text() == options.page(options.parsers()), "run python docs/options.py"


def test_completions_are_made_of_the_parsers():
    pytest.importorskip("shtab", reason="shtab, which makes completions, is not there")
    made = options.completions(options.parsers())
    kept = {path.name: path.read_text() for path in options.COMPLETIONS.iterdir()}
    assert kept == made, "run python docs/options.py"


def test_programs_are_those_of_the_tests():
    assert set(cli.PROGRAMS + cli.ENERGY_PROGRAMS + cli.REPORT_PROGRAMS) == set(FOUND)


def test_one_default_rate_in_programs_and_in_python():
    from cbn.cli import _iem_options, _train_options

    assert cbn.IntrospectiveEnergyModel().false_alarm_rate == _iem_options.FALSE_ALARM_RATE == 0.05
    assert cbn.ConvolutionalBayesianNetwork().false_alarm_rate == _train_options.FALSE_ALARM_RATE == 0.01
