# SPDX-License-Identifier: BSD-3-Clause
"""``--threads`` is the number of threads of every call of the engine, in every program."""

import numpy as np
import pytest

from cbn.datasets import make_category, write_mvtec
from helpers import programs as cli
from helpers.threads import FILTERS, watch

CASES = {
    "table": ["--pseudocount", 2],
    "hidden": ["--hidden", "2,2,1", "--iterations", 1],
    "tree": ["--preset", "tree"],
    "classifier": ["--classifier"],
}


@pytest.fixture
def seen(monkeypatch):
    return watch(monkeypatch)


def run(seen, program, *words):
    cli.done(program, *words, "--threads", 3, "--quiet")
    assert seen
    assert {n for name, n in seen if name not in FILTERS} <= {3}, sorted(seen)
    seen.clear()


@pytest.mark.parametrize("case", CASES)
def test_of_networks(case, seen, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images, labels = cli.grey_images(60, 8, 8), np.arange(60) % 2
    np.savez("split.npz", x_train=images[:40], y_train=labels[:40], x_test=images[40:], y_test=labels[40:])
    data = ["--data", "split.npz"]
    which = [] if case == "classifier" else ["--digit", 1]
    run(seen, "cbn-train", *data, *which, *CASES[case])
    run(seen, "cbn-score", *data)
    run(seen, "cbn-sample", "--n", 3, *(["--digit", 1] if case == "classifier" else []))
    if case != "classifier":
        run(seen, "cbn-inpaint", *data, "--n", 2)


def test_of_energy_models(seen, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_mvtec(tmp_path / "carpet", make_category("texture", 12, 2, 1, size=32))
    data = ["--data", "carpet", "--false-alarm-rate", 0.2]
    run(seen, "cbn-iem-train", *data, "--levels", 1, "--epochs", 1, "--held-out", 0)
    run(seen, "cbn-iem-train", *data)
    run(seen, "cbn-iem-score", "--data", "carpet")
