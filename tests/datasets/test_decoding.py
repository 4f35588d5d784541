# SPDX-License-Identifier: BSD-3-Clause
"""Several pictures decoded at a time: the same images, names, reports and errors as one after the other."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from cbn.datasets import iter_images, load_images, load_mvtec, pages
from cbn.exceptions import DataError
from helpers.folders import save, values


@pytest.fixture(autouse=True)
def together(monkeypatch):
    """However small, and some at a time."""
    monkeypatch.setattr(pages, "LEAST_PIXELS", 1)
    monkeypatch.setattr(pages, "MOST_FOR_THREAD", 2)


@pytest.fixture
def folder(tmp_path):
    """Turned, transparent, deep, lossy and damaged pictures, and a file of three pages."""
    exif = Image.Exif()
    exif[0x0112] = 3
    for i in range(23):
        save(tmp_path / f"{i:02d}.png", values(i), exif=exif if i % 4 == 1 else Image.Exif())
    alpha = np.dstack([values(30)] * 3 + [values(31)])
    save(tmp_path / "24.png", alpha)
    stack = [Image.fromarray(values(40 + i)) for i in range(3)]
    stack[0].save(tmp_path / "25.tif", save_all=True, append_images=stack[1:])
    for name in ("03.png", "17.png"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:60])
    return tmp_path


@pytest.mark.parametrize("n_jobs", [2, 5, None])
def test_the_same_pictures_and_notes(folder, n_jobs):
    one, many = (load_images(folder, skip_bad=True, n_jobs=own)[0] for own in (1, n_jobs))
    assert many.images.tobytes() == one.images.tobytes() and many.names == one.names
    assert many.report == one.report and len(one.report.lines()) == 3
    first, second = (iter_images(folder, skip_bad=True, n_jobs=own, chunk_size=4) for own in (1, n_jobs))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    assert first.report == second.report and first.n_done == second.n_done == 25


def test_the_first_of_several_errors(folder):
    said = []
    for n_jobs in (1, 4):
        with pytest.raises(DataError) as error:
            load_images(folder, n_jobs=n_jobs)
        said.append(str(error.value))
    assert said[0] == said[1] and "03.png" in said[0]


def test_what_comes_before_an_error(folder):
    before = []
    for n_jobs in (1, 3):
        chunks, found = iter_images(folder, n_jobs=n_jobs, chunk_size=1), []
        with pytest.raises(DataError, match="03.png"):
            found.extend(chunks)
        before.append(np.concatenate(found))
    np.testing.assert_array_equal(*before)
    assert len(before[0]) == 3


def test_large_files_are_few_at_a_time(folder, monkeypatch):
    asked = []

    class Pool(pages.ThreadPoolExecutor):
        def submit(self, *arguments):
            asked.append(arguments[1].name)
            return super().submit(*arguments)

    monkeypatch.setattr(pages, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(pages, "TOGETHER_PIXELS", 3 * 64)
    chunks = iter_images(folder, skip_bad=True, n_jobs=16, chunk_size=1)
    next(chunks)
    next(chunks)
    assert asked == ["01.png", "02.png", "03.png"]
    monkeypatch.setattr(pages, "TOGETHER_PIXELS", 2 * 64 - 1)
    asked.clear()
    load_images(folder, skip_bad=True, n_jobs=16)
    assert asked == []


def test_readers_in_several_threads_leave_warnings_as_they_were(folder):
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            list(pool.map(lambda i: load_images(folder, skip_bad=True, n_jobs=1 + i % 3), range(8)))
            assert warnings.filters == before


def test_threads_of_reading_end(folder):
    before = threading.active_count()
    chunks = iter_images(folder, skip_bad=True, n_jobs=4, chunk_size=2)
    next(chunks)
    assert threading.active_count() > before
    del chunks
    assert threading.active_count() == before
    load_images(folder, skip_bad=True, n_jobs=4)
    assert threading.active_count() == before


def test_filters_of_warnings_stay(folder, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)  # pictures of 64 pixels are worth a warning of Pillow
    before = list(warnings.filters)
    with pytest.raises(DataError, match="00.png: the picture is too large"):
        load_images(folder, n_jobs=4)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 70)
    load_images(folder, skip_bad=True, n_jobs=4)
    assert warnings.filters == before


def test_one_thread_starts_no_other(folder, monkeypatch):
    monkeypatch.setattr(pages, "ThreadPoolExecutor", None)
    load_images(folder, skip_bad=True, n_jobs=1)


def test_small_pictures_are_decoded_one_after_the_other(folder, monkeypatch):
    monkeypatch.setattr(pages, "LEAST_PIXELS", 65)
    monkeypatch.setattr(pages, "ThreadPoolExecutor", None)
    load_images(folder, skip_bad=True, n_jobs=4)


def test_inspection_sets(tmp_path):
    for i in range(9):
        save(tmp_path / "train" / "good" / f"{i}.png", values(i))
        save(tmp_path / "test" / "hole" / f"{i}.png", values(20 + i))
    one, many = (load_mvtec(tmp_path, n_jobs=own) for own in (1, 3))
    np.testing.assert_array_equal(one.train, many.train)
    np.testing.assert_array_equal(one.test, many.test)
    assert one.report == many.report and one.test_names == many.test_names


@pytest.mark.parametrize("n_jobs", [0, -2, 2.5, "all"])
def test_wrong_numbers_of_threads(folder, n_jobs):
    for call in (load_images, iter_images, load_mvtec):
        with pytest.raises(ValueError, match="n_jobs"):
            call(folder, n_jobs=n_jobs)
