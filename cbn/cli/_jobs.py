# SPDX-License-Identifier: BSD-3-Clause
"""What programs that train share: the bar of a job of one or several models, and checkpoints beside model files.

Beside the model file OUT lies OUT.checkpoint while it is trained. It is removed once the model is written, so that at
any moment one of them holds what was learned.
"""

import argparse
import contextlib
import os
from typing import Any, Self

from ..exceptions import CbnError
from . import _common as common


def checkpoint_path(out: str) -> str | None:
    """Where the checkpoint of a model file lies; None for pipes and devices, which nothing can lie beside."""
    return f"{out}.checkpoint" if os.path.isfile(out) or not os.path.exists(out) else None


def check_checkpoints(arguments: argparse.Namespace, outs: list[str]) -> None:
    """Without --resume, refuses to train where that would cost the checkpoint of an earlier training.

    With it, says so where there is nothing to go on from: that is no error, so that a script can try again and again.
    """
    checkpoints = [path for path in map(checkpoint_path, outs) if path is not None]
    if arguments.resume:
        if not any(map(os.path.exists, (*checkpoints, *outs))):
            which = outs[0] if len(outs) == 1 else f"{outs[0]} ... {outs[-1]}"
            common.say(arguments, f"{which}: nothing to go on from; training begins at the start")
        return
    for path in checkpoints:
        if os.path.lexists(path):
            raise CbnError(
                f"{path!r}: the checkpoint of a training that did not end; go on from it with --resume, or delete it "
                "to begin anew"
            )


def remove_checkpoint(out: str) -> None:
    """The model is written: its checkpoint has had its day."""
    if (path := checkpoint_path(out)) is not None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def interrupted_message(message: str, checkpoint: str | None) -> str:
    """The message, and how to go on."""
    if checkpoint is None or not os.path.exists(checkpoint):
        return message
    return f"{message}; the same command with --resume goes on from its checkpoint"


class Bar:
    """The bar of a job of one or several models.

    Parameters
    ----------
    arguments : argparse.Namespace
    n_models : int
    per_model : int
        Steps of a model.
    unit : str
    """

    def __init__(self, arguments: argparse.Namespace, n_models: int, per_model: int, unit: str) -> None:
        self.arguments, self.n_models, self.finished_models, self.per_model = arguments, n_models, 0, per_model
        self.bar: Any = common.progress(None, arguments, n_models * per_model, unit, "training")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if exception[0] is None:
            self.bar.refresh()  # the last steps came too soon after one another to be drawn
        self.bar.close()

    def move(self, steps: int, trained: int) -> None:
        """To a number of steps of the present model, the last ``trained`` of them new.

        Any others before them were done by an earlier run and must not count as speed.
        """
        if self.bar.disable:
            return
        earlier = self.finished_models * self.per_model + steps - trained - self.bar.n
        self.bar.initial += earlier
        self.bar.n += earlier
        self.bar.update(trained)

    def end(self) -> None:
        """The model is done, whether it was trained or found complete."""
        self.move(self.per_model, trained=0)
        self.finished_models += 1

    def say(self, message: str) -> None:
        """A message on stderr that does not mix with the bar."""
        self.bar.clear()
        common.say(self.arguments, message)
