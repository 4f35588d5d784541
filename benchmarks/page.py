# SPDX-License-Identifier: BSD-3-Clause
"""Draws RESULTS.md from the JSON of ``run.py``, and from nothing else."""

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path

from arrays import Facts

HERE = Path(__file__).parent

METHOD = (
    "Engines take turns within one process: round r of every engine comes before round r + 1 of any. A round of a fast "
    "engine repeats the call for at least 30 ms and counts the mean. One untimed call comes first. The ratio is the "
    "median over rounds of the engine's time divided by that of the first row in the same round: above 1 is slower "
    "than the first row. Slow engines have fewer rounds, as the tables say. The threads of a call sleep "
    "while they wait for each other, as cbn asks OpenMP to (they spun before 2026-11-28), so figures with more than one thread need a free core for every thread."
)
ENGINES = (
    "`cbn` is the installed package; `cbn generic` the same with `CBN_FORCE_GENERIC=1` (no vector instructions chosen "
    "at run time); `twin` the readable NumPy version in `python/reference`; `numpy` a plain vectorized implementation "
    "with 64-bit indices (of hidden layers: im2col, matrix products and bincount); `numpy tuned` the same with "
    "one-byte indices laid out pixel by pixel; `pyagrum` pyAgrum with all 784 nodes."
)

BAR = "\u2587"  # four for a tenfold
# cores; what the system itself uses stays below
BUSY = 0.1


def number(value: object) -> str:
    """A figure with as many digits as it deserves."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) < 1e-3:
        return f"{value:.1e}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


def duration(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{1e3 * seconds:.3g} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.3g} us"


def table(header: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table; first column left, all others right."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *body]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def case_table(case: Facts) -> list[str]:
    """Speed and accuracy in one table: accuracy figures that no engine has make no column."""
    rows = case["rows"]
    figures = list(dict.fromkeys(key for row in rows for key in row["accuracy"]))
    with_ratio = any(row["ratio"] is not None for row in rows)
    header = ["engine", "rounds", "median", "min", "max"]
    header += ["ratio"] * with_ratio + [case.get("rate", "")] * ("rate" in case) + figures
    body = []
    for row in rows:
        cells = [row["engine"], str(len(row["seconds"]))]
        cells += [duration(row[name]) for name in ("median", "min", "max")]
        cells += [number(row["ratio"])] * with_ratio + [number(row.get("rate"))] * ("rate" in case)
        body.append(cells + [number(row["accuracy"].get(key)) for key in figures])
    return table(header, body)


def digit_table(details: Facts) -> list[str]:
    """AUROC of every score and digit, with its interval where there is one."""
    intervals = details.get("intervals by digit", {})
    body = []
    for score, auroc in details["AUROC by digit"].items():
        cells = [f"{a:.1f}" for a in auroc]
        if score in intervals:
            cells = [f"{cell} ({low:.1f} to {high:.1f})" for cell, (low, high) in zip(cells, intervals[score])]
        body.append([score, *cells])
    if "own-class nats by digit" in details:
        body.append(["nats, own class"] + [f"{n:.1f}" for n in details["own-class nats by digit"]])
    return table(["AUROC x 100"] + [str(d) for d in details["digits"]], body)


def growth_tables(curves: list[Facts]) -> list[str]:
    """A table for everything that grows: time by size, with a bar on a logarithmic scale, and the exponent."""
    lines = []
    for what in dict.fromkeys(curve["what"] for curve in curves):
        own = [curve for curve in curves if curve["what"] == what]
        body = []
        for curve in own:
            first = curve["seconds"][0]
            cells = [f"{duration(t)} {BAR * max(1, 1 + round(4 * math.log10(t / first)))}" for t in curve["seconds"]]
            body.append([curve["step"], *cells, f"{curve['exponent']:.2f}"])
        lines += ["", *table([f"{what}:", *(f"{size:,}" for size in own[0]["sizes"]), "exponent"], body)]
    return lines


def goal_table(goals: list[Facts]) -> list[str]:
    verdict = {True: "met", False: "**not met**"}
    body = []
    for goal in goals:
        text = goal["goal"] + (" (stretch)" if goal["stretch"] else "")
        body.append([text, goal["found"], verdict[goal["met"]]])
    return table(["goal", "found", "met"], body)


def others(case: Facts) -> list[str]:
    """A warning where the machine was not free."""
    cores = case["cores used by others"]
    if cores is None or cores < BUSY:
        return []
    return [
        "",
        f"**Other programs used {cores:.2f} cores during this case; its times are not those of a free machine.**",
    ]


def when(case: Facts, results: Facts) -> list[str]:
    """The date of a case that was kept from an earlier run."""
    date = case.get("date", results["date"])
    return [] if date == results["date"] else ["", f"Measured on {date}."]


def command(results: Facts) -> str:
    """How to get the same figures on another machine."""
    settings = results["settings"]
    words = ["python benchmarks/run.py", f"--repeat {settings['rounds']}", f"--threads {settings['threads']}"]
    words += ["--quick"] * settings["quick"] + [f"--cases {','.join(results['cases'])}"]
    return " ".join(words)


def page(results: Facts) -> list[str]:
    """The lines of RESULTS.md."""
    machine, settings = results["machine"], results["settings"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    openmp = "with OpenMP" if machine["OpenMP"] else "without OpenMP"
    lines = [
        "# Benchmark results",
        "",
        "Written by `benchmarks/page.py` from `benchmarks/results.json`; do not edit.",
        "",
        f"- Date: {results['date']}",
        f"- Machine: {machine['processor']}, {machine['cores']} cores, {machine['system']}",
        f"- Python {machine['python']}; {versions}; cbn built {openmp}, instruction set {machine['instruction set']}",
        (
            f"- Settings: {settings['threads']} threads, {settings['rounds']} rounds, seed {settings['seed']}, "
            f"digit {settings['digit']}; embedded MNIST, grey values 0 and 255, binarized at 0.3"
        ),
        "",
        f"How it was measured: {METHOD}",
        "",
        ENGINES,
        "",
        "To reproduce: `make bench`, or with the package and `benchmarks/requirements.txt` installed",
        "",
        "```",
        command(results),
        "python benchmarks/page.py",
        "```",
        "",
        "## Goals",
        "",
    ]
    cases = results["cases"].items()
    lines += goal_table([{**g, "goal": f"{name}: {g['goal']}"} for name, case in cases for g in case["goals"]])
    for case in results["cases"].values():
        about = [case["about"], *when(case, results), *others(case)]
        lines += ["", f"## {case['title']}", "", *about, "", *case_table(case)]
        if "AUROC by digit" in case.get("details", {}):
            lines += ["", *digit_table(case["details"])]
        lines += growth_tables(case.get("details", {}).get("growth", []))
        if case["goals"]:
            lines += ["", *goal_table(case["goals"])]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=HERE / "results.json", metavar="FILE")
    parser.add_argument("--out", type=Path, default=HERE / "RESULTS.md", metavar="FILE")
    options = parser.parse_args()
    lines = page(json.loads(options.json.read_text()))
    options.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
