# SPDX-License-Identifier: BSD-3-Clause
"""docs/examples/service.py: answers, refusals in one line, overload, and what a sender may not cost."""

import asyncio
import base64
import io
import json
import struct
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cbn

pytest.importorskip("fastapi", reason="needs fastapi: pip install 'cbn[service]'")
pytest.importorskip("httpx2", reason="needs httpx2: pip install 'cbn[test]'")

from fastapi.testclient import TestClient

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
SIDE = 64


@pytest.fixture(scope="module")
def service():
    sys.path.insert(0, str(EXAMPLES))
    try:
        import service

        yield service
    finally:
        sys.path.remove(str(EXAMPLES))


@pytest.fixture(scope="module")
def made():
    return cbn.datasets.make_category("texture", n_train=24, n_good=2, n_defects=1, size=SIDE)


@pytest.fixture(scope="module")
def path(tmp_path_factory, made):
    path = tmp_path_factory.mktemp("service") / "texture.cbn"
    cbn.IntrospectiveEnergyModel(false_alarm_rate=0.05).fit(made.train).save(path)
    return path


@pytest.fixture(scope="module")
def client(service, path):
    with TestClient(service.create_app(path)) as client:
        yield client


def encoded(values, form="PNG", **options):
    file = io.BytesIO()
    image = values if isinstance(values, Image.Image) else Image.fromarray(values)
    image.save(file, form, **options)
    return file.getvalue()


def post(client, body, query="", kind="image/png"):
    return client.post(f"/score{query}", content=body, headers={"content-type": kind})


def assert_refused(response, status, *words):
    assert response.status_code == status, response.text
    assert list(response.json()) == ["error"]
    error = response.json()["error"]
    assert "\n" not in error and "Traceback" not in error and len(error) < 250
    for word in words:
        assert word in error, error


# ---- answers ----


def test_a_picture_is_answered_as_the_model_judges_it(client, path, made):
    model = cbn.load(path)
    for picture in (made.test[0], made.test[-1]):
        answer = post(client, encoded(picture)).json()
        expected = model.verdicts(picture[None])
        assert answer["score"] == model.score_samples(picture[None])[0]
        assert (answer["verdict"], answer["p_value"]) == (expected.verdicts[0], expected.p_values[0])
        assert answer["direction"] == "higher is more normal" and answer["seconds"] > 0 and "map" not in answer


def test_the_map_comes_when_it_is_asked_for(client, path, made):
    answer = post(client, encoded(made.test[-1]), "?map=true").json()["map"]
    with Image.open(io.BytesIO(base64.b64decode(answer["png16"]))) as picture:
        values = np.asarray(picture).astype(float) * answer["scale"]
    expected = cbn.load(path).energy_map(made.test[-1:])[0]
    assert np.abs(values - expected).max() <= 0.5 * answer["scale"] + 1e-5
    assert answer["unit"] == "standard deviations"


def test_formats(client, made):
    picture = made.test[0]
    reference = post(client, encoded(picture)).json()["score"]
    for body in (
        encoded(picture, "BMP"),
        encoded(np.repeat(picture[..., None], 3, axis=2)),  # grey in three channels
        encoded(Image.fromarray(picture).convert("P")),
    ):
        assert post(client, body, kind="application/octet-stream").json()["score"] == reference
    assert abs(post(client, encoded(picture, "JPEG", quality=95), kind="image/jpeg").json()["score"] - reference) < 1
    turned = Image.fromarray(np.rot90(picture).copy())
    exif = turned.getexif()
    exif[0x0112] = 6  # to be turned clockwise
    assert post(client, encoded(turned, exif=exif)).json()["score"] == reference


def test_facts_and_health(client, path):
    facts = client.get("/model").json()
    assert facts["shape"] == [SIDE, SIDE] and facts["kind"] == "IntrospectiveEnergyModel"
    assert facts["model"] == "texture.cbn" and facts["n_calibration"] == 24  # the name, not the place
    assert str(path.parent) not in json.dumps(facts)
    before = client.get("/health").json()
    assert before["status"] == "ok" and before["waiting"] == 0
    post(client, b"")
    assert client.get("/health").json()["refused"] == before["refused"] + 1


def test_networks_answer_too(service, tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (40, 8, 9)).astype(np.uint8)
    cbn.ConvolutionalBayesianNetwork(false_alarm_rate=0.05).fit(grey).save(tmp_path / "grey.cbn")
    with TestClient(service.create_app(tmp_path / "grey.cbn")) as client:
        answer = post(client, encoded(grey[0]), "?map=1").json()
        assert answer["verdict"] in ("normal", "outlier") and answer["map"]["unit"] == "nats"
        assert client.get("/model").json()["score"] == "log_probability"


# ---- content that is refused ----


def header_of(width, height, depth=8, color=0):
    """The beginning of a PNG of any size, with a few bytes of pixels."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    parts = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + parts + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(50_000, 50_000), (16_000, 9_000), (2**31 - 1, 2**31 - 1), (4097, 4096)])
def test_bombs_are_refused_by_their_header(client, width, height):
    start = time.perf_counter()
    assert_refused(post(client, header_of(width, height)), 413, "pixels")
    assert time.perf_counter() - start < 2


def test_a_bomb_of_text_is_refused(client, made):
    from PIL.PngImagePlugin import PngInfo

    notes = PngInfo()
    for i in range(80):
        notes.add_text(f"a{i}", "x" * 10**6, zip=True)  # 80 MB in few bytes
    body = encoded(made.test[0], pnginfo=notes)
    assert len(body) < 10**6
    assert_refused(post(client, body), 400, "damaged")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP"])
def test_truncated_pictures(client, form, share):
    body = encoded(np.random.default_rng(0).integers(0, 256, (SIDE, SIDE)).astype(np.uint8), form)
    assert_refused(post(client, body[: int(share * len(body))]), 400, "damaged")


def test_damaged_bytes_never_fail(client, made):
    rng = np.random.default_rng(0)
    for form in ("PNG", "JPEG", "BMP"):
        whole = bytearray(encoded(made.test[0], form))
        for _ in range(40):
            body = whole.copy()
            for at in rng.integers(0, len(body), 3):
                body[at] = rng.integers(0, 256)
            response = post(client, bytes(body))
            assert response.status_code in (200, 400, 413, 415, 422)
            if response.status_code != 200:
                assert_refused(response, response.status_code)


def test_content_that_is_no_picture_of_the_model(client):
    values = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE)).astype(np.uint8)
    frames = [Image.fromarray(values), Image.fromarray(255 - values)]
    assert_refused(post(client, b""), 400, "empty")
    assert_refused(post(client, b"hello"), 415, "no picture", "PNG, JPEG, BMP")
    assert_refused(post(client, encoded(values, "GIF")), 415, "no picture")
    assert_refused(post(client, encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])), 415, "no picture")
    assert_refused(post(client, encoded(frames[0], save_all=True, append_images=frames[1:])), 415, "several frames")
    assert_refused(post(client, encoded(values.astype(np.uint16) * 257)), 415, "more than 8 bits")
    assert_refused(post(client, encoded(np.dstack([values] * 4))), 415, "RGBA")
    assert_refused(post(client, encoded(Image.fromarray(values).convert("CMYK"), "JPEG")), 415, "CMYK")
    assert_refused(post(client, encoded(values, transparency=0)), 415, "transparent")
    assert_refused(post(client, encoded(values[:-1])), 422, "63 x 64", "64 x 64")
    assert_refused(
        post(client, encoded(np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8))), 422, "colour"
    )
    assert_refused(post(client, encoded(values), kind="text/html"), 415, "text/html")
    assert_refused(post(client, encoded(values), kind="multipart/form-data; boundary=x"), 415, "multipart")
    gzip = client.post("/score", content=b"x", headers={"content-encoding": "gzip", "content-type": "image/png"})
    assert_refused(gzip, 415, "Content-Encoding")
    assert client.get("/score").status_code == 405 and client.get("/nothing").status_code == 404
    assert post(client, encoded(values), "?map=perhaps").status_code == 422
    assert client.get("/health").json()["waiting"] == 0


def test_other_sizes_where_they_are_allowed(service, path, made):
    with TestClient(service.create_app(path, service.Limits(resize=1))) as client:
        large = np.kron(made.test[0], np.ones((2, 2), np.uint8))
        assert post(client, encoded(large)).status_code == 200


def test_limits_of_the_environment(service, monkeypatch):
    monkeypatch.setenv("CBN_MAX_BYTES", "1000")
    monkeypatch.setenv("CBN_MAX_SECONDS", "0.5")
    assert service.Limits.from_environment() == service.Limits(max_bytes=1000, max_seconds=0.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [("MAX_BYTES", "16M"), ("MAX_WAITING", "0"), ("MAX_SECONDS", "nan"), ("MAX_PIXELS", "-1"), ("RESIZE", "7")],
)
def test_wrong_limits_are_named(service, monkeypatch, name, value):
    monkeypatch.setenv(f"CBN_{name}", value)
    with pytest.raises(ValueError, match=f"CBN_{name}='?{value}'?: give"):
        service.Limits.from_environment()


def test_every_refusal_is_one_line(client):
    for answer in (client.post("/score?map=perhaps"), client.get("/score"), client.get("/nowhere")):
        assert answer.status_code in (422, 405, 404) and list(answer.json()) == ["error"]
        assert "\n" not in answer.json()["error"]


def test_a_model_that_cannot_be_read_does_not_start(service, tmp_path):
    (tmp_path / "no.cbn").write_bytes(b"nothing")
    with pytest.raises(cbn.ModelFileError), TestClient(service.create_app(tmp_path / "no.cbn")):
        pass


# ---- bodies that are sent piece by piece ----


def raw_call(app, pieces, headers=(), pause=0.0):
    """Status, headers and JSON of a request whose body comes in pieces, and how many of them were taken."""
    sent, taken = [], 0

    async def call():
        async def receive():
            nonlocal taken
            if taken == len(pieces):
                await asyncio.sleep(3600)
            await asyncio.sleep(pause)
            taken += 1
            return {"type": "http.request", "body": pieces[taken - 1], "more_body": taken < len(pieces)}

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": "/score",
            "raw_path": b"/score", "query_string": b"", "scheme": "http", "root_path": "", "client": ("test", 1),
            "server": ("test", 80), "headers": [(b"content-type", b"image/png"), *headers],
        }  # fmt: skip
        async with app.router.lifespan_context(app):
            await app(scope, receive, send)

    asyncio.run(call())
    return sent[0]["status"], dict(sent[0]["headers"]), json.loads(sent[1]["body"]), taken


def test_a_body_is_counted_whatever_its_length_is_said_to_be(service, path):
    app = service.create_app(path, service.Limits(max_bytes=10_000))
    pieces = [bytes(1000)] * 1000
    for said in ((), ((b"content-length", b"10"),), ((b"content-length", b"-5"),), ((b"content-length", b"many"),)):
        status, headers, answer, taken = raw_call(
            service.create_app(path, service.Limits(max_bytes=10_000)), pieces, said
        )
        assert status == 413 and "10,000 bytes" in answer["error"] and taken == 11
        assert headers[b"connection"] == b"close"
    status, _, _, taken = raw_call(app, pieces, ((b"content-length", b"1000000"),))
    assert status == 413 and taken == 0  # of whom one is told the truth nothing is read


def test_a_slow_body_is_given_up(service, path):
    app = service.create_app(path, service.Limits(max_seconds=0.2))
    status, _, answer, taken = raw_call(app, [b"x"] * 100, pause=0.05)
    assert status == 408 and "0.2 s" in answer["error"] and taken < 10


# ---- overload ----


def test_more_than_may_wait_are_told_when_to_come_again(service, path, made, monkeypatch):
    going, go, threads = threading.Event(), threading.Event(), set()
    answered = service.answered

    def held(*arguments):
        threads.add(threading.get_ident())
        going.set()
        assert go.wait(30)
        return answered(*arguments)

    monkeypatch.setattr(service, "answered", held)
    body = encoded(made.test[0])
    with TestClient(service.create_app(path, service.Limits(max_waiting=3))) as client, ThreadPoolExecutor(12) as pool:
        first = [pool.submit(post, client, body) for _ in range(3)]
        assert going.wait(30)
        while client.get("/health").json()["waiting"] < 3:  # the event loop answers meanwhile
            time.sleep(0.01)
        for response in pool.map(lambda _: post(client, body), range(8)):
            assert_refused(response, 429, "3 pictures wait")
            assert int(response.headers["retry-after"]) >= 1
        go.set()
        answers = [waiting.result(timeout=30) for waiting in first]
        assert [answer.status_code for answer in answers] == [200] * 3
        assert len({answer.json()["score"] for answer in answers}) == 1
        assert len(threads) == 1 and threading.get_ident() not in threads
        assert client.get("/health").json() == {"status": "ok", "waiting": 0, "answered": 3, "refused": 8}
        assert post(client, body).status_code == 200  # and the places are free again


def test_many_senders_at_once_get_what_one_gets(service, path, made):
    bodies = [encoded(picture) for picture in made.test]
    with TestClient(service.create_app(path, service.Limits(max_waiting=64))) as client, ThreadPoolExecutor(8) as pool:
        alone = [post(client, body).json()["score"] for body in bodies]
        together = list(pool.map(lambda i: post(client, bodies[i % len(bodies)]).json()["score"], range(40)))
        assert together == [alone[i % len(bodies)] for i in range(40)]


def test_places_are_left_when_scoring_fails(service, path, made, monkeypatch):
    def fails(*_):
        raise RuntimeError("of the engine")

    monkeypatch.setattr(service, "answered", fails)
    with TestClient(service.create_app(path), raise_server_exceptions=False) as client:
        for _ in range(20):
            assert post(client, encoded(made.test[0])).status_code == 500
        assert client.get("/health").json()["waiting"] == 0


def test_the_engine_has_one_thread(service, path):
    assert service.Scorer(path).model.fitted_.n_jobs == 1
