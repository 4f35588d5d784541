# SPDX-License-Identifier: BSD-3-Clause
"""Model files: a zip of ``header.json`` and plain ``.npy`` arrays. Never pickle; every size is checked before use.

Header, version 1
-----------------
format       "cbn-model"
version      1
kind         "network" or "classifier"
arguments    constructor arguments of the estimator
networks     one description per network: layer (sizes, relations), thresholds, full scale, pseudo-count, score, number of
             images, where the calibration comes from, binarization, provenance; of a classifier also the class
package      version of cbn that wrote the file

Arrays: ``counts_<i>.npy`` int64 (rows, 2) and, uncompressed, ``calibration_<i>.npy`` float64 (n,) of network i. The same model gives the
same bytes: no times, fixed order, sorted keys.
"""

import io
import json
import math
import numbers
import struct
import tokenize
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np

from . import __version__, scoring
from . import _validation as validation
from ._files import atomic_write
from .architecture import Layer, check_table_size
from .binarization import Binarization, check_thresholds
from .classifier import ConvolutionalBayesianNetworkClassifier
from .exceptions import CbnError, ModelFileError
from .network import ConvolutionalBayesianNetwork

FORMAT, VERSION = "cbn-model", 1
MAX_HEADER_BYTES = 4 * 2**20
# What json, zipfile, zlib and numpy raise on damaged input.
_DAMAGE = (ValueError, KeyError, TypeError, EOFError, OverflowError, AttributeError, RecursionError, NotImplementedError,
           RuntimeError, SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error, struct.error,
           UnicodeError)  # fmt: skip


def save(model, path):
    """Write a fitted estimator or classifier to ``path``, complete or not at all.

    Raises
    ------
    CbnError
        The file cannot be written; an earlier file of that name is then unchanged.
    """
    if isinstance(model, ConvolutionalBayesianNetworkClassifier):
        kind, networks = "classifier", model.networks_
        labels = [{"class": label} for label in model.classes_.tolist()]
    else:
        kind, networks, labels = "network", [model], [{}]
    header = {
        "format": FORMAT,
        "version": VERSION,
        "kind": kind,
        "package": __version__,
        # the number of threads belongs to the machine, not to the model
        "arguments": {
            name: _plain(value) for name, value in model.get_params(deep=False).items() if name != "n_jobs"
        },
        "networks": [{**_describe(network), **label} for network, label in zip(networks, labels)],
    }
    try:
        members = {"header.json": json.dumps(header, indent=1, sort_keys=True, allow_nan=False).encode()}
    except (TypeError, ValueError) as error:
        raise CbnError(f"provenance_: {error}; keep only what JSON can hold") from None
    for i, network in enumerate(networks):
        members[f"counts_{i}.npy"] = _npy(network.counts_)
        members[f"calibration_{i}.npy"] = _npy(network.calibration_scores_)
    buffer = io.BytesIO()  # the file may be a pipe or device, in which a zip cannot seek
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            # scores hardly shrink; stored as they are, their claimed size cannot exceed that of the file
            method = zipfile.ZIP_STORED if name.startswith("calibration") else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(name), content, method)  # ZipInfo's own time is 1980
    with atomic_write(path) as file:
        file.write(buffer.getvalue())


def load(path):
    """Read a model file.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    ConvolutionalBayesianNetwork or ConvolutionalBayesianNetworkClassifier

    Raises
    ------
    ModelFileError
        "not a cbn model", "newer than this version" or "damaged: ...".
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            return _read(file, path)
    except FileNotFoundError:
        raise ModelFileError(f"{str(path)!r}: no such file; train a model first, for example with cbn-train") from None
    except IsADirectoryError:
        raise ModelFileError(f"{str(path)!r}: a folder; give a model file (.cbn)") from None
    except OSError as error:
        raise ModelFileError(f"{str(path)!r}: cannot be read: {error.strerror or error}") from None


def _plain(value):
    """A constructor argument as JSON; generators, which are no argument to keep, as null."""
    if isinstance(value, np.ndarray | tuple | list):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, str | int | float | bool | None):
        return value
    return float(value) if isinstance(value, numbers.Real) else None


def _describe(network):
    return {
        "layer": network.layer_.to_dict(),
        "thresholds": list(network.binarizer_.thresholds),
        "full_scale": network.binarizer_.full_scale,
        "pseudocount": network._network.pseudocount,
        "score": network.score_,
        "n_images": network.n_images_,
        "calibration": network.calibration_,
        "binarization": network.binarization_,
        "provenance": network.provenance_,
    }


def _npy(array):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def _read(file, path):
    try:
        archive = zipfile.ZipFile(file)
        info = archive.getinfo("header.json")
    except _DAMAGE:
        raise ModelFileError(f"{str(path)!r}: not a cbn model") from None
    with archive:
        if info.file_size > MAX_HEADER_BYTES:
            raise ModelFileError(f"{str(path)!r}: damaged: header of {info.file_size} bytes")
        try:
            header = json.loads(_member(archive, info, MAX_HEADER_BYTES), parse_constant=_refuse_constant)
            known = header["format"] == FORMAT
            version = header["version"]
        except _DAMAGE:
            raise ModelFileError(f"{str(path)!r}: not a cbn model") from None
        if not known:
            raise ModelFileError(f"{str(path)!r}: not a cbn model")
        if type(version) is not int or version < 1:
            raise ModelFileError(f"{str(path)!r}: damaged: version {str(version)[:40]!r}")
        if version > VERSION:
            raise ModelFileError(
                f"{str(path)!r}: format {version} is newer than this version of cbn ({__version__}): upgrade cbn"
            )
        try:
            return _restore(archive, header)
        except MemoryError:
            raise ModelFileError(f"{str(path)!r}: too large for the memory of this machine") from None
        except _DAMAGE as error:
            reason = "".join(c for c in " ".join(str(error).split()) if c.isprintable())[:300] or type(error).__name__
            raise ModelFileError(f"{str(path)!r}: damaged: {reason}") from None


def _refuse_constant(name):
    raise ValueError(f"{name} in the header")


def _member(archive, info, size_limit):
    """The bytes of a member, at most size_limit of them whatever the archive claims."""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{info.filename} is compressed in another way than cbn does")
    if info.file_size > size_limit:
        raise ValueError(f"{info.filename} has {info.file_size} bytes, more than the {size_limit} expected")
    with archive.open(info) as member:
        content = member.read(size_limit + 1)
    if len(content) != info.file_size:
        raise ValueError(f"{info.filename} has {len(content)} bytes instead of {info.file_size}")
    return content


def _array(archive, name, dtype, shape):
    """An array whose type and shape (None: any length) are known before its bytes are read."""
    info = archive.getinfo(name)
    head = 10 + 256  # magic, version and header of a plain .npy; write_array pads to a multiple of 64
    item = np.dtype(dtype).itemsize
    if shape[0] is None:
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise ValueError(f"{name} is compressed, so its size is only a claim")
        shape = (max(0, (info.file_size - 128) // item), *shape[1:])
    content = _member(archive, info, math.prod(shape) * item + head)
    buffer = io.BytesIO(content)
    if np.lib.format.read_magic(buffer) != (1, 0):
        raise ValueError(f"{name} is not a version-1 npy file")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # NumPy warns of odd headers that it mends; save() writes none
        try:
            found_shape, fortran, found_dtype = np.lib.format.read_array_header_1_0(buffer)
        except Warning:
            raise ValueError(f"{name} has a header that cbn does not write") from None
    if found_shape != shape or found_dtype != np.dtype(dtype) or (fortran and len(shape) > 1):
        raise ValueError(f"{name} holds {found_dtype} {found_shape} instead of {np.dtype(dtype)} {shape}")
    data = content[buffer.tell() :]
    if len(data) != math.prod(shape) * item:
        raise ValueError(f"{name} holds {len(data)} bytes of data instead of {math.prod(shape) * item}")
    return np.frombuffer(data, dtype).reshape(shape).copy()


def _restore(archive, header):
    arguments = header["arguments"]
    if not isinstance(arguments, dict):
        raise ValueError("the header names no arguments")
    if arguments.get("offsets") is not None:
        arguments["offsets"] = tuple(tuple(pair) for pair in arguments["offsets"])
    for name in ("threshold", "image_shape", "class_prior"):
        if isinstance(arguments.get(name), list):
            arguments[name] = tuple(arguments[name])
    descriptions = header["networks"]
    if not isinstance(descriptions, list):
        raise ValueError("the header lists no networks")
    if header["kind"] == "network":
        if len(descriptions) != 1:
            raise ValueError(f"{len(descriptions)} networks in a file for one")
        return _restore_network(archive, descriptions[0], 0, arguments)
    if header["kind"] == "classifier":
        classifier = ConvolutionalBayesianNetworkClassifier(**arguments)
        networks = [
            _restore_network(archive, description, i, classifier.network_arguments())
            for i, description in enumerate(descriptions)
        ]
        classes = [description["class"] for description in descriptions]
        if classes != sorted(set(classes)) or len({type(label) for label in classes}) != 1:
            raise ValueError("classes are not different labels of one type in increasing order")
        if any((n.layer_, n.binarizer_) != (networks[0].layer_, networks[0].binarizer_) for n in networks):
            raise ValueError("networks of different shapes in one classifier")
        classifier._set_networks(classes, networks)
        return classifier
    raise ValueError(f"kind {header['kind']!r}")


def _restore_network(archive, description, i, arguments):
    model = ConvolutionalBayesianNetwork(**arguments)
    model.check_arguments()
    if model.random_state is not None:
        validation.check_seed(model.random_state)
    layer = Layer.from_dict(description["layer"])
    check_table_size(layer, "relations")
    full_scale = description["full_scale"]
    if type(full_scale) is not int or full_scale not in (1, 255):
        raise ValueError(f"full scale {full_scale!r}")
    binarization = Binarization(check_thresholds(description["thresholds"], full_scale), full_scale)
    if binarization.channels != layer.channels:
        raise ValueError(f"{binarization.channels} thresholds for {layer.channels} channels")
    n_images = validation.check_integer(description["n_images"], "n_images", 1, 2**62)
    pseudocount = validation.check_real(description["pseudocount"], "pseudocount", 1e-9, 1e9)
    score = validation.check_choice(description["score"], "score", scoring.SCORES)
    counts = _array(archive, f"counts_{i}.npy", np.int64, (layer.n_rows, 2))
    network = scoring.CountedNetwork(layer, counts, pseudocount)
    network.check_counts(n_images)
    source = validation.check_choice(description["calibration"], "calibration", ("leave-one-out", "separate images"))
    calibration = _array(archive, f"calibration_{i}.npy", np.float64, (None,))
    if source == "leave-one-out" and len(calibration) > n_images:
        raise ValueError(f"{len(calibration)} leave-one-out scores of {n_images} images")
    if len(calibration) < 1 or not np.isfinite(calibration).all() or (np.diff(calibration) < 0).any():
        raise ValueError("calibration scores are not finite numbers in increasing order")
    if not isinstance(description["binarization"], str) or not isinstance(description["provenance"], dict):
        raise ValueError("binarization or provenance of another type")
    model._set_network(network, binarization, layer, n_images, score)
    model.binarization_ = description["binarization"]
    model.provenance_ = description["provenance"]
    model._set_calibration(calibration, source)
    return model
