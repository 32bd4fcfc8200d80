"""What a transfer method is given: the model to train, the data and the settings."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from graft.models.arrays import ArraySplit, Picked
from graft.models.backbone import Backbone
from graft.models.checkpoint import Checkpoint
from graft.models.datasets import InputSplit
from graft.models.errors import GraftError
from graft.models.examples import SOURCE_DOMAIN, TARGET_DOMAIN, UNLABELLED
from graft.models.inputs.base import Input
from graft.models.linear import Examples
from graft.models.options import HeadOptions, TrainOptions
from graft.models.stored import reading
from graft.models.targets.base import Target
from graft.models.transfer import MethodOptions


@dataclasses.dataclass(frozen=True)
class Split:
    """One split, as cached features and as Examples; row i of each array belongs to the same example.

    Attributes:
        features: float32 [n, d], possibly memory-mapped.
        targets: encoded, [n, ...]; of an example without a label -1 in each place, or NaN for floating-point numbers.
        patterns: glob patterns of the TFRecord files that hold the Examples; their order does not matter.
        weights: float32 [n], what an example counts in training; None: all the same.
        domains: S10 [n], `source`, `target` or `unlabelled`; None: all are of the target domain, with labels.
        digests: S64 [n], sha256 of the contents; None: not known.
        rows: int [n], places of the examples among those in the files; None: they are all.
        more: further columns of a batch by name, each [n, ...]: what a method knows of its examples beforehand.
    """

    features: np.ndarray
    targets: np.ndarray
    patterns: Sequence[str] = ()
    weights: np.ndarray | None = None
    domains: np.ndarray | None = None
    digests: np.ndarray | None = None
    rows: np.ndarray | None = None
    more: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.targets)

    def of(self, *domains: str) -> "Split":
        """The examples of some domains; their features are read when they are asked for.

        Args:
            *domains: `SOURCE_DOMAIN`, `TARGET_DOMAIN` or `UNLABELLED` of `models.examples`, of a split that is whole.
        """
        if self.domains is None and TARGET_DOMAIN in domains:
            return self
        if self.domains is None:
            return self.picked(np.arange(0))
        return self.picked(np.flatnonzero(np.isin(self.domains, [domain.encode() for domain in domains])))

    @property
    def judged(self) -> "Split":
        """The labelled examples of the target domain, or of the source domain where there are none of the target's."""
        found = self.of(TARGET_DOMAIN)
        return found if len(found) else self.of(SOURCE_DOMAIN)

    def learned(self, adapts: bool) -> "Split":
        """The labelled examples that the model learns from or chooses by: of the domain that has labels."""
        return self.of(SOURCE_DOMAIN if adapts else TARGET_DOMAIN)

    def unlabelled(self, adapts: bool) -> "Split | None":
        """The examples whose labels are not looked at; None where there are none."""
        found = self.of(TARGET_DOMAIN, UNLABELLED) if adapts else self.of(UNLABELLED)
        return found if len(found) else None

    def picked(self, rows: np.ndarray) -> "Split":
        """Some of its examples, int [m] their places in rising order."""
        features: Any = Picked(self.features, rows)
        columns: dict[str, Any] = {
            name: column[rows]
            for name in ("targets", "weights", "domains", "digests")
            if (column := getattr(self, name)) is not None
        }
        columns["more"] = {name: column[rows] for name, column in self.more.items()}
        places = rows if self.rows is None else self.rows[rows]
        return dataclasses.replace(self, features=features, rows=places, **columns)

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """What a batch holds beside the inputs."""
        return {"targets": self.targets} | ({} if self.weights is None else {"weights": self.weights}) | {**self.more}

    @property
    def examples(self) -> Examples:
        """For a solver of linear heads."""
        return Examples(self.features, self.targets, self.weights)


@dataclasses.dataclass
class Task:
    """One training job of a transfer method.

    Attributes:
        target: what is predicted, with the facts that the training split taught it.
        backbone: the pre-trained network, frozen unless the method unfreezes it; None where the inputs of the head
            are not the features of any.
        head: outputs on top of its feature vector, trained in place.
        train: what is learned from, of the target domain; of the source domain where the method adapts.
        eval: what early stopping and the choice of the best weights look at, of the same domain; never trained on.
        options: the method's own settings.
        training: settings that all methods share.
        source: labelled training examples of the source domain, for methods that use them; None where there are none.
        unlabelled: training examples whose labels are not looked at: where the method adapts all of the target domain,
            else those that have none. Their `targets` mean nothing. None where there are none.
        unlabelled_eval: the same of eval.
        strategy: where variables live; `backbone` and `head` were made in its scope.
        checkpoint: where the state goes between epochs, or None to keep none.
        log_dir: where TensorBoard logs go, or None.
        stage: the stage's name in progress reports.
        head_options: how `head` was built and is fitted on features.
    """

    target: Target
    backbone: Backbone | None
    head: keras.Model
    train: Split
    eval: Split
    options: MethodOptions
    training: TrainOptions
    source: Split | None = None
    unlabelled: Split | None = None
    unlabelled_eval: Split | None = None
    strategy: tf.distribute.Strategy = dataclasses.field(default_factory=tf.distribute.get_strategy)
    checkpoint: Checkpoint | None = None
    log_dir: Path | None = None
    stage: str = "train"
    head_options: HeadOptions = dataclasses.field(default_factory=HeadOptions)
    _opened: list[tuple[Split, int, bool, InputSplit]] = dataclasses.field(init=False, repr=False, default_factory=list)

    def __post_init__(self):
        """Checks that data, backbone and head fit together.

        Raises:
            GraftError: targets in the wrong form or out of range, an empty split, a feature length or a number of
                outputs that does not match.
        """
        splits = [("train", self.train), ("eval", self.eval)]
        for name, split in splits if self.source is None else [*splits, ("train", self.source)]:
            self.target.check(split.targets, f"split {name!r}")
            if not len(split):
                raise GraftError(f"split {name!r} has no examples; at least one is needed")
            if split.features.ndim != 2 or tuple(split.features.shape) != (len(split), self.head.input_shape[1]):
                raise GraftError(
                    f"split {name!r}: features have shape {list(split.features.shape)}; "
                    f"allowed: [{len(split)}, {self.head.input_shape[1]}] (labels, input of the head)"
                )
        if self.head.output_shape[1] != self.target.units:
            raise GraftError(
                f"the head has {self.head.output_shape[1]} outputs, but the target takes {self.target.units} "
                f"({', '.join(self.target.names)})"
            )

    def arrays(self, split: Split, labelled: bool = True) -> ArraySplit:
        """The split's cached features, in batches; without `targets` where their labels shall not be looked at."""
        return ArraySplit(split.features, split.columns if labelled else split.more, self.training.batch_size)

    def inputs(self, split: Split, labelled: bool = True) -> InputSplit:
        """The split's examples, in batches as the backbone expects them; without `targets` as for `arrays`.

        A split is opened once: what reads it in order is made anew in 0.5 s.
        """
        assert self.backbone is not None
        batch_size = self.training.batch_size
        for known, *asked, opened in self._opened:
            if known is split and asked == [batch_size, labelled]:
                return opened
        opened = inputs(split, self.backbone.takes, batch_size, labelled)
        self._opened.append((split, batch_size, labelled, opened))
        return opened


def inputs(split: Split, input: Input, batch_size: int, labelled: bool = True) -> InputSplit:
    """A split's examples, prepared in batches."""
    columns = split.columns if labelled else split.more
    return InputSplit(split.patterns, input, columns, batch_size, rows=split.rows, digests=split.digests)


def load_split(features_path: str | Path, name: str, patterns: Sequence[str] = ()) -> Split:
    """Opens one split of the features artifact; features stay on disk until they are read.

    Beside `features.npy` and `labels.npy` lie, where the data has them, `weights.npy`, `domains.npy` and `sha256.npy`.

    Raises:
        GraftError: a file of the artifact is missing or damaged.
    """
    folder = Path(features_path) / f"Split-{name}"
    with reading(folder / "features.npy", "features"):
        features = np.load(folder / "features.npy", mmap_mode="r")
    columns: dict[str, Any] = {}
    for key, file in (("targets", "labels"), ("weights", "weights"), ("domains", "domains"), ("digests", "sha256")):
        path = folder / f"{file}.npy"
        if key == "targets" or path.exists():
            with reading(path, "features"):
                columns[key] = np.load(path)
                if features.ndim != 2 or len(columns[key]) != len(features):
                    raise ValueError(f"{list(columns[key].shape)} {file} for features of {list(features.shape)}")
    return Split(features, patterns=tuple(patterns), **columns)


def check_same_names(features_path: str | Path, target: Target) -> None:
    """Checks that the features artifact numbers the target's names as the target does.

    Raises:
        GraftError: it does not; its labels would mean others.
    """
    path = Path(features_path) / "names.json"
    with reading(path, "features"):
        stored = json.loads(path.read_text(encoding="utf-8"))
    if stored != list(target.names):
        raise GraftError(f"{path}: holds {stored}, but the target's names are {list(target.names)}")
