# SPDX-License-Identifier: BSD-3-Clause
"""A folder that pictures arrive in: which of them are there, complete and not yet done. Nothing in it is changed."""

import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass
class _Seen:
    """A picture that is not done."""

    state: tuple[int, int]  # size and time of change
    since: float  # by the monotonic clock: when it was first seen so
    failed_at: float | None = None  # when it could last not be read


class ArrivingPictures:
    """The pictures of a folder and its sub-folders, each handed out once it is complete.

    Parameters
    ----------
    folder : str
    is_done : callable
        Whether the picture of a name, with its sub-folders, needs no attention any more.
    interval : float
        Seconds that size and time of change of a file must stay the same before it is read.
    patience : float
        Seconds without a change after which a file that cannot be read is given up.
    by_age : bool
        A file's age by its time of change counts for ``patience`` as well.
    """

    def __init__(
        self, folder: str, is_done: Callable[[str], bool], interval: float, patience: float, *, by_age: bool
    ) -> None:
        self.folder, self.is_done, self.interval, self.patience = folder, is_done, interval, patience
        self.by_age = by_age
        self._seen: dict[str, _Seen] = {}

    def ready(self) -> list[str]:
        """Names of pictures to read now, oldest first. Raises OSError where the folder cannot be listed."""
        found = self._states()
        now, clock = time.monotonic(), time.time()
        for name in [name for name in self._seen if name not in found]:
            del self._seen[name]  # taken away
        chosen = []
        for name, state in found.items():
            seen = self._seen.get(name)
            if seen is None or seen.state != state:
                seen = self._seen[name] = _Seen(state, now)
            settled = now - seen.since >= self.interval or clock - state[1] / 1e9 >= self.interval
            rested = seen.failed_at is None or now - seen.failed_at >= self.interval
            if settled and rested:
                chosen.append((state[1], name))
        return [name for _, name in sorted(chosen)]

    @property
    def waiting(self) -> list[str]:
        """Names of pictures that have been seen and are not done."""
        return sorted(self._seen)

    def changed(self, name: str) -> bool:
        """Whether a picture has changed since it was handed out, or is gone."""
        return _state(os.path.join(self.folder, name)) != self._seen[name].state

    def done(self, name: str) -> None:
        self._seen.pop(name, None)

    def failed(self, name: str) -> bool:
        """It cannot be read; True where it is time to give it up."""
        seen, now = self._seen[name], time.monotonic()
        seen.failed_at = now
        unchanged = now - seen.since
        if self.by_age:
            unchanged = max(unchanged, time.time() - seen.state[1] / 1e9)
        return unchanged >= self.patience

    def _states(self) -> dict[str, tuple[int, int]]:
        from ..datasets.pictureformats import is_picture_name

        found: dict[str, tuple[int, int]] = {}
        folders = [""]
        while folders:
            below = folders.pop()
            try:
                with os.scandir(os.path.join(self.folder, below)) as entries:
                    listed = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
            except OSError:
                if not below:
                    raise
                continue  # a sub-folder that has gone, or may not be read
            for own, is_folder in listed:
                name = f"{below}/{own}" if below else own
                if own.startswith("."):
                    continue
                if is_folder:
                    folders.append(name)
                elif is_picture_name(Path(own)) and not self.is_done(name):
                    state = _state(os.path.join(self.folder, name))
                    if state is not None:
                        found[name] = state
        return found


def _state(path: str) -> tuple[int, int] | None:
    """(size, time of change) of a plain file, or None."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None
