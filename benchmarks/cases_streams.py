# SPDX-License-Identifier: BSD-3-Clause
"""Training on more images than one wants in memory: the memory it takes, and its time beside that of reading.

Everything is a whole program in a process of its own.
"""

import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from arrays import Facts, Images, Times
from cases_growth import copies
from context import Context
from measure import goal, pair_ratio, summary
from numpy.lib.format import open_memmap
from PIL import Image

N_IMAGES, N_FILES, FILES_A_FOLDER = 2_000_000, 200_000, 10_000
PRESETS = "pixel", "tree"
MB = 1e6
EVERY = 0.02  # seconds between looks at the memory of a process
TRAIN = "from cbn.cli import start_train; start_train()"
OURS = "import sys, cbn\nfor chunk in cbn.datasets.iter_images(sys.argv[1]): pass\n"
PILLOW = """
import sys
from pathlib import Path
import numpy as np
from PIL import Image
for path in sorted(Path(sys.argv[1]).rglob("*.png")):
    with Image.open(path) as picture:
        np.asarray(picture)
"""


def run(code: str, *arguments: str) -> tuple[float, float]:
    """Seconds of a Python process and the most anonymous memory that it was seen to have, in bytes."""
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.DEVNULL)
    most, status = 0, Path(f"/proc/{process.pid}/status")

    def watch() -> None:
        nonlocal most
        while process.returncode is None:
            try:
                own = [line for line in status.read_text().splitlines() if line.startswith("RssAnon:")]
            except OSError:
                return
            most = max(most, *(1024 * int(line.split()[1]) for line in own), 0)
            time.sleep(EVERY)

    watcher = threading.Thread(target=watch)
    watcher.start()
    if process.wait():
        raise subprocess.CalledProcessError(process.returncode, process.args)
    seconds = time.perf_counter() - begin
    watcher.join()
    return seconds, most


def write_array(path: Path, images: Images, n: int) -> None:
    """n images as an .npy file, a part at a time."""
    written = open_memmap(path, mode="w+", dtype=np.uint8, shape=(n, *images.shape[1:]))
    for shift, first in enumerate(range(0, n, len(images))):
        written[first : first + len(images)] = np.roll(images, shift, axis=2)[: n - first]
    written.flush()


def write_pictures(folder: Path, images: Images) -> None:
    for i, image in enumerate(images):
        path = folder / f"{i // FILES_A_FOLDER:03d}" / f"{i:07d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path)


def streams(context: Context) -> Facts:
    """The case: an array of many images, and a folder of many pictures."""
    n_images, n_files = (100_000, 5_000) if context.quick else (N_IMAGES, N_FILES)
    packed = -(-n_images // 64) * 8 * context.train[0].size
    most_allowed = 1.3 * packed + 100 * MB
    rows, goals = [], []
    with tempfile.TemporaryDirectory() as name:
        folder, model = Path(name), str(Path(name, "model.cbn"))
        bare = run("import time; time.sleep(0.3)")[1]
        array = folder / "images.npy"
        write_array(array, context.train, n_images)
        threads = str(context.threads)
        for preset in PRESETS:
            arguments = "--data", str(array), "--preset", preset, "--threads", threads, "--out", model, "--quiet"
            seconds, memory = run(TRAIN, *arguments)
            above = memory - bare
            rows.append({"engine": f"preset {preset}, {n_images:,} images of an array", **summary([seconds]), "ratio": None,
                         "accuracy": {"anonymous memory above the interpreter, MB": above / MB}})  # fmt: skip
            goals.append(goal(f"{preset}: at most 1.3 times the packed images and 100 MB ({most_allowed / MB:.0f} MB)",
                              f"{above / MB:.0f} MB", above <= most_allowed))  # fmt: skip
        array.unlink()
        pictures = folder / "pictures"
        pictures.mkdir()
        write_pictures(pictures, copies(context.train, n_files))
        trained = "--data", str(pictures), "--preset", "pixel", "--threads", threads, "--out", model, "--quiet"
        calls = {
            "its reader alone": (OURS, str(pictures)),
            "train preset pixel": (TRAIN, *trained),
            "Pillow alone": (PILLOW, str(pictures)),
        }
        times: dict[str, Times] = {label: {} for label in calls}
        for turn in range(-1, max(1, min(3, context.rounds))):
            for label, call in calls.items():
                seconds, _ = run(*call)
                if turn >= 0:  # the first turn brings the files to memory
                    times[label][turn] = seconds
        for label, own in times.items():
            ratio = pair_ratio(own, times["its reader alone"])
            rows.append({"engine": f"{label}, {n_files:,} PNGs", **summary(own), "ratio": ratio, "accuracy": {}})
        ratio = pair_ratio(times["train preset pixel"], times["its reader alone"])
        goals.append(
            goal("pictures: training takes at most 1.18 times as long as reading them", f"{ratio:.2f}", ratio <= 1.18)
        )
    return {
        "title": "Streams: more than one wants in memory",
        "about": f"cbn-train in a process of its own. The array is a memory-mapped .npy file of {n_images:,} images of 28 x 28 "
        f"({n_images * context.train[0].size / MB:.0f} MB, {packed / MB:.0f} MB packed); the anonymous memory of the process is looked at "
        f"every {1000 * EVERY:.0f} ms, that of an idle interpreter ({bare / MB:.0f} MB) taken off. The pictures are PNGs in folders of "
        f"{FILES_A_FOLDER:,}, read by one worker; the files are in the system's memory.",
        "rows": rows,
        "goals": goals,
    }  # fmt: skip
