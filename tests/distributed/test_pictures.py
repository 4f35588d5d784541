# SPDX-License-Identifier: BSD-3-Clause
"""Gaussian models of dask arrays of pictures: the bytes of one process."""

import numpy as np
import pytest

import cbn
from cbn.iem import Gaussian

da = pytest.importorskip("dask.array", reason="dask is not installed: pip install 'cbn[distributed]'")
# dask's own: of a socket that it tries
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
PICTURES = np.random.default_rng(0).integers(0, 256, (150, 24, 32, 3), dtype=np.uint8)
GAUSSIAN = Gaussian(directions=5, keep_sums=True, blocks=(2,))


def model(**arguments):
    return cbn.IntrospectiveEnergyModel(**{"gaussian": GAUSSIAN, "false_alarm_rate": 0.1, "n_jobs": 1} | arguments)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    path = tmp_path_factory.mktemp("one") / "one.cbn"
    model().fit(PICTURES).save(path)
    return path.read_bytes()


@pytest.mark.parametrize("sizes", [(150,), (13, 137), (50, 1, 99), (5, 20, 30, 30, 30, 30, 5)])
def test_the_bytes_are_those_of_one_process(sizes, client, expected, tmp_path):
    model().fit(da.from_array(PICTURES, chunks=(sizes, -1, -1, -1))).save(tmp_path / "m.cbn")
    assert (tmp_path / "m.cbn").read_bytes() == expected


def test_a_killed_worker_costs_time_and_nothing_else(client, expected, tmp_path):
    import os

    def dies_once(block, path=str(tmp_path / "dead")):
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return block
        os._exit(1)

    X = da.from_array(PICTURES, chunks=30)
    later = da.concatenate(
        [X[:60], X[60:].map_blocks(dies_once, dtype=np.uint8, meta=np.empty((0, 0, 0, 0), np.uint8))]
    )
    model().fit(later).save(tmp_path / "m.cbn")
    assert (tmp_path / "m.cbn").read_bytes() == expected and (tmp_path / "dead").exists()


@pytest.mark.parametrize(
    "X, words",
    [
        (PICTURES[:1], "X: 1 picture; the spread of features needs at least 2"),
        (PICTURES[..., :2], "X: array of shape"),
        (PICTURES.astype(int) * np.where(np.arange(150) > 99, 2, 1)[:, None, None, None], "X, chunk 2: integers from 0 to"),
    ],
    ids=["one", "channels", "range"],
)  # fmt: skip
def test_one_line_says_what_is_wrong(X, words, client):
    with pytest.raises(cbn.DataError) as caught:
        model().fit(da.from_array(X, chunks=50))
    assert str(caught.value).startswith(words) and "\n" not in str(caught.value)


def test_models_that_keep_no_sums_are_refused(client):
    with pytest.raises(ValueError, match="^gaussian: keep_sums=False; models of a dask array .* X.compute"):
        model(gaussian=Gaussian(directions=5)).fit(da.from_array(PICTURES))
