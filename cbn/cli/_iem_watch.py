# SPDX-License-Identifier: BSD-3-Clause
"""cbn-iem-score --watch: scores every new picture of a folder once, as files arrive; the CSV file is the record of it."""

import argparse
import contextlib
import os
import re
import select
import signal
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..exceptions import DataError
from . import _common as common
from ._iem_folder import ArrivingPictures
from ._iem_maps import Maps
from ._iem_record import Record
from ._reading import naming_reader, reading
from ._row_files import live_rows
from ._verdicts import COLUMNS, at_rate, given_threshold, verdict_row, verdicts_of

if TYPE_CHECKING:
    from ..datasets import InspectionSet
    from ..iem.fitted import FittedEnergyModel

INTERVAL, PATIENCE = 1.0, 10.0  # seconds
UNREADABLE = "unreadable"
LOOKS = 3  # at files that are being written, with --once
_NAP = 0.05  # seconds between looks at whether to stop
_SKIP = ", or leave such out by --skip-bad"  # an option for lists
_PAGE = re.compile(r"(.*)\[\d+\]", re.DOTALL)


def watch(arguments: argparse.Namespace, fitted: "FittedEnergyModel", clock: common.Clock) -> dict[str, Any]:
    """Watches until it is told to stop, with --once until all that is there is scored; the summary for --json.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, with a message. After SIGTERM it returns.
    """
    if not os.path.isdir(arguments.watch):
        raise DataError(f"--watch: {arguments.watch!r} is no folder; create it, or give another")
    with (
        Record("--csv", arguments.csv, COLUMNS) as record,
        Maps(arguments, fitted, record) as maps,
        live_rows(arguments, COLUMNS) as tell,
        _stopping() as stop,
    ):
        watcher = _Watcher(arguments, fitted, record, maps, tell, stop)
        with clock.part("score"):
            watcher.run()
        maps.tell()
        counted = watcher.counted()
        if stop and stop[0] == signal.SIGINT:
            raise KeyboardInterrupt(f"interrupted; {counted}; the same command goes on")
        common.say(arguments, counted)
        return watcher.summary() | maps.summary()


@contextlib.contextmanager
def _stopping() -> Iterator[list[int]]:
    """A list that signals to stop are added to; a second one interrupts at once."""
    stop: list[int] = []

    def handle(number: int, frame: Any) -> None:
        if stop:
            raise KeyboardInterrupt
        stop.append(number)

    earlier: dict[int, Any] = {}
    with contextlib.suppress(ValueError):  # not in the main thread, which signals go to
        for number in (signal.SIGINT, signal.SIGTERM):
            earlier[number] = signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


class _Watcher:
    def __init__(
        self, arguments: argparse.Namespace, fitted: "FittedEnergyModel", record: Record, maps: Maps,
        tell: Callable[[dict[str, Any]], None], stop: list[int],
    ) -> None:  # fmt: skip
        self.arguments, self.fitted, self.record, self.maps, self.stop = arguments, fitted, record, maps, stop
        self.tell = tell
        self.calibration = at_rate(arguments, fitted.calibration)
        self.done = {_file_of(name) for name in record.files}
        self.pages: set[str] = set()  # of the last file of an earlier run, which may have more of them
        if record.files and _PAGE.fullmatch(record.files[-1]):
            last = _file_of(record.files[-1])
            self.done.remove(last)
            self.pages = {name for name in record.files if _file_of(name) == last}
        self.arriving = ArrivingPictures(
            arguments.watch, self.done.__contains__, arguments.interval or INTERVAL,
            PATIENCE if arguments.patience is None else arguments.patience, by_age=arguments.once,
        )  # fmt: skip
        if self.done:
            kept = f"{len(self.done):,} files of earlier runs in {arguments.csv}"
            common.say(arguments, f"{kept}; those of the same names are not scored again")
        self.rows: list[dict[str, Any]] = []  # kept with --once alone
        self.seconds: list[float] = []  # from taking a file to its row, of each of these
        self.n = dict.fromkeys(("outlier", "normal", "undecided", UNREADABLE), 0)
        self.basis, self.threshold = "none", None
        self._said: set[str] = set()

    def run(self) -> None:
        looks = 0
        while not self.stop:
            for name in self._ready():
                if self.stop:
                    return
                self._take(name)
            looks += 1
            if self.arguments.once and (not self.arriving.waiting or looks == LOOKS):
                if left := self.arriving.waiting:
                    common.say(self.arguments, f"{len(left):,} left for the next run, such as {left[0]}: not complete")
                return
            self._sleep(self.arriving.interval)

    def _ready(self) -> list[str]:
        """Pictures to read; none, with one warning, while the folder is away."""
        try:
            found = self.arriving.ready()
        except OSError as error:
            if self.arguments.once:
                raise
            self._once(f"--watch: {self.arguments.watch!r}: {error.strerror or error}; waiting for it")
            return []
        self._said = {line for line in self._said if "waiting for it" not in line}
        return found

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self.stop and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _NAP))

    def _once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            common.warn(self.arguments, line)

    def _take(self, name: str) -> None:
        """Reads and scores a file and writes what is known of it, or leaves it for later."""
        start = time.perf_counter()
        try:
            dataset = self._read(name)
        except DataError as error:
            if not os.path.exists(os.path.join(self.arguments.watch, name)):
                self._gone(name)
            elif not self.arriving.changed(name) and self.arriving.failed(name):
                self._give_up(name, error)
            return
        if self.arriving.changed(name):
            if not os.path.exists(os.path.join(self.arguments.watch, name)):
                self._gone(name)
            return
        read = time.perf_counter() - start
        rows = [row for row in self._score(name, dataset) if row["file"] not in self.pages]
        if not self._keep(rows):
            return
        self._finish(name)
        seconds = (time.perf_counter() - start) / max(1, len(rows))
        for row in rows:
            self.n[row["verdict"]] += 1
            p_value = "" if row["p_value"] is None else f", p = {row['p_value']:.4g}"
            common.say(
                self.arguments,
                f"{common.cell(row['file'])}: {row['verdict']}, energy {row['energy']:.6g}{p_value}, "
                f"{seconds:.3f} s ({read / len(rows):.3f} s to read)",
            )
        if self.arguments.once:
            self.rows += [{key: value for key, value in row.items() if key not in ("file", "score")} for row in rows]
            self.seconds += [seconds] * len(rows)

    def _gone(self, name: str) -> None:
        self.arriving.done(name)
        common.warn(self.arguments, f"{name}: taken away before it was scored")

    def _keep(self, rows: list[dict[str, Any]]) -> bool:
        """Who reads stdout is told before the record has the rows: after a kill between the two they are told twice, not never.

        False where it was told to stop while nobody read: the record is without them then.
        """
        for row in rows:
            while self.arguments.jsonl is not None and not select.select([], [1], [], _NAP)[1]:
                if self.stop:
                    return False
            self.tell(row)
        self.record.append(rows)
        return True

    def _finish(self, name: str) -> None:
        self.done.add(name)
        self.arriving.done(name)

    def _give_up(self, name: str, error: DataError) -> None:
        row = {"file": name, "label": _label_of(name), "verdict": UNREADABLE, "basis": "none"}
        self.maps.name_of(name)
        if not self._keep([row]):
            return
        self._finish(name)
        self.n[UNREADABLE] += 1
        common.warn(self.arguments, f"{str(error).removesuffix(_SKIP)}; recorded as {UNREADABLE}")
        if self.arguments.once:
            self.rows.append({"image": row.pop("file"), "energy": None, "p_value": None, **row})

    def _read(self, name: str) -> "InspectionSet":
        from ..datasets import load_test

        height, width, channels = self.fitted.picture_shape
        path = os.path.join(self.arguments.watch, name)
        with naming_reader("--watch"):
            dataset = load_test(path, (height, width), "grey" if channels == 1 else "rgb", **reading(self.arguments))
        for line in dataset.report.lines():  # of each kind once
            kind = re.sub(r"^\d+ pictures? | \([^()]*\)$", "", line)
            if kind not in self._said:
                self._said.add(kind)
                common.say(self.arguments, f"--watch: {line}")
        return dataset

    def _score(self, name: str, dataset: "InspectionSet") -> list[dict[str, Any]]:
        """A row for every page, its maps written."""
        assert dataset.test is not None and dataset.test_names is not None
        scores = self.fitted.judged_scores(dataset.test)
        found = verdicts_of(self.arguments, self.calibration, scores)
        self.basis, self.threshold = found.basis, found.threshold
        values = self.maps.of(dataset.test) if self.maps.wanted else None
        rows = []
        for i, score in enumerate(scores.tolist()):
            page = dataset.test_names[i][len(os.path.basename(name)) :]
            row = {
                "image": name + page,
                "file": name + page,
                "label": _label_of(name),
                "energy": -score,
                "score": score,
            }
            row |= verdict_row(found, i) | {"threshold": found.threshold}
            if values is not None and row["file"] not in self.pages:
                self.maps.write(dataset.test[i], values[i], row)
            rows.append(row)
        return rows

    def counted(self) -> str:
        """What this run did, in words."""
        from ..datasets.report import plural

        n = sum(self.n.values())
        more = "".join(f", {self.n[kind]:,} {kind}" for kind in ("undecided", UNREADABLE) if self.n[kind])
        outliers = plural(self.n["outlier"], "outlier")
        return f"{plural(n, 'new picture')} in {self.arguments.csv}: {outliers}{more}"

    def summary(self) -> dict[str, Any]:
        """For --json."""
        given = given_threshold(self.arguments)
        return {
            "n": len(self.rows),
            "threshold": None if self.threshold is None else -self.threshold,
            "n_outliers": self.n["outlier"],
            "n_undecided": self.n["undecided"],
            "n_unreadable": self.n[UNREADABLE],
            "n_waiting": len(self.arriving.waiting),
            "basis": self.basis,
            "false_alarm_rate": None if given is not None else self.calibration.false_alarm_rate,
            "calibration": self.calibration.source,
            "n_calibration": len(self.calibration.scores),
            "images": self.rows,
            "latency": self.seconds,
        }


def _file_of(name: str) -> str:
    """ "stack.tif[2]" is in stack.tif."""
    page = _PAGE.fullmatch(name)
    return page[1] if page else name


def _label_of(name: str) -> str | None:
    """The sub-folder that a picture lies in, as of --data; "good" where it is called so or alike."""
    from ..datasets.layout import GOOD, is_good

    folder = os.path.basename(os.path.dirname(name))
    return GOOD if is_good(folder) else folder or None
