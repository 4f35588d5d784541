# SPDX-License-Identifier: BSD-3-Clause
"""Programs killed at random moments, two that write one file, and full disks: nothing that was there is lost.

    python tests/campaigns/kills.py --kills 200 --seed 0

Programs run in forked children of this process, so that their imports cost nothing and kills meet their work. SIGKILL,
SIGTERM and SIGINT take turns, three to one to one. The exit status is 1 if anything is found.
"""

import argparse
import contextlib
import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

import cbn
from cbn.datasets import make_category, write_mvtec
from helpers import programs as cli
from helpers.networks import Network

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGKILL)
RATE = ("--false-alarm-rate", "0.1", "--quiet", "--threads", "1")
HIDDEN = ("--hidden", "3,3,1;3,2,2", "--iterations", "3", "--seed", "7")
TRAININGS = {
    "cbn-train, hidden layers": ("cbn-train", "--data", "images.npy", *HIDDEN, *RATE),
    "cbn-train, classifier": ("cbn-train", "--data", "labelled.npz", "--digit", "all", "--classifier",
                              "--quiet", "--threads", "1"),
    "cbn-iem-train": ("cbn-iem-train", "--data", "category", "--levels", "1", "--epochs", "2,3", "--seed", "7",
                      "--held-out", "0", "--false-alarm-rate", "0.2", "--quiet", "--threads", "1"),
}  # fmt: skip


def forked(call, folder, errors="errors"):
    """The number of a child that calls in a folder; its messages go to a file."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(folder)
        descriptor = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1), os.dup2(descriptor, 2)
        code = call() or 0
    except SystemExit as exit:
        code = exit.code or 0
    except KeyboardInterrupt:
        code = 130
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush(), sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def program(name, *words):
    main = importlib.import_module(cli.module_of(name)).main
    return lambda: main([str(word) for word in words])


def ended(child):
    """The exit status, or minus the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed(call, folder, seconds, number):
    """Kills a child after so many seconds; its status."""
    child = forked(call, folder)
    time.sleep(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)
    return ended(child)


def leftovers(folder):
    return sorted(p.name for p in Path(folder).rglob(".cbn-*.tmp"))


class Campaign:
    def __init__(self, folder, seed):
        self.folder, self.random = folder, Random(seed)
        self.counts, self.findings, self.sent = Counter(), [], 0
        rng = np.random.default_rng(0)
        X, y = cli.digit_images(120), np.arange(200) % 2
        np.save(folder / "images.npy", X)
        np.savez(folder / "labelled.npz", images=rng.integers(0, 256, (200, 8, 8), dtype=np.uint8), labels=y)
        np.save(folder / "many.npy", rng.integers(0, 256, (1500, 20, 20), dtype=np.uint8))
        write_mvtec(folder / "category", make_category("texture", 10, 2, 1, size=32))
        self.models = [Network().fit(rng.integers(0, 256, (300, side, side), dtype=np.uint8)) for side in (48, 60)]
        self.models[1].save(folder / "model.cbn")

    def find(self, what):
        self.findings.append(what)
        print("FINDING", what, flush=True)

    def count(self, what, status, number):
        """Whether the signal met the program; those that came too late are counted apart."""
        self.sent += status != 0
        outcome = {0: "came too late", -number: "killed"}.get(status, f"ended with {status}")
        self.counts[what, number.name, outcome] += 1
        return status != 0

    def moment(self, i, whole):
        return self.random.uniform(0, whole), SIGNALS[i % len(SIGNALS)]

    def seconds_of(self, what, call):
        """Of a child that nothing meets, the shorter of two."""
        measured = []
        for _ in range(2):
            begun = time.monotonic()
            if ended(forked(call, self.folder)):
                raise SystemExit(f"{what}: {(self.folder / 'errors').read_text()}")
            measured.append(time.monotonic() - begun)
        return min(measured)

    # ---- kills ----

    def training(self, what, kills):
        """Killed once to three times, then resumed: the bytes of the training that nothing met."""
        name, *words = TRAININGS[what]
        resumes = "classifier" not in what
        more = ["--resume"] if resumes else []
        seconds = self.seconds_of(what, program(name, *words, "--out", "whole.cbn"))
        whole = (self.folder / "whole.cbn").read_bytes()
        out, done, tried = self.folder / "out.cbn", 0, 0
        while done < kills:
            out.unlink(missing_ok=True)
            earlier = not resumes and tried % 2 and self.models[0]
            if earlier:
                earlier.save(out)
            before = out.read_bytes() if earlier else None
            for _ in range(min(kills - done, self.random.choice((1, 1, 2, 3)))):
                moment, number = self.moment(tried, seconds)
                status = killed(program(name, *words, *more, "--out", "out.cbn"), self.folder, moment, number)
                tried, done = tried + 1, done + self.count(what, status, number)
                found = out.read_bytes() if out.exists() else None
                if found not in (None, before, whole) and number != signal.SIGINT and not resumes:
                    self.find(f"{what}: {number.name} after {moment:.4f} s left neither the old nor the new model")
                if found is not None:
                    cbn.load(out)  # of Ctrl-C: what was trained so far
            status = ended(forked(program(name, *words, *more, "--out", "out.cbn"), self.folder))
            if status or out.read_bytes() != whole:
                text = (self.folder / "errors").read_text()
                self.find(
                    f"{what}: after {number.name} at {moment:.4f} s the rest ended with {status}, other bytes: {text}"
                )
            for left in self.folder.glob("out.cbn.*"):
                self.find(f"{what}: {left.name} is left")
                left.unlink()

    def saving(self, kills):
        contents, path = [], self.folder / "saved.cbn"
        for model in self.models:
            model.save(path)
            contents.append(path.read_bytes())

        def save():
            for model in self.models * 2:
                model.save(path)

        seconds = self.seconds_of("saving", save)
        i = 0
        while kills:
            i, (moment, number) = i + 1, self.moment(i, seconds)
            kills -= self.count("saving", killed(save, self.folder, moment, number), number)
            if path.read_bytes() not in contents:
                self.find(f"saving: {number.name} after {moment:.4f} s left a part of a model")

    def scoring(self, kills):
        np.save(self.folder / "score.npy", np.random.default_rng(1).integers(0, 256, (1500, 60, 60), dtype=np.uint8))
        call = program("cbn-score", "--data", "score.npy", "--quiet", "--csv", "rows.csv", "--threads", "1")
        path, seconds = self.folder / "rows.csv", self.seconds_of("scoring", call)
        whole = path.read_bytes()
        i = 0
        while kills:
            i, (moment, number) = i + 1, self.moment(i, seconds)
            kills -= self.count("scoring", killed(call, self.folder, moment, number), number)
            found = path.read_bytes()
            if not whole.startswith(found) or (found and not found.endswith(b"\n")):
                self.find(f"scoring: {number.name} after {moment:.4f} s left no whole rows")
            self.counts["scoring", "rows", "a part" if 0 < len(found) < len(whole) else "all or none"] += 1

    # ---- two writers ----

    def writers(self, rounds):
        """Two programs write one file at once: it is that of one of them."""
        sample = ("cbn-sample", "--model", "model.cbn", "--n", "9", "--quiet")
        score = ("cbn-score", "--data", "score.npy", "--quiet", "--threads", "1")
        name, *train = TRAININGS["cbn-train, hidden layers"]
        tasks = {
            "model and checkpoint": (
                "two.cbn",
                (name, *train, "--resume", "--out"),
                ("--learning-rate",),
                ("0.1", "0.2"),
            ),
            "picture": ("two.png", (*sample, "--out"), ("--seed",), ("1", "2")),
            "npz": ("two.npz", (*sample, "--out", "own.png", "--npz"), ("--seed",), ("1", "2")),
            "csv": ("two.csv", (*score, "--csv"), ("--false-alarm-rate",), ("0.1", "0.2")),
        }
        for what, (file, words, option, values) in tasks.items():
            path, possible = self.folder / file, []
            calls = [program(words[0], *words[1:], file, *option, value) for value in values]
            for call in calls:
                path.unlink(missing_ok=True)
                if ended(forked(call, self.folder)):
                    self.find(f"two writers: {what}: {(self.folder / 'errors').read_text()}")
                possible.append(path.read_bytes())
            for _ in range(rounds):
                children = []
                for i, call in enumerate(calls):
                    children.append(forked(call, self.folder, f"errors{i}"))
                    time.sleep(self.random.uniform(0, 0.02))
                statuses = [ended(child) for child in children]
                self.counts["two writers", what, f"ended with {sorted(statuses)}"] += 1
                if path.read_bytes() not in possible:
                    self.find(f"two writers: {what}: a file of neither")
                for i, status in enumerate(statuses):
                    text = (self.folder / f"errors{i}").read_text()
                    if status not in (0, 1) or (status and len(text.splitlines()) != 1):
                        self.find(f"two writers: {what}: ended with {status}: {text}")
                for left in self.folder.glob(f"{file}.*"):
                    left.unlink()

    # ---- full disks ----

    def full_disk(self):
        """Every program writes to a disk with a little room, over an earlier file."""
        place = self.folder / "disk"
        place.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", place], check=False).returncode == 0
        if not mounted:
            self.counts["full disk", "no right to mount one", "left out"] += 1
            return
        name, *train = TRAININGS["cbn-train, hidden layers"]
        energy = TRAININGS["cbn-iem-train"]
        sample = ("cbn-sample", "--model", "model.cbn", "--quiet", "--n")
        tasks = {
            "model": ((name, "--data", "score.npy", *RATE, "--out"), "x.cbn"),
            "model with a checkpoint": ((name, *train, "--out"), "x.cbn"),
            "energy model": ((*energy, "--out"), "x.cbn"),
            "picture": ((*sample, "400", "--out"), "x.png"),
            "npz": ((*sample, "400", "--out", "own.png", "--npz"), "x.npz"),
            "gif": ((*sample, "100", "--out", "own.png", "--gif"), "x.gif"),
            "csv": (("cbn-score", "--data", "score.npy", "--quiet", "--threads", "1", "--csv"), "x.csv"),
        }
        try:
            for what, (words, file) in tasks.items():
                for room in (0, 4096, 8192):
                    for old in place.iterdir():
                        old.unlink()
                    (place / file).write_bytes(b"earlier\n")
                    filler = 65536 - 4096 - room
                    (place / "filler").write_bytes(bytes(filler))
                    status = ended(forked(program(words[0], *words[1:], place / file), self.folder))
                    text = (self.folder / "errors").read_text()
                    self.counts["full disk", what, f"ended with {status}"] += 1
                    content = (place / file).read_bytes()
                    kept = content == b"earlier\n" or (file == "x.csv" and (not content or content.endswith(b"\n")))
                    others = sorted(p.name for p in place.iterdir() if p.name not in (file, "filler"))
                    lines = [line for line in text.splitlines() if "warning" not in line.lower()]
                    if status != 1 or len(lines) != 1 or "the disk is full" not in text:
                        self.find(f"full disk: {what}, {room}: ended with {status}: {text}")
                    if not kept or others not in ([], [f"{file}.checkpoint"]):
                        self.find(f"full disk: {what}, {room}: {len(content)} bytes, beside {others}")
        finally:
            subprocess.run(["umount", place], check=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=10, help="of every two writers")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    os.environ["CBN_DEBUG"] = ""
    folder = Path(tempfile.mkdtemp(prefix="cbn-kills-"))
    try:
        campaign, share = Campaign(folder, arguments.seed), arguments.kills // 20
        campaign.training("cbn-train, hidden layers", 5 * share)
        campaign.training("cbn-train, classifier", 3 * share)
        campaign.training("cbn-iem-train", 4 * share)
        campaign.saving(4 * share)
        campaign.scoring(arguments.kills - 16 * share)
        left = leftovers(folder)
        campaign.writers(arguments.rounds)
        if leftovers(folder) != left:
            campaign.find("two writers left temporary files")
        campaign.full_disk()
        for (what, how, outcome), n in sorted(campaign.counts.items()):
            print(f"| {what} | {how} | {outcome} | {n} |")
        print(f"kills: {campaign.sent}; temporary files that kills left, and that disturbed nothing: {len(left)}")
        print(f"findings: {len(campaign.findings)}")
        return 1 if campaign.findings else 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
