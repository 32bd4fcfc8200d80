"""Tasks of two domains on drawn features, without a backbone: three classes, and a target that is moved or mixed."""

from typing import Any

import numpy as np

from graft.models import targets
from graft.models.heads import build_head
from graft.models.options import HeadOptions, TrainOptions
from graft.models.task import Split, Task
from graft.models.transfer import parse_options

WIDTH, CLASSES = 6, ("a", "b", "c")

MIXING = np.random.default_rng(8).normal(size=(WIDTH, WIDTH))


def draw(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features float32 [count, 6] of three classes in turn, and the classes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    centres = np.random.default_rng(99).normal(size=(3, WIDTH)) * 2
    spread = np.array([0.3, 0.5, 1.0, 1.5, 0.7, 0.4])
    return (centres[labels] + rng.normal(size=(count, WIDTH)) * spread).astype(np.float32), labels.astype(np.int64)


def mixed(features: np.ndarray) -> np.ndarray:
    """The target domain: features linearly mixed and moved."""
    return (features @ (np.eye(WIDTH) + 0.35 * MIXING) + 3).astype(np.float32)


def scaled(features: np.ndarray) -> np.ndarray:
    """The target domain: each feature in another unit."""
    return (features * np.array([4, 0.2, 3, 0.5, 6, 0.1]) + np.arange(WIDTH) * 5).astype(np.float32)


def inverted(features: np.ndarray) -> np.ndarray:
    """The target domain: mirrored, which mean and covariance about the origin cannot show."""
    return -features


def shifted_task(
    method: dict[str, Any],
    move: Any = mixed,
    head: dict[str, Any] | None = None,
    shuffled: bool = False,
    counts: tuple[int, int, int] = (240, 120, 240),
    **train: Any,
) -> tuple[Task, Split]:
    """A task that adapts, and labelled examples of its target domain.

    Args:
        method: section `transfer`.
        move: source features to those of the target domain.
        head: section `head`.
        shuffled: whether the source's labels are shuffled.
        counts: of source examples in train and in eval, and of target examples.
        **train: settings of section `train`.
    """
    splits = []
    for seed, count in enumerate(counts):
        features, labels = draw(count, seed)
        if shuffled and seed < 2:
            labels = np.random.default_rng(seed).permutation(labels)
        splits.append(Split(move(features) if seed == 2 else features, labels))
    wanted = draw(300, 7)
    target = type(targets.make_target(targets.parse_options({})))(targets.parse_options({}), CLASSES)
    options = HeadOptions.model_validate(head or {})
    training = TrainOptions.model_validate(
        {"epochs": 60, "patience": 60, "batch_size": 40, "learning_rate": 0.01} | train
    )
    hidden = build_head(3, WIDTH, options, training.seed)
    unlabelled = Split(splits[2].features, np.full(counts[2], -1))
    task = Task(
        target,
        None,
        hidden,
        splits[0],
        splits[1],
        parse_options(method),
        training,
        unlabelled=unlabelled,
        head_options=options,
    )
    return task, Split(move(wanted[0]), wanted[1])


def accuracy(task: Task, split: Split) -> float:
    """Of the trained head."""
    return float((task.head(np.asarray(split.features[:]), training=False).numpy().argmax(1) == split.targets).mean())
