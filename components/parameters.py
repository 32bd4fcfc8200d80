"""The parameters of a component: typed in Python, strings and whole numbers in TFX.

A component declares one model of them. Its specification, what its executor reads and what lineage shows follow from
that model: nothing else turns a parameter into text or back.
"""

import json
from collections.abc import Mapping
from typing import Any, Self

import pydantic
from tfx.types.component_spec import ExecutionParameter


class BaseParameters(pydantic.BaseModel):
    """What a component is given beside its inputs; a component's own are fields of a subclass.

    TFX takes the value of each as part of the stage's cache key.

    Attributes:
        code: version of the code, so that a change of it is no cache hit.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    code: str = ""

    @classmethod
    def declared(cls) -> dict[str, ExecutionParameter]:
        """The `PARAMETERS` of a TFX component specification."""
        return {name: ExecutionParameter(type=int if cls._is_whole(name) else str) for name in cls.model_fields}

    def dump(self) -> dict[str, str | int]:
        """Values of `declared`: text and whole numbers as they are, yes or no as 1 or 0, all else as JSON.

        Keys of JSON are sorted: equal values are one cache key, whoever made them.
        """
        values = self.model_dump(mode="json", by_alias=True)
        return {name: self._plain(name, value) for name, value in values.items()}

    def _plain(self, name: str, value: Any) -> str | int:
        if self._is_whole(name):
            return int(value)
        return value if self._is_text(name) else json.dumps(value, sort_keys=True)

    @classmethod
    def load(cls, exec_properties: Mapping[str, Any]) -> Self:
        """Reads what `dump` gave to TFX.

        Args:
            exec_properties: of an execution; those that the model does not know are TFX's own.

        Raises:
            ValidationError: a parameter is missing, or is none of its type.
        """
        given = {name: exec_properties[name] for name in cls.model_fields if name in exec_properties}
        return cls.model_validate(
            {name: v if cls._is_whole(name) or cls._is_text(name) else json.loads(v) for name, v in given.items()}
        )

    @classmethod
    def _is_whole(cls, name: str) -> bool:
        return cls.model_fields[name].annotation in (int, bool)

    @classmethod
    def _is_text(cls, name: str) -> bool:
        return cls.model_fields[name].annotation is str
