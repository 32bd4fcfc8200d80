"""Data sets whose wrong labels are known."""

import hashlib

import numpy as np

from graft.models.label_review.review import Labelled
from graft.models.targets import KINDS, make_target
from graft.models.targets.base import Target

CLASSES = ("a", "b", "c")


def target() -> Target:
    return make_target(KINDS.options("label")(), CLASSES)


def labelled(wrong: int, count: int = 150, spread: float = 2.5, seed: int = 0) -> tuple[Labelled, set[int]]:
    """Three classes in 64 dimensions; the rows whose labels were changed."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, count)
    vectors = (rng.normal(size=(3, 64))[truth] + spread * rng.normal(size=(count, 64))).astype(np.float32)
    labels, changed = truth.copy(), rng.choice(count, wrong, replace=False)
    labels[changed] = (labels[changed] + rng.integers(1, 3, wrong)) % 3
    digests = np.array([hashlib.sha256(row.tobytes()).hexdigest() for row in vectors], "S64")
    learned = np.arange(count) % 5 > 0
    return Labelled(vectors, labels, digests, [b""] * count, learned), set(changed.tolist())
