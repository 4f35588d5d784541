# SPDX-License-Identifier: BSD-3-Clause
"""Files are read without the warnings of those who decode them: what counts is checked, and said in one line."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_readers = 0
_filters: "warnings.catch_warnings[None]"


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings while it lasts, but that Pillow's of too large pictures is an error.

    Filters of warnings belong to the whole process. Of readers in several threads the first one sets them, and the last one puts
    back what was there: each for itself would put back what another one had set. Threads that decode for a reader need not enter.
    """
    global _readers, _filters
    with _lock:
        if _readers == 0:
            _filters = warnings.catch_warnings()
            _filters.__enter__()
            warnings.simplefilter("ignore")
            # between one and two times its limit Pillow only warns; both mean a picture far too large to learn from
            warnings.filterwarnings("error", "Image size .* exceeds limit", Warning)
        _readers += 1
    try:
        yield
    finally:
        with _lock:
            _readers -= 1
            if _readers == 0:
                _filters.__exit__(None, None, None)
