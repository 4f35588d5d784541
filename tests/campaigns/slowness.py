# SPDX-License-Identifier: BSD-3-Clause
"""Inputs of up to 1 MB made to take long, or much memory: every reader reads or refuses each within 5 seconds of the processor.

    python tests/campaigns/slowness.py --executions 40

Each input is what a hostile writer would make for its format, then mutated; mutations of the first files of
``readers.py`` blown up with copies of their own parts come after. The exit status is 1 if an execution takes longer.
"""

import argparse
import gzip
import io
import json
import os
import pickle
import resource
import shutil
import signal
import struct
import sys
import time
import warnings
import zipfile
import zlib
from pathlib import Path
from random import Random

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import numpy as np
from mutated_files import ROOM, SECONDS, execute, late
from mutations import Zip, havoc, joined, local
from readers import MAKERS, picture, reader

SIZE = 2**20


def zipped(members, level=9):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def npy(dtype, shape, size):
    head = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + bytes(size)


def of_models(own):
    """Headers of 1 MB, of lists in lists, of long lists in every place, many members, members that unpack to much."""
    members = Zip(own.seeds[0]).members
    header = json.loads(members["header.json"])

    def of(change):
        text = change if isinstance(change, bytes) else json.dumps(change).encode()
        return joined(
            [local(n, text if n == "header.json" else c, 8 * (n == "header.json")) for n, c in members.items()]
        )

    yield of(b'{"format": "cbn-model", "version": 6, "kind": [' + b"[]," * 300_000 + b"[]]}")
    yield of(json.dumps(header)[:-1].encode() + b', "x": [' + b"1," * 1_500_000 + b"1]}")
    yield of(b'{"a":' * 100_000 + b"1" + b"}" * 100_000)
    yield of(json.dumps(header)[:-1].encode() + b', "x": ' + b"9" * 1_000_000 + b"}")
    yield of(json.dumps(header)[:-1].encode() + b', "x": "' + b"\\u0000" * 170_000 + b'"}')
    for number, path in enumerate(places(header)):
        container, key = header, path[-1]
        for step in path[:-1]:
            container = container[step]
        before = container[key]
        kinds = [[1] * 300_000, [[1, 0, -1, 0, 0.0]] * 60_000, 2**30, 1000, "a" * 1_000_000]
        many = [before * (200_000 // max(1, len(before)))] if isinstance(before, list) else []
        for value in [kinds[number % len(kinds)], *many]:
            container[key] = value
            yield of(header)
        container[key] = before
    yield joined([local("header.json", members["header.json"])] + [local(f"{i}.npy", b"") for i in range(9000)])
    for name, content in members.items():
        if name.endswith(".npy"):
            yield zipped(members | {name: content + bytes(900 * SIZE)}, 9)


def places(value, path=()):
    items = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def of_idx(own):
    zeros = struct.pack(">BBBBIII", 0, 0, 8, 3, 1000, 1000, 1000) + bytes(10**9)
    yield gzip.compress(zeros, 6)
    yield gzip.compress(struct.pack(">BBBBI", 0, 0, 8, 1, 10**9) + bytes(10**9), 6)
    yield gzip.compress(b"") * 45_000
    yield struct.pack(">BBBBIII", 0, 0, 8, 3, 2**20, 1, 1) + bytes(SIZE)


def of_npy(own):
    for dtype, shape, size in (("|u1", (SIZE, 1, 1), SIZE), ("|u1", (1, 1, SIZE), SIZE), ("<f8", (2, 256, 256), SIZE),
                               ("<U1", (SIZE // 4,), SIZE), ("<U262144", (1,), SIZE), ("|b1", (SIZE, 1), SIZE),
                               ("<i8", (SIZE // 8,), SIZE)):  # fmt: skip
        yield npy(dtype, shape, size)
    yield npy("<i8", "(" + "1," * 15_000 + ")", 8)
    yield npy("<i8", "(" + "(" * 15_000 + ")" * 15_000 + ")", 8)
    yield npy("<i8", "1" * 30_000, 8)
    long = b"{'descr': [" + b"('a', '<i8')," * 70_000 + b"], 'fortran_order': False, 'shape': (1,)}\n"
    yield b"\x93NUMPY\2\0" + struct.pack("<I", len(long)) + long


def of_npz(own):
    names = {"npz": ("images", "|u1", (1000, 1000, 900)), "kernels": ("weights_1", "<f8", (1, 1, 10_000, 10_000))}
    name, dtype, shape = names.get(own.name, ("w", "<f4", (225_000_000,)))
    yield zipped({f"{name}.npy": npy(dtype, shape, int(np.prod(shape)) * np.dtype(dtype).itemsize)})
    yield zipped({f"{i}.npy": npy(dtype, (1,), np.dtype(dtype).itemsize) for i in range(4000)})
    yield joined([local(f"{name}.npy", npy(dtype, (1,), np.dtype(dtype).itemsize))] * 4000)
    for content in of_npy(own):
        yield zipped({f"{name}.npy": content})


def of_pickles(own):
    make = {"weights: pth": lambda p: joined([local("a/data.pkl", p), local("a/byteorder", b"little")]),
            "weights: legacy": lambda p: own.seeds[0][: own.seeds[0].index(b".", 20) + 1] + p}[own.name]  # fmt: skip
    yield make(pickle.dumps([[]] * 200_000, 2))
    yield make(pickle.dumps({str(i): i for i in range(60_000)}, 2))
    yield make(b"\x80\x02" + b"(" * 1_000_000 + b".")
    yield make(b"\x80\x02" + b"]" * 500_000 + b"a" * 499_999 + b".")
    yield make(b"\x80\x02" + b"(" + b"}" * 400_000 + b"t" + b"(h\0" * 100_000 + b".")
    yield make(b"\x80\x02]q\0" + b"(" + b"h\0" * 400_000 + b"e" + b".")
    yield make(b"\x80\x02]" + b"".join(b"q%c](" % i + b"h%c" % i * 3000 + b"e" for i in range(100)) + b".")
    yield make(b"\x80\x02\x8b" + struct.pack("<i", 900_000) + b"\x7f" * 900_000 + b".")
    yield make(b"\x80\x02I" + b"9" * 900_000 + b"\n.")
    yield make(b"\x80\x02X" + struct.pack("<I", 900_000) + b"a" * 900_000 + b".")


def of_safetensors(own):
    for header in ({str(i): {"dtype": "U8", "shape": [1], "data_offsets": [i, i + 1]} for i in range(15_000)},
                   {"a": {"dtype": "U8", "shape": [1] * 300_000, "data_offsets": [0, 1]}},
                   {"__metadata__": {str(i): "" for i in range(60_000)}}):  # fmt: skip
        text = json.dumps(header).encode()
        yield struct.pack("<Q", len(text)) + text + bytes(15_000)
    text = b"[" * 900_000
    yield struct.pack("<Q", len(text)) + text


def of_pictures(own):
    from PIL import Image

    suffix = Path(own.file).suffix.lstrip(".")
    kinds = {
        "png": "PNG",
        "jpg": "JPEG",
        "tif": "TIFF",
        "gif": "GIF",
        "bmp": "BMP",
        "webp": "WEBP",
        "tga": "TGA",
        "": "PPM",
    }
    kind = kinds[suffix]
    for side in (5000, 7000, 9400):
        for mode, colour in (
            ("L", 7),
            ("RGB", (1, 2, 3)),
            ("P", 1),
            ("1", 1),
            ("LA", (9, 100)),
            ("RGBA", (9, 8, 7, 6)),
        ):
            named = {"TIFF": {"compression": "tiff_deflate"}, "JPEG": {"quality": 1}}.get(kind, {})
            try:
                image = Image.new(mode, (side, side), colour)
                yield picture(image, kind, **named)
            except (OSError, ValueError):
                continue
    small = Image.new("P", (2, 2), 1)
    if kind == "GIF":
        for side, frames in ((2, 20_000), (2000, 2000), (5000, 100)):
            first = picture(Image.new("P", (side, side), 1), "GIF")
            block = picture(small, "GIF")
            frame = block[block.index(b",", 13) : -1]
            yield first[:-1] + frame * min(frames, (SIZE - len(first)) // len(frame)) + b";"
    if kind == "TIFF":
        for side, pages in ((1, 4000), (1000, 300)):
            one = Image.new("L", (side, side), 1)
            yield picture(one, "TIFF", compression="tiff_deflate", save_all=True, append_images=[one] * pages)
        loop = bytearray(picture(Image.new("L", (4, 4)), "TIFF"))
        (at,) = struct.unpack("<I", loop[4:8])
        (count,) = struct.unpack("<H", loop[at : at + 2])
        loop[at + 2 + 12 * count : at + 6 + 12 * count] = struct.pack("<I", at)
        yield bytes(loop)
    if kind == "PNG":
        seed = own.seeds[0]
        end = seed.index(b"IDAT") - 4

        def chunk(name, body):
            return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

        yield seed[:end] + chunk(b"tEXt", b"a\0b") * 60_000 + seed[end:]
        yield seed[:end] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(900 * SIZE), 9)) + seed[end:]
        yield seed[:end] + chunk(b"IDAT", b"") * 80_000 + seed[end:]


def inputs(own):
    """What is made for a reader."""
    made = {"model": of_models, "checkpoint": of_models, "picture": of_pictures, "folder of inspection, mask": of_pictures,
            "mask: png": of_pictures, "idx": of_idx, "idx, gzip": of_idx, "npy": of_npy, "npy, labels": of_npy,
            "mask: npy": of_npy, "npz": of_npz, "kernels": of_npz, "weights: npz": of_npz, "weights: pth": of_pickles,
            "weights: legacy": of_pickles, "weights: safetensors": of_safetensors}  # fmt: skip
    return made.get(own.name) or made[own.name.split(":")[0]]


def grown(random, content):
    """The file with some of its parts many times over, then mutated, up to 1 MB."""
    begin = int(random.random() * len(content))
    part = content[begin : begin + 1 + int(random.random() * 200)]
    times = (SIZE - len(content)) // len(part)
    return havoc(random, content[:begin] + part * times + content[begin + random.choice((0, len(part))) :])


def attack(own, folder, executions, seed):
    """The number of findings, in this process."""
    signal.signal(signal.SIGPROF, late)
    warnings.simplefilter("ignore")
    path = folder / own.file
    path.parent.mkdir(parents=True, exist_ok=True)
    own.prepare(folder)
    random, slowest, findings, n = Random(seed), 0.0, 0, 0
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, size + ROOM))

    def contents():
        yield from (content for content in inputs(own)(own) if len(content) <= 1.2 * SIZE)
        for i in range(executions):
            yield grown(random, own.seeds[i % len(own.seeds)])

    for content in contents():
        begun = time.process_time()
        outcome, what = execute(own, path, content)
        seconds = time.process_time() - begun
        n, slowest = n + 1, max(slowest, seconds)
        if outcome == "finding" or seconds > SECONDS:
            findings += 1
            lines = [line.strip() for line in what.strip().splitlines() if line]
            print(f"FINDING {own.name}, number {n - 1}, {len(content)} bytes, {seconds:.1f} s: {lines[-1:]} "
                  f"{[line for line in lines if 'cbn/' in line and line.startswith('File')][-1:]}", flush=True)  # fmt: skip
    print(f"| {own.name} | {n} | {slowest:.2f} | {findings} |", flush=True)
    return findings


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reader", action="append", metavar="NAME", help="may be repeated; all without it")
    parser.add_argument("--executions", type=int, default=40, help="of grown files, beside those made for the format")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    memory = Path("/dev/shm")
    folder = (memory if memory.is_dir() else Path("build")) / f"cbn-slow-{os.getpid()}"
    found = False
    print("| reader | executions | slowest, s | findings |\n|---|---:|---:|---:|", flush=True)
    try:
        for name in arguments.reader or MAKERS:
            own = reader(name)
            child = os.fork()
            if not child:
                code = 2
                try:
                    code = min(1, attack(own, folder, arguments.executions, arguments.seed))
                finally:
                    os._exit(code)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if status not in (0, 1):
                print(f"FINDING {name}: the process ended with {status}", flush=True)
            found |= status != 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return int(found)


if __name__ == "__main__":
    sys.exit(main())
