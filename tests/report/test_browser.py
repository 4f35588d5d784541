# SPDX-License-Identifier: BSD-3-Clause
"""Reports in a real browser: the threshold moves counts, the gallery sorts and enlarges, nothing is asked of a network."""

import json

import numpy as np
import pytest

from cbn.report import page
from helpers import programs as cli
from helpers.reports import HOSTILE, browser, made_content, made_scored, made_shots

# What is allowed at least between text and its ground: WCAG 2, level AA; large text is 24 px, or 18.66 px and bold.
CONTRAST, CONTRAST_LARGE = 4.5, 3.0
CONTRASTS = """
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const parse = (colour) => {
  canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
  return [r, g, b, a / 255];
};
const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
const ground = (element) => {
  const layers = [];
  for (let own = element; own; own = own.parentElement) layers.push(parse(getComputedStyle(own).backgroundColor));
  let found = parse("Canvas").slice(0, 3);
  for (const layer of layers.reverse()) found = over(layer, found);
  return found;
};
const luminance = (rgb) => {
  const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const rows = [];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  const style = getComputedStyle(element);
  if (!own || element.closest("script, noscript, svg") || style.visibility === "hidden" || !element.getClientRects().length) continue;
  if (element.disabled || element.closest("option")) continue;
  const below = ground(element), text = over(parse(style.color), below);
  const [light, dark] = [luminance(text), luminance(below)].sort((a, b) => b - a);
  const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && parseInt(style.fontWeight) >= 700);
  rows.push([(light + 0.05) / (dark + 0.05), large, element.className + " " + element.textContent.trim().slice(0, 30)]);
}
return rows;
"""


@pytest.fixture(scope="module")
def chromium():
    driver = browser()
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """(Scored, path) of a report of made pictures."""
    scored = made_scored()
    path = tmp_path_factory.mktemp("report") / "report.html"
    page.write_page(made_content(scored), path)
    return scored, path


def opened(chromium, path, width=1280, scheme="light"):
    """The page of a file, in a window of a width, in a colour scheme."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    for kind in ("browser", "performance"):
        chromium.get_log(kind)
    chromium.get(path.as_uri())
    return chromium


def quiet(chromium, path):
    """No error on the console, and nothing was loaded but the file itself."""
    assert chromium.get_log("browser") == []
    asked = []
    for entry in chromium.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.append(message["params"]["request"]["url"])
    others = [url for url in asked if not url.startswith("data:") and url.partition("#")[0] != path.as_uri()]
    assert others == []


def text_of(chromium, selector):
    return chromium.find_element("css selector", selector).text


def move(chromium, value):
    """Puts the slider near a value, and says where it stands."""
    return float(
        chromium.execute_script(
            "const s = document.getElementById('threshold'); s.value = arguments[0];"
            "s.dispatchEvent(new Event('input', { bubbles: true })); return s.value;",
            value,
        )
    )


def shown(chromium):
    """Numbers of the pictures of the gallery that are visible, in their order."""
    return chromium.execute_script(
        "const data = JSON.parse(document.getElementById('data').textContent);"
        "return [...document.querySelectorAll('.shot')].filter((s) => !s.hidden).map((s) => data.shots[s.dataset.n]);"
    )


def choose(chromium, name, value):
    chromium.execute_script(
        "const s = document.getElementById(arguments[0]); s.value = arguments[1];"
        "s.dispatchEvent(new Event('change', { bubbles: true }));",
        name, value,
    )  # fmt: skip


def press(chromium, *keys):
    from selenium.webdriver import ActionChains

    ActionChains(chromium).send_keys(*keys).perform()


def test_numbers_at_the_threshold_are_the_same_with_scripts(chromium, report):
    scored, path = report
    opened(chromium, path)
    own = page.counts(scored)
    for name in ("alarms", "false_alarms", "missed"):
        assert text_of(chromium, f'[data-count="{name}"]') == f"{own[name]:,}"
    quiet(chromium, path)


def test_the_slider_moves_the_counts(chromium, report):
    scored, path = report
    opened(chromium, path)
    seen = set()
    for asked in (-0.83, 0.31, 1.2, scored.scores.min() - 0.05, scored.scores.max() + 0.05):
        threshold = move(chromium, asked)
        assert abs(threshold - asked) < 0.05
        alarms = scored.scores < threshold
        assert text_of(chromium, '[data-count="alarms"]') == f"{alarms.sum():,}"
        assert text_of(chromium, '[data-count="false_alarms"]') == f"{(alarms & scored.normal).sum():,}"
        assert text_of(chromium, '[data-count="missed"]') == f"{(~alarms & ~scored.normal).sum():,}"
        assert text_of(chromium, '[data-share="false_alarms"]') == page.percent(
            (alarms & scored.normal).sum() / scored.normal.sum()
        )
        names = [element.text for element in chromium.find_elements("css selector", "#kind-table tbody th")]
        for number, name in enumerate(names):
            own = np.array(scored.kinds) == name
            assert text_of(chromium, f'[data-kind-alarms="{number}"]') == f"{(alarms & own).sum():,}"
        place = chromium.execute_script("const s = document.querySelector('#roc .dot').style; return [s.left, s.top];")
        assert float(place[0][:-1]) == pytest.approx(
            100 * (alarms & scored.normal).sum() / scored.normal.sum(), abs=0.01
        )
        found = (alarms & ~scored.normal).sum() / (~scored.normal).sum()
        assert float(place[1][:-1]) == pytest.approx(100 * (1 - found), abs=0.01)
        seen.add(int(alarms.sum()))
    assert len(seen) == 5 and {0, len(scored.scores)} <= seen
    chromium.find_element("id", "reset").click()
    assert text_of(chromium, '[data-count="alarms"]') == f"{scored.alarms.sum():,}"
    quiet(chromium, path)


def test_the_slider_obeys_the_keyboard(chromium, report):
    from selenium.webdriver import Keys

    scored, path = report
    opened(chromium, path)
    slider = chromium.find_element("id", "threshold")
    slider.send_keys(Keys.HOME)
    assert text_of(chromium, '[data-count="alarms"]') == "0"
    slider.send_keys(Keys.END)
    assert text_of(chromium, '[data-count="alarms"]') == f"{len(scored.scores):,}"
    assert "90 of 90 are alarms" in slider.get_attribute("aria-valuetext")


def test_without_labels_the_slider_moves_alarms(chromium, tmp_path):
    scored = made_scored(labels=False)
    page.write_page(made_content(scored), tmp_path / "report.html")
    opened(chromium, tmp_path / "report.html")
    threshold = move(chromium, 0.7)
    assert text_of(chromium, '[data-count="alarms"]') == f"{(scored.scores < threshold).sum():,}"
    quiet(chromium, tmp_path / "report.html")


def test_the_gallery_sorts_and_filters(chromium, report):
    scored, path = report
    opened(chromium, path)
    scores = scored.scores
    assert (np.diff(scores[shown(chromium)]) >= 0).all()
    choose(chromium, "sort", "high")
    assert (np.diff(scores[shown(chromium)]) <= 0).all()
    choose(chromium, "sort", "near")
    assert (np.diff(np.abs(scores[shown(chromium)])) >= -1e-12).all()  # the threshold is 0
    choose(chromium, "sort", "name")
    names = [scored.names[i] for i in shown(chromium)]
    assert [own for own in names if own[:4] in ("dent", "good")] == sorted(
        n for n in names if n[:4] in ("dent", "good")
    )
    alarms = scored.alarms
    expected = {
        "all": np.ones(len(scores), bool), "alarm": alarms, "quiet": ~alarms, "false_alarms": alarms & scored.normal,
        "found": alarms & ~scored.normal, "missed": ~alarms & ~scored.normal,
    }  # fmt: skip
    for name, own in expected.items():
        choose(chromium, "filter", name)
        assert set(shown(chromium)) == set(np.flatnonzero(own).tolist())
        assert text_of(chromium, "#shown").startswith(f"{own.sum()} ")
    threshold = move(chromium, 0.5)  # a filter follows the threshold
    assert set(shown(chromium)) == set(np.flatnonzero((scores >= threshold) & ~scored.normal).tolist())
    choose(chromium, "filter", "all")
    choose(chromium, "kind", "0")
    assert {scored.kinds[i] for i in shown(chromium)} == {"good"}
    quiet(chromium, path)


def test_a_click_enlarges_and_keys_move_on(chromium, report):
    from selenium.webdriver import Keys

    scored, path = report
    opened(chromium, path)
    order = shown(chromium)
    links = chromium.find_elements("css selector", ".shot .open")
    assert not chromium.find_element("id", "viewer").is_displayed()
    links[4].click()
    assert chromium.find_element("id", "viewer").is_displayed()
    assert text_of(chromium, "#viewer-title") == scored.names[order[4]]
    assert len(chromium.find_elements("css selector", "#viewer-stack img")) == 2
    press(chromium, Keys.ARROW_RIGHT)
    assert text_of(chromium, "#viewer-title") == scored.names[order[5]]
    press(chromium, Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert text_of(chromium, "#viewer-title") == scored.names[order[3]]
    press(chromium, Keys.END)
    assert text_of(chromium, "#viewer-title") == scored.names[order[-1]]
    press(chromium, Keys.ARROW_RIGHT)  # there is no next one
    assert text_of(chromium, "#viewer-title") == scored.names[order[-1]]
    press(chromium, Keys.HOME)
    assert text_of(chromium, "#viewer-title") == scored.names[order[0]]
    press(chromium, Keys.ESCAPE)
    assert not chromium.find_element("id", "viewer").is_displayed()
    assert chromium.switch_to.active_element == links[0]
    links[2].send_keys(Keys.ENTER)  # by keyboard alone
    assert chromium.find_element("id", "viewer").is_displayed()
    chromium.find_element("id", "close").click()
    quiet(chromium, path)


def test_picture_overlay_and_map(chromium, report):
    _, path = report
    opened(chromium, path)
    seen = {}
    for view in ("overlay", "picture", "map"):
        chromium.find_element("css selector", f'label[for="view-{view}"]').click()
        seen[view] = chromium.execute_script(
            "return ['.picture', '.map'].map((c) => Number(getComputedStyle(document.querySelector('.shot ' + c)).opacity))"
        )
    assert seen == {"overlay": [1, 1], "picture": [1, 0], "map": [0, 1]}
    chromium.find_element("css selector", ".shot .open").click()
    assert text_of(chromium, "#view") == "View: map"
    chromium.find_element("id", "view").click()
    assert text_of(chromium, "#view") == "View: overlay"


def test_hostile_names_do_nothing(chromium, report):
    _, path = report
    opened(chromium, path)
    assert chromium.title == f"Model {HOSTILE} – report"
    assert chromium.execute_script("return document.scripts.length") == 2
    for link in chromium.find_elements("css selector", ".shot .open")[:3]:
        link.click()
        assert chromium.execute_script("return document.scripts.length") == 2
        chromium.find_element("id", "close").click()
    assert chromium.title == f"Model {HOSTILE} – report"


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_no_width_needs_to_be_scrolled_sideways(chromium, report, width):
    _, path = report
    opened(chromium, path, width)
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= width
    wide = chromium.execute_script(
        "return [...document.querySelectorAll('.panel:not(.scroll), .shot, .cards li')].filter((e) => e.scrollWidth > e.clientWidth + 1)"
        ".map((e) => e.className + ' ' + e.textContent.trim().slice(0, 40))"
    )
    assert not wide
    chromium.find_element("css selector", ".shot .open").click()
    box = chromium.execute_script("return document.getElementById('viewer').getBoundingClientRect().toJSON()")
    assert box["left"] >= 0 and box["right"] <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(chromium, report, scheme):
    _, path = report
    opened(chromium, path, scheme=scheme)
    rows = chromium.execute_script(CONTRASTS)
    assert len(rows) > 200
    chromium.find_element("css selector", ".shot .open").click()
    rows += chromium.execute_script(CONTRASTS)
    low = {(round(value, 2), text) for value, large, text in rows if value < (CONTRAST_LARGE if large else CONTRAST)}
    assert not low


def test_landmarks_and_names_for_screen_readers(chromium, report):
    _, path = report
    opened(chromium, path)
    one = {
        name: len(chromium.find_elements("css selector", name)) for name in ("main", "header", "nav", "footer", "h1")
    }
    assert set(one.values()) == {1}
    nameless = chromium.execute_script(
        "return [...document.querySelectorAll('img:not([alt]), svg:not([aria-label]), input:not([id]), select:not([id])')]"
        ".length + [...document.querySelectorAll('input, select')].filter((e) => !e.labels.length).length"
        " + [...document.querySelectorAll('section')].filter((e) => !e.getAttribute('aria-labelledby')).length"
    )
    assert nameless == 0
    doubled = chromium.execute_script(
        "const ids = [...document.querySelectorAll('[id]')].map((e) => e.id); return ids.length - new Set(ids).size"
    )
    assert doubled == 0
    alt = chromium.find_element("css selector", ".shot img.picture").get_attribute("alt")
    assert ".png" in alt and "score" in alt


def test_with_scripts_off_everything_static_is_there(chromium, report):
    scored, path = report
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        opened(chromium, path)
        assert text_of(chromium, '[data-count="alarms"]') == f"{scored.alarms.sum():,}"
        assert "Scripts are off" in text_of(chromium, "noscript")
        assert not chromium.find_element("id", "threshold").is_displayed()
        assert len(chromium.find_elements("css selector", ".shot")) == len(scored.scores)
    finally:
        chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_report_of_a_program(chromium, tmp_path):
    """From the command line to the browser: a network of digits."""
    cli.done("cbn-train", "--digit", "2", "--out", tmp_path / "two.cbn", "--report", tmp_path / "two.html")
    found = cli.done("cbn-score", tmp_path / "two.cbn", "--json").json()
    path = tmp_path / "two.html"
    opened(chromium, path, 360, "dark")
    assert text_of(chromium, '[data-count="alarms"]') == f"{found['n_outliers']:,}"
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= 360
    threshold = move(chromium, found["threshold"] + 20)
    scores = np.array([row["score"] for row in found["images"]])
    assert text_of(chromium, '[data-count="alarms"]') == f"{(scores < threshold).sum():,}"
    rows = chromium.execute_script(CONTRASTS)
    assert not [text for value, large, text in rows if value < (CONTRAST_LARGE if large else CONTRAST)]
    quiet(chromium, path)


def test_pictures_of_all_kinds_load(chromium, tmp_path):
    for number, (side, channels) in enumerate(((28, None), (96, 3))):
        scored, path = made_scored(12), tmp_path / f"{number}.html"
        page.write_page(made_content(scored, shots=made_shots(scored, side=side, channels=channels)), path)
        opened(chromium, path)
        sizes = chromium.execute_async_script(
            "const done = arguments[0], all = [...document.querySelectorAll('.shot img')];"
            "for (const own of all) own.loading = 'eager';"
            "Promise.all(all.map((own) => own.decode())).then(() => done(all.map((own) => own.naturalWidth)), (e) => done(String(e)))"
        )
        assert isinstance(sizes, list) and len(sizes) == 24 and min(sizes) >= 28
        quiet(chromium, path)
