# SPDX-License-Identifier: BSD-3-Clause
"""The page of a report as text: what is said, what is escaped, how large it is."""

import builtins
import html
import io
import json
import re
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cbn.exceptions import CbnError
from cbn.report import imagery, page
from cbn.report.content import Content, Facts, Figure, Reference, Shot, Tile, Words
from helpers.reports import HOSTILE, made_content, made_scored, made_shots


def test_hostile_names_are_text():
    text = page.page(made_content())
    assert HOSTILE not in text
    assert html.escape(HOSTILE, quote=False).replace("'", "&#39;") in text
    assert text.count("<script") == 2  # the numbers, and the one script of the page


def test_names_that_cannot_be_printed_are_escaped(tmp_path):
    scored = made_scored(3)
    odd = scored.__class__(**scored.__dict__ | {"names": ("a\udcff.png", "b\u202egnp.exe", "c\n\t.png")})
    page.write_page(made_content(odd), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert r"a\udcff.png" in text and "\u202e" not in text and r"c\n\t.png" in text


def test_texts_that_cannot_be_printed_are_escaped(tmp_path):
    """Class labels and names of folders are in titles, captions and texts too."""
    odd = "a\udcff"
    figure = Figure(title=odd, text=odd, tiles=(Tile(source="data:,", alt=odd, caption=odd),), scale=(odd, odd))
    content = replace(
        made_content(), title=odd, subtitle=odd, facts=(Facts(title=odd, rows=((odd, odd),)),), figures=(figure,)
    )
    page.write_page(content, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count(r"a\udcff") >= 10


def test_nothing_is_asked_of_a_network():
    text = page.page(made_content())
    assert "default-src 'none'" in text
    assert not re.findall(
        r"(?:src|href|url)\s*[=(]\s*[\"']?(?!data:|#)[\w/.:]+",
        re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL),
    )
    assert "http" not in re.sub(r"http-equiv", "", text)


def test_numbers_are_those_of_the_scores():
    scored = made_scored()
    text = page.page(made_content(scored))
    counts = page.counts(scored)
    for name in ("alarms", "false_alarms", "missed"):
        assert f'data-count="{name}">{counts[name]}<' in text
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert data["scores"] == scored.scores.tolist() and data["threshold"] == scored.threshold
    assert data["normal"] == scored.normal.astype(int).tolist()
    assert sorted(data["shots"]) == list(range(len(scored.scores)))


def test_without_labels_there_is_no_talk_of_misses():
    scored = made_scored(labels=False)
    text = page.page(made_content(scored))
    assert 'data-count="missed"' not in text and "ROC curve" not in text and 'id="kinds"' not in text
    assert "as nobody said which are normal" in text


def test_without_pictures_the_model_is_all_there_is():
    content = Content(title="model", subtitle="of nothing", facts=(Facts(title="Model", rows=(("seed", "0"),)),))
    text = page.page(content)
    assert 'id="model"' in text and 'id="scores"' not in text and "<dt>seed</dt><dd>0</dd>" in text


def test_without_a_threshold_nothing_is_an_alarm():
    scored = made_scored(threshold=-np.inf)
    scored = scored.__class__(**scored.__dict__ | {"scores": np.nan_to_num(scored.scores, neginf=-1.0)})
    text = page.page(made_content(scored))
    assert 'data-count="alarms">0<' in text and "There is no threshold" in text and '"threshold": null' in text


def test_a_gallery_of_some_says_of_how_many():
    scored = made_scored(400)
    text = page.page(made_content(scored, shots=made_shots(scored, 30)))
    assert "30 of 400 pictures" in text and text.count('class="shot') == 30


@pytest.mark.parametrize(("side", "channels"), [(28, None), (96, None), (224, None), (300, 3)])
def test_two_hundred_pictures_are_small(side, channels):
    """Noise is the worst that pictures can be."""
    scored = made_scored(200)
    mask = np.hypot(*np.ogrid[-side // 2 : side // 2, -side // 2 : side // 2]) < side // 3
    shots = [replace(shot, mask=mask) for shot in made_shots(scored, side=side, channels=channels)]
    content = made_content(scored, shots=tuple(shots))
    start = time.perf_counter()
    text = page.page(content)
    assert len(text.encode()) <= 3e6
    assert time.perf_counter() - start < 60  # a loaded machine; the guide has what it takes on one that is not


def test_scores_of_many_pictures_leave_less_to_the_gallery():
    scored = made_scored(50_000)
    random = np.random.default_rng(0)
    scored = replace(scored, scores=scored.scores + random.random(50_000))
    text = page.page(made_content(scored, shots=made_shots(scored, side=96)))
    assert len(text.encode()) <= 3e6 and text.count('class="shot') == 200


def test_few_pictures_are_better_than_many():
    scored = made_scored(200)
    shots = made_shots(scored, side=224)
    few, many = imagery.encode(shots[:10], 1.0), imagery.encode(shots, 1.0)
    assert len(few[0].picture) > len(many[0].picture)


def test_tiny_pictures_are_kept_exactly():
    random = np.random.default_rng(0)
    picture = (random.integers(0, 2, (28, 28)) * 255).astype(np.uint8)
    values = random.random((28, 28))
    found = imagery.encode([Shot(index=0, picture=picture, map=values)], 1.0)[0]
    assert found.tiny and (found.width, found.height) == (28, 28)
    assert (np.asarray(opened(found.picture).convert("L")) == picture).all()
    levels = (values * (imagery.LEVELS - 1)).round().astype(int)
    assert (np.asarray(opened(found.map).convert("RGBA")) == imagery.colours()[levels]).all()


def test_outlines_go_around_defects():
    mask = np.zeros((40, 50), bool)
    mask[10:20, 15:30] = True
    shots = [
        Shot(index=i, picture=np.zeros((40, 50), np.uint8), mask=own)
        for i, own in enumerate((mask, None, np.zeros_like(mask)))
    ]
    found = imagery.encode(shots, 1.0)
    assert [own.outline is None for own in found] == [False, True, True]
    line = np.asarray(opened(found[0].outline).convert("RGBA"))
    opaque = line[..., 3] > 0
    assert not (opaque & mask).any() and opaque[8:10, 15:30].all() and opaque[20:22, 15:30].all()
    assert not opaque[:8].any() and not opaque[22:].any()
    assert (line[opaque][:, :3] == imagery.OUTLINE).all()


def test_luminance_of_the_scale_rises():
    table = imagery.colours().astype(float)
    light = table[:, :3] @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(light) > 0).all() and (np.diff(table[:, 3]) >= 0).all()


def opened(address):
    import base64

    return Image.open(io.BytesIO(base64.b64decode(address.partition("base64,")[2])))


def test_the_engine_is_asked_for_in_one_line(monkeypatch, tmp_path):
    real = builtins.__import__

    def without(name, *rest):
        if name == "jinja2":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(CbnError, match=r"jinja2.*pip install jinja2"):
        page.write_page(made_content(), tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_a_report_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("before")
    with pytest.raises(TypeError):
        page.write_page(made_content(map_top=None), path)
    assert path.read_text() == "before" and [own.name for own in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0.0 %"), (0.0512, "5.1 %"), (0.5, "50 %"), (0.996, "99.6 %"), (1, "100 %")]
)
def test_percent(share, text):
    assert page.percent(share) == text


def test_calibration_scores_that_json_has_no_number_for():
    """A calibration refuses them, a Reference may hold them; null is below every threshold."""
    content = made_content(made_scored(3))
    scores = np.array([-np.inf, -np.inf, -3.0, -1.0, np.inf])
    reference = Reference(scores=scores, source="made", false_alarm_rate=0.05)
    text = page.page(replace(content, reference=reference))
    written = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1]
    found = json.loads(written, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))["reference"]
    assert found == [None, None, -3.0, -1.0, np.finfo(np.float64).max]


def test_the_result_is_said_in_a_sentence():
    scored = made_scored()
    counts = page.counts(scored)
    said = re.search(r'id="result">(.*?)</p>', page.page(made_content(scored)))[1]
    numbers = [int(n) for n in re.findall(r"\d+", said)]
    assert numbers == [counts[name] for name in ("n_others", "found", "false_alarms", "n_normal")]
    assert 'id="result"' not in page.page(made_content(made_scored(labels=False)))
    assert page.in_a_sentence(made_scored(threshold=-np.inf), Words()) is None
    assert page.in_a_sentence(scored, Words(alarms="referred")) is None
