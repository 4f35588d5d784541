# SPDX-License-Identifier: BSD-3-Clause
"""PyTorch files: tensors come out as torch would give them, everything else is refused without being executed."""

import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from cbn.exceptions import DataError
from cbn.iem.pretrained.torchfile import read_tensors
from helpers.weight_files import FORMATS, Raw, Tensor, call, legacy_file, named, operations, pickled, zip_file

VALUES = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
METADATA = Raw(operations(OrderedDict(a=Tensor(VALUES))) + operations({"_metadata": OrderedDict(version=1)}) + b"b")


@pytest.fixture(params=FORMATS)
def write(request, tmp_path):
    """Write a value as a file of one of the two formats."""

    def write(value, **options):
        path = tmp_path / "some.pth"
        path.write_bytes(FORMATS[request.param](value, **options))
        return path

    return write


def refusal(path):
    """The one line by which a file is refused."""
    with pytest.raises(DataError) as refused:
        read_tensors(path)
    text = str(refused.value)
    assert text.startswith(repr(str(path)) + ": ") and text.isprintable() and len(text) < 400 + len(str(path))
    return text.removeprefix(repr(str(path)) + ": ")


@pytest.mark.parametrize("code", ["f4", "f8", "f2", "i8", "i4", "i2", "i1", "u1", "b1"])
@pytest.mark.parametrize("big", [False, True])
def test_all_types_in_both_byte_orders(write, code, big):
    values = (np.arange(-3, 3) * 3).reshape(2, 3).astype(code)
    found = read_tensors(write({"w": Tensor(values)}, big=big))
    assert found.keys() == {"w"} and found["w"].dtype == np.dtype(code)
    np.testing.assert_array_equal(found["w"], values)


@pytest.mark.parametrize("big", [False, True])
def test_bfloat16_becomes_float32(write, big):
    values = np.array([1.5, -2.0, 3.0e38, np.inf], np.float32)
    halves = (values.view(np.uint32) >> 16).astype("i2")
    found = read_tensors(write({"w": Tensor(halves, kind="BFloat16Storage")}, big=big))["w"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, ((values.view(np.uint32) >> 16) << 16).view(np.float32))


def test_views_of_a_storage(write):
    tensors = {
        "whole": Tensor(VALUES), "turned": Tensor(VALUES, shape=(4, 3, 2), strides=(1, 4, 12)),
        "part": Tensor(VALUES, offset=13, shape=(2, 2), strides=(4, 1)), "one": Tensor(VALUES, offset=5, shape=()),
        "none": Tensor(VALUES, shape=(3, 0)), "odd stride": Tensor(VALUES, shape=(1, 2), strides=(2**60, 1)),
        "nothing at all": Tensor(np.empty(0, np.float32), key="1"),
    }  # fmt: skip
    found = read_tensors(write(tensors))
    np.testing.assert_array_equal(found["whole"], VALUES)
    np.testing.assert_array_equal(found["turned"], VALUES.T)
    np.testing.assert_array_equal(found["part"], VALUES[1, :2, 1:3])
    assert found["one"].shape == () and found["one"] == 5
    assert found["none"].shape == (3, 0) and found["nothing at all"].shape == (0,)
    np.testing.assert_array_equal(found["odd stride"], [[0, 1]])
    with pytest.raises(ValueError, match="read-only"):
        found["whole"][0] = 1


def test_containers_become_dotted_names(write):
    value = {"net": OrderedDict(a=Tensor(VALUES)), "list": [1, (Tensor(VALUES + 1, "1"), "text", None)], 3: 0.5}
    found = read_tensors(write(value))
    assert list(found) == ["net.a", "list.1.0"]
    np.testing.assert_array_equal(found["list.1.0"], VALUES + 1)


def test_parameters_and_attributes_of_state_dictionaries(tmp_path):
    path = tmp_path / "some.pt"
    parameter = call(named("torch._utils", "_rebuild_parameter"), Raw(Tensor(VALUES).operations(False)), True)
    for value in (parameter, METADATA):
        path.write_bytes(zip_file(pickled([value]), storages={"0": VALUES.tobytes()}))
        (found,) = read_tensors(path).values()
        np.testing.assert_array_equal(found, VALUES)


class Malicious:
    def __init__(self, function, *arguments):
        self.parts = function, arguments

    def __reduce__(self):
        return self.parts


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("function", [os.system, eval, exec, __import__, getattr, open])
def test_malicious_pickles_are_refused_and_do_not_run(write, tmp_path, protocol, nested, function):
    marker = tmp_path / "executed"
    orders = {os.system: f"touch {marker}", eval: f"open({str(marker)!r}, 'w')", exec: f"open({str(marker)!r}, 'w')"}
    evil = Malicious(function, orders.get(function, str(marker)), *(["w"] if function is open else []))
    path = write(pickle.dumps({"w": [(1, evil)]} if nested else evil, protocol))
    assert "only tensors are read, nothing was executed" in refusal(path)
    assert not marker.exists()


def test_a_malicious_pickle_where_the_legacy_format_has_plain_values(tmp_path):
    marker, path = tmp_path / "executed", tmp_path / "some.pth"
    evil = pickle.dumps(Malicious(os.system, f"touch {marker}"), 2)
    good = [pickled(0x1950A86A20F9469CFC6C), pickled(1001), pickled({"little_endian": True}), pickled({"a": 1})]
    for place in range(5):
        path.write_bytes(b"".join(good[:place]) + evil + b"".join(good[place + 1 :]))
        assert "nothing was executed" in refusal(path) or place == 0
        assert not marker.exists()


@pytest.mark.parametrize(
    "stream",
    [
        b"cos\nsystem\n(X\x01\x00\x00\x00xtR", b"(cos\nsystem\nX\x01\x00\x00\x00xo",
        b"(X\x01\x00\x00\x00xios\nsystem\n",
        b"X\x02\x00\x00\x00osX\x06\x00\x00\x00system\x93(tR", b"\x82\x01)R", b"ccollections\nOrderedDict\n)\x81",
        b"ctorch\nFloatStorage\n)R", b"X\x02\x00\x00\x00os)R", b"ccollections\nOrderedDict\n}X\x01\x00\x00\x00aK\x01sb",
        b"ctorch._utils\n_rebuild_tensor_v2\nN}X\x0c\x00\x00\x00__defaults__)s\x86b", b"Pos.system\n",
        b"ctorch._utils\n_rebuild_tensor\n)R", b"ccollections\nOrderedDict\n(]tR", b"cbuiltins\ngetattr\n",
        b"ctorch\nload\n(X\x01\x00\x00\x00xtR", b"ctorch._utils\n_rebuild_parameter\n(K\x01tR",
        b"ctorch._utils\n_rebuild_tensor_v2\n)R",
    ],
)  # fmt: skip
def test_other_ways_to_call_or_change_something(write, stream):
    refusal(write(b"\x80\x04" + stream + b"."))


@pytest.mark.parametrize(
    "tensor",
    [
        Tensor(VALUES, shape=(25,), strides=(1,)), Tensor(VALUES, offset=1), Tensor(VALUES, offset=-1),
        Tensor(VALUES, shape=(2,), strides=(24,)), Tensor(VALUES, shape=(2,), strides=(-1,)),
        Tensor(VALUES, shape=(-2,), strides=(1,)),
        Tensor(VALUES, shape=(2, 2), strides=(1,)), Tensor(VALUES, shape=(2**40, 2**40, 0)),
        Tensor(VALUES, shape=(1,) * 9), Tensor(VALUES, claimed=2**50), Tensor(VALUES, claimed=-1),
        Tensor(VALUES, claimed=23), Tensor(VALUES, claimed=25), Tensor(VALUES, offset=1.0),
        Tensor(VALUES, kind="DoubleStorage"), Tensor(VALUES, kind="UntypedStorage"), Tensor(VALUES, claimed=2**70),
    ],
)  # fmt: skip
def test_tensors_that_lie_about_their_storage(write, tensor):
    refusal(write({"w": tensor}))


def test_a_tensor_that_repeats_its_values_is_refused(write):
    assert "save its contiguous() copy" in refusal(write({"w": Tensor(VALUES, shape=(2**40,), strides=(0,))}))


@pytest.mark.slow
def test_memory_cannot_be_asked_for(write):
    assert "without end" in refusal(write(b"\x80\x02]q\x00(h\x00h\x00h\x00e."))  # a list of itself
    doubled = b"]q\x00" + b"".join(b"](h%ch%ceq%c" % (i, i, i + 1) for i in range(30))  # 2^30 empty lists
    assert "without end" in refusal(write(b"\x80\x02" + doubled + b"."))
    assert "damaged" in refusal(write(b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b"text."))
    assert "no tensors" in refusal(write(b"\x80\x02}r\xff\xff\xff\xff."))  # a memo of 2^32 places
    assert "operations" in refusal(write(b"\x80\x02" + b"N" * 1_000_001 + b"."))


def test_files_that_hold_something_else(tmp_path):
    path = tmp_path / "some.pth"
    assert refusal(path) == "cannot be read: No such file or directory"
    not_torch = "not a PyTorch file: neither a zip nor a stream with PyTorch's magic number"
    for content in (b"", b"hello", pickle.dumps([1, 2]), np.arange(99).tobytes(), legacy_file({}, magic=5)):
        path.write_bytes(content)
        assert refusal(path) == not_torch
    path.write_bytes(zip_file({"a": 1}))
    assert refusal(path) == "holds no tensors; save the model's state_dict()"
    path.write_bytes(zip_file({"a": 1}, prefix="a/b"))
    assert refusal(path) == "not a PyTorch file: a zip without one data.pkl"
    path.write_bytes(zip_file({"w": Tensor(VALUES)}, compression=zipfile.ZIP_DEFLATED))
    assert refusal(path) == "damaged: archive/byteorder is compressed or larger than the file"
    path.write_bytes(zip_file({"w": Tensor(VALUES)}, storages={}))
    assert refusal(path) == "damaged: storage 0 is missing"
    path.write_bytes(legacy_file({"w": Tensor(VALUES)}, version=1000))
    assert refusal(path).startswith("a stream of another version than 1001; save it again")
    path.write_bytes(legacy_file({"w": Tensor(VALUES)}) + b"more")
    np.testing.assert_array_equal(read_tensors(path)["w"], VALUES)


def test_a_file_cut_anywhere_is_refused_by_one_line(write):
    path = write({"first": Tensor(VALUES), "second": Tensor(VALUES[0], "1")})
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        refusal(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_what_torch_itself_writes(tmp_path, zipped):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    path = tmp_path / "some.pth"
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 5), torch.nn.BatchNorm2d(4))
    weight = net[0].weight.detach()
    state = {
        "state_dict": net.state_dict(), "epoch": 3, "parameter": net[0].bias, "half": weight.half(),
        "bf": weight.bfloat16(), "turned": weight.permute(2, 3, 0, 1), "part": weight[1:, :, 2], "text": "a",
    }  # fmt: skip
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    found = read_tensors(path)
    wanted = {f"state_dict.{name}": value for name, value in net.state_dict().items()}
    wanted |= {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        exact = value.detach().float() if value.dtype == torch.bfloat16 else value.detach()
        np.testing.assert_array_equal(found[name], exact.numpy())
        assert found[name].dtype == exact.numpy().dtype
    torch.save(net, path, _use_new_zipfile_serialization=zipped)
    assert "torch.nn.modules.container.Sequential; only tensors are read" in refusal(path)
