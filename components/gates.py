"""Gates: named limits that stop a run."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from graft.models.errors import GraftError
from graft.models.gates import Gate

if TYPE_CHECKING:
    from tfx import types

FILE_NAME = "gates.json"
BLESSED = "blessed"
"""Custom property of a blessing artifact: 1 if every gate passed. TFX's own Evaluator and Pusher use the same name."""


class GateClosed(GraftError):
    """A gate stopped the run.

    Attributes:
      stage: The stage whose gates were checked.
      gates: All gates of that stage, passed or not.
    """

    def __init__(self, stage: str, gates: Iterable[Gate]):
        self.stage = stage
        self.gates = tuple(gates)
        failed = [str(gate) for gate in self.gates if not gate.passed]
        super().__init__(f"{stage}: gate closed: " + "; ".join(failed))


def write_gates(folder: str, gates: Iterable[Gate]) -> str:
    """Writes `gates.json` into `folder`, which is made if need be, and returns its path."""
    path = pathlib.Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    file = path / FILE_NAME
    file.write_text(json.dumps([dataclasses.asdict(gate) for gate in gates], indent=2) + "\n")
    return str(file)


def read_gates(folder: str) -> list[Gate]:
    """Reads what `write_gates` wrote."""
    return [Gate(**gate) for gate in json.loads((pathlib.Path(folder) / FILE_NAME).read_text())]


def check(stage: str, gates: Iterable[Gate]) -> None:
    """Raises `GateClosed` if a gate of `stage` did not pass."""
    gates = tuple(gates)
    if not all(gate.passed for gate in gates):
        raise GateClosed(stage, gates)


def bless(blessing: types.Artifact, gates: Iterable[Gate]) -> None:
    """Writes the verdict of a stage into its blessing artifact; a closed gate leaves blessed = 0."""
    gates = tuple(gates)
    write_gates(blessing.uri, gates)
    blessing.set_int_custom_property(BLESSED, int(all(gate.passed for gate in gates)))


def require_open(stage: str, blessing: types.Artifact) -> None:
    """Raises `GateClosed` with the gates of `stage` unless its blessing says blessed = 1."""
    if blessing.get_int_custom_property(BLESSED) != 1:
        raise GateClosed(stage, read_gates(blessing.uri))
