# SPDX-License-Identifier: BSD-3-Clause
"""fit(checkpoint=..., resume=...): what a checkpoint belongs to, and what interruption leaves."""

import numpy as np
import pytest

from cbn.exceptions import ModelFileError
from helpers import programs as cli
from helpers.networks import Network


def network(random_state=0, **arguments):
    given = {"hidden": ((3, 3, 1), (3, 2, 2)), "iterations": 3, "false_alarm_rate": 0.1, **arguments}
    return Network(random_state=random_state, **given)


@pytest.fixture(scope="module")
def X():
    return cli.digit_images(120)


def bytes_of(model, tmp_path):
    model.save(tmp_path / "model.cbn")
    return (tmp_path / "model.cbn").read_bytes()


def interrupted_after(n, model, X, checkpoint):
    """fit, stopped by Ctrl-C when it reports its n-th iteration."""
    reports = []

    def progress(state):
        reports.append(state)
        if len(reports) == n:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(X, progress=progress, checkpoint=checkpoint)
    return model


def test_checkpoint_outlives_fit(X, tmp_path):
    """Until the caller has saved the model, nothing else holds what was learned; resuming from it takes no work."""
    path = tmp_path / "checkpoint"
    model = network().fit(X, checkpoint=path)
    assert path.exists()
    reports = []
    again = network().fit(X, checkpoint=path, resume=True, progress=reports.append)
    assert reports == []
    assert bytes_of(again, tmp_path) == bytes_of(model, tmp_path)


@pytest.mark.parametrize("n", [1, 4, 6])
@pytest.mark.parametrize("random_state", [3, None, "generator"])
def test_interrupted_fit_is_fitted_and_resumes(X, tmp_path, n, random_state):
    """A seed that came from nowhere or from a generator is kept in the checkpoint."""

    def begin():
        return network(np.random.default_rng(5) if random_state == "generator" else random_state)

    model = interrupted_after(n, begin(), X, tmp_path / "checkpoint")
    assert sum(len(layer.curve) for layer in model.hidden_layers_) == n
    assert np.isfinite(model.score_samples(X)).all() and np.isfinite(model.offset_)
    resumed = begin().fit(X, checkpoint=tmp_path / "checkpoint", resume=True)
    assert [len(layer.curve) for layer in resumed.hidden_layers_] == [4, 4]
    for before, after in zip(model.hidden_layers_, resumed.hidden_layers_):
        assert after.curve[: len(before.curve)] == before.curve
    if random_state is not None:
        whole = begin().fit(X)
        assert bytes_of(resumed.set_params(random_state=0), tmp_path) == bytes_of(
            whole.set_params(random_state=0), tmp_path
        )


def test_checkpoint_belongs_to_its_seed_images_and_shape(X, tmp_path):
    path = tmp_path / "checkpoint"
    interrupted_after(2, network(), X, path)
    black = np.concatenate([X, np.zeros_like(X[:3])])  # the bit-planes of 120 and 123 images are the same
    other = "other images, arguments or version"
    for model, images, what in (
        (network(1), X, "random_state 0, not 1"), (network(), X[:-1], other), (network(), black, other),
        (network(max_parents=2), X, other),
    ):  # fmt: skip
        with pytest.raises(ModelFileError, match=f"checkpoint of {what}"):
            model.fit(images, checkpoint=path, resume=True)
    network(score="surprise", n_jobs=1).fit(X, checkpoint=path, resume=True)  # neither matters to the layers


def test_without_resume_a_checkpoint_is_written_anew(X, tmp_path):
    path = tmp_path / "checkpoint"
    path.write_bytes(b"something else")
    whole = network().fit(X, checkpoint=path)
    assert bytes_of(network().fit(X, checkpoint=path, resume=True), tmp_path) == bytes_of(whole, tmp_path)


def test_no_hidden_layers_write_no_checkpoint(X, tmp_path):
    Network().fit(X, checkpoint=tmp_path / "checkpoint")
    assert list(tmp_path.iterdir()) == []
