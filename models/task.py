"""What a transfer method is given: the model to train, the data and the settings."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from pydantic import BaseModel

from graft.models.backbone import Backbone
from graft.models.checkpoint import Checkpoint
from graft.models.datasets import ArraySplit, ImageSplit, check_labels
from graft.models.errors import GraftError
from graft.models.options import HeadOptions, TrainOptions
from graft.models.stored import reading


@dataclasses.dataclass(frozen=True)
class Split:
    """One split, as cached features and as images.

    Attributes:
        features: float32 [n, d], possibly memory-mapped.
        labels: int64 [n], indices of classes; row i belongs to row i of features.
        patterns: glob patterns of the TFRecord files that hold the same Examples; their order does not matter.
    """

    features: np.ndarray
    labels: np.ndarray
    patterns: Sequence[str] = ()


@dataclasses.dataclass
class Task:
    """One training job of a transfer method.

    Attributes:
        classes: class names by index.
        backbone: the pre-trained network, frozen unless the method unfreezes it; None where the inputs of the head
            are not the features of any.
        head: logits on top of its feature vector, trained in place.
        train: what is learned from.
        eval: what early stopping and the choice of the best weights look at; never trained on.
        options: the method's own settings.
        training: settings that all methods share.
        strategy: where variables live; `backbone` and `head` were made in its scope.
        checkpoint: where the state goes between epochs, or None to keep none.
        log_dir: where TensorBoard logs go, or None.
        stage: the stage's name in progress reports.
        head_options: how `head` was built and is fitted on features.
    """

    classes: list[str]
    backbone: Backbone | None
    head: keras.Model
    train: Split
    eval: Split
    options: BaseModel
    training: TrainOptions
    strategy: tf.distribute.Strategy = dataclasses.field(default_factory=tf.distribute.get_strategy)
    checkpoint: Checkpoint | None = None
    log_dir: Path | None = None
    stage: str = "train"
    head_options: HeadOptions = dataclasses.field(default_factory=HeadOptions)

    def __post_init__(self):
        """Checks that data, backbone and head fit together.

        Raises:
            GraftError: labels in the wrong form or out of range, an empty split, a feature length or a number of
                logits that does not match.
        """
        for name, split in (("train", self.train), ("eval", self.eval)):
            check_labels(split.labels, len(self.classes), f"split {name!r}")
            if not len(split.labels):
                raise GraftError(f"split {name!r} has no images; at least one is needed")
            if split.features.ndim != 2 or split.features.shape != (len(split.labels), self.head.input_shape[1]):
                raise GraftError(
                    f"split {name!r}: features have shape {list(split.features.shape)}; "
                    f"allowed: [{len(split.labels)}, {self.head.input_shape[1]}] (labels, input of the head)"
                )
        if self.head.output_shape[1] != len(self.classes):
            raise GraftError(
                f"the head has {self.head.output_shape[1]} logits, but there are {len(self.classes)} classes "
                f"({', '.join(self.classes)})"
            )

    def arrays(self, split: Split) -> ArraySplit:
        """The split's cached features, in batches."""
        return ArraySplit(split.features, split.labels, self.training.batch_size)

    def images(self, split: Split) -> ImageSplit:
        """The split's images, in batches as the backbone expects them."""
        return ImageSplit(
            split.patterns,
            self.classes,
            self.backbone.takes.options.image_size,
            self.backbone.takes.options.value_range,
            self.training.batch_size,
        )


def load_split(features_path: str | Path, name: str, patterns: Sequence[str] = ()) -> Split:
    """Opens one split of the features artifact; features stay on disk until they are read.

    Raises:
        GraftError: a file of the artifact is missing or damaged.
    """
    folder = Path(features_path) / f"Split-{name}"
    with reading(folder / "features.npy", "features"):
        features = np.load(folder / "features.npy", mmap_mode="r")
    with reading(folder / "labels.npy", "features"):
        labels = np.load(folder / "labels.npy")
        if features.ndim != 2 or labels.shape != features.shape[:1]:
            raise ValueError(f"{list(labels.shape)} labels for features of {list(features.shape)}")
    return Split(features, labels, tuple(patterns))


def check_same_classes(features_path: str | Path, classes: Sequence[str]) -> None:
    """Checks that the features artifact numbers its classes as the Transform vocabulary does.

    Raises:
        GraftError: it does not; its labels would mean other classes.
    """
    path = Path(features_path) / "names.json"
    with reading(path, "features"):
        stored = json.loads(path.read_text(encoding="utf-8"))
    if stored != list(classes):
        raise GraftError(f"{path}: holds classes {stored}, but the Transform vocabulary says {list(classes)}")


def class_weights(option: str | dict[str, float], labels: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """The weight of each class in the loss.

    Args:
        option: `none`, `balanced` (n / (classes * n of the class), as scikit-learn does), or weights by class name;
            a class not named weighs 1.
        labels: int [n], the training labels.
        classes: class names by index.

    Returns:
        float32 [classes].

    Raises:
        GraftError: a weight for a name that is not a class, or one that is not positive.
    """
    if option == "none":
        return np.ones(len(classes), np.float32)
    if option == "balanced":
        counts = np.bincount(labels, minlength=len(classes))
        return (len(labels) / (len(classes) * np.maximum(counts, 1))).astype(np.float32)
    weights = np.ones(len(classes), np.float32)
    assert isinstance(option, dict)  # `TrainOptions` allows nothing else
    for name, weight in option.items():
        if name not in classes:
            raise GraftError(f"train.class_weights: {name!r} is not a class; allowed: {', '.join(classes)}")
        if not weight > 0:
            raise GraftError(f"train.class_weights.{name}: received {weight}; allowed: a number above 0")
        weights[list(classes).index(name)] = weight
    return weights
