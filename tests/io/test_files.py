# SPDX-License-Identifier: BSD-3-Clause
"""Output files are complete or absent, and failures to write are one line."""

import errno
import os
import stat
import sys

import pytest

from cbn import CbnError
from cbn.io.files import atomic_write, check_writable, make_folder

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions and links")
unprivileged = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write everywhere"
)


def write(path, content=b"new"):
    with atomic_write(path) as file:
        file.write(content)


def message(path, act=write):
    with pytest.raises(CbnError) as caught:
        act(path)
    text = str(caught.value)
    assert "\n" not in text
    assert repr(os.fspath(path)) in text
    return text


def test_writes_and_replaces(tmp_path):
    path = tmp_path / "a.bin"
    write(path, b"first")
    assert path.read_bytes() == b"first"
    write(str(path), b"second")
    assert path.read_bytes() == b"second"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_path_keeps_earlier_content_until_the_end(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new" * 100_000)
        file.flush()
        assert path.read_bytes() == b"old"
        assert len(os.listdir(tmp_path)) == 2  # the temporary file is in the same folder
    assert path.read_bytes() == b"new" * 100_000


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError, MemoryError])
@pytest.mark.parametrize("existing", [False, True])
def test_any_exception_leaves_everything_as_it_was(tmp_path, error, existing):
    path = tmp_path / "a"
    if existing:
        path.write_bytes(b"old")
    with pytest.raises(error), atomic_write(path) as file:
        file.write(b"half")
        raise error
    assert os.listdir(tmp_path) == (["a"] if existing else [])
    assert not existing or path.read_bytes() == b"old"


def test_file_can_be_read_and_sought_as_zip_needs(tmp_path):
    with atomic_write(tmp_path / "a") as file:
        file.write(b"abc")
        file.seek(0)
        assert file.read() == b"abc"


@posix
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_new_file_has_the_permissions_of_a_plain_open(tmp_path, umask):
    earlier = os.umask(umask)
    try:
        write(tmp_path / "a")
    finally:
        os.umask(earlier)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~umask


@posix
def test_existing_file_keeps_its_permissions(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o640)
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@posix
@pytest.mark.parametrize("dangling", [False, True])
def test_symbolic_link_is_followed(tmp_path, dangling):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    link = tmp_path / "link"
    link.symlink_to(folder / "target")
    if not dangling:
        (folder / "target").write_bytes(b"old")
    write(link)
    assert link.is_symlink()
    assert (folder / "target").read_bytes() == b"new"
    assert os.listdir(folder) == ["target"]


@posix
def test_pipe_is_written_not_replaced(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write(path)
        assert os.read(reader, 10) == b"new"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_missing_folder(tmp_path):
    assert "folder does not exist" in message(tmp_path / "no" / "a")


def test_folder_given_as_file(tmp_path):
    assert "is a folder" in message(tmp_path)
    assert "is a folder" in message(str(tmp_path / "new") + "/")
    assert "is a folder" in message("")
    assert os.listdir(tmp_path) == []


def test_file_used_as_folder(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    message(tmp_path / "a" / "b")


def test_odd_names(tmp_path):
    assert "null character" in message("a\0b")
    assert "too long" in message(tmp_path / ("x" * 300))
    write(tmp_path / ("x" * 250))  # a suffix for the temporary name would be one too many
    message(tmp_path / "no\nfolder" / "a")  # stays one line


@posix
@unprivileged
def test_no_permission(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o444)
    assert "no permission" in message(path)
    assert path.read_bytes() == b"old"
    tmp_path.chmod(0o555)
    try:
        assert "no permission" in message(tmp_path / "b")
    finally:
        tmp_path.chmod(0o755)


@posix
def test_write_protected_file_is_not_replaced(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "access", lambda *_: False)  # as for an ordinary user, even when the tests run as superuser
    assert "no permission" in message(path)
    assert path.read_bytes() == b"old"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_full_device():
    assert "disk is full" in message("/dev/full", lambda path: write(path, b"x" * 100_000))


def test_full_disk_leaves_nothing(tmp_path):
    def fill(path):
        with atomic_write(path) as file:
            file.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

    assert "disk is full" in message(tmp_path / "a", fill)
    assert os.listdir(tmp_path) == []


def test_failed_rename_leaves_nothing(tmp_path, monkeypatch):
    def refuse(source, target):
        raise OSError(errno.EROFS, "Read-only file system", source)

    monkeypatch.setattr(os, "replace", refuse)
    assert "read-only" in message(tmp_path / "a")
    assert os.listdir(tmp_path) == []


def test_error_about_another_file_passes_unchanged(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a"):
        (tmp_path / "input that is missing").read_bytes()
    assert os.listdir(tmp_path) == []


def test_make_folder(tmp_path):
    folder = make_folder(tmp_path / "a" / "b")
    assert folder == tmp_path / "a" / "b"
    assert folder.is_dir()
    assert make_folder(str(folder)) == folder


def test_make_folder_over_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    assert "a file of that name exists" in message(tmp_path / "a", make_folder)
    assert "is a file, not a folder" in message(tmp_path / "a" / "b", make_folder)
    assert "null character" in message("a\0b", make_folder)


def test_whether_a_file_can_be_made_is_tried_without_a_trace(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    check_writable(tmp_path / "a")
    check_writable(tmp_path / "b")
    check_writable(os.devnull)
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_bytes() == b"old"
    for path in (tmp_path / "no" / "a", tmp_path, tmp_path / "a" / "b"):
        with pytest.raises(CbnError, match="cannot write"):
            check_writable(path)
