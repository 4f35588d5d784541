# SPDX-License-Identifier: BSD-3-Clause
"""What every wheel must be able to do, run where nothing but the wheel and its dependencies is installed."""

import tempfile

import numpy as np

import cbn
from cbn import _engine

print(f"cbn {cbn.__version__}: instruction set {_engine.instruction_set()}, {_engine.max_threads()} threads")
assert _engine.has_openmp(), "built without OpenMP"
train, test = cbn.datasets.load_mnist()  # the data that come with the package
images = train.select(2).images[:500]
model = cbn.ConvolutionalBayesianNetwork(random_state=0).fit(images)
scores = model.score_samples(test.images[:50])
assert np.isfinite(scores).all()
assert model.sample(4, random_state=0).shape == (4, 28, 28)
with tempfile.TemporaryDirectory() as folder:
    model.save(f"{folder}/model.cbn")
    assert (cbn.load(f"{folder}/model.cbn").score_samples(test.images[:50]) == scores).all()
