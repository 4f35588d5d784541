# SPDX-License-Identifier: BSD-3-Clause
"""Fits an introspective energy model in a process of its own and prints, as JSON, the process's peak memory.

Arguments: engine ("cbn" or "torch"), number of pictures, threads. Started by ``cases_iem``.
"""

import json
import sys

from arrays import Images
from cases_iem import level_inputs, pictures_of, training
from memory_child import rise_of

from cbn import IntrospectiveEnergyModel
from cbn.iem import Training


def fit_cbn(pictures: Images, threads: int) -> None:
    IntrospectiveEnergyModel(training=Training(epochs=1), n_jobs=threads, random_state=0).fit(pictures)


def fit_torch(pictures: Images, threads: int) -> None:
    """An epoch of every level; the activations of all pictures are kept, as the usual loop over levels does."""
    import torch
    from peer_torch import TorchLevel, channels_first

    torch.set_num_threads(threads)
    for state in training(pictures[:8], 1, threads).run():  # only for parameters to start from
        levels = state.levels
    below = channels_first(level_inputs(levels[:1], pictures)[0])
    for model in levels:
        level = TorchLevel(model)
        level.epoch(below, torch.randperm(len(pictures)), 8)
        below = torch.cat([level.look(part)[0] for part in below.split(8)])


def main() -> None:
    engine, n, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    pictures = pictures_of(n)
    rise, how, _ = rise_of(lambda: {"cbn": fit_cbn, "torch": fit_torch}[engine](pictures, threads))
    print(json.dumps({"bytes": rise, "how": how}))


if __name__ == "__main__":
    main()
