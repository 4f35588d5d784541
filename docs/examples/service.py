# SPDX-License-Identifier: BSD-3-Clause
"""Verdicts over HTTP: a model behind `POST /score`, for those whose cameras are elsewhere.

    pip install 'cbn[service]'
    CBN_MODEL=model.cbn uvicorn --factory service:create_app --app-dir docs/examples

`POST /score` takes the bytes of a picture (PNG, JPEG or BMP) as its body and answers JSON: score, verdict, p-value; with
`?map=true` also the map. `GET /model` has what the model is, `GET /health` how the service does. A picture is scored in
one thread of its own, so that the event loop goes on answering; so many wait for it, and more are told when to come again
(429). Nobody is asked who they are: that, TLS and limits per sender are for the proxy in front.
"""

import asyncio
import base64
import io
import math
import os
import time
import warnings
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from camera_loop import Scorer
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from PIL import Image, ImageOps, UnidentifiedImageError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

import cbn

# What the body may be called, and what it may be: its first bytes decide, not its name.
TYPES = ("image/png", "image/jpeg", "image/bmp", "application/octet-stream", "")
FORMATS = ("PNG", "JPEG", "BMP")
LEVELS_PER_UNIT = 1000  # of the grey levels of a map, as of cbn-iem-score --map-format png16


@dataclass(frozen=True)
class Limits:
    """What is refused. Each is read from an environment variable of its name, such as CBN_MAX_BYTES."""

    max_bytes: int = 16 * 2**20  # of a body, counted as it comes
    max_pixels: int = 2**24  # of a picture, by its header, before it is decoded
    max_waiting: int = 8  # pictures that are received, wait or are scored
    max_seconds: float = 10.0  # for a body to come
    resize: int = 0  # 1: pictures of other sizes are resized to the model's, as cbn-iem-score does; 0: they are refused

    @classmethod
    def from_environment(cls) -> "Limits":
        """Raises ValueError, which names the variable."""
        found = {}
        for own in fields(cls):
            variable = f"CBN_{own.name.upper()}"
            if (text := os.environ.get(variable)) is not None:
                least = {"max_seconds": 0.1, "resize": 0}.get(own.name, 1)
                found[own.name] = _limit(variable, text, type(own.default), least)
        if found.get("resize", 0) > 1:
            raise ValueError(f"CBN_RESIZE={found['resize']}: give 0 or 1")
        return cls(**found)


def _limit(variable: str, text: str, kind: type, least: float) -> Any:
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    if not least <= value < math.inf:  # nan neither
        raise ValueError(f"{variable}={text!r}: give a {'whole ' if kind is int else ''}number from {least}")
    return value


class Refused(Exception):
    """A status and one line for the sender."""

    def __init__(self, status: int, words: str, **headers: str) -> None:
        super().__init__(words)
        self.status, self.words = status, words
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


async def received(request: Request, limits: Limits) -> bytes:
    """The body, counted as it comes: what Content-Length says is only believed where it is too much already."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in TYPES:
        raise Refused(
            415, f"Content-Type: {kind[:80]}; send the bytes of a picture as image/png, image/jpeg or image/bmp"
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, "Content-Encoding: send the bytes of the picture as they are")
    too_long = Refused(413, f"the body has more than {limits.max_bytes:,} bytes", connection="close")
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and (len(length) > 18 or int(length) > limits.max_bytes):
        raise too_long
    body = bytearray()
    try:
        async with asyncio.timeout(limits.max_seconds):
            async for part in request.stream():
                body += part
                if len(body) > limits.max_bytes:
                    raise too_long
    except ClientDisconnect:
        raise Refused(400, "the sender has gone") from None
    except TimeoutError:
        raise Refused(408, f"the body took more than {limits.max_seconds:g} s", connection="close") from None
    if not body:
        raise Refused(400, "the body is empty; send the bytes of a picture")
    return bytes(body)


def decoded(body: bytes, shape: tuple[int, ...], limits: Limits) -> np.ndarray:
    """The pixels of a picture as the model reads them: uint8 of its shape. Nothing is changed that was not allowed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata; max_pixels is stricter than Pillow's own limit
        try:
            with Image.open(io.BytesIO(body), formats=FORMATS) as picture:
                _check_header(picture, limits)
                picture.load()
                return _of_shape(ImageOps.exif_transpose(picture), shape, limits)
        except UnidentifiedImageError:
            raise Refused(415, f"the body is no picture that is read here; send {', '.join(FORMATS)}") from None
        except Image.DecompressionBombError:
            raise Refused(413, f"the picture has more than {limits.max_pixels:,} pixels") from None
        except Refused:
            raise
        except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, struct.error and others
            words = " ".join(str(error).split())[:160] or type(error).__name__
            raise Refused(400, f"the picture is damaged: {words}") from error


def _check_header(picture: Image.Image, limits: Limits) -> None:
    """Everything that can be told before pixels are decoded."""
    if picture.width * picture.height > limits.max_pixels:
        raise Refused(
            413, f"the picture has {picture.width} x {picture.height} pixels, more than {limits.max_pixels:,}"
        )
    if getattr(picture, "n_frames", 1) > 1:
        raise Refused(415, "the picture has several frames; send one")
    if picture.mode not in ("1", "L", "P", "RGB"):
        depth = "more than 8 bits a value" if picture.mode[0] in "IF" else f"mode {picture.mode}"
        raise Refused(415, f"the picture has {depth}; send 8 bits, grey or RGB")
    if "transparency" in picture.info:
        raise Refused(415, "the picture has transparent parts; lay it over a background")


def _of_shape(picture: Image.Image, shape: tuple[int, ...], limits: Limits) -> np.ndarray:
    values = np.asarray(picture.convert("L" if picture.mode in ("1", "L") else "RGB"))
    if values.ndim == 3 and len(shape) == 2:
        if (values != values[..., :1]).any():
            raise Refused(422, "the picture is in colour, and the model reads grey ones")
        values = values[..., 0]
    elif values.ndim == 2 and len(shape) == 3:
        values = np.repeat(values[..., None], 3, axis=2)
    if values.shape != shape:
        if not limits.resize:
            height, width = values.shape[:2]
            raise Refused(
                422,
                f"the picture has {height} x {width} pixels (height x width), the model reads {shape[0]} x {shape[1]}",
            )
        values = np.asarray(Image.fromarray(values).resize(shape[1::-1], Image.Resampling.BILINEAR))
    return values


def answered(scorer: Scorer, body: bytes, limits: Limits, with_map: bool) -> dict[str, Any]:
    """What is answered to a picture. Runs in the thread of the scorer."""
    frame = decoded(body, scorer.shape, limits)
    found = scorer(frame)
    answer: dict[str, Any] = {
        "score": found.score,
        "direction": "higher is more normal",
        "verdict": found.verdict,
        "p_value": found.p_value,
        "seconds": found.seconds,
    }
    if with_map:
        values = scorer.map_of(frame)
        levels = np.rint(np.clip(values * float(LEVELS_PER_UNIT), 0, 65535)).astype(np.uint16)
        file = io.BytesIO()
        Image.fromarray(levels).save(file, "PNG", compress_level=1)
        answer["map"] = {
            "png16": base64.b64encode(file.getvalue()).decode("ascii"),
            "scale": 1 / LEVELS_PER_UNIT,
            "unit": "standard deviations" if scorer.inspects else "nats",
        }
    return answer


class Queue:
    """One thread, and a count of the pictures that are received, wait for it or are in it."""

    def __init__(self, limits: Limits) -> None:
        self.limits, self.waiting, self.answered, self.refused, self.seconds = limits, 0, 0, 0, 0.05
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="cbn")

    def enter(self) -> None:
        """Takes a place. Raises Refused (429) where there is none, with the seconds after which there should be one."""
        if self.waiting >= self.limits.max_waiting:
            seconds = max(1, math.ceil(self.waiting * self.seconds))
            raise Refused(429, f"{self.waiting} pictures wait already; come again", retry_after=str(seconds))
        self.waiting += 1

    def leave(self) -> None:
        self.waiting -= 1

    async def run(self, function: Any, *arguments: Any) -> Any:
        """What a function gives in the thread. The place is left when the thread has done, also if the sender has gone."""
        loop, start = asyncio.get_running_loop(), time.perf_counter()
        work: Future[Any] = self.thread.submit(function, *arguments)

        def done(_: Future[Any]) -> None:
            loop.call_soon_threadsafe(self.leave)

        work.add_done_callback(done)
        result = await asyncio.wrap_future(work)
        self.seconds += 0.1 * ((time.perf_counter() - start) / max(1, self.waiting) - self.seconds)
        self.answered += 1
        return result


def facts(scorer: Scorer, path: str) -> dict[str, Any]:
    """What the model is."""
    own = scorer.model.fitted_.calibration
    return {
        "model": os.path.basename(path),
        "kind": type(scorer.model).__name__,
        "version": cbn.__version__,
        "shape": list(scorer.shape),
        "score": "minus energy" if scorer.inspects else scorer.model.fitted_.settings.score,
        "direction": "higher is more normal",
        "threshold": own.offset if math.isfinite(own.offset) else None,
        "false_alarm_rate": own.false_alarm_rate,
        "calibration": own.source,
        "n_calibration": len(own.scores),
    }


def create_app(path: str | None = None, limits: Limits | None = None) -> FastAPI:
    """The service of a model file, by default that of the environment variable CBN_MODEL."""
    path = os.environ.get("CBN_MODEL", "model.cbn") if path is None else str(path)
    limits = Limits.from_environment() if limits is None else limits
    queue = Queue(limits)
    state: dict[str, Scorer] = {}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        queue.enter()
        state["scorer"] = await queue.run(Scorer, path)  # threads=1: requests are what runs beside each other
        queue.answered = 0
        yield
        queue.thread.shutdown(wait=True, cancel_futures=True)

    app = FastAPI(title="cbn", version=cbn.__version__, lifespan=lifespan)

    @app.exception_handler(Refused)
    async def refuse(_: Request, error: Refused) -> JSONResponse:
        queue.refused += 1
        return JSONResponse({"error": error.words}, error.status, error.headers)

    @app.exception_handler(RequestValidationError)
    async def explain(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return await refuse(request, Refused(422, f"{first['loc'][-1]}: {first['msg']}"))

    @app.exception_handler(HTTPException)
    async def elsewhere(request: Request, error: HTTPException) -> JSONResponse:
        return await refuse(request, Refused(error.status_code, f"{request.method} {request.url.path}: {error.detail}"))

    @app.post("/score")
    async def score(request: Request, map: bool = False) -> JSONResponse:
        queue.enter()
        try:
            body = await received(request, limits)
        except BaseException:
            queue.leave()
            raise
        return JSONResponse(await queue.run(answered, state["scorer"], body, limits, map))

    @app.get("/model")
    async def model() -> dict[str, Any]:
        return facts(state["scorer"], path)

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {"status": "ok", "waiting": queue.waiting, "answered": queue.answered, "refused": queue.refused}

    return app
