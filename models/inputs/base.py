"""What an input is: what may enter, how it becomes what a backbone takes, how it is shown.

Nothing outside of `models/inputs/KIND` knows what the bytes mean.
"""

import abc
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

Facts = dict[str, int | str]
"""What is known of one example beside its bytes, by name: an image's width, height and format, a text's length."""


class Refused(Exception):
    """An example that is not used.

    Attributes:
        reason: a stable code, a key of `Input.REASONS` or of ingestion's own reasons.
        detail: what is wrong with this one, with the value received and what is allowed.
    """

    def __init__(self, reason: str, detail: str):
        super().__init__(detail)
        self.reason, self.detail = reason, detail


class Input(abc.ABC):
    """One kind of input with its settings. Making one, and `admit`, import no TensorFlow.

    Attributes:
        kind: its name in the registry.
        unit: what several are called, for people: `images`.
        signature_name: of the tensor that a served model takes: `image_bytes`.
        REASONS: codes of `Refused`, each with one line for people.
        FACTS: names of the facts and their types; statistics and schema look at them.
    """

    kind: ClassVar[str]
    unit: ClassVar[str]
    signature_name: ClassVar[str]
    REASONS: ClassVar[Mapping[str, str]]
    FACTS: ClassVar[Mapping[str, type]]

    # Entering.

    @abc.abstractmethod
    def admit(self, content: bytes) -> Facts:
        """Looks at what can be told cheaply, without unpacking.

        Raises:
            Refused: it is too large, of another type, or announces too much.
        """

    @abc.abstractmethod
    def cost(self, facts: Facts) -> int:
        """How much work `verify` has with one; `BATCH_COST` bounds the sum in a call."""

    BATCH_COST: ClassVar[int]

    @abc.abstractmethod
    def verify(self, contents: Sequence[bytes], facts: Sequence[Facts]) -> list[bytes | Refused]:
        """Proves that the model will be able to read admitted contents; may be called from several threads.

        Returns:
            For each the bytes to store (another encoding, where the model could not read the one received), or why it
            is not used.
        """

    # On the way to the backbone.

    @property
    @abc.abstractmethod
    def spec(self) -> "tf.TensorSpec":
        """What `prepare` returns and a backbone takes, with a leading None."""

    @abc.abstractmethod
    def prepare(self, contents: "tf.Tensor") -> "tf.Tensor":
        """Contents as stored, string [n], as a batch of `spec`; graph operations only; n may be 0."""

    @abc.abstractmethod
    def augment(self, prepared: "tf.Tensor", seed: "tf.Tensor") -> "tf.Tensor":
        """One example of `spec`, without the leading dimension, changed at random by the settings; seed int64 [2]."""

    @property
    @abc.abstractmethod
    def augments(self) -> bool:
        """Whether the settings change anything at all."""

    @abc.abstractmethod
    def plain(self, splits: "Mapping[str, Sequence[bytes] | Any]", stage: str) -> dict[str, np.ndarray]:
        """The plain form that references get in place of features: float32 [n, d] for each split's contents."""

    # For people and servers.

    @abc.abstractmethod
    def preview(self, content: bytes) -> Mapping[str, str]:
        """How a report shows one: `{"image": data URI}` or `{"text": shortened text}`."""

    @abc.abstractmethod
    def drawn(self) -> list[bytes]:
        """A few made-up contents, for requests that warm a server up; nobody's data is in them."""
