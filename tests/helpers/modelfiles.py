# SPDX-License-Identifier: BSD-3-Clause
"""Model files: taken apart, put together again, refused, used."""

import importlib.util
import io
import json
import zipfile

import numpy as np
import pytest

import cbn
from cbn import CbnError, ModelFileError
from cbn import ConvolutionalBayesianNetworkClassifier as Classifier

SCORES = ("log_probability", "surprise", "standardized", "normalized")


def every_score(scales):
    """What a header says of scales: the same for every score."""
    return dict.fromkeys(SCORES, scales)


def save(model, path):
    model.save(path)
    return path


def assert_same_arguments(model, other, but=("n_jobs", "kernels")):
    """Constructor arguments and the fields of parameter objects are the same; arrays may have become tuples."""
    found, wanted = ({n: v for n, v in m.get_params().items() if n.split("__")[-1] not in but} for m in (model, other))
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        if hasattr(value, "get_params"):
            assert type(found[name]) is type(value), name
        else:
            np.testing.assert_array_equal(found[name], value, err_msg=name)


def members_of(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path, members, compression=zipfile.ZIP_DEFLATED):
    """A zip of the members that are not None; arrays whose length only they know must be stored as they are."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            if content is not None:
                own = any(part in name for part in ("calibration", "curve"))
                archive.writestr(name, content, zipfile.ZIP_STORED if own else compression)
    return path


def with_header(source, path, change):
    """A copy of a model file with its header changed by a function, in place or to what it returns."""
    members = members_of(source)
    header = json.loads(members["header.json"])
    members["header.json"] = json.dumps(change(header) or header)
    return write(path, members)


def assert_damaged_arrays_are_refused(source, path, name):
    """Copies in which an array is cut off, of another byte order, or missing."""
    members = members_of(source)
    content = members[f"{name}.npy"]
    for changed in (content[:-8], content.replace(b"<", b">", 1), None):
        refused(write(path, members | {f"{name}.npy": changed}), "damaged")


def script_of(path):
    """The module of a script that is no part of a package, such as one that made stored files."""
    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def npy(array, **named):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **named)
    return buffer.getvalue()


def refused(path, *words):
    """Loading fails with one line that begins with the path, is not too long and holds the words."""
    with pytest.raises(ModelFileError) as caught:
        cbn.load(path)
    text = str(caught.value)
    assert text.startswith((repr(str(path)), str(path))) and text.isprintable(), text
    assert len(text) < len(str(path)) + 400
    for word in words:
        assert word in text, text
    assert isinstance(caught.value, CbnError) and isinstance(caught.value, ValueError)
    return True


def use(model, path):
    """Everything a user may do with a loaded model works."""
    for network in getattr(model, "networks_", [model]):
        network.set_params(n_jobs=1)  # tiny images: threads would only cost time
    images = np.zeros((2, *model.image_shape_), bool)
    if isinstance(model, Classifier):
        assert np.allclose(model.predict_proba(images).sum(axis=1), 1)
        model.predict(images)
    else:
        assert all(np.isfinite(model.score_samples(images, score)).all() for score in (None, *SCORES))
        assert model.sample(2).shape == images.shape and np.isfinite(model.surprise_map(images)).all()
        model.predict(images), model.p_values(images), model.bic(), model.heat_map_scale(), model.get_params()
    cbn.load(save(model, path))


def write_stored(path, members):
    """A zip of the members that are not None, all of them stored as they are."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            if content is not None:
                archive.writestr(name, content, zipfile.ZIP_STORED)
    return path


def version_of(path):
    return json.loads(members_of(path)["header.json"])["version"]
