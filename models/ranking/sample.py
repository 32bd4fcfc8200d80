"""What scores work on: feature vectors with targets, checked, in an order that does not hang on how they came."""

import dataclasses
import hashlib

import numpy as np

from graft.models.errors import GraftError

FORMS = ("classes", "labels", "numbers")
"""One class of each example; several; numbers."""

LEAST = 2
"""Examples of each class that any score needs: of one alone nothing is known but where it lies."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """Features of some examples, with their targets.

    Attributes:
        features: float [n, d].
        targets: by form: int [n], every class from 0 to k - 1; 0 or 1 [n, k]; float [n, k].
        form: one of FORMS.
        probabilities: float [n, z], what the backbone's own classifier says of its source's classes; None without one.
        seed: of scores that draw.

    Raises:
        GraftError: it is not so, or there are too few examples to score anything.
    """

    features: np.ndarray
    targets: np.ndarray
    form: str = "classes"
    probabilities: np.ndarray | None = None
    seed: int = 0

    def __post_init__(self):
        if self.form not in FORMS:
            raise GraftError(f"form of the targets: received {self.form!r}; allowed: {', '.join(FORMS)}")
        _check_features(self.features, self.targets)
        {"classes": _check_classes, "labels": _check_labels, "numbers": _check_numbers}[self.form](self.targets)
        if self.probabilities is not None:
            _check_probabilities(self.probabilities, len(self.targets))

    def in_order(self) -> "Sample":
        """Its rows as float64, ordered by their content, with numbers scaled to mean 0 and standard deviation 1.

        A score that draws, or puts examples into folds, then gives the same for any order that they come in.
        """
        targets = self.targets
        if self.form == "numbers":
            targets = targets.astype(np.float64)
            targets = (targets - targets.mean(axis=0)) / targets.std(axis=0)
        columns = [self.features, self.targets] + ([] if self.probabilities is None else [self.probabilities])
        keys = [
            hashlib.blake2b(b"".join(np.ascontiguousarray(column[row]).tobytes() for column in columns)).digest()
            for row in range(len(targets))
        ]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        return dataclasses.replace(
            self,
            features=np.asarray(self.features, np.float64)[order],
            targets=targets[order],
            probabilities=None if self.probabilities is None else np.asarray(self.probabilities, np.float64)[order],
        )


def folds(targets: np.ndarray, form: str, count: int, seed: int) -> np.ndarray:
    """int [n], the fold of each example; each class is spread over all of them as evenly as can be.

    Args:
        targets: as of `Sample`.
        form: of them.
        count: of folds.
        seed: of the draw.
    """
    drawn = np.random.default_rng(seed).permutation(len(targets))
    if form == "classes":
        drawn = drawn[np.argsort(targets[drawn], kind="stable")]
    elif form == "labels":
        # By the rarest label of each example: it is the one that a fold may miss.
        rarest = np.argsort(np.argsort(targets.sum(axis=0), kind="stable"), kind="stable")
        group = np.where(targets > 0, rarest, targets.shape[1]).min(axis=1)
        drawn = drawn[np.argsort(group[drawn], kind="stable")]
    found = np.empty(len(targets), int)
    found[drawn] = np.arange(len(targets)) % count
    return found


def _check_features(features: np.ndarray, targets: np.ndarray) -> None:
    if features.ndim != 2 or len(features) != len(targets):
        raise GraftError(
            f"features: received shape {list(features.shape)} with {len(targets)} targets; allowed: "
            f"[{len(targets)}, d], a row for each target"
        )
    if not np.isfinite(features).all():
        rows = np.flatnonzero(~np.isfinite(features).all(axis=1))
        raise GraftError(
            f"features: {len(rows)} of {len(features)} rows are not finite numbers, the first is row {rows[0]}"
        )
    if len(features) < 2 * LEAST or not features.shape[1]:
        raise GraftError(
            f"features: received {len(features)} examples of {features.shape[1]} numbers; allowed: at least "
            f"{2 * LEAST} examples"
        )


def _check_classes(targets: np.ndarray) -> None:
    if targets.ndim != 1 or not np.issubdtype(targets.dtype, np.integer):
        raise GraftError(
            f"targets: received {targets.dtype} {list(targets.shape)}; allowed: one class of each example, whole "
            "numbers [n]"
        )
    found, counts = np.unique(targets, return_counts=True)
    if not np.array_equal(found, np.arange(len(found))):
        raise GraftError(
            f"targets: received classes {', '.join(map(str, found[:20]))}; allowed: every one from 0 to k - 1"
        )
    if len(found) < 2:
        raise GraftError("targets: received one class; allowed: at least 2")
    if counts.min() < LEAST:
        raise GraftError(
            f"targets: class {int(counts.argmin())} has {counts.min()} example; allowed: at least {LEAST} of each"
        )


def _check_labels(targets: np.ndarray) -> None:
    if targets.ndim != 2 or not np.isin(targets, (0, 1)).all():
        raise GraftError(
            f"targets: received {targets.dtype} {list(targets.shape)}; allowed: rows of zeros and ones [n, k]"
        )
    ones = targets.sum(axis=0)
    rare = np.minimum(ones, len(targets) - ones)
    if rare.min() < LEAST:
        at = int(rare.argmin())
        raise GraftError(
            f"targets: label {at} is on {int(ones[at])} of {len(targets)} examples; allowed: at least {LEAST} with it "
            f"and {LEAST} without"
        )


def _check_numbers(targets: np.ndarray) -> None:
    if targets.ndim != 2 or not np.issubdtype(targets.dtype, np.floating) or not np.isfinite(targets).all():
        raise GraftError(
            f"targets: received {targets.dtype} {list(targets.shape)}; allowed: rows of finite numbers [n, k]"
        )
    spread = targets.astype(np.float64).std(axis=0)
    if not (spread > 0).all():
        raise GraftError(
            f"targets: column {int(spread.argmin())} is the same in every example; allowed: that it varies"
        )


def _check_probabilities(probabilities: np.ndarray, count: int) -> None:
    if probabilities.ndim != 2 or len(probabilities) != count or probabilities.shape[1] < 2:
        raise GraftError(
            f"probabilities: received shape {list(probabilities.shape)}; allowed: [{count}, z] with z from 2"
        )
    sums = probabilities.sum(axis=1)
    if not (probabilities >= 0).all() or not np.allclose(sums, 1.0, atol=1e-3):
        raise GraftError(
            f"probabilities: rows sum up to {np.nanmin(sums):.4g} to {np.nanmax(sums):.4g}; allowed: numbers from 0 "
            "that sum up to 1"
        )
