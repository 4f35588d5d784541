# SPDX-License-Identifier: BSD-3-Clause
"""Disks that fill up, two writers of one file, and what killed programs leave behind."""

import fcntl
import subprocess

import numpy as np
import pytest

import cbn
from helpers import programs as cli

pytestmark = pytest.mark.slow

RATE = ("--false-alarm-rate", "0.1", "--quiet")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    np.save(folder / "images.npy", cli.grey_images(60, 20, 20))
    cli.done("cbn-train", "--data", folder / "images.npy", *RATE, "--out", folder / "model.cbn")
    return folder


def limited(folder, blocks, *words):
    """A program whose files may have so many KiB."""
    command = f"ulimit -f {blocks}; exec '{cli.installed(words[0])}' " + " ".join(f"'{word}'" for word in words[1:])
    finished = subprocess.run(["bash", "-c", command], cwd=folder, env=cli.environment(), capture_output=True, text=True,
                              timeout=60, check=False)  # fmt: skip
    return cli.Result(words[0], finished.returncode, finished.stdout, finished.stderr)


@pytest.mark.parametrize("words, file", [
    (("cbn-train", "--data", "images.npy", *RATE, "--out"), "x.cbn"),
    (("cbn-sample", "--n", "400", "--quiet", "--out"), "x.png"),
    (("cbn-sample", "--n", "400", "--quiet", "--out"), "x.npy"),
    (("cbn-sample", "--n", "400", "--quiet", "--out", "/dev/null", "--npz"), "x.npz"),
])  # fmt: skip
def test_files_that_do_not_fit(folder, words, file):
    """One line, the earlier file as it was, and nothing beside it."""
    earlier = b"PK\3\4" + bytes(26) + b"header.json of an earlier model"
    (folder / file).write_bytes(earlier)
    before = sorted(folder.iterdir())
    cli.assert_one_line_error(limited(folder, 1, *words, file), 1, file, "too large")
    assert (folder / file).read_bytes() == earlier and sorted(folder.iterdir()) == before


def test_rows_that_do_not_fit(folder):
    """Of a CSV file what fits, in whole rows."""
    whole = cli.done("cbn-score", "--data", folder / "images.npy", "--model", folder / "model.cbn", "--quiet", "--csv",
                     folder / "whole.csv")  # fmt: skip
    assert whole.code == 0
    result = limited(folder, 1, "cbn-score", "--data", "images.npy", "--quiet", "--csv", "rows.csv")
    assert result.code == 1 and len(result.err.splitlines()) == 1 and "rows.csv" in result.err, result.err
    rows = (folder / "rows.csv").read_bytes()
    assert 500 < len(rows) <= 1024 and rows.endswith(b"\n") and (folder / "whole.csv").read_bytes().startswith(rows)


def test_csv_that_another_program_writes(folder):
    with open(folder / "rows.csv", "w") as file:
        file.write("row\n")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        words = (
            "--data",
            folder / "images.npy",
            "--model",
            folder / "model.cbn",
            "--quiet",
            "--csv",
            folder / "rows.csv",
        )
        result = cli.call("cbn-score", *words)
        assert result.code == 1 and "another program is writing" in result.err and "rows.csv" in result.err, result.err
        assert (folder / "rows.csv").read_text() == "row\n"
    cli.done("cbn-score", *words)
    assert len((folder / "rows.csv").read_text().splitlines()) == 61


def test_temporary_files_of_killed_programs_do_not_disturb(folder, tmp_path):
    """What SIGKILL leaves has a hidden name: it is neither a picture nor a model."""
    images = cli.grey_images(30, 6, 5)
    cli.write_pictures(tmp_path / "pictures", images)
    for place in (tmp_path, tmp_path / "pictures"):
        (place / ".cbn-0123456789abcdef.tmp").write_bytes(b"PK\3\4")
    model = tmp_path / "m.cbn"
    cli.done("cbn-train", "--data", tmp_path / "pictures", *RATE, "--out", model)
    assert cbn.load(model).n_images_ == 30
