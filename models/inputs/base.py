"""What an input is: what may enter, how it becomes what a backbone takes, how it is shown.

Nothing outside of `models/inputs/KIND` knows what the bytes mean.
"""

import abc
import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from graft.models.errors import GraftError
from graft.models.inputs.values import Values

if TYPE_CHECKING:
    import keras
    import numpy as np
    import tensorflow as tf
    from pydantic import BaseModel

Facts = dict[str, int | str]
"""What is known of one example beside its bytes, by name: an image's width, height and format, a text's length."""

Watcher = Callable[[bytes], dict[str, float | str | None]]
"""Gives the signals of one content, by the names of `Input.SIGNALS`; None where there is none. It never raises."""

READABLE, UNREADABLE = "yes", "no"
"""Values of the signal `readable`, which every kind of input has."""


@dataclasses.dataclass(frozen=True)
class Known:
    """What a backbone is known to take.

    Attributes:
        input: settled.
        how: `table` or `metadata`.
        reason: the end of a sentence that names the choice.
    """

    input: "Input"
    how: str
    reason: str


class Refused(Exception):
    """An example that is not used.

    Attributes:
        reason: a stable code, a key of `Input.REASONS` or of ingestion's own reasons.
        detail: what is wrong with this one, with the value received and what is allowed.
    """

    def __init__(self, reason: str, detail: str):
        super().__init__(detail)
        self.reason, self.detail = reason, detail


class Contents(Protocol):
    """Contents of a split as stored, which may be read again and again; `len` says how many."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]: ...


class Input(abc.ABC):
    """One kind of input with its settings; equal to another of equal settings.

    Making one, and `admit`, import no TensorFlow.

    Args:
        options: its settings; None: the default ones, made when somebody asks for them. A client of a server lacks
            pydantic, and sends contents without.

    Attributes:
        kind: its name in the registry.
        unit: what several are called, for people: `images`.
        one: what one is called: `image`.
        rows: what the plain form is called: `rows of pixels`.
        signature_name: of the tensor that a served model takes: `image_bytes`.
        column: where a source's content is by default: `image`.
        reads_paths: whether the cell of a text table holds the path of a file; else it holds the content itself.
        suffixes: ends of the names of files that are such contents, in small letters.
        REASONS: codes of `Refused`, each with one line for people.
        FACTS: names of the facts and their types; statistics and schema look at them.
        SIGNALS: what is watched of contents that are served, `readable` among it: the unit of a number (may be empty),
            None for a category.
        LEARNS: number of contents that `learned` wants to see.
        SHAPING: settings that the shape of `spec` hangs on and that a network's own shape tells, see `fitting`.
        SETTLES: the setting that may be `auto` and is then chosen for backbone and data; None where there is none.
    """

    kind: ClassVar[str]
    unit: ClassVar[str]
    one: ClassVar[str]
    rows: ClassVar[str]
    signature_name: ClassVar[str]
    column: ClassVar[str]
    reads_paths: ClassVar[bool]
    suffixes: ClassVar[tuple[str, ...]]
    REASONS: ClassVar[Mapping[str, str]]
    FACTS: ClassVar[Mapping[str, type]]
    SIGNALS: ClassVar[Mapping[str, str | None]] = {"bytes": "bytes", "readable": None}
    LEARNS: ClassVar[int] = 0
    SHAPING: ClassVar[tuple[str, ...]] = ()
    SETTLES: ClassVar[str | None] = None

    def __init__(self, options: "BaseModel | None" = None):
        if options is not None:
            self.options = options

    @functools.cached_property
    def options(self) -> Any:
        """Its settings."""
        from graft.models.inputs import KINDS

        return KINDS.options(self.kind)()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.options == self.options  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash((type(self), self.options))

    # Entering.

    @property
    def limit(self) -> int:
        """Most bytes of a content; more are not read."""
        return self.options.max_bytes

    def packer(self, shape: Sequence[int]) -> Callable[[bytes], bytes]:
        """Makes a content of the unsigned bytes of an array of this shape, for sources that hold arrays.

        Raises:
            Refused: they are no contents.
        """
        raise Refused("unreadable", f"holds arrays, which are no {self.unit}")

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

    @property
    @abc.abstractmethod
    def prepared_by(self) -> dict[str, Any]:
        """What of the settings decides the result of `prepare`, `kind` among it, as JSON types."""

    @property
    def values(self) -> Values | None:
        """What a second signature takes, contents that somebody else has decoded; None: this kind has none."""
        return None

    def converted(self, prepared: "tf.Tensor", maker: "Input") -> "tf.Tensor":
        """A batch that another input prepared, as near as can be to what this one would have made of the contents.

        Args:
            prepared: of `maker.spec`.
            maker: of the same kind.

        Raises:
            GraftError: this kind knows no way.
        """
        if maker.prepared_by != self.prepared_by:
            raise GraftError(f"{self.unit} prepared by {maker.prepared_by} cannot become those of {self.prepared_by}")
        return prepared

    @abc.abstractmethod
    def augment(self, prepared: "tf.Tensor", seed: "tf.Tensor") -> "tf.Tensor":
        """One example of `spec`, without the leading dimension, changed at random by the settings; seed int64 [2]."""

    @property
    @abc.abstractmethod
    def augments(self) -> bool:
        """Whether the settings change anything at all."""

    @abc.abstractmethod
    def plain(self, splits: Mapping[str, Contents], stage: str) -> "dict[str, np.ndarray]":
        """The plain form that references get in place of features, small enough to stay in memory.

        Args:
            splits: contents by the name of their split.
            stage: whose work it is, for messages.

        Returns:
            float32 [n, d] by split, rows in the order of the contents; d is the same for all.

        Raises:
            GraftError: the rows do not fit into memory.
        """

    def fitting(self, taken: "tf.TensorSpec") -> "Input":
        """This input with the settings `SHAPING` as a network has them that takes such a tensor, where that tells."""
        return self

    # On trial: a backbone of somebody else gets a few examples before anything costly starts.

    @property
    @abc.abstractmethod
    def told(self) -> str:
        """The settings that decide the shape of `spec`, for people: `input.image_size is [96, 96]`."""

    @property
    @abc.abstractmethod
    def fed(self) -> str:
        """What a backbone is fed with, for people: `value_range [0.0, 1.0]`."""

    @abc.abstractmethod
    def probes(self, contents: Sequence[bytes]) -> "tf.Tensor":
        """A batch of `spec` to try a backbone on: these contents, or made-up ones if there are fewer than two."""

    # Settling what only the backbone can tell.

    @property
    def unsettled(self) -> bool:
        """Whether a setting that `prepare` needs is yet to be chosen, for this backbone and data."""
        return False

    def known(self, handle: str) -> Known | None:
        """This input as a backbone is known to take it; None where nothing is known, or nothing depends on it."""
        return None

    @property
    def alternatives(self) -> "Sequence[Input]":
        """Settled inputs of which a backbone may take any, the most usual first; none where there is no choice."""
        return ()

    @property
    def unjudged(self) -> str | None:
        """What the settings keep `doubts` from judging, for people, or None."""
        return None

    blends: ClassVar[bool] = False
    """Whether the weighed mean of two prepared examples is an example too."""

    MISFIT: ClassVar[str]
    """Why features may be useless, for people: `the value range does not fit`."""

    def doubts(self, body: "keras.Layer", probes: "tf.Tensor", features: "np.ndarray") -> str | None:
        """Why this input may not be what the network learned from, or None.

        Args:
            body: a network; left as it is.
            probes: a batch of `spec`.
            features: what it gives for them, float64 [n, d].

        Returns:
            The end of a sentence whose subject is the network.
        """
        return None

    # For people and servers.

    @abc.abstractmethod
    def preview(self, content: bytes) -> Mapping[str, str]:
        """How a report shows one: `{"image": data URI}` or `{"text": shortened text}`."""

    @abc.abstractmethod
    def drawn(self) -> list[bytes]:
        """A few made-up contents, for requests that warm a server up; nobody's data is in them."""

    REQUEST_COST: ClassVar[int] = 1
    """The most that one request may cost, by `request_cost`."""

    def request_cost(self, content: bytes) -> int:
        """What a server's guard (`models.inputs.guards`) counts for a content; 0 where nothing is counted."""
        return 0

    def sendable(self, content: bytes) -> bytes:
        """What a client sends for one: the same bytes, or another encoding where a model could not read these.

        Raises:
            Refused: no model could use it.
        """
        return content

    # Watching: what requests bring is held against what reference data held. No TensorFlow.

    def violation(self, content: bytes) -> str | None:
        """Why ingestion would have refused a content, a key of `REASONS`; None where its header is sound."""
        try:
            self.admit(content)
        except Refused as refused:
            return refused.reason
        return None

    def learned(self, contents: Iterable[bytes]) -> dict[str, Any]:
        """What `watcher` needs to know of the data, JSON types of a bounded size.

        Args:
            contents: at most `LEARNS` of the training split, no matter which. They are not those that the reference
                counts: of what it was learned from, a watcher would find nothing strange.
        """
        return {}

    def watcher(self, learned: Mapping[str, Any] | None = None) -> Watcher:
        """What is watched of a content as a request carries it; may be called from several threads.

        Args:
            learned: of `learned`; without it the signals that need it are None.
        """

        def watch(content: bytes) -> dict[str, float | str | None]:
            return {"bytes": len(content), "readable": UNREADABLE if self.violation(content) else READABLE}

        return watch
