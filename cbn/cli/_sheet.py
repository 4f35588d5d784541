# SPDX-License-Identifier: BSD-3-Clause
"""--sheet: one picture of the most anomalous pictures, with what is known of each."""

from ..exceptions import CbnError
from . import _common as common


def write_sheet(arguments, ranking, rows, what, meaning, outlines=None):
    """Draws the pictures that a ranking has kept, and says where.

    Parameters
    ----------
    ranking : Ranking
    rows : iterable of dict
        Of these pictures, in their order, as they are printed.
    what : str
        "images" or "pictures".
    meaning : str
        Of the numbers, in words.
    outlines : sequence of ndarray or None, optional
        Of every picture, regions to draw a line around.
    """
    from ..plots import pictures
    from ..plots.sheet import Tile, contact_sheet

    kept = ranking.kept
    tiles = [
        Tile(one.picture, _caption(rank, row), _is_marked(row), outline)
        for rank, (one, row, outline) in enumerate(zip(kept, rows, outlines or [None] * len(kept), strict=True), 1)
    ]
    title = f"The {len(kept):,} most anomalous of {ranking.n:,} {what}; {meaning}"
    try:
        pictures.save_png(contact_sheet(tiles, title), arguments.sheet)
    except CbnError as error:
        raise CbnError(f"--sheet: {error}") from error
    common.say(arguments, f"the {len(kept):,} most anomalous of {ranking.n:,} {what}: {arguments.sheet}")


def _is_marked(row):
    """Whether an alarm is due: an outlier, or an image that is taken for another class than its label."""
    if "class" in row:
        return row.get("label") is not None and str(row["label"]) != str(row["class"])
    return row["verdict"] == "outlier"


def _caption(rank, row):
    """Lines: rank and name, verdict or class, the number that ranks, and the label where there is one."""
    if "class" in row:
        said = f"taken for {row['class']} ({100 * row['probability']:.3g} %)"
        number = f"log p {row['log_probability']:.6g}"
    else:
        said = row["verdict"] if row["p_value"] is None else f"{row['verdict']}, p = {row['p_value']:.4g}"
        number = f"energy {row['energy']:.6g}" if "energy" in row else f"score {row['score']:.6g}"
    label = () if row.get("label") is None else (f"label {row['label']}",)
    return f"{rank}. {row['image']}", said, number, *label
