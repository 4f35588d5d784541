# SPDX-License-Identifier: BSD-3-Clause
"""Damaged and hostile model files: a usable model or a one-line ModelFileError, soon, without the memory they claim."""

import json
import os
import pickle
import struct
import tempfile
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cbn
from cbn import ModelFileError
from helpers.fuzzing import FUZZ, VALUES, at, bomb, damaged, places, soon
from helpers.modelfiles import members_of, npy, refused, use, with_header, write
from helpers.networks import Boosting, Classifier, Network

pytestmark = pytest.mark.slow

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return write(tmp_path_factory.mktemp("models") / "network", FILES["network"]["members"])


def as_version_1(header):
    """The header of a new file of tables as version 1 would have it."""
    arguments, settings = header["arguments"], header.pop("settings")
    of_table = arguments.pop("cpd")
    for name in ("features", "folds", "shift"):
        del arguments[name]
    arguments |= {"offsets": of_table["offsets"], "pseudocount": of_table["pseudocount"]}
    for network in header["networks"]:
        for name in ("hidden", "scales", "heat_map_scale"):
            del network[name]
        network["score"] = settings["score"]
    return header | {"version": 1}


def make_files(folder):
    """Networks of 3 x 4 images with two thresholds (tables, trees, boosted trees), classifiers, and hidden layers."""
    X, larger = (np.random.default_rng(0).integers(0, 256, (120, *shape), dtype=np.uint8) for shape in ((3, 4), (7, 6)))
    one = {"n_jobs": 1, "random_state": 0, "false_alarm_rate": 0.1}
    two = {"threshold": (0.3, 0.6), **one}
    models = {
        "network": Network(threshold=(0.3, 0.6), pseudocount=1.5).fit(X),
        "classifier": Classifier(class_prior=(0.2, 0.3, 0.5)).fit(X, np.arange(120) % 3),
        "hidden": Network("hidden", hidden=((2, 2, 1), (1, 2, 1)), iterations=1, **one).fit(larger),
        "tree": Network("tree", **two, penalty=0.1).fit(X),
        "boosted": Network("boosted", **two, boosting=Boosting(rounds=3, max_leaves=3)).fit(X),
        "tied": Network("tied", **two, cpd=cbn.Tied(radius=1, rounds=3, max_leaves=3, corrections=2)).fit(X),
        "best": Network("best", hidden=((2, 2, 1), (1, 2, 1)), penalty=0.2, **one).fit(larger),
        "classifier of trees": Classifier("tree", reach=2, n_jobs=1).fit(X, np.arange(120) % 2),
    }
    for name, model in models.items():
        model.save(folder / name)
    old = {"version 1": "format_v1/pixel", "version 2": "format_v2/hidden", "version 3": "format_v3/tree"}
    return {name: folder / name for name in models} | {name: DATA / f"{path}.cbn" for name, path in old.items()}


with tempfile.TemporaryDirectory() as temporary:
    FILES = {
        kind: {"bytes": source.read_bytes(), "members": members_of(source)}
        for kind, source in make_files(Path(temporary)).items()
    }
KINDS = st.sampled_from(sorted(FILES))


def attempt(path, tmp_path):
    """The file loads as a usable model or is refused in one line; True if it loaded."""
    with soon():
        try:
            model = cbn.load(path)
        except ModelFileError as error:
            text = str(error)
            assert text.isprintable() and text.startswith(repr(str(path))) and len(text) < 1000 + len(str(path)), text
            return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cbn.CalibrationWarning)
        with soon():
            use(model, tmp_path / "again.cbn")
    return True


# ---- arrays ----


def npy_header(text, data=b"", version=(1, 0)):
    text = text.encode() + b"\n"
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H" if version[0] == 1 else "<I", len(text)) + text + data


class Trap:
    """Creates a file when it is unpickled."""

    def __reduce__(self):
        return (open, ("trapped", "w"))


COUNTS_SHAPE = (3 * 4 * (16 + 32), 2)
CLAIM = "{'descr': '<i8', 'fortran_order': False, 'shape': "
BAD_COUNTS = {
    "int32": lambda c: npy(c.astype("i4")), "uint64": lambda c: npy(c.astype("u8")), "floats": lambda c: npy(c / 1.0),
    "big endian": lambda c: npy(c.astype(">i8")), "Fortran order": lambda c: npy(np.asfortranarray(c)),
    "transposed": lambda c: npy(c.T.copy()), "flat": lambda c: npy(c.ravel()), "3-d": lambda c: npy(c[None]),
    "one row less": lambda c: npy(c[:-1]), "one row more": lambda c: npy(np.r_[c, c[:1]]),
    "no row": lambda c: npy(c[:0]), "dates": lambda c: npy(c.astype("M8[s]")), "a number": lambda c: npy(c[0, 0]),
    "records": lambda c: npy(c.view("i8,i8")), "words": lambda c: npy(c.astype("S8")),
    "version 2": lambda c: npy(c, version=(2, 0)), "version 3": lambda c: npy(c, version=(3, 0)),
    "trailing byte": lambda c: npy(c) + b"1", "trailing zeros": lambda c: npy(c) + bytes(8),
    "empty file": lambda c: b"", "cut": lambda c: npy(c)[:-1], "magic only": lambda c: b"\x93NUMPY",
    "other magic": lambda c: b"x" + npy(c)[1:], "pickle": lambda c: pickle.dumps(Trap()),
    "objects": lambda c: npy(np.array([[Trap()]] * 2, object), allow_pickle=True),
    "objects of the right shape": lambda c: npy(np.full(COUNTS_SHAPE, Trap(), object), allow_pickle=True),
    "negative": lambda c: npy(c - 1), "one negative": lambda c: npy(c + [[-200, 200]]),
    "text": lambda c: b"1,2\n", "none": lambda c: npy(0 * c),
    "one more": lambda c: npy(c + np.eye(len(c), 2, dtype=int)), "double": lambda c: npy(2 * c),
    "huge": lambda c: npy(c + 2**62), "overflow": lambda c: npy(np.full_like(c, 2**63 - 1)),
    "wrong rows": lambda c: npy(c[::-1].copy()), "impossible rows": lambda c: npy(np.roll(c, 1, axis=0)),
    "open bracket": lambda c: npy_header(CLAIM + "(3, 2)", bytes(48)),
    "open word": lambda c: npy_header("{'descr': '<i8"),
    "indented": lambda c: npy_header("  {\n 1\n  2"), "not a dict": lambda c: npy_header("[1, 2]"),
    "nested": lambda c: npy_header("(" * 9000 + ")" * 9000), "not latin": lambda c: npy_header("{'descr': '<ż8'}"),
    "a call": lambda c: npy_header(CLAIM.replace("'<i8'", "open('trapped', 'w')") + "(3, 2)}"),
    "Python 2": lambda c: npy_header(CLAIM + f"({len(c)}L, 2L)}}", c.tobytes()),
    "null": lambda c: npy_header("\0" * 50),
    "negative shape": lambda c: npy_header(CLAIM + "(-3, 2)}"),
    "16 TiB": lambda c: npy_header(CLAIM + f"({2**40}, 2)}}"),
    "beyond the end": lambda c: b"\x93NUMPY\1\0\xff\xff{", "no header": lambda c: b"\x93NUMPY\1\0\0\0" + bytes(64),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_COUNTS)
def test_bad_counts(name, saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    counts = cbn.load(saved).counts_
    assert counts.shape == COUNTS_SHAPE
    refused(write(tmp_path / "a.cbn", members_of(saved) | {"counts_0.npy": BAD_COUNTS[name](counts)}), "damaged")
    assert os.listdir(tmp_path) == ["a.cbn"]  # nothing was unpickled


# ---- the header ----

WRONG = [None, True, "x", "1", "", -1, 0, 1.5, 2, 10**30, 1e999, [], [1], ["0.3"], [[1, 2]], {}, {"a": 1}]
MUST_REFUSE = {
    "kind": ["forest", "classifier", None, 3, []], "networks": [[], {}, None, 3, "x", [[]], [{}, {}]],
    "arguments": [[], 3, None, "x", {"nothing": 1}], "arguments/preset": [3, None, "x", []],
    "arguments/cpd/offsets": ["ab", 3, [1], [[0, 0]], [[1, 2, 3]], {"a": 1}, [["a", 0]]],
    "arguments/threshold": ["high", -1, 1.5, [0.5, 0.2], {}, [None]], "arguments/score": ["x", 3, []],
    "arguments/cpd/pseudocount": [0, -1, "1", [], True], "arguments/image_shape": [3, [3], "34", [3, 0], [3, 4.5]],
    "arguments/false_alarm_rate": [0, 1, 5, -1, "0.1", None, [], True], "arguments/full_scale": [0, "255", 255.5],
    "arguments/random_state": [-1, "x", 1.5, [1], 2**64], "networks/0/layer": [[], None, {}, 3],
    "networks/0/layer/channels": [1, 3, True, 2.0, "2", 0, -2, None],
    "networks/0/layer/height": [4, True, 3.0, "3", 0, -3, None, 10**30], "networks/0/layer/width": [3, -4, None, 2**31],
    "networks/0/layer/relations": [{}, None, "x", [], [[0, 0, -1]], [[0, 0, 0, 0, 0]], [[0, 0, 1, 0, 0]],
                                   [[0, 5, -1, 0, 0]], [[0, 0, -1, 0, 0]] * 2, [[0, 0, -1.0, 0, 0]],
                                   [[0, 0, -1, 0, "x"]]],
    "networks/0/thresholds": ["0.3", ["0.3", "0.6"], [0.3], [0.6, 0.3], 0.3, [0.3, 1.0], [True, 0.6], None],
    "networks/0/full_scale": [1, 255.0, True, "255", 0, None], "networks/0/pseudocount": [0, -1, "1", True, None],
    "networks/0/n_images": [119, 121, 120.0, "120", True, 0, -120, None, 2**62],
    "settings/score": ["x", None, 3, []], "networks/0/calibration": ["x", None, 3],
    "networks/0/binarization": [3, None, []], "networks/0/provenance": [[], None, "x"],
}  # fmt: skip


OLD_PLACES = {"arguments/cpd/": "arguments/", "settings/": "networks/0/"}  # where version 1 has what is elsewhere now


@pytest.mark.parametrize("version", [1, 6])
@pytest.mark.parametrize("place, value", [(p, v) for p, values in MUST_REFUSE.items() for v in values])
def test_wrong_values_in_the_header(place, value, version, saved, tmp_path):
    def change(header):
        there = place
        if version == 1:
            header = as_version_1(header)
            for new, old in OLD_PLACES.items():
                there = there.replace(new, old)
        container, key = at(header, there)
        container[key] = value
        return header

    with soon():
        refused(with_header(saved, tmp_path / "a.cbn", change), "damaged")


def test_the_header_of_version_1_is_one(saved, tmp_path):
    model, new = cbn.load(with_header(saved, tmp_path / "a.cbn", as_version_1)), cbn.load(saved)
    np.testing.assert_array_equal(model.calibration_scores_, new.calibration_scores_)
    assert model.cpd == new.cpd and model.fitted_.settings == new.fitted_.settings
    assert model.heat_map_scale() == new.heat_map_scale()


SOME_OF_MANY = ("networks/0/layer/relations/0", "relations/0/2", "steps/0/4", "scales/surprise", "scales/surprise/1")
EVERY_PLACE = [
    (kind, place)
    for kind, file in FILES.items()
    for place in places(json.loads(file["members"]["header.json"]))
    if not any(many in place for many in ("relations/", "steps/", "scales/")) or place.endswith(SOME_OF_MANY)
]


# A third of the values at each place, the others at the next two; `make fuzz` tries all at all.
ANYTHING = [*WRONG, "missing"]
STRIDE = 1 if "CBN_FUZZ_EXAMPLES" in os.environ else 3


@pytest.mark.parametrize("number", range(len(EVERY_PLACE)), ids=lambda number: "-".join(EVERY_PLACE[number]))
def test_anything_at_every_place_of_the_header(number, tmp_path):
    kind, place = EVERY_PLACE[number]
    for value in ANYTHING[number % STRIDE :: STRIDE]:
        members = dict(FILES[kind]["members"])
        header = json.loads(members["header.json"])
        container, key = at(header, place)
        if value == "missing":
            del container[key]
        else:
            container[key] = value
        members["header.json"] = json.dumps(header)
        attempt(write(tmp_path / "a.cbn", members), tmp_path)


@pytest.mark.parametrize("method", [0, 8, 12, 14], ids=["stored", "deflate", "bzip2", "LZMA"])
def test_every_seventh_byte_changed(method, saved, tmp_path):
    content = write(tmp_path / "good.cbn", members_of(saved), method).read_bytes()
    for i in range(0, len(content), 7):
        (tmp_path / "a.cbn").write_bytes(content[:i] + bytes([content[i] ^ 0x11]) + content[i + 1 :])
        attempt(tmp_path / "a.cbn", tmp_path)
    for i in range(len(content) - 3):
        if content[i : i + 4] == b"PK\1\2":  # another method of compression than the member's
            for other in range(20):
                (tmp_path / "a.cbn").write_bytes(content[: i + 10] + struct.pack("<H", other) + content[i + 12 :])
                attempt(tmp_path / "a.cbn", tmp_path)


# ---- claims and bombs ----


FLOATS = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({100 * 2**17},)}}"
BOMBS = {
    "calibration": ("calibration_0.npy", npy_header(FLOATS.ljust(117)), b"\0"), "counts": ("counts_0.npy", b"", b"\0"),
    "calibration without head": ("calibration_0.npy", b"", b"\0"), "header": ("header.json", b"", b" "),
}  # fmt: skip


def peak_of_refusal(path, *words):
    tracemalloc.start()
    try:
        with soon():
            refused(path, *words)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", BOMBS)
def test_zip_bombs_are_not_unpacked(name, saved, tmp_path):
    member, head, filler = BOMBS[name]
    path = bomb(saved, tmp_path / "a.cbn", member, 100 * 2**20, head, filler)
    assert peak_of_refusal(path) < 25 * 2**20


@pytest.mark.parametrize("mebibytes", [3, 15])
def test_a_header_of_very_many_empty_lists(mebibytes, saved, tmp_path):
    path = bomb(saved, tmp_path / "a.cbn", "header.json", mebibytes * 2**20, b'{"a": [[]', b",[] ")
    assert peak_of_refusal(path) < 100 * 2**20


CLAIMS = [(2, 2**12, 2**11), (2, 2**30, 2**30), (2, 1, 2**22), (2, 2**23, 1), (2**20, 3, 4), (2**30, 3, 4)]


@pytest.mark.parametrize("channels, height, width", CLAIMS)
def test_layers_that_are_only_claimed(channels, height, width, saved, tmp_path):
    claim = {"channels": channels, "height": height, "width": width}
    claim |= {"relations": []} if channels > 2 else {}
    path = with_header(saved, tmp_path / "a.cbn", lambda h: h["networks"][0]["layer"].update(claim))
    assert peak_of_refusal(path, "damaged") < 25 * 2**20


def test_sizes_that_only_the_directory_of_the_zip_claims(saved, tmp_path):
    content, path = saved.read_bytes(), tmp_path / "a.cbn"
    entries = [i for i in range(len(content) - 3) if content[i : i + 4] == b"PK\1\2"]
    assert len(entries) == 3
    for i in entries:
        for place in (20, 24, 42):  # compressed size, size, offset
            for claim in (2**32 - 2, 0, 10**8):
                path.write_bytes(content[: i + place] + struct.pack("<I", claim) + content[i + place + 4 :])
                tracemalloc.start()
                attempt(path, tmp_path)
                peak = tracemalloc.get_traced_memory()[1]
                tracemalloc.stop()
                assert peak < 25 * 2**20


def test_very_many_relations(saved, tmp_path):
    many = [[1, 0, -1 - i // 1000, i % 1000, 0] for i in range(200_000)]
    path = with_header(saved, tmp_path / "a.cbn", lambda h: h["networks"][0]["layer"].update(relations=many))
    with soon():
        refused(path, "damaged")


# ---- chance ----


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@FUZZ
@given(data=st.data())
def test_damaged_bytes(data, folder):
    path = folder / "bytes.cbn"
    path.write_bytes(data.draw(damaged(FILES[data.draw(KINDS)]["bytes"]) | st.binary(max_size=99)))
    attempt(path, folder)


@FUZZ
@given(data=st.data())
def test_damaged_members(data, folder):
    members = dict(FILES[data.draw(KINDS)]["members"])
    name = data.draw(st.sampled_from(sorted(members)))
    members[name] = data.draw(damaged(members[name]))
    attempt(write(folder / "members.cbn", members, data.draw(st.sampled_from([0, 8]))), folder)


@FUZZ
@given(data=st.data())
def test_changed_headers(data, folder):
    members = dict(FILES[data.draw(KINDS)]["members"])
    header = json.loads(members["header.json"])
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = at(header, data.draw(st.sampled_from(sorted(places(header)))))
        if isinstance(container, dict) and data.draw(st.integers(0, 5)) == 0:
            del container[key]
        else:
            container[key] = data.draw(VALUES)
    members["header.json"] = json.dumps(header)
    attempt(write(folder / "header.cbn", members), folder)


@FUZZ
@given(data=st.data())
def test_changed_npy_headers(data, folder):
    members = dict(FILES[data.draw(KINDS)]["members"])
    name = data.draw(st.sampled_from(sorted(members.keys() - {"header.json"})))
    text = data.draw(st.text(max_size=40) | st.fixed_dictionaries({
        "descr": st.sampled_from(["<i8", "<f8", "|O", ">i8", "<U2", "<U0", "|V8", "<M8[s]", [("a", "<f8")], "x", 3]),
        "fortran_order": st.booleans() | st.integers(0, 2),
        "shape": st.lists(st.integers(-2, 4) | st.integers(), max_size=3).map(tuple)
                 | st.sampled_from([COUNTS_SHAPE, (120,)]),
    }).map(repr))  # fmt: skip
    head = text.encode("latin1", "replace") + b"\n"
    data_bytes = members[name][128:] if data.draw(st.booleans()) else data.draw(st.binary(max_size=64))
    members[name] = b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + data_bytes
    attempt(write(folder / "npy.cbn", members), folder)


def test_the_fuzzers_reach_usable_models(folder):
    for file in FILES.values():
        assert attempt(write(folder / "good.cbn", file["members"]), folder)
        (folder / "good.cbn").write_bytes(file["bytes"])
        assert attempt(folder / "good.cbn", folder)
