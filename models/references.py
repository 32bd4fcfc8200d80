"""Is transferring better than not transferring? The same target task, learned with and without the source.

The negative-transfer gap is NTG = err(with source) - err(without source), same algorithm and same budget; above 0
the source hurts (Wang et al., "Characterizing and Avoiding Negative Transfer", CVPR 2019, section 3).

"Without the source" is three things: the same head on raw pixels, logistic regression on the same pixels, and the same
network from scratch. Each may take as many optimizer steps as the transferred model may, at the same batch size, and
is not stopped early: only its best eval weights count. So the references are as strong as the budget allows.
"""

import dataclasses
import logging
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from models import loop, progress
from models.backbone import Backbone, load_backbone, scratch_backbone
from models.datasets import ArraySplit, ImageSplit, read_classes
from models.errors import GraftError
from models.features import check_same_backbone
from models.heads import build_head
from models.loop import History
from models.options import TrainOptions
from models.task import Split, Task, check_same_classes, load_split
from models.trainer import Settings, build_task, make_deterministic
from models.transfer import frozen, get_method

log = logging.getLogger(__name__)

REFERENCES = ("raw", "scratch")
STAGE = "negative_transfer"

_LARGEST_SIDE = 32
_PIXEL_BYTES = 512 * 2**20
_BOOTSTRAP_DRAWS = 2000
_LOGISTIC_ITERATIONS = 300


@dataclasses.dataclass
class Comparison:
    """The target task, as every contestant gets it.

    Attributes:
        settings: backbone, head, method and training of the transferred model.
        classes: class names by index.
        train: what is learned from.
        eval: what picks the best weights.
        test: what the accuracies are measured on; opened for nothing else.
    """

    settings: Settings
    classes: list[str]
    train: Split
    eval: Split
    test: Split

    @classmethod
    def from_config(
        cls, custom_config: dict[str, Any], transform_graph_path: str | Path, files: dict[str, Sequence[str]]
    ) -> "Comparison":
        """Opens the same inputs as the Trainer had.

        Args:
            custom_config: as for `models.trainer.run_fn`, `features_path` included.
            transform_graph_path: output folder of Transform.
            files: glob patterns of the Examples for `train`, `eval` and `test`.
        """
        settings = Settings.model_validate(custom_config)
        classes = read_classes(transform_graph_path)
        check_same_classes(settings.features_path, classes)
        splits = {name: load_split(settings.features_path, name, files[name]) for name in ("train", "eval", "test")}
        return cls(settings, classes, **splits)

    def training(self, seed: int) -> TrainOptions:
        """The training settings with another seed."""
        return self.settings.train.model_copy(update={"seed": seed})

    def reference_training(self, seed: int, epochs: int) -> TrainOptions:
        """The training settings of a reference: the full budget, no early stop."""
        return self.training(seed).model_copy(update={"epochs": epochs, "patience": epochs})

    def images(self, split: Split, image_size: tuple[int, int], value_range: tuple[float, float]) -> ImageSplit:
        """The split's images in batches."""
        return ImageSplit(split.patterns, self.classes, image_size, value_range, self.settings.train.batch_size)


@dataclasses.dataclass
class Outcome:
    """One contestant under one seed.

    Attributes:
        correct: bool [n], whether each test image was named rightly, in the order of the test features.
        history: of its training; None for logistic regression.
    """

    correct: np.ndarray
    history: History | None = None


def transferred(comparison: Comparison, seed: int, backbone: Backbone | None = None) -> Outcome:
    """Trains the transferred model anew under a seed.

    Args:
        comparison: the task.
        seed: of head, shuffling and augmentation.
        backbone: one to share between seeds, for methods that leave it as it is.
    """
    settings = comparison.settings
    task = build_task(
        settings.backbone,
        settings.head,
        settings.transfer,
        comparison.training(seed),
        comparison.classes,
        comparison.train,
        comparison.eval,
        backbone=backbone,
    )
    task.stage = STAGE
    method = get_method(settings.transfer["method"])
    history = method.fit(task)
    if method.READS_IMAGES:
        return Outcome(_correct_on_images(comparison, task.backbone, task.head), history)
    test = ArraySplit(comparison.test.features, comparison.test.labels, settings.train.batch_size)
    return Outcome(_correct(test.ordered(), lambda features: task.head(features, training=False)), history)


def raw_input_head(comparison: Comparison, pixels: dict[str, np.ndarray], seed: int, epochs: int) -> Outcome:
    """The same head, fed with pixels instead of features.

    Args:
        comparison: the task.
        pixels: `raw_pixels` of each split.
        seed: of head and shuffling.
        epochs: how many it may take.
    """
    head = build_head(len(comparison.classes), pixels["train"].shape[1], comparison.settings.head, seed)
    task = Task(
        comparison.classes,
        None,
        head,
        Split(pixels["train"], comparison.train.labels),
        Split(pixels["eval"], comparison.eval.labels),
        frozen.Options(),
        comparison.reference_training(seed, epochs),
        stage=STAGE,
    )
    history = frozen.fit(task)
    test = ArraySplit(pixels["test"], comparison.test.labels, task.training.batch_size)
    return Outcome(_correct(test.ordered(), lambda inputs: head(inputs, training=False)), history)


def logistic_regression(comparison: Comparison, pixels: dict[str, np.ndarray]) -> Outcome:
    """scikit-learn's multinomial logistic regression on the same pixels; it has no randomness to seed."""
    model = LogisticRegression(max_iter=_LOGISTIC_ITERATIONS)
    with warnings.catch_warnings():
        # Stopping at the iteration limit is meant: like the others it has a budget.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(pixels["train"], comparison.train.labels)
    return Outcome(model.predict(pixels["test"]) == comparison.test.labels)


def from_scratch(comparison: Comparison, seed: int, epochs: int, published: Backbone) -> Outcome:
    """The same network with weights drawn anew, all of it trained, batch normalisation in training mode.

    Args:
        comparison: the task.
        seed: of the weights, shuffling and augmentation.
        epochs: how many it may take.
        published: the pre-trained backbone, for its architecture.
    """
    backbone = scratch_backbone(published, seed)
    backbone.unfreeze(1.0)
    head = build_head(len(comparison.classes), backbone.feature_dim, comparison.settings.head, seed)
    training = comparison.reference_training(seed, epochs)
    task = Task(
        comparison.classes, backbone, head, comparison.train, comparison.eval, frozen.Options(), training, stage=STAGE
    )
    phase = loop.backbone_phase(task, epochs, training.learning_rate, "scratch", batch_norm_training=True)
    history = loop.run(task, [phase])
    return Outcome(_correct_on_images(comparison, backbone, head), history)


def raw_pixels(comparison: Comparison) -> dict[str, np.ndarray]:
    """The splits' images as rows of pixels in [0, 1], small enough to stay in memory.

    Images are resized to the backbone's size, or to 32x32 where that is larger, or to 16x16 or 8x8 where the rows
    would take more than 512 MiB. Grey images keep one channel.

    Returns:
        float32 [n, pixels] by split.
    """
    splits = {"train": comparison.train, "eval": comparison.eval, "test": comparison.test}
    count = sum(len(split.labels) for split in splits.values())
    side = _LARGEST_SIDE
    while side > 8 and count * side * side * 3 * 4 > _PIXEL_BYTES:
        side //= 2
    height, width = comparison.settings.backbone.image_size
    size = (min(height, side), min(width, side))
    pixels = {}
    for name, split in splits.items():
        batches = list(comparison.images(split, size, (0.0, 1.0)).ordered())
        # The rows of the features and of the TFRecords are in the same order only if the labels say so.
        if not np.array_equal(np.concatenate([labels for _, labels in batches]), split.labels):
            raise GraftError(f"split {name!r}: labels of the features and of the Examples are not in the same order")
        pixels[name] = np.concatenate([images for images, _ in batches])
    if all((rows == rows[..., :1]).all() for rows in pixels.values()):
        pixels = {name: rows[..., :1] for name, rows in pixels.items()}
    return {name: np.ascontiguousarray(rows.reshape(len(rows), -1)) for name, rows in pixels.items()}


def negative_transfer(
    comparison: Comparison, seeds: Sequence[int], references: Sequence[str] = REFERENCES
) -> dict[str, Any]:
    """Trains the transferred model and the references under each seed and compares them.

    Args:
        comparison: the task.
        seeds: one training of each kind for each.
        references: `raw` (the head and logistic regression on pixels), `scratch` (the network; costly for large
            images), or both.

    Returns:
        JSON types: `seeds`; `test_images`; `epochs`, the most a contestant may take; `steps` by contestant and seed;
        `accuracy` by contestant (`transferred`, `raw_head`, `logistic_regression`, `scratch`) and seed; `gap` by
        reference, each with `per_seed`, `min`, `median`, `max`, `mean`, `interval` (95 %, paired bootstrap over seeds
        and test images) and `probability_negative` (share of bootstrap draws with a gap above 0); `best_reference`,
        the one with the highest mean accuracy; `statement`, a sentence.

    Raises:
        GraftError: an unknown reference, or none.
    """
    if not references or not set(references) <= set(REFERENCES):
        raise GraftError(f"negative_transfer.references: received {list(references)}; allowed: some of {REFERENCES}")
    options = comparison.settings.backbone
    published = load_backbone(options.handle, options.image_size, options.value_range, options.feature_layer)
    check_same_backbone(comparison.settings.features_path, published)
    shared = None if get_method(comparison.settings.transfer["method"]).READS_IMAGES else published
    pixels = raw_pixels(comparison) if "raw" in references else {}
    outcomes: dict[str, list[Outcome]] = {"transferred": []}
    total = len(seeds) * (1 + len(references))
    done = 0
    for seed in seeds:
        make_deterministic(seed)
        outcomes["transferred"].append(transferred(comparison, seed, shared))
        epochs = outcomes["transferred"][-1].history.max_epochs
        if "raw" in references:
            outcomes.setdefault("raw_head", []).append(raw_input_head(comparison, pixels, seed, epochs))
            known = outcomes.setdefault("logistic_regression", [])
            known.append(known[0] if known else logistic_regression(comparison, pixels))
        if "scratch" in references:
            outcomes.setdefault("scratch", []).append(from_scratch(comparison, seed, epochs, published))
        done += 1 + len(references)
        progress.report(STAGE, done, total, "trainings")
    return _summary(outcomes, list(seeds), epochs)


def _summary(outcomes: dict[str, list[Outcome]], seeds: list[int], epochs: int) -> dict[str, Any]:
    correct = {name: np.stack([outcome.correct for outcome in found]) for name, found in outcomes.items()}
    accuracy = {name: rows.mean(axis=1).tolist() for name, rows in correct.items()}
    gap = {name: bootstrap_gap(rows, correct["transferred"]) for name, rows in correct.items() if name != "transferred"}
    best = max(gap, key=lambda name: float(np.mean(accuracy[name])))
    low, high = gap[best]["interval"]
    verdict = "worse than" if low > 0 else "better than" if high < 0 else "not distinguishable from"
    images = correct["transferred"].shape[1]
    return {
        "seeds": seeds,
        "test_images": images,
        "epochs": epochs,
        "steps": {name: [o.history.steps if o.history else None for o in found] for name, found in outcomes.items()},
        "accuracy": accuracy,
        "gap": gap,
        "best_reference": best,
        "statement": (
            f"Transferring is {verdict} not transferring: the gap to the best reference ({best}) is "
            f"{gap[best]['mean']:+.3f} in error rate (95 % interval {low:+.3f} to {high:+.3f}, paired bootstrap over "
            f"{len(seeds)} seeds and {images} test images); above 0 the source hurts."
        ),
    }


def bootstrap_gap(reference: np.ndarray, transferred: np.ndarray, draws: int = _BOOTSTRAP_DRAWS) -> dict[str, Any]:
    """The negative-transfer gap over seeds, with a paired bootstrap interval.

    Each draw picks seeds and test images with replacement, the same for both models: both the luck of a training and
    the luck of the test set are in the interval.

    Args:
        reference: bool [seeds, n], right answers without the source.
        transferred: bool [seeds, n], right answers with it, for the same seeds and images.
        draws: number of resamplings.

    Returns:
        `per_seed`, `min`, `median`, `max`, `mean`, `interval` [low, high], `probability_negative`.
    """
    difference = reference.astype(np.float64) - transferred.astype(np.float64)
    per_seed = difference.mean(axis=1)
    mean = difference.sum() / difference.size  # of whole numbers: a tie is 0, not the rounding error of a mean of means
    rng = np.random.default_rng(0)
    seeds, images = difference.shape
    drawn = np.empty(draws)
    for i in range(draws):
        rows = difference[rng.integers(0, seeds, seeds)].sum(axis=0)
        drawn[i] = rows[rng.integers(0, images, images)].sum() / difference.size
    return {
        "per_seed": per_seed.tolist(),
        "min": float(per_seed.min()),
        "median": float(np.median(per_seed)),
        "max": float(per_seed.max()),
        "mean": float(mean),
        "interval": [float(value) for value in np.quantile(drawn, [0.025, 0.975])],
        "probability_negative": float((drawn > 0).mean()),
    }


def _correct_on_images(comparison: Comparison, backbone: Backbone, head: keras.Model) -> np.ndarray:
    """Which test images backbone and head name rightly."""

    @tf.function(reduce_retracing=True)
    def logits(images: tf.Tensor) -> tf.Tensor:
        return head(tf.cast(backbone(images, training=False), tf.float32), training=False)

    test = comparison.images(comparison.test, backbone.image_size, backbone.value_range)
    return _correct(test.ordered(), logits)


def _correct(batches: Iterable[tuple[Any, Any]], logits: Any) -> np.ndarray:
    """Whether the largest logit is at the label, bool [n]."""
    return np.concatenate([np.argmax(logits(inputs), axis=1) == np.asarray(labels) for inputs, labels in batches])
