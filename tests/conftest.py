# SPDX-License-Identifier: BSD-3-Clause
"""Before the engine is loaded: the threads of small calls are all started, so that tests see them work.

Elsewhere a call takes no more threads than its work is worth.
"""

import os

os.environ.setdefault("CBN_EVERY_THREAD", "1")

# Of workers that take files in this order none is left alone with one of these at the end.
LONGEST = ("test_docs.py", "test_readme.py", "test_fuzz_modelfile.py", "test_golden.py")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
