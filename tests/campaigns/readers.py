# SPDX-License-Identifier: BSD-3-Clause
"""Every reader of files that users give: small valid files, how they are mutated, and what reads and then uses them."""

import gzip
import io
import itertools
import struct
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from unittest import mock

import numpy as np
from mutations import PIECES, Npy, Zip, havoc

import cbn
import cbn.fit.features
import cbn.iem.fitting
from cbn import DataError, ModelFileError
from cbn.datasets import load_idx, load_images, load_mask, load_mvtec
from cbn.iem import Architecture, Gaussian
from cbn.iem.pretrained.weights import load_weights
from cbn.layers.kernels import load_kernels
from helpers.inspection import SMALL, energy_model, textures
from helpers.networks import Boosting, Classifier, Network
from helpers.weight_files import Tensor, legacy_file, safetensors_file, zip_file

DATA = Path(__file__).parents[1] / "data"
IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4) * 10
HIDDEN = ((2, 2, 1), (1, 2, 1))


@dataclass
class Reader:
    """A reader under attack.

    Attributes
    ----------
    name : str
    file : str
        Name of the file, below the folder of the campaign.
    seeds : list of bytes
        Small valid files.
    read : callable
        From the path; whatever it raises beside ``refusal`` is a finding.
    mutate : callable, (random, seed number) -> bytes
    refusal : type of exception
    rooms : tuple of str
        Beginnings of the names of the files in ``cbn`` of which lines are counted.
    """

    name: str
    file: str
    seeds: list[bytes]
    read: Callable[[Path], object]
    mutate: Callable[[object, int], bytes]
    rooms: tuple[str, ...]
    refusal: type[Exception] = DataError
    prepare: Callable[[Path], None] = field(default=lambda folder: None)


def of_bytes(seeds, pieces=PIECES):
    return lambda random, i: havoc(random, seeds[i], pieces, random.choice(seeds))


def of_zips(seeds, favourite="header.json", pieces=PIECES, member_share=0.5):
    zips = [Zip(seed) for seed in seeds]

    def mutate(random, i):
        if random.random() < 0.1:
            return havoc(random, seeds[i], pieces, random.choice(seeds))
        return zips[i].mutated(random, member_share, favourite, pieces)

    return mutate


def of_npys(seeds):
    parsed = [Npy(seed) for seed in seeds]
    return lambda random, i: parsed[i].mutated(random) if random.random() < 0.8 else havoc(random, seeds[i])


def saved(function, *arrays, **named):
    buffer = io.BytesIO()
    function(buffer, *arrays, **named)
    return buffer.getvalue()


# ---- models ----


@cache
def models():
    """Files of every kind: as small as they get."""
    X, larger = (np.random.default_rng(0).integers(0, 256, (30, *shape), dtype=np.uint8) for shape in ((2, 3), (7, 6)))
    y, one = np.arange(30) % 2, {"n_jobs": 1, "random_state": 0}
    pictures = textures(8, 8)
    small = Architecture(SMALL.levels[:2])
    fitted = {
        "tables": [Network(threshold=(0.3, 0.6), pseudocount=1.5).fit(X), Network().fit(X)],
        "trees": [Network("tree", **one, threshold=(0.3, 0.6), penalty=0.1).fit(X), Network("tree", **one).fit(X)],
        "boosted": [Network("boosted", **one, boosting=Boosting(rounds=3, max_leaves=3)).fit(X)],
        "hidden": [
            Network("hidden", **one, hidden=HIDDEN, iterations=1).fit(larger),
            Network("best", **one, hidden=HIDDEN, penalty=0.2).fit(larger),
        ],
        "classifier": [Classifier(**one).fit(X, y), Classifier("tree", reach=2, n_jobs=1).fit(X, y)],
        "energy": [energy_model(architecture=small, epochs=1, false_alarm_rate=0.2, **one).fit(pictures)],
        "gaussian": [
            cbn.IntrospectiveEnergyModel(gaussian=Gaussian(**own), backbone=backbone, false_alarm_rate=0.2, **one).fit(
                of
            )
            for own, backbone, of in (
                ({"directions": 2}, None, pictures),
                ({"directions": 17, "reach": 0}, None, textures(8, 12, channels=3)),
                ({"directions": 3}, "none", pictures),
                ({"directions": 2, "keep_sums": True}, None, textures(5, 8)),
                ({"directions": 2, "blocks": (0, 3)}, None, textures(5, 8)),
            )
        ],
    }
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        for kind, own in fitted.items():
            found[kind] = []
            for model in own:
                model.save(path)
                found[kind].append(path.read_bytes())
    old = (
        "v1/pixel",
        "v1/classifier",
        "v2/hidden",
        "v3/tree",
        "v3/best",
        "v4/learned",
        "v4/backbone",
        "v5/tree",
        "v5/pixel",
    )
    found["older versions"] = [(DATA / f"format_{name}.cbn").read_bytes() for name in old]
    return found


COUNT = itertools.count()


def use_model(path):
    """Loads; every third scores an image, some sample. Numbers that no training makes may overflow in energy models."""
    model = cbn.load(path, n_jobs=1)
    count = next(COUNT)
    if count % 3:
        return
    with np.errstate(all="ignore"):
        if hasattr(model, "picture_shape_"):
            if np.prod(model.picture_shape_) <= 2**16:
                assert len(model.score_samples(np.zeros((1, *model.picture_shape_), np.uint8))) == 1
            return
    image = np.zeros((1, *model.image_shape_), bool)
    if hasattr(model, "networks_"):
        assert np.allclose(model.predict_proba(image).sum(axis=1), 1)
        return
    assert np.isfinite(model.score_samples(image)).all()
    if count % 24 == 0:
        assert model.sample(1).shape == image.shape
        assert np.isfinite(model.surprise_map(image)).all()


def model_reader(kind):
    seeds = models()[kind]
    rooms = {
        "tables": ("io/", "fit/modelfile", "cpd/table"), "trees": ("io/", "fit/modelfile", "cpd/tree"),
        "boosted": ("io/", "fit/modelfile", "cpd/boosted"), "energy": ("io/", "iem/files"),
        "gaussian": ("io/", "iem/gaussian/files"),
        "hidden": ("io/", "fit/modelfile", "layers/files", "cpd/grid"), "classifier": ("io/", "fit/modelfile"),
        "older versions": ("io/", "fit/modelfile", "fit/flat"),
    }[kind]  # fmt: skip
    return Reader(f"model: {kind}", "x.cbn", seeds, use_model, of_zips(seeds), rooms, ModelFileError)


# ---- checkpoints ----


class Stop(Exception):
    pass


def stop(state):
    raise Stop


def captured(module, model, images, path, progress=stop):
    """(bytes of a checkpoint, the arguments with which training reads it)."""
    found = []

    def capture(*arguments):
        found.append(arguments)
        raise Stop

    for extra in ({"progress": progress}, {"resume": True}):
        with mock.patch.object(module, "load_checkpoint", capture):
            try:
                model.fit(images, checkpoint=path, **extra)
            except (Stop, KeyboardInterrupt):
                pass
    return path.read_bytes(), found[0]


@cache
def checkpoints():
    larger = np.random.default_rng(0).integers(0, 256, (30, 7, 6), dtype=np.uint8)

    def second(state):
        if state.finished and state.best:
            raise Stop

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c"
        network = Network("hidden", hidden=HIDDEN, iterations=1, n_jobs=1, random_state=0)
        first = captured(cbn.fit.features, network, larger, path)
        path.unlink()
        other = captured(cbn.fit.features, network, larger, path, second)
        path.unlink()
        small = Architecture(SMALL.levels[:2])
        model = energy_model(architecture=small, epochs=1, false_alarm_rate=0.2, n_jobs=1, random_state=0)
        energy = captured(cbn.iem.fitting, model, textures(8, 8), path)
    return {"layers": ([first[0], other[0]], first[1]), "energy": ([energy[0]], energy[1])}


def checkpoint_reader(kind):
    seeds, (_, mark, *rest) = checkpoints()[kind]
    module = {"layers": cbn.layers.checkpoint, "energy": cbn.iem.files.checkpoint}[kind]
    rooms = {"layers": ("io/", "layers/checkpoint", "layers/files"), "energy": ("io/", "iem/files/")}[kind]
    known = mark(0)

    def read(path):
        return module.load_checkpoint(path, lambda seed: known, *rest)

    return Reader(f"checkpoint: {kind}", "x.checkpoint", seeds, read, of_zips(seeds), rooms, ModelFileError)


# ---- arrays ----


def check_sets(sets):
    for part in sets:
        if part is not None:
            assert part.images.dtype == np.uint8 and part.images.ndim == 3 and part.images.size
            if part.labels is not None:
                assert len(part.labels) == len(part)


def read_images(path):
    check_sets(load_images(path, color="grey"))


def idx_of(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def idx_reader():
    seeds = [idx_of(IMAGES), idx_of(np.array([7, 0, 7], np.uint8))]
    return Reader("idx", "x", seeds, load_idx, of_bytes(seeds), ("datasets/idx", "datasets/_files"))


def gzip_reader():
    plain = [idx_of(IMAGES), idx_of(np.array([7, 0, 7], np.uint8))]
    seeds = [gzip.compress(seed, mtime=0) for seed in plain]

    def mutate(random, i):
        if random.random() < 0.4:
            return havoc(random, seeds[i])
        return gzip.compress(havoc(random, plain[i]), 1, mtime=0)

    return Reader("idx, gzip", "x", seeds, load_idx, mutate, ("datasets/idx", "datasets/_files"))


def npy_reader():
    seeds = [saved(np.save, a) for a in (IMAGES, IMAGES / 255, IMAGES > 9, IMAGES.astype("i4"), (IMAGES / 255).astype("f2"),
                                         np.zeros((2, 9), np.uint8), np.stack([IMAGES] * 3, axis=-1))]  # fmt: skip
    return Reader("npy", "x.npy", seeds, read_images, of_npys(seeds), ("datasets/arrays", "datasets/_files"))


def labels_reader():
    seeds = [saved(np.save, a) for a in (np.array([1, 2]), np.array(["a", "bc"]), np.array([True, False]),
                                         np.array([1, 2], "u8"))]  # fmt: skip

    def prepare(folder):
        np.save(folder / "images.npy", IMAGES)

    def read(path):
        check_sets(load_images(path.with_name("images.npy"), labels=path))

    return Reader("npy, labels", "x.npy", seeds, read, of_npys(seeds), ("datasets/arrays",), prepare=prepare)


def npz_reader():
    y = np.array(["a", "b"])
    seeds = [saved(np.savez, images=IMAGES, labels=np.array([1, 2])),
             saved(np.savez_compressed, x_train=IMAGES, y_train=y, x_test=IMAGES, y_test=y)]  # fmt: skip
    return Reader("npz", "x.npz", seeds, read_images, of_zips(seeds), ("datasets/arrays", "datasets/source"))


# ---- pictures ----


def picture(image, kind, **named):
    buffer = io.BytesIO()
    image.save(buffer, kind, **named)
    return buffer.getvalue()


@cache
def pictures():
    from PIL import Image

    grey = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8) * 5)
    bit, rgb, rgba, palette = (grey.convert(mode) for mode in ("1", "RGB", "RGBA", "P"))
    rgba.putalpha(grey)
    deep = Image.fromarray(np.arange(48, dtype=np.uint16).reshape(6, 8) * 1000)
    real = Image.fromarray(np.linspace(0, 1, 48, dtype=np.float32).reshape(6, 8))
    exif = Image.Exif()
    exif[274] = 6
    tiffs = [picture(grey, "TIFF", compression=name) for name in ("raw", "packbits", "tiff_lzw", "tiff_deflate")]
    found = {
        "png": [picture(i, "PNG") for i in (grey, bit, rgba, palette, deep)] + [picture(grey, "PNG", exif=exif)],
        "jpg": [picture(grey, "JPEG"), picture(rgb, "JPEG", progressive=True), picture(grey, "JPEG", exif=exif)],
        "tif": [*tiffs, picture(deep, "TIFF"), picture(real, "TIFF"), picture(bit, "TIFF", compression="group4"),
                picture(grey, "TIFF", save_all=True, append_images=[grey])],
        "gif": [picture(grey, "GIF"), picture(palette, "GIF", save_all=True, append_images=[grey.rotate(180), grey])],
        "bmp": [picture(i, "BMP") for i in (grey, bit, rgb, palette)],
        "tga": [picture(i, "TGA") for i in (grey, rgb, palette)] + [picture(grey, "TGA", compression="tga_rle")],
        "webp": [picture(rgb, "WEBP"), picture(rgba, "WEBP", lossless=True),
                 picture(rgb, "WEBP", save_all=True, append_images=[rgba])],
    }  # fmt: skip
    return found, grey, rgb, rgba, deep


def picture_reader(suffix):
    seeds = pictures()[0][suffix]
    mutate = of_chunks(seeds) if suffix == "png" else of_bytes(seeds)
    rooms = ("datasets/picture", "datasets/folder")
    return Reader(f"picture: {suffix}", f"x.{suffix}", seeds, read_images, mutate, rooms)


def of_chunks(seeds):
    """PNG: bytes of chunks mutated behind good checksums, those of the image also before they are packed."""
    import zlib

    def chunks(content):
        at, found = 8, []
        while at < len(content):
            (length,) = struct.unpack(">I", content[at : at + 4])
            found.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
            at += 12 + length
        return found

    parsed = [chunks(seed) for seed in seeds]

    def mutate(random, i):
        if random.random() < 0.3:
            return havoc(random, seeds[i], PIECES, random.choice(seeds))
        parts = list(parsed[i])
        at = int(random.random() * len(parts))
        name, body = parts[at]
        if name == b"IDAT" and random.random() < 0.5:
            body = zlib.compress(havoc(random, zlib.decompress(body)), 1)
        elif random.random() < 0.1:
            parts.insert(at, random.choice(random.choice(parsed)))
        else:
            body = havoc(random, body)
        parts[at] = name, body
        return seeds[i][:8] + b"".join(
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
            for name, body in parts
        )

    return mutate


def other_pictures_reader():
    _, grey, rgb, rgba, deep = pictures()
    kinds = [(grey, "PPM"), (deep, "PPM"), (rgb, "PPM"), (grey, "PCX"), (grey, "SGI"), (rgba, "ICO"), (rgb, "DDS"),
             (grey, "JPEG2000"), (grey.convert("1"), "XBM"), (rgba, "ICNS"), (rgb, "AVIF"), (rgb, "QOI"),
             (grey.convert("1"), "MSP"), (grey, "BLP"), (rgb, "MPO"), (grey, "DIB")]  # fmt: skip
    seeds = []
    for image, kind in kinds:
        try:
            seeds.append(picture(image, kind))
        except (KeyError, OSError, ValueError):  # this build of Pillow does not write it
            pass
    psd = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 1, 3, 4, 8, 1) + bytes(12) + b"\0\0" + bytes(range(12))
    fits = b"".join(
        line.ljust(80).encode()
        for line in ("SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 4", "NAXIS2  = 3", "END")
    )
    seeds += [psd, fits.ljust(2880) + bytes(range(12)).ljust(2880, b"\0")]
    rooms = ("datasets/picture", "datasets/folder")
    # without an ending: every file is recognized by its content
    return Reader("picture: others", "x", seeds, read_images, of_bytes(seeds), rooms)


def mask_reader(suffix):
    mask = IMAGES[:1] > 40
    if suffix == "npy":
        seeds = [saved(np.save, a) for a in (mask, mask[0], mask * 1.0, mask.astype("u1") * 255, mask.astype("i8"))]
        mutate = of_npys(seeds)
    else:
        seeds = pictures()[0]["png"][:-1]  # the last one is turned
        mutate = of_chunks(seeds)
    shape = (3, 4) if suffix == "npy" else (6, 8)
    return Reader(
        f"mask: {suffix}", f"x.{suffix}", seeds, lambda path: load_mask(path, shape), mutate, ("datasets/mask",)
    )


def inspection_reader():
    """A folder as of MVTec, in which the mask is mutated."""
    seeds = pictures()[0]["png"][:2]

    def prepare(folder):
        for name in ("train/good/1.png", "test/scratch/1.png", "ground_truth/scratch/1_mask.png"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(seeds[0])

    rooms = ("datasets/mvtec", "datasets/mask", "datasets/inspection")
    return Reader("folder of inspection, mask", "ground_truth/scratch/1_mask.png", seeds,
                  lambda path: load_mvtec(path.parents[2]), of_chunks(seeds), rooms, prepare=prepare)  # fmt: skip


# ---- weights ----

STATE = OrderedDict(w=Tensor(np.arange(6, dtype="f4")), v=[Tensor(np.ones((2, 3), "f2"), "1")], n=3)
PICKLES = (*PIECES, b"cos\nsystem\n", b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch\nFloatStorage\n", b"R", b"Q", b"\x81",
           b"b", b"(", b"t", b"}", b"]", b"u", b"e", b"h\x00", b"q\x00", b"r\xff\xff\xff\xff", b"\x8a\x04\xff\xff\xff\x7f",
           b"\x95\xff\xff\xff\xff\xff\xff\xff\x7f", b"X\xff\xff\xff\x7f", b"\x8c\x05abcde", b".", b"\x80\x05")  # fmt: skip


def use_weights(path):
    for array in load_weights(path).values():
        array.tobytes()  # every value can be reached


def weights_reader(kind):
    rooms = ("iem/pretrained/torchfile", "iem/pretrained/safepickle")
    if kind == "npz":
        arrays = {"w": np.arange(6, dtype="f4"), "v": np.ones((2, 3), "f2"), "n": np.array(3)}
        seeds, rooms = [saved(np.savez, **arrays), saved(np.savez_compressed, **arrays)], ("iem/pretrained/weights",)
        mutate = of_zips(seeds)
    elif kind == "safetensors":
        arrays = {"w": ("F32", np.arange(6, dtype="f4")), "v": ("BF16", np.ones((2, 3), "u2"))}
        seeds, rooms = [safetensors_file(arrays)], ("iem/pretrained/weights",)
        mutate = of_safetensors(seeds[0])
    elif kind == "pth":
        seeds = [zip_file(STATE), zip_file(STATE, big=True)]
        mutate = of_zips(seeds, "archive/data.pkl", PICKLES)
    else:
        seeds = [legacy_file(STATE), legacy_file(STATE, big=True)]
        mutate = of_bytes(seeds, PICKLES)
    suffix = {"legacy": "pt"}.get(kind, kind)
    return Reader(f"weights: {kind}", f"x.{suffix}", seeds, use_weights, mutate, rooms)


def of_safetensors(seed):
    from mutations import Json

    (length,) = struct.unpack("<Q", seed[:8])
    header, data = Json(seed[8 : 8 + length]), seed[8 + length :]

    def mutate(random, i):
        if random.random() < 0.3:
            return havoc(random, seed)
        text = header.mutated(random) if random.random() < 0.8 else havoc(random, header.text.encode())
        return struct.pack("<Q", len(text)) + text + data

    return mutate


def kernels_reader():
    weights, bias = np.ones((2, 1, 2, 2)), np.zeros(2)
    seeds = [saved(np.savez, weights_1=weights, bias_1=bias, pool_1=np.array(1)),
             saved(np.savez, weights_1=weights, bias_1=bias, pool_1=np.array(2), weights_2=np.ones((1, 2, 2, 2)),
                   bias_2=bias[:1], pool_2=np.array(1))]  # fmt: skip
    return Reader("kernels", "x.npz", seeds, load_kernels, of_zips(seeds), ("layers/kernels",))


MAKERS = {
    **{f"model: {kind}": (model_reader, kind)
       for kind in ("tables", "trees", "boosted", "hidden", "classifier", "energy", "gaussian", "older versions")},
    **{f"checkpoint: {kind}": (checkpoint_reader, kind) for kind in ("layers", "energy")},
    "idx": (idx_reader,), "idx, gzip": (gzip_reader,), "npy": (npy_reader,), "npy, labels": (labels_reader,),
    "npz": (npz_reader,),
    **{f"picture: {suffix}": (picture_reader, suffix) for suffix in ("png", "jpg", "tif", "gif", "bmp", "tga", "webp")},
    "picture: others": (other_pictures_reader,),
    **{f"mask: {suffix}": (mask_reader, suffix) for suffix in ("npy", "png")},
    "folder of inspection, mask": (inspection_reader,),
    **{f"weights: {kind}": (weights_reader, kind) for kind in ("npz", "pth", "legacy", "safetensors")},
    "kernels": (kernels_reader,),
}  # fmt: skip


def reader(name):
    """The Reader of a name in MAKERS."""
    make, *arguments = MAKERS[name]
    return make(*arguments)
