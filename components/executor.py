"""What is around an executor's own work: its artifacts by name, its parameters typed."""

from __future__ import annotations

import abc
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

if TYPE_CHECKING:  # imports pydantic, which executors of TFX's components do without
    from graft.components.parameters import BaseParameters


class Artifacts:
    """The inputs or the outputs of an execution, one artifact a name.

    All but `has` raise KeyError where there is no such name, ValueError where it does not hold just one artifact.
    """

    def __init__(self, found: Mapping[str, list[types.Artifact]]):
        self._found = found

    def has(self, name: str) -> bool:
        """Whether an optional input is there."""
        return bool(self._found.get(name))

    def artifact(self, name: str) -> types.Artifact:
        """With its properties."""
        return artifact_utils.get_single_instance(self._found[name])

    def uri(self, name: str) -> str:
        """Where it lies."""
        return self.artifact(name).uri

    def path(self, name: str) -> pathlib.Path:
        """Where it lies."""
        return pathlib.Path(self.uri(name))

    def splits(self, name: str) -> list[str]:
        """Names of its splits."""
        return artifact_utils.decode_split_names(self.artifact(name).split_names)

    def split_uri(self, name: str, split: str) -> str:
        """Where one of its splits lies; ValueError if it is none of them."""
        return artifact_utils.get_split_uri([self.artifact(name)], split)


class BaseExecutor(base_executor.BaseExecutor):
    """An executor with a `run`.

    Attributes:
        PARAMETERS: the model of the component's parameters; None where TFX alone declares them.
    """

    PARAMETERS: ClassVar[type[BaseParameters] | None] = None

    def Do(self, input_dict: dict[str, list], output_dict: dict[str, list], exec_properties: dict[str, Any]) -> None:
        """What TFX calls."""
        self._log_startup(input_dict, output_dict, exec_properties)
        given = self.PARAMETERS.load(exec_properties) if self.PARAMETERS else exec_properties
        self.run(Artifacts(input_dict), Artifacts(output_dict), given)

    @abc.abstractmethod
    def run(self, inputs: Artifacts, outputs: Artifacts, given: Any) -> None:
        """Does the work; `given` are the `PARAMETERS`, or TFX's `exec_properties` as they are."""
