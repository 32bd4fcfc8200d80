"""Is transferring better than not transferring? The same target task, learned with and without the source.

The negative-transfer gap is NTG = err(with source) - err(without source), same algorithm and same budget; above 0
the source hurts (Wang et al., "Characterizing and Avoiding Negative Transfer", CVPR 2019, section 3).

"Without the source" is the same head on raw pixels, logistic regression on the same pixels, and the same network from
scratch. A linear head is solved to its optimum, as it is on features; on pixels it is that logistic regression. What is
trained may take as many optimizer steps as the transferred model may, at the same batch size, and is not stopped early:
only its best eval weights count. So the references are as strong as the budget allows.
"""

import dataclasses
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from graft.models import gap, logistic, loop, memory, progress
from graft.models.backbone import Backbone, configured_backbone, scratch_backbone
from graft.models.datasets import ArraySplit, ImageSplit, read_classes
from graft.models.errors import GraftError
from graft.models.features import check_same_backbone
from graft.models.heads import build_head
from graft.models.inputs import make_input
from graft.models.loop import History
from graft.models.options import TrainOptions
from graft.models.predict import most_probable
from graft.models.settings import Settings
from graft.models.task import Split, Task, check_same_classes, load_split
from graft.models.trainer import build_task, make_deterministic
from graft.models.transfer import frozen, get_method

log = logging.getLogger(__name__)

REFERENCES = ("raw", "scratch")
STAGE = "negative_transfer"

_FEWER = "the number of images, or leave raw out of gates.negative_transfer.references"
_LARGEST_SIDE = 32
_PIXEL_BYTES = 512 * 2**20


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
        seeded: whether another seed would make another outcome; a head that is solved has one optimum.
    """

    correct: np.ndarray
    history: History | None = None
    seeded: bool = True


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
        make_input(settings.input),
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
    correct = _correct(test.ordered(), lambda features: task.head(features, training=False))
    return Outcome(correct, history, seeded=not settings.head.solved)


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
        head_options=comparison.settings.head,
    )
    history = frozen.fit(task)
    test = ArraySplit(pixels["test"], comparison.test.labels, task.training.batch_size)
    correct = _correct(test.ordered(), lambda inputs: head(inputs, training=False))
    return Outcome(correct, history, seeded=not task.head_options.solved)


def logistic_regression(comparison: Comparison, pixels: dict[str, np.ndarray]) -> Outcome:
    """Logistic regression on the same pixels, its strength chosen on eval."""
    splits = {"train": comparison.train, "eval": comparison.eval, "test": comparison.test}
    train, evaluate, test = (logistic.Examples(pixels[name], split.labels) for name, split in splits.items())
    model = logistic.solve_path(train, evaluate, len(comparison.classes)).model
    correct = [(rows @ model.kernel + model.bias).argmax(axis=1) == labels for rows, labels, _ in test.slices()]
    return Outcome(np.concatenate(correct), seeded=False)


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
    # On features that move there is no optimum to solve for.
    trained = comparison.settings.head.model_copy(update={"solver": "adam", "refit": False})
    head = build_head(len(comparison.classes), backbone.feature_dim, trained, seed)
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
    height, width = comparison.settings.input.image_size
    size = (min(height, side), min(width, side))
    largest = max(len(split.labels) for split in splits.values())
    # All rows, and the largest split a second time while its batches are put together: exact, before the rows are grey.
    memory.require(12 * size[0] * size[1] * (count + largest), STAGE, f"{count} images as rows of pixels", _FEWER)
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
        `accuracy` by contestant (`transferred`, `raw_head`, `scratch`; `logistic_regression` where the head is another
        model) and seed; `gap` by reference, each with `per_seed`, `min`, `median`, `max`, `mean` and `interval` (over
        seeds and test images, see `models.gap`; all hold together); `beyond_luck`, the largest gap that is
        distinguishable from 0, else at most 0; `best_reference`, the one with the highest mean accuracy; `statement`,
        a sentence.

    Raises:
        GraftError: an unknown reference, or none; too few seeds.
    """
    if not references or not set(references) <= set(REFERENCES):
        raise GraftError(f"negative_transfer.references: received {list(references)}; allowed: some of {REFERENCES}")
    if len(seeds) < gap.LEAST_SEEDS:
        raise GraftError(
            f"negative_transfer.seeds: received {len(seeds)}; allowed: at least {gap.LEAST_SEEDS}, for fewer "
            "trainings say next to nothing of the luck of training"
        )
    published = configured_backbone(comparison.settings.backbone, make_input(comparison.settings.input))
    check_same_backbone(comparison.settings.features_path, published)
    shared = None if get_method(comparison.settings.transfer["method"]).READS_IMAGES else published
    pixels = raw_pixels(comparison) if "raw" in references else {}
    outcomes: dict[str, list[Outcome]] = {}
    total = len(seeds) * (1 + len(references))
    done = 0
    for seed in seeds:
        make_deterministic(seed)
        _add(outcomes, "transferred", transferred, comparison, seed, shared)
        epochs = outcomes["transferred"][-1].history.max_epochs
        if "raw" in references:
            _add(outcomes, "raw_head", raw_input_head, comparison, pixels, seed, epochs)
            if not comparison.settings.head.solved:
                _add(outcomes, "logistic_regression", logistic_regression, comparison, pixels)
        if "scratch" in references:
            _add(outcomes, "scratch", from_scratch, comparison, seed, epochs, published)
        done += 1 + len(references)
        progress.report(STAGE, done, total, "trainings")
    return _summary(outcomes, list(seeds), epochs)


def _add(outcomes: dict[str, list[Outcome]], name: str, train: Callable[..., Outcome], *arguments: Any) -> None:
    """Adds a contestant's outcome; one that no seed changes is trained once."""
    known = outcomes.setdefault(name, [])
    known.append(known[0] if known and not known[0].seeded else train(*arguments))


def _summary(outcomes: dict[str, list[Outcome]], seeds: list[int], epochs: int) -> dict[str, Any]:
    correct = {name: np.stack([outcome.correct for outcome in found]) for name, found in outcomes.items()}
    model = correct.pop("transferred")
    gaps = {name: gap.measure(rows, model, len(correct)) for name, rows in correct.items()}
    best = max(gaps, key=lambda name: gaps[name].mean)
    worst = max(gaps, key=lambda name: gaps[name].beyond_luck)
    beyond_luck = gaps[worst].beyond_luck
    if beyond_luck > 0:
        verdict, named = "worse than", worst
    else:
        verdict = "better than" if all(g.high < 0 for g in gaps.values()) else "not distinguishable from"
        named = best
    told = gaps[named]
    over_all = f" over all {len(gaps)} references" if len(gaps) > 1 else ""
    return {
        "seeds": seeds,
        "test_images": model.shape[1],
        "epochs": epochs,
        "steps": {name: [o.history.steps if o.history else None for o in found] for name, found in outcomes.items()},
        "accuracy": {name: rows.mean(axis=1).tolist() for name, rows in {"transferred": model, **correct}.items()},
        "gap": {name: _described(found) for name, found in gaps.items()},
        "beyond_luck": beyond_luck,
        "best_reference": best,
        "statement": (
            f"Transferring is {verdict} not transferring: the gap to {named} is {told.mean:+.3f} in error rate "
            f"(interval {told.low:+.3f} to {told.high:+.3f} over {len(seeds)} seeds and {model.shape[1]} test images, "
            f"{gap.FALSE_ALARMS:.0%} false alarms at most{over_all}); above 0 the source hurts."
        ),
    }


def _described(found: gap.Gap) -> dict[str, Any]:
    return {
        "per_seed": list(found.per_seed),
        "min": min(found.per_seed),
        "median": float(np.median(found.per_seed)),
        "max": max(found.per_seed),
        "mean": found.mean,
        "interval": [found.low, found.high],
    }


def _correct_on_images(comparison: Comparison, backbone: Backbone, head: keras.Model) -> np.ndarray:
    """Which test images backbone and head name rightly."""

    @tf.function(reduce_retracing=True)
    def logits(images: tf.Tensor) -> tf.Tensor:
        return head(tf.cast(backbone(images, training=False), tf.float32), training=False)

    test = comparison.images(comparison.test, backbone.takes.options.image_size, backbone.takes.options.value_range)
    return _correct(test.ordered(), logits)


def _correct(batches: Iterable[tuple[Any, Any]], logits: Any) -> np.ndarray:
    """Whether the largest logit is at the label, bool [n]."""
    return np.concatenate(
        [most_probable(np.asarray(logits(inputs))) == np.asarray(labels) for inputs, labels in batches]
    )
