# SPDX-License-Identifier: BSD-3-Clause
"""Peak memory of a fit on all training images, and the time of an import; both in fresh processes."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from arrays import Facts
from context import Context
from engines import N_PIXELS
from measure import goal, pair_ratio, summary

CHILD = Path(__file__).with_name("memory_child.py")
MB = 1e6


def memory(context: Context) -> Facts:
    images = context.train
    packed = -(-len(images) // 64) * 8 * N_PIXELS
    names = ["cbn", "numpy tuned", "numpy", "pyagrum"] if not context.quick else ["cbn", "numpy tuned"]
    found, table = {}, []
    with tempfile.NamedTemporaryFile(suffix=".u8", delete=False) as file:
        images.tofile(file)
    try:
        for name in names:
            # memory hardly varies: three processes show that it does not
            for _ in range(3 if name == "cbn" else 1):
                command = [sys.executable, str(CHILD), name, file.name, str(len(images)), str(context.threads)]
                begin = time.perf_counter()
                answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                own = found.setdefault(name, {"seconds": [], "rise": []})
                own["seconds"].append(time.perf_counter() - begin)
                own.update(json.loads(answer) | {"rise": own["rise"] + [json.loads(answer)["rise"]]})
    finally:
        os.unlink(file.name)
    for name, own in found.items():
        # resident pages that an earlier call left free are used again without a rise; traced allocations are not all
        # there is. The larger of the two is the honest figure.
        rise = max(statistics.median(own["rise"]), own["traced"])
        accuracy = {
            "peak memory above the input, MB": rise / MB,
            "times the packed images": rise / packed,
            "rise of resident memory, MB": statistics.median(own["rise"]) / MB,
            "peak of traced allocations, MB": own["traced"] / MB,
        }
        table.append({"engine": name, **summary(own["seconds"]), "ratio": None, "accuracy": accuracy})
    times = table[0]["accuracy"]["times the packed images"]
    return {
        "title": f"Memory: fit on all {len(images):,} grey images",
        "about": f"Every engine in a fresh process that holds the images ({images.nbytes / MB:.0f} MB) and has "
        "fitted 64 images before; then the highest resident memory during one fit minus that before it "
        f"({found['cbn']['method']}), and the peak that tracemalloc saw in a second fit. The larger one counts. "
        f"Packed to bits the images take {packed / MB:.1f} MB. pyAgrum reads its data from a CSV file within the fit. "
        "Seconds are those of the whole process.",
        "rows": table,
        "goals": [
            goal(f"at most 3 times the packed images ({3 * packed / MB:.1f} MB)", f"{times:.2f} times", times <= 3)
        ],
    }


def import_time(context: Context) -> Facts:
    """Seconds of an import statement in fresh processes, taking turns."""
    statements = {
        "import numpy": "import numpy",
        "import cbn": "import cbn",
        "cbn and its data sets": "import cbn; cbn.datasets",
        "cbn and its estimator": "from cbn import ConvolutionalBayesianNetwork",
        "import pyagrum": "import pyagrum",
    }
    seconds = {name: {} for name in statements}
    for r in range(-1, context.rounds):  # the round before the first fills the file cache
        for name, statement in statements.items():
            program = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
            # -P: without it a folder named cbn in the working directory would be imported
            answer = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
            if r >= 0:
                seconds[name][r] = float(answer.stdout)
    table = [
        {"engine": name, **summary(own), "ratio": pair_ratio(own, seconds["import numpy"]), "accuracy": {}}
        for name, own in seconds.items()
    ]
    median = summary(seconds["import cbn"])["median"]
    return {
        "title": "Import",
        "about": "The statement alone, in fresh processes, files in the cache of the operating system. `import cbn` "
        "loads what it needs on first use: data sets need NumPy, the estimator NumPy and scikit-learn.",
        "rows": table,
        "goals": [goal("`import cbn` in less than 0.3 s", f"{1e3 * median:.1f} ms", median < 0.3)],
    }
