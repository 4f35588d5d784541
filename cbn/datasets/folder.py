# SPDX-License-Identifier: BSD-3-Clause
"""Folders of pictures, read with Pillow as 8-bit grey."""

import warnings

import numpy as np

from ._files import data_error, printable, reading, scan
from .imageset import ImageSet, as_integer

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm", ".webp")
# The decoders allowed, by content. Without the list Pillow also tries formats that start programs (EPS: Ghostscript).
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "PPM", "WEBP")


def load_folder(folder):
    """Read a folder of pictures.

    Pictures at the top make a set without labels; pictures in sub-folders take the sub-folder's name as label (integers
    if all names are). Sub-folders `train` and `test` (or `train` alone) are the two splits, each laid out in one of
    these ways; other folders beside `train` and `test` are ignored. Hidden files and files that are no pictures are
    ignored.

    Parameters
    ----------
    folder : pathlib.Path
        An existing folder.

    Returns
    -------
    train : ImageSet
    test : ImageSet or None

    Raises
    ------
    DataError
        If there are no pictures, their sizes differ, one cannot be read, or pictures lie beside label folders.
    """
    pictures, folders = _listing(folder)
    names = {entry.name for entry in folders}
    if {"train", "test"} <= names or names == {"train"}:
        if pictures:
            raise _mixture(folder, pictures[0], folder / "train")
        return _load_split(folder / "train"), _load_split(folder / "test") if "test" in names else None
    if names == {"test"} and not pictures:
        raise data_error(f"{folder}: holds a folder test but no folder train; add it, or give {folder / 'test'}")
    return _load_split(folder), None


def load_picture(path):
    """Read one picture: an ImageSet of one image without a label."""
    return ImageSet(_read_picture(path)[None], names=(path.name,), source=printable(path))


def _load_split(folder):
    pictures, folders = _listing(folder)
    if pictures:
        _refuse_mixture(folder, pictures, folders)
        return ImageSet(_read_pictures(pictures), names=tuple(p.name for p in pictures), source=str(folder))
    listings = {entry: _listing(entry) for entry in folders}
    if not any(found for found, _ in listings.values()):
        raise data_error(
            f"{folder}: no pictures found in it or its folders; expected files that end in {', '.join(SUFFIXES)}"
        )
    labels = []
    for label_folder, (found, deeper) in listings.items():
        if not found:
            raise data_error(f"{label_folder}: a label folder without pictures; add pictures or remove the folder")
        _refuse_mixture(label_folder, found, deeper)
        pictures += found
        labels += [label_folder.name] * len(found)
    return ImageSet(
        _read_pictures(pictures),
        labels=_as_labels(labels),
        names=tuple(f"{p.parent.name}/{p.name}" for p in pictures),
        source=str(folder),
    )


def _as_labels(names):
    integers = {name: as_integer(name) for name in names}
    # "02" beside "2" must remain two labels
    if None in integers.values() or len(set(integers.values())) < len(integers):
        return np.array(names)
    return np.array([integers[name] for name in names], dtype=np.int64)


def _listing(folder):
    files, folders = scan(folder)
    return [entry for entry in files if entry.suffix.lower() in SUFFIXES], folders


def _refuse_mixture(folder, pictures, folders):
    for entry in folders:
        if _listing(entry)[0]:
            raise _mixture(folder, pictures[0], entry)


def _mixture(folder, picture, entry):
    return data_error(
        f"{folder}: holds pictures ({picture.name}) beside a folder of pictures ({entry.name}); "
        "use either pictures alone or folders alone"
    )


def _read_pictures(paths):
    """Read pictures of one size into one array of shape (n, height, width), uint8."""
    images = None
    for i, path in enumerate(paths):
        picture = _read_picture(path)
        if images is None:
            images = np.empty((len(paths), *picture.shape), dtype=np.uint8)
        if picture.shape != images.shape[1:]:
            (h0, w0), (h1, w1) = images.shape[1:], picture.shape
            raise data_error(
                f"{path}: {w1}x{h1} pixels (width x height), but {paths[0]} has {w0}x{h0}; "
                "resize all pictures to one size"
            )
        images[i] = picture
    return images


def _read_picture(path):
    from PIL import Image

    with reading(path, "a picture") as (stream, _), warnings.catch_warnings():
        # Pillow only warns between one and two times its limit; both mean a picture far too large to learn from
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(stream, formats=_FORMATS) as picture:
                return _grey(picture, path)
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise data_error(f"{path}: the picture is too large ({error}); cut or resize it") from error


def _grey(picture, path):
    """One Pillow picture (of a GIF the first frame) as a uint8 array of shape (height, width)."""
    from PIL import Image

    # Pillow's own conversion of 16-bit grey clips at 255. It gives 16-bit PGM (and, in older versions, PNG) mode "I".
    if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format in ("PNG", "PPM")):
        return ((np.asarray(picture).astype(np.uint32) + 128) // 257).astype(np.uint8)  # round(value / 257)
    if picture.mode in ("I", "F"):
        raise data_error(f"{path}: 32-bit pictures have no fixed range of grey; save it with 8 or 16 bits")
    if picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, (0, 0, 0, 255)), picture)
    return np.asarray(picture.convert("L"))
