# SPDX-License-Identifier: BSD-3-Clause
"""Mutations of valid files: of plain bytes, of the members of a zip behind good checksums, of JSON and of .npy arrays.

Every mutator is a function of a ``random.Random``, so that a number tells the file.
"""

import ast
import io
import re
import struct
import zipfile
import zlib

# What tends to be next to an edge, as bytes of several widths and both orders.
INTEGERS = (0, 1, 2, 7, 8, 127, 128, 255, 256, 1000, 32767, 32768, 65535, 65536, 2**20, 2**24, 2**30, 2**31 - 1, 2**31,
            2**32 - 1, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1)  # fmt: skip
PIECES = tuple({
    struct.pack(order + code, value & (256 ** struct.calcsize(code) - 1))
    for order in "<>" for code in "BHIQ" for value in INTEGERS if value < 256 ** struct.calcsize(code) or value > 2**60
})  # fmt: skip
FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-300, 1e300, -1e300, float("inf"), float("-inf"), float("nan"), 2.0**31, 1e-45)
NUMBERS = (0, 1, -1, 2, 3, 127, 255, 2**15, 2**31 - 1, -(2**31), 2**62, 2**63 - 1, -(2**63))
JSON_VALUES = (
    "null", "true", "false", "0", "1", "-1", "2", "3", "7", "255", "65535", "65536", "1048576", "1073741824", "2147483648",
    "4611686018427387904", "9223372036854775808", "18446744073709551616", "1" + "0" * 400, "0.3", "-0.5", "1e308", "1e-320",
    "1e999", "NaN", "Infinity", '""', '"a"', '"network"', '"classifier"', '"energy"', '"pixel"', '"tree"', '"boosted"',
    '"table"', '"\\u0000\\n"', '"\\ud800"', "[]", "[0]", "[0, 0]", "[1, 0, -1, 0]", "[[]]", "[null, null]", "{}",
    '{"a": 1}', '[1e308, 1e308]', '{"kind": "tree"}', '{"kind": "boosted"}', "[0.3, 0.6]",
)  # fmt: skip


def havoc(random, content, pieces=PIECES, other=b""):
    """The bytes with one to five pieces overwritten, inserted, cut out, copied, or the end missing."""
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 3, 5))):
        size = len(data)
        at = int(random.random() * (size + 1))
        how = int(random.random() * 9)
        if how == 0 and at < size:
            data[at] ^= 1 << int(random.random() * 8)
        elif how == 1 and at < size:
            data[at] = int(random.random() * 256)
        elif how == 2:
            piece = random.choice(pieces)
            data[at : at + len(piece)] = piece
        elif how == 3:
            data[at:at] = random.choice(pieces)
        elif how == 4:
            del data[at : at + 1 + int(random.random() * 16)]
        elif how == 5 and random.random() < 0.4:
            del data[at:]
        elif how == 6:
            begin = int(random.random() * (size + 1))
            length = 1 + int(random.random() * 32)
            data[at : at + random.choice((0, length))] = data[begin : begin + length]
        elif how == 7 and other:
            begin = int(random.random() * len(other))
            length = 1 + int(random.random() * 64)
            data[at : at + random.choice((0, length))] = other[begin : begin + length]
        elif at < size:
            data[at] = (data[at] + random.choice((-1, 1))) & 255
    return bytes(data)


# ---- JSON ----

TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[\[\]{}:,]')


class Json:
    """A JSON text with the places of all its values and keys, so that any can be replaced without parsing again."""

    def __init__(self, content):
        self.text = content.decode()
        self.spans, self.keys, self.entries, opened = [], [], [], []
        previous = None
        for token in TOKENS.finditer(self.text):
            word = token.group()
            if word in "[{":
                opened.append(token.start())
            elif word in "]}":
                self.spans.append((opened.pop(), token.end()))
            elif word == ":":
                self.keys.append(previous)
            elif word != ",":
                self.spans.append(token.span())
            previous = token.span()
        keys = set(self.keys)
        self.spans = [span for span in self.spans if span not in keys and span[0]]
        self.words = sorted({self.text[a:b] for a, b in self.spans if b - a < 200})
        self.names = sorted({self.text[a:b] for a, b in self.keys})

    def mutated(self, random):
        """The text with one to three values or keys replaced."""
        text, end = self.text, len(self.text)
        chosen = sorted((random.choice(self.spans) for _ in range(random.choice((1, 1, 1, 2, 3)))), reverse=True)
        for begin, stop in chosen:
            if stop > end:
                continue
            if random.random() < 0.08:
                begin, stop = random.choice([key for key in self.keys if key[1] <= end] or [(begin, stop)])
                new = random.choice(self.names)
            elif random.random() < 0.35:
                new = random.choice(self.words)
            elif random.random() < 0.2 and text[begin] in "-0123456789":
                new = str(int(float(text[begin:stop])) + random.choice((-1, 1, 2)))
            elif random.random() < 0.15 and text[begin] == "[" and stop - begin > 2:
                inner = text[begin + 1 : stop - 1]
                new = f"[{inner}, {inner}]" if random.random() < 0.5 else f"[{inner}, {random.choice(self.words)}]"
            elif random.random() < 0.003:
                new = "[" * 3000 + "]" * 3000
            else:
                new = random.choice(JSON_VALUES)
            text, end = text[:begin] + new + text[stop:], begin
        return text.encode()


# ---- .npy ----

SHAPES = ("()", "(0,)", "(1,)", "(2,)", "(-1,)", "(3, 4)", "(1, 1, 1)", "(2, 3, 4, 5)", "(9223372036854775807,)",
          "(4294967296, 4294967296)", "(2147483648,)", "(1000000000000,)", "3", "None", "[2]", "(True,)", "(1.0,)",
          "(0, 9223372036854775807)")  # fmt: skip
TYPES = ("'<i8'", "'<i4'", "'<f8'", "'<f4'", "'>f8'", "'|u1'", "'|b1'", "'|O'", "'<U2'", "'<U0'", "'|S3'", "'|V8'", "'<M8[s]'",
         "'<c16'", "[('a', '<f8')]", "'x'", "3", "None", "'<f2'", "'>i2'")  # fmt: skip


class Npy:
    """The bytes of a version-1 .npy file, taken apart."""

    def __init__(self, content):
        (length,) = struct.unpack("<H", content[8:10])
        self.head, self.data = content[10 : 10 + length], content[10 + length :]
        self.content = content
        found = ast.literal_eval(self.head.decode("latin1"))
        self.code = found["descr"].lstrip("<>|=")
        self.kind, self.item = self.code[0], int(self.code[1:]) * (4 if self.code[0] == "U" else 1)
        self.text = {"descr": repr(found["descr"]), "fortran_order": str(found["fortran_order"]),
                     "shape": str(found["shape"])}  # fmt: skip
        self.shape = found["shape"]

    def mutated(self, random, pieces=PIECES):
        """Values changed, or shape and type, or any bytes."""
        how = random.random()
        if how < 0.65 and self.data:
            return self.content[: len(self.content) - len(self.data)] + self.values(random)
        if how < 0.85:
            return self.framed(random)
        return havoc(random, self.content, pieces)

    def values(self, random):
        data, count = bytearray(self.data), max(1, len(self.data) // self.item)
        for _ in range(random.choice((1, 1, 2, 4))):
            at = int(random.random() * count) * self.item
            how = random.random()
            if how < 0.3:
                data[at : at + self.item] = self.value(random)
            elif how < 0.6:
                other = int(random.random() * count) * self.item
                data[at : at + self.item], data[other : other + self.item] = (
                    data[other : other + self.item], data[at : at + self.item],
                )  # fmt: skip
            elif how < 0.8 and self.kind in "iu":
                value = int.from_bytes(data[at : at + self.item], "little") + random.choice((-1, 1))
                data[at : at + self.item] = (value % 256**self.item).to_bytes(self.item, "little")
            else:
                data[at + int(random.random() * self.item)] = int(random.random() * 256)
        return bytes(data[: len(self.data)])

    def value(self, random):
        if self.kind == "f":
            value = random.choice(FLOATS)
            code = {2: "<e", 4: "<f", 8: "<d"}[self.item]
            try:
                return struct.pack(code, value)
            except OverflowError:
                return struct.pack(code, float("inf"))
        return (random.choice(NUMBERS) % 256**self.item).to_bytes(self.item, "little")

    def framed(self, random):
        """Another shape, type or order, the data perhaps cut or grown to fit."""
        text, data = dict(self.text), self.data
        name = random.choice(("descr", "shape", "shape", "fortran_order"))
        if name == "shape" and isinstance(self.shape, tuple) and self.shape and random.random() < 0.5:
            own = list(self.shape)
            own[int(random.random() * len(own))] += random.choice((-1, 1))
            text["shape"] = str(tuple(own))
            size = self.item
            for side in own:
                size *= side
            if 0 <= size < 2**20:
                data = (data + bytes(size))[:size]
        else:
            text[name] = random.choice({"descr": TYPES, "shape": SHAPES, "fortran_order": ("True", "False", "1")}[name])
        head = "{" + ", ".join(f"'{key}': {value}" for key, value in text.items()) + ", }\n"
        content = head.encode()
        return b"\x93NUMPY\1\0" + struct.pack("<H", len(content)) + content + data


# ---- zip ----


class Zip:
    """The members of a zip, each with what mutates it; mutated ones are written with good sizes and checksums."""

    def __init__(self, content):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            self.members = {info.filename: archive.read(info) for info in archive.infolist()}
            deflated = {info.filename for info in archive.infolist() if info.compress_type}
        self.names = list(self.members)
        self.methods = {name: 8 if name in deflated else 0 for name in self.names}
        self.blobs = {name: local(name, body, self.methods[name]) for name, body in self.members.items()}
        self.parsed = {}
        for name, body in self.members.items():
            if name.endswith(".json"):
                self.parsed[name] = Json(body)
            elif name.endswith(".npy"):
                self.parsed[name] = Npy(body)

    def mutated(self, random, member_share=0.5, favourite="header.json", pieces=PIECES):
        """A zip with one member mutated, left out, doubled, renamed, or with the content of another."""
        name = favourite if favourite in self.members and random.random() > member_share else random.choice(self.names)
        how = random.random()
        blobs = dict(self.blobs)
        if how < 0.02:
            del blobs[name]
        elif how < 0.04:
            other = random.choice(self.names)
            blobs[name] = local(name, self.members[other], self.methods[name])
        elif how < 0.05:
            blobs[name] = local(random.choice(self.names), self.members[name], self.methods[name])
        else:
            parsed, body = self.parsed.get(name), self.members[name]
            if isinstance(parsed, Npy):
                body = parsed.mutated(random, pieces)
            elif isinstance(parsed, Json) and random.random() < 0.93:
                body = parsed.mutated(random)
            else:
                body = havoc(random, body, pieces)
            method = self.methods[name] if random.random() < 0.97 else 8 - self.methods[name]
            blobs[name] = local(name, body, method)
        return joined(blobs.values())


def local(name, body, method=0):
    """(local header with the body, directory entry without its offset)"""
    packed = body
    if method == 8:
        machine = zlib.compressobj(1, zlib.DEFLATED, -15)
        packed = machine.compress(body) + machine.flush()
    text = name.encode()
    sizes = struct.pack("<HHHIIIHH", method, 0, 33, zlib.crc32(body), len(packed), len(body), len(text), 0)
    head = b"PK\3\4" + struct.pack("<HH", 20, 0) + sizes + text
    entry = b"PK\1\2" + struct.pack("<HHH", 788, 20, 0) + sizes + struct.pack("<HHHI", 0, 0, 0, 0)
    return head + packed, entry, text


def joined(blobs):
    """A zip of what ``local`` made."""
    parts, directory, at = [], [], 0
    for content, entry, text in blobs:
        parts.append(content)
        directory.append(entry + struct.pack("<I", at) + text)
        at += len(content)
    size = sum(map(len, directory))
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, len(directory), len(directory), size, at, 0)
    return b"".join(parts + directory + [end])
