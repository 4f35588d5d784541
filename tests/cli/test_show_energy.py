# SPDX-License-Identifier: BSD-3-Clause
"""cbn-show for introspective energy models; and which program is for which kind of model."""

import numpy as np
import pytest
from PIL import Image

from cbn.cli._models import load_fitted
from helpers import programs as cli


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("energy")
    options = ("--size", 32, "--levels", 1, "--quick", "--quiet", "--out", folder / "iem.cbn")
    cli.done("cbn-iem-train", "--synthetic", "texture", *options)
    np.save(folder / "grey.npy", cli.grey_images(40, 6, 5))
    cli.done("cbn-train", "--data", folder / "grey.npy", "--quiet", "--out", folder / "pixel.cbn")
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_facts_text_and_picture(folder):
    found, text = (cli.done("cbn-show", folder / "iem.cbn", *more) for more in (("--json",), ()))
    found, fitted = found.json(), load_fitted(folder / "iem.cbn")
    assert (found["kind"], found["picture_shape"], found["n_images"]) == ("energy", [32, 32, 1], fitted.n_images)
    assert [level["shape"] for level in found["levels"]] == [list(level.shape) for level in fitted.levels]
    assert found["threshold"] == pytest.approx(-fitted.calibration.offset)
    assert found["levels"][1]["curve"] == fitted.levels[1].curve
    assert (
        f"energy {found['threshold']:.6g} (lower = more normal): {found['n_calibration']} {found['calibration']}"
        in text.out
    )
    assert f"trained on       {fitted.n_images} pictures (texture)" in text.out
    for level in found["levels"]:
        assert "x".join(map(str, level["shape"])) in text.out
    with Image.open("show.png") as picture:
        assert picture.format == "PNG" and min(picture.size) > 100


@pytest.mark.parametrize("option", [("--markov",), ("--relations",), ("--export", "x.bif"), ("--digit", "2")])
def test_options_of_networks_are_refused(folder, option):
    result = cli.call("cbn-show", folder / "iem.cbn", *option)
    cli.assert_one_line_error(result, 2, option[0], "energy model") if option[0] != "--digit" else None
    assert result.code == 2 and option[0] in result.err


@pytest.mark.parametrize("program", ["cbn-sample", "cbn-score", "cbn-inpaint"])
def test_programs_of_networks_name_those_of_energy_models(folder, program):
    cli.assert_one_line_error(cli.call(program, folder / "iem.cbn"), 1, "iem.cbn", "cbn-iem-score and cbn-show")


def test_energy_programs_name_those_of_networks(folder):
    result = cli.call("cbn-iem-score", folder / "pixel.cbn", "--synthetic", "texture")
    cli.assert_one_line_error(result, 1, "pixel.cbn", "cbn-score and cbn-show")
