# SPDX-License-Identifier: BSD-3-Clause
"""Model files as the programs of introspective energy models read them, and their rows as they print them."""

from typing import TYPE_CHECKING, Any

from ..exceptions import ModelFileError

if TYPE_CHECKING:
    from ..iem.fitted import FittedEnergyModel
    from ..iem.gaussian.fitted import FittedGaussianModel


def load_fitted(path: str) -> "FittedEnergyModel | FittedGaussianModel":
    """The introspective energy model of a model file."""
    from ..iem.files.modelfile import KIND, restore
    from ..iem.gaussian import files as gaussian
    from ..io.modelformat import read_model

    def of_another_kind(archive: Any, header: Any) -> None:
        return None

    of_energies: dict[str, Any] = {KIND: restore, gaussian.KIND: gaussian.restore}
    found = read_model(path, of_energies | {"network": of_another_kind, "classifier": of_another_kind})
    if found is None:
        raise ModelFileError(f"{path!r}: a Bayesian network; the programs for it are cbn-score and cbn-show")
    return found


def cell(value: object) -> str:
    """A value in a table: six digits; tabs, line breaks and other control characters escaped; "-" for None."""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = "-" if value is None else str(value)
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
