# SPDX-License-Identifier: BSD-3-Clause
"""What shells complete: options, choices and files, by the files that the programs bring along."""

import shutil
import subprocess
import sys

import pytest

from helpers import programs as cli

EVERY = cli.PROGRAMS + cli.ENERGY_PROGRAMS + cli.REPORT_PROGRAMS
BASH = shutil.which("bash")
ZSH = shutil.which("zsh")

# What bash does when TAB is pressed after a line: it splits it into words, and calls the function that is registered.
TAB = """
source "$1"; shift
program=$1
set -- $(complete -p "$program") -- "$@"
while [ "$1" != -- ]; do [ "$1" = -F ] && function=$2; shift; done; shift
COMP_WORDS=("$@")
COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
"$function" "$program" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The completions of all programs for bash, and some files."""
    folder = tmp_path_factory.mktemp("completion")
    for program in EVERY:
        (folder / program).write_text(cli.done(program, "--completion", "bash").out)
    (folder / "here").mkdir()
    for name in ("two.cbn", "a picture.png", "t.toml"):
        (folder / "here" / name).touch()
    (folder / "here" / "maps").mkdir()
    return folder


def tab(folder, *words):
    """What bash offers after a command line whose last word is being typed."""
    command = [BASH, "--norc", "-c", TAB, "bash", folder / words[0], *words]
    done = subprocess.run(command, cwd=folder / "here", capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    return set(done.stdout.splitlines()) - {""}


needs_bash = pytest.mark.skipif(BASH is None, reason="bash is not there")


@needs_bash
def test_bash_completes_options(folder):
    assert tab(folder, "cbn-train", "--pre") == {"--preset"}
    assert tab(folder, "cbn-train", "--digit", "2", "--conf") == {"--config"}
    assert tab(folder, "cbn-train", "--no-con") == {"--no-contrast"}
    assert tab(folder, "cbn-iem-train", "--synthetic", "texture", "--keep") == {"--keep-sums"}
    assert {"--seed", "--size", "--split", "--skip-bad", "--sweeps"} <= tab(folder, "cbn-inpaint", "--s")
    for program in EVERY:
        assert {"--json", "--quiet", "--threads", "--version", "--completion"} <= tab(folder, program, "--")


@needs_bash
def test_bash_completes_choices(folder):
    assert tab(folder, "cbn-train", "--preset", "") == {"pixel", "hidden", "tree", "boosted", "tied", "best"}
    assert tab(folder, "cbn-train", "--json", "--preset", "t") == {"tree", "tied"}
    assert "contrast" in tab(folder, "cbn-train", "--score", "")
    assert tab(folder, "cbn-iem-train", "--synthetic", "") == {"texture", "object"}
    assert tab(folder, "cbn-sample", "--method", "g") == {"gibbs"}
    assert tab(folder, "cbn-show", "--completion", "") == {"bash", "zsh"}


@needs_bash
def test_bash_completes_files(folder):
    everything = {"two.cbn", "a picture.png", "t.toml", "maps"}
    assert tab(folder, "cbn-sample", "--model", "") == everything
    assert tab(folder, "cbn-score", "tw") == {"two.cbn"}  # the model alone
    assert tab(folder, "cbn-train", "--data", "a") == {"a picture.png"}
    assert tab(folder, "cbn-train", "--config", "t") == {"t.toml", "two.cbn"}
    assert tab(folder, "cbn-score", "--maps", "") == {"maps"}
    assert tab(folder, "cbn-train", "--merge", "two.cbn", "t.") == {"t.toml"}
    assert tab(folder, "cbn-train", "--seed", "") == set()


@pytest.mark.skipif(ZSH is None, reason="zsh is not there")
@pytest.mark.parametrize("program", EVERY)
def test_zsh_takes_its_file(program, tmp_path):
    (tmp_path / f"_{program}").write_text(cli.done(program, "--completion", "zsh").out)
    code = f"fpath=({tmp_path} $fpath); autoload -Uz compinit && compinit -D -u && echo $_comps[{program}]"
    done = subprocess.run([ZSH, "-fc", code], capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == (f"_{program}", "")


@pytest.mark.parametrize("program", EVERY)
def test_files_for_zsh_are_there(program):
    out = cli.done(program, "--completion", "zsh").out
    assert out.startswith(f"#compdef {program}\n") and "--threads" in out


def test_wrong_shell():
    cli.assert_one_line_error(cli.call("cbn-train", "--completion", "fish"), 2, "--completion", "bash")


def test_programs_do_not_need_what_made_the_files(tmp_path):
    code = "import sys; sys.modules['shtab'] = None; from cbn.cli import start_train; start_train()"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, "--completion", "bash"], capture_output=True, text=True, cwd=tmp_path,
        env=cli.environment(), check=True, timeout=60,
    )  # fmt: skip
    assert "complete " in done.stdout
