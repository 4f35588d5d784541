# SPDX-License-Identifier: BSD-3-Clause
"""Runs the benchmark and writes its figures as JSON; ``page.py`` draws RESULTS.md from them."""

import cbn  # isort: skip  # before pyAgrum loads the OpenMP library of both: the first one decides how threads wait

import argparse
import datetime
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy
import pyagrum
from arrays import Facts
from cases_backbone import backbone
from cases_density import density
from cases_detection import detection
from cases_distributed import distributed_fit
from cases_export import export
from cases_fit import fit, structure
from cases_growth import growth
from cases_hidden import gradient, search, train, transition
from cases_iem import iem
from cases_inspection import inspection
from cases_memory import import_time, memory
from cases_quality import hidden_quality, quality
from cases_sampling import ancestral, gibbs, hidden_gibbs
from cases_scaling import hidden_scaling, scaling
from cases_score import score
from cases_streams import streams
from cases_threads import busy
from cases_vectors import vectors
from context import DIGIT, SEED, Context
from othersload import OthersLoad

from cbn import _engine

CASES = {
    "fit": fit,
    "score": score,
    "gibbs": gibbs,
    "ancestral": ancestral,
    "quality": quality,
    "memory": memory,
    "import": import_time,
    "busy": busy,
    "scaling": scaling,
    "growth": growth,
    "structure": structure,
    "train": train,
    "search": search,
    "gradient": gradient,
    "transition": transition,
    "hidden-scaling": hidden_scaling,
    "hidden-quality": hidden_quality,
    "hidden-gibbs": hidden_gibbs,
    "detection": detection,
    "density": density,
    "vectors": vectors,
    "export": export,
    "distributed": distributed_fit,
    "streams": streams,
    "iem": iem,
    "backbone": backbone,
    "inspection": inspection,
}
SLOW = {"structure", "distributed", "streams"}  # not in a quick run unless asked for by name


def processor_name() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def circumstances(options: argparse.Namespace) -> Facts:
    """Machine, versions and settings; nothing that names the machine or its folders."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "machine": {
            "processor": processor_name(),
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            "instruction set": _engine.instruction_set(),
            "OpenMP": _engine.has_openmp(),
        },
        "versions": {"cbn": cbn.__version__, "numpy": numpy.__version__, "pyagrum": pyagrum.__version__},
        "settings": {
            "rounds": options.repeat,
            "threads": options.threads,
            "quick": options.quick,
            "seed": SEED,
            "digit": DIGIT,
        },
    }


def show(result: Facts) -> None:
    """A short table on the terminal."""
    print(f"\n{result['title']} (other programs used {result['cores used by others']} cores)")
    for row in result["rows"]:
        ratio = "" if row["ratio"] is None else f"{row['ratio']:10.2f} x"
        print(f"  {row['engine']:<26}{1e3 * row['median']:12.3f} ms{ratio:>13}  {brief(row['accuracy'])}")
    for goal in result["goals"]:
        print(f"  {'met' if goal['met'] else 'NOT MET':<8}{goal['goal']}: {goal['found']}")
    sys.stdout.flush()


def brief(accuracy: Facts) -> str:
    return ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in accuracy.items())


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", metavar="NAME[,NAME]", help=f"some of: {', '.join(CASES)} (default: all)")
    parser.add_argument("--repeat", type=int, metavar="N", help="rounds of timing (default 15; 5 with --quick)")
    parser.add_argument("--threads", type=int, default=2, metavar="N")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and digits, no structure search")
    parser.add_argument(
        "--sets", metavar="NAME[,NAME]", help="of the case inspection, such as mvtec/grid (default: all)"
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results.json"), metavar="FILE")
    options = parser.parse_args(arguments)
    options.repeat = options.repeat or (5 if options.quick else 15)
    if options.repeat < 1 or options.threads < 1:
        parser.error("--repeat and --threads need at least 1")
    options.sets = options.sets.split(",") if options.sets else []
    if options.cases:
        options.cases = options.cases.split(",")
        if unknown := [name for name in options.cases if name not in CASES]:
            parser.error(f"--cases: no case {', '.join(unknown)}; choose from {', '.join(CASES)}")
    else:
        options.cases = [name for name in CASES if not (options.quick and name in SLOW)]
    return options


def earlier_cases(options: argparse.Namespace) -> Facts:
    """Those of the file, where some cases alone are run: each keeps its date."""
    if len(options.cases) == len(CASES) or not options.out.is_file():
        return {}
    earlier = json.loads(options.out.read_text())
    return {name: {"date": earlier["date"], **case} for name, case in earlier["cases"].items()}


def main() -> None:
    options = parse()
    context = Context(options.repeat, options.threads, options.quick, options.sets)
    results = {**circumstances(options), "cases": earlier_cases(options)}
    for name in options.cases:
        begin, others = time.perf_counter(), OthersLoad()
        result = CASES[name](context)
        result["date"] = results["date"]
        result["cores used by others"] = others.cores()
        result["seconds in all"] = round(time.perf_counter() - begin, 1)
        results["cases"][name] = result
        show(result)
        # after every case: an interrupted run keeps its figures
        options.out.write_text(json.dumps(results, indent=1) + "\n")
    print(f"\nwrote {options.out.name}; draw the page with benchmarks/page.py")


if __name__ == "__main__":
    main()
