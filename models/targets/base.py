"""What a target is: how it is parsed, learned, answered, measured, gated and reported.

No gate, report or export code names a target; it asks this interface. Targets know nothing of inputs and methods.
"""

import abc
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import BaseModel

if TYPE_CHECKING:
    import tensorflow as tf

Value = tuple[str, ...] | tuple[float, ...]
"""What ingestion keeps of one example in the feature `label`: one class, several classes, or numbers."""


class Target(abc.ABC):
    """One kind of target with its settings. Making one, and what ingestion calls, import no TensorFlow.

    Args:
        options: its settings.
        names: of classes or numbers, in the order of the outputs; empty before they are known.

    Attributes:
        kind: its name in the registry.
        headline: name of the figure that stands for the whole, for instance `accuracy`.
        higher_is_better: the direction of `headline`.
        answer_name: the output of `serving_default` that is compared and measured: `probabilities`, `values`.
    """

    kind: ClassVar[str]
    headline: ClassVar[str]
    higher_is_better: ClassVar[bool]
    answer_name: ClassVar[str]

    def __init__(self, options: BaseModel, names: Sequence[str] = ()):
        self.options = options
        self.names = tuple(names)

    # Ingestion.

    @abc.abstractmethod
    def parse(self, row: Mapping[str, Any], class_names: Sequence[str] | None = None) -> Value:
        """Reads the target's columns of a source's row. Raises `models.inputs.base.Refused`."""

    @abc.abstractmethod
    def strata(self, value: Value) -> Sequence[str]:
        """Names under which an example is counted: its classes; one empty name for numbers."""

    # Learning.

    @property
    @abc.abstractmethod
    def units(self) -> int:
        """Outputs of the head."""

    @property
    @abc.abstractmethod
    def spec(self) -> "tf.TensorSpec":
        """Of a batch of encoded targets, with a leading None."""

    @abc.abstractmethod
    def encode(self, values: Sequence[Value]) -> np.ndarray:
        """Encoded targets, one row an example: int64 [n] for one label, float32 [n, k] else."""

    @abc.abstractmethod
    def losses(self, encoded: "tf.Tensor", outputs: "tf.Tensor", training: bool) -> "tf.Tensor":
        """Loss of each example, float32 [n]; in training with class weights and label smoothing."""

    @abc.abstractmethod
    def progress(self, encoded: "tf.Tensor", outputs: "tf.Tensor") -> "Mapping[str, tf.Tensor]":
        """Figures of each example whose mean is shown epoch by epoch: name -> float32 [n]."""

    # Answering.

    @abc.abstractmethod
    def answer(self, outputs: "tf.Tensor") -> "dict[str, tf.Tensor]":
        """What `serving_default` returns for the head's outputs, by name, `answer_name` among them."""

    # Measuring: NumPy only. `answers` is what `answer_name` holds, one row an example.

    @abc.abstractmethod
    def scores(self, encoded: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """A score of each example, float [n], the higher the better: what paired comparisons work on."""

    @abc.abstractmethod
    def figures(self, encoded: np.ndarray, answers: np.ndarray) -> dict[str, Any]:
        """All figures of a test split as JSON types, `examples`, `invalid` and `headline` among them."""
