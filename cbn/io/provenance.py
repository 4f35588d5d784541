# SPDX-License-Identifier: BSD-3-Clause
"""What the programs keep in the provenance of a model: the command that makes it again."""

from collections.abc import Mapping
from typing import Any

# Program and options, as text, that made the model. What changes the model leaves it out.
COMMAND = "command"


def without_command(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """The provenance of a model that is no longer what its command makes."""
    return {name: value for name, value in provenance.items() if name != COMMAND}
