# SPDX-License-Identifier: BSD-3-Clause
"""What setuptools would pack into the wheel is all of cbn. Nothing is built: that would take the engine's compiler."""

import shutil
from pathlib import Path

import pytest
from setuptools import Distribution

ROOT = Path(__file__).parents[1]
# compiled modules are the business of build_ext, and sources of the engine's binding are of no use in a wheel
NOT_PACKED = {".pyc", ".so", ".pyx", ".pxd", ".pxi"}


def on_disk(root):
    files = (path.relative_to(root) for path in (root / "cbn").rglob("*") if path.is_file())
    return {path.as_posix() for path in files if path.suffix not in NOT_PACKED}


def packed(root, folder, monkeypatch):
    """Files of cbn that the configuration at a root would pack; what setuptools notes down goes into a folder."""
    monkeypatch.chdir(root)
    distribution = Distribution({"script_name": "setup.py"})
    distribution.parse_config_files()
    distribution.get_command_obj("egg_info").egg_base = str(folder)
    command = distribution.get_command_obj("build_py")
    command.build_lib = str(folder / "lib")
    command.ensure_finalized()
    files = (Path(path).relative_to(folder / "lib") for path in command.get_outputs(include_bytecode=False))
    return {path.as_posix() for path in files}


def test_wheel_holds_every_file(tmp_path, monkeypatch):
    found = on_disk(ROOT)
    embedded = {"cbn/datasets/data/mnist_binary.xz", "cbn/iem/pretrained/data/efficientnet_lite0.npz"}
    assert len(found) > 100 and {"cbn/py.typed", "cbn/_engine.pyi"} | embedded <= found
    assert packed(ROOT, tmp_path, monkeypatch) == found


@pytest.mark.parametrize("lost", ["cbn/room/module.py", "cbn/datasets/more/file.xz", "cbn/io/data.json"])
def test_what_would_be_left_out_is_noticed(lost, tmp_path, monkeypatch):
    """A folder without __init__.py, and data that no line of the configuration names."""
    root = tmp_path / "copy"
    shutil.copytree(ROOT / "cbn", root / "cbn", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, root)
    (root / lost).parent.mkdir(exist_ok=True)
    (root / lost).touch()
    assert on_disk(root) - packed(root, tmp_path, monkeypatch) == {lost}
