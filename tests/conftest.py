# SPDX-License-Identifier: BSD-3-Clause
"""Before the engine is loaded: threads that have nothing to do sleep, here and in the processes that tests start.

By default they spin for a while, which for thousands of tiny calls on busy cores is most of the time.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
