# SPDX-License-Identifier: BSD-3-Clause
"""Before the engine is loaded: the threads of small calls are all started, so that tests see them work.

Elsewhere a call takes no more threads than its work is worth.
"""

import os

os.environ.setdefault("CBN_EVERY_THREAD", "1")
