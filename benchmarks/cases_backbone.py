# SPDX-License-Identifier: BSD-3-Clause
"""The pretrained network that comes with the package, beside the same network in PyTorch."""

from importlib.util import find_spec

import numpy as np
from arrays import Facts
from context import SEED, Context
from measure import Engine, goal, interleave, pair_ratio, summary

from cbn import _engine
from cbn.iem.pretrained.efficientnet import WANTED, EfficientNetLite0

SIDES, BATCHES = (224, 320), (1, 8)


def backbone(context: Context) -> Facts:
    network, rng = EfficientNetLite0(), np.random.default_rng(SEED)
    with_torch = find_spec("torch") is not None
    peers = {}
    if with_torch:
        import torch
        from peer_backbone import TorchEfficientNet

        peers = {"channels first": TorchEfficientNet(), "channels last": TorchEfficientNet(channels_last=True)}
    table, goals = [], []
    for threads in sorted({1, context.threads}):
        if with_torch:
            torch.set_num_threads(threads)
        for side in SIDES:
            for n in BATCHES:
                pictures = rng.integers(0, 256, (n, side, side, 3), dtype=np.uint8)
                own = network.features(pictures, num_threads=threads)
                engines = [Engine("cbn", lambda p=pictures, t=threads: network.features(p, num_threads=t))]
                for name, peer in peers.items():
                    furthest = max(
                        float(np.abs(maps - theirs.permute(0, 2, 3, 1).numpy()).max() / np.abs(maps).max())
                        for maps, theirs in zip(own, peer.features(pictures, WANTED))
                    )
                    engines.append(
                        Engine(f"PyTorch, {name}", lambda p=pictures, o=peer: o.features(p, WANTED),
                               accuracy={"furthest from cbn, of the maximum": f"{furthest:.0e}"})
                    )  # fmt: skip
                seconds = interleave(engines, max(3, context.rounds // 2) if context.quick else context.rounds)
                # the faster of the two formats is the peer
                reference = min(engines[1:] or engines, key=lambda e: np.median([*seconds[e.name].values()])).name
                what = f"{n} picture{'s' if n > 1 else ''} of {side} x {side}, {threads} thread{'s' if threads > 1 else ''}"
                for engine in engines:
                    ratio = pair_ratio(seconds[engine.name], seconds[reference])
                    table.append(
                        {"engine": f"{engine.name}: {what}", **summary(seconds[engine.name]), "ratio": ratio,
                         "accuracy": engine.accuracy}
                    )  # fmt: skip
                if with_torch:
                    ratio = pair_ratio(seconds["cbn"], seconds[reference])
                    goals.append(goal(f"{what}: at most 1.0 of PyTorch's time", f"{ratio:.2f}", ratio <= 1))
                    goals.append(goal(f"{what}: at most 0.6", f"{ratio:.2f}", ratio <= 0.6, stretch=True))
    note = "" if with_torch else " PyTorch is not installed (`pip install torch`), so its rows are missing."
    return {
        "title": "EfficientNet-Lite0: blocks 0 to 10 of the embedded network",
        "about": f"From pictures of bytes to the outputs of blocks 2, 4, 7 and 10, instruction set {_engine.instruction_set()}. "
        "PyTorch has the same folded weights, clips in place and keeps no gradients; it runs in both memory formats, and the "
        "faster is 1. Weights and activations are in single precision everywhere." + note,
        "rows": table,
        "goals": goals,
    }
