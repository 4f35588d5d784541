# SPDX-License-Identifier: BSD-3-Clause
"""Pictures that were read and resized, as their files have them."""

import numpy as np
import pytest
from PIL import Image

from cbn.datasets import load_test
from cbn.datasets.original import read_original
from helpers.folders import save

RNG = np.random.default_rng(0)
GREY, RGB = RNG.integers(0, 256, (40, 30), np.uint8), RNG.integers(0, 256, (40, 30, 3), np.uint8)


@pytest.mark.parametrize(
    "root, file", [("p", "p/a.png"), ("c", "c/test/hole/a.png"), ("a.png", "a.png"), ("d", "d/x/a.png")]
)
@pytest.mark.parametrize("picture", [GREY, RGB])
def test_every_name_of_a_set_leads_to_its_file(root, file, picture, tmp_path):
    save(tmp_path / file, picture)
    if root == "c":
        save(tmp_path / "c/train/good/0.png", picture)
    (name,) = load_test(tmp_path / root, (8, 8), "grey").test_names
    assert np.array_equal(read_original(tmp_path / root, name, 640), picture)
    assert read_original(tmp_path / root, name, 20).shape[:2] == (20, 15)
    (tmp_path / file).unlink()
    assert read_original(tmp_path / root, name, 640) is None


def test_pages_and_what_is_not_of_8_bits(tmp_path):
    pages = [Image.fromarray(GREY + np.uint8(i)) for i in range(3)]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    names = load_test(tmp_path / "stack.tif", (8, 8), "grey").test_names
    assert len(names) == 3
    for i, name in enumerate(names):
        assert np.array_equal(read_original(tmp_path / "stack.tif", name, 640), GREY + np.uint8(i))
    Image.fromarray(GREY.astype(np.uint16) * 200).save(tmp_path / "deep.png")
    assert read_original(tmp_path, "deep.png", 640) is None
    (tmp_path / "text.png").write_text("no picture")
    assert read_original(tmp_path, "text.png", 640) is None
