"""What components share: their outputs are those that their specification declares."""

from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component


class BaseComponent(base_component.BaseComponent):
    """Makes a channel for each of `SPEC_CLASS.OUTPUTS`."""

    def __init__(self, **given: Any):
        """Wires the component.

        Args:
            given: inputs and parameters of `SPEC_CLASS`; an optional one may be None.

        Raises:
            ValueError: one is missing.
            TypeError: one is none of its type.
        """
        outputs = {name: types.Channel(type=declared.type) for name, declared in self.SPEC_CLASS.OUTPUTS.items()}
        super().__init__(self.SPEC_CLASS(**given, **outputs))
