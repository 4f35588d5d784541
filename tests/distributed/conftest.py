# SPDX-License-Identifier: BSD-3-Clause
"""A cluster of two processes on this machine, one for all tests of a file; without dask the tests are skipped."""

import contextlib
import os
import signal

import pytest


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed", reason="dask is not installed: pip install 'cbn[distributed]'")
    with (
        # spawned, not forked: the engine's threads have run in this process
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            host="127.0.0.1",
            memory_limit=0,
        ) as cluster,
        distributed.Client(cluster) as own,
    ):
        yield own


@pytest.fixture
def killing(client, monkeypatch):
    """Call it with numbers of rounds: after each of these one of the workers is killed."""
    from cbn.distributed.cluster import Cluster

    # dask does not always start a killed worker again; the other one is enough then
    with contextlib.suppress(TimeoutError):
        client.wait_for_workers(2, timeout=20)
    killed = []

    def after(*rounds):
        record = Cluster._record

        def recorded(self, *arguments):
            record(self, *arguments)
            if len(self.traffic.rounds) in rounds:
                own = client.run(os.getpid)
                killed.append(min(own.values()))
                os.kill(killed[-1], signal.SIGKILL)

        monkeypatch.setattr(Cluster, "_record", recorded)
        return killed

    return after
