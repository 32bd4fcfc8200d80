"""A second way into a model, for what somebody else has decoded: an input that has one gives it as `Input.values`."""

import abc
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import tensorflow as tf


class Values(abc.ABC):
    """Contents as numbers that a client sends in place of the bytes. Making one imports no TensorFlow.

    Attributes:
        name: of the tensor that the signature takes: `pixels`.
    """

    name: ClassVar[str]

    @property
    def signature(self) -> str:
        """Name of the signature: `serving_pixels`."""
        return f"serving_{self.name}"

    @property
    @abc.abstractmethod
    def spec(self) -> "tf.TensorSpec":
        """What the signature takes, with a leading None; called `name`."""

    @property
    @abc.abstractmethod
    def told(self) -> str:
        """The same and the values that are allowed, for people."""

    @abc.abstractmethod
    def prepare(self, values: "tf.Tensor", checked: bool = True) -> "tf.Tensor":
        """A batch of `spec` as one of `Input.spec`; graph operations only; n may be 0.

        Args:
            values: as a client sent them.
            checked: whether another shape and values that are not allowed fail, as InvalidArgumentError, when run.
        """

    @abc.abstractmethod
    def from_prepared(self, prepared: "tf.Tensor") -> "tf.Tensor":
        """The inverse of `prepare`."""
