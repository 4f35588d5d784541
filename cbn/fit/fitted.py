# SPDX-License-Identifier: BSD-3-Clause
"""A fitted network: frozen; what programs and estimators ask, files keep and pickle copies."""

import os

from .. import _validation as validation
from ..exceptions import DataError
from ..io.export import Format, export_network
from ..layers.kernels import save_kernels
from .detection import Detection
from .drawing import Drawing
from .insight import Insight
from .writing import save_network


class Fitted(Detection, Insight, Drawing):
    """A network that was fitted, with everything that its methods read; see :class:`cbn.fit.state.FittedState`."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a model file (.cbn) that :func:`cbn.load` reads; complete or not at all."""
        save_network(self, path)

    def export(self, path: str | os.PathLike[str], *, layer: int = 0, format: Format | None = None) -> None:
        """Write one layer as a file of other programs: BIF, XMLBIF or UAI, by the ending or ``format``; see cbn.io.export.

        Every layer is a Bayesian network of its own; the product of layers is none, so they are exported one by one.

        Raises
        ------
        ValueError
            Boosted or tied trees, tables that would be too large, no such layer, or an unknown format.
        """
        layer = validation.check_integer(layer, "layer", 0, len(self.network) - 1)
        export_network(
            self.network.networks[layer], path, layer=layer, what="hidden" if layer else "pixel",
            thresholds=self.binarization.thresholds if layer == 0 else (), format=format,
        )  # fmt: skip

    def save_kernels(self, path: str | os.PathLike[str]) -> None:
        """Write the kernels of the hidden layers alone (.npz), to be given to ``cbn.Features(kernels=...)``.

        Raises
        ------
        DataError
            The model has no hidden layer.
        """
        if not self.hidden_layers:
            raise DataError("save_kernels: the model has no hidden layers; fit one with preset='hidden'")
        save_kernels([trained.kernels for trained in self.hidden_layers], path)

    def __repr__(self) -> str:
        s, (height, width) = self.settings, self.image_shape
        hidden = "".join(f", {t.kernels.weights.shape[0]} features" for t in self.hidden_layers)
        return (
            f"<{type(self).__name__} {s.preset!r}: {s.cpd!r}{hidden}, of {self.n_images:,} images {height} x {width}, "
            f"{self.rule}>"
        )
