"""A linear head on feature vectors, solved to its optimum.

    minimise over W, b:  sum_i w_i loss(t_i, x_i W + b) / sum_i w_i + l2 ||W||^2

x_i is a feature vector, t_i its target, w_i the weight of the example, and the loss one of `models.convex`: logistic
regression, several of them, or ridge regression. scikit-learn's `LogisticRegression` minimises the same with
C = 1 / (2 l2 sum_i w_i). The problem is convex: its optimum does not depend on seeds, order, batch size or learning
rate.

The solver is L-BFGS (Liu and Nocedal, Mathematical Programming 45, 1989; SciPy's implementation) in coordinates in
which the Hessian at the start is near the identity. Its eigenvectors are those of the features' covariance, read off a
sample of rows (Nystrom preconditioning: Frangella, Tropp and Udell, SIAM J. Matrix Anal. Appl. 44, 2023). Where there
are fewer examples than features the optimum lies in the span of the examples, and nothing beyond it is computed.
Features are read in slices, so memory-mapped ones need not fit in memory.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import scipy.optimize

from graft.models.arrays import Joined
from graft.models.convex import Convex
from graft.models.errors import GraftError
from graft.models.options import HeadOptions

_SLICE_BYTES = 64 * 2**20
_SAMPLE = 1024
_DIRECTIONS = 128
_ITERATIONS = 1000
_MEMORY = 10
_GRADIENT = 5e-5
_ROUNDING = 1e-4
_STEPS, _STEPS_A_DECADE = 19, 2
_PATIENCE = 2


Figures = Callable[[np.ndarray, np.ndarray], Mapping[str, np.ndarray]]
"""(outputs float32 [n, k], targets [n, ...]) -> figures of each example by name, [n], whose means are told."""


@dataclasses.dataclass(frozen=True)
class Linear:
    """Outputs for features x: x @ kernel + bias.

    Attributes:
        kernel: float32 [d, k].
        bias: float32 [k].
    """

    kernel: np.ndarray
    bias: np.ndarray


@dataclasses.dataclass(frozen=True)
class Examples:
    """Feature vectors with targets.

    Attributes:
        features: float [n, d], memory-mapped or not.
        targets: encoded, [n, ...].
        weights: float [n], positive; None: all the same.
        measured: figures are of the first so many; None: of all.
    """

    features: np.ndarray
    targets: np.ndarray
    weights: np.ndarray | None = None
    measured: int | None = None

    def slices(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Features float32, targets and weights float32, some rows at a time."""
        rows = max(1, _SLICE_BYTES // max(1, 4 * self.features.shape[1]))
        for start in range(0, len(self.targets), rows):
            part = slice(start, start + rows)
            features = np.asarray(self.features[part], np.float32)
            weights = np.ones(len(features), np.float32) if self.weights is None else self.weights[part]
            yield features, self.targets[part], np.asarray(weights, np.float32)

    def weighed(self, factors: np.ndarray) -> "Examples":
        """The same with each weight multiplied by a factor, float [n]."""
        return dataclasses.replace(self, weights=factors if self.weights is None else self.weights * factors)


@dataclasses.dataclass(frozen=True)
class Step:
    """One strength of a path.

    Attributes:
        l2: the strength.
        figures: means on the training examples by name, `loss` among them, every example counting once, without
            smoothing and penalty; and on the eval examples, as `val_` and the name.
        iterations: of L-BFGS.
        converged: whether the optimum was reached within the allowed iterations.
        seconds: wall time.
    """

    l2: float
    figures: dict[str, float]
    iterations: int
    converged: bool
    seconds: float

    @property
    def flat(self) -> dict[str, Any]:
        """All of it as JSON types, the figures by their names."""
        fields = dataclasses.asdict(self)
        return {"l2": fields.pop("l2"), **fields.pop("figures"), **fields}


@dataclasses.dataclass(frozen=True)
class Path:
    """What came out of `solve`.

    Attributes:
        steps: the strengths that were tried, from strong to weak.
        chosen: index of the one with the lowest eval loss; of equal ones the strongest.
        model: the optimum there, on train and eval together where that was asked for.
    """

    steps: list[Step]
    chosen: int
    model: Linear


class Solver:
    """Solves for any number of strengths on the same examples, each from where the one before ended.

    Args:
        examples: to learn from; at least one.
        loss: of an example.

    Raises:
        GraftError: a feature is no finite number.
    """

    def __init__(self, examples: Examples, loss: Convex):
        self._examples, self._convex = examples, loss
        self._width = examples.features.shape[1]
        self._total = sum(float(weights.sum(dtype=np.float64)) for *_, weights in examples.slices())
        self._mean, self.variance = self._moments()
        if not math.isfinite(self.variance):
            raise _not_finite("train")
        self._values, self._vectors = self._spectrum()
        self._centre = self._mean
        self._span: np.ndarray | None = None
        if len(examples.targets) <= min(self._width, _SAMPLE):
            self._enter_span()
        else:
            # The others change the number of iterations by next to nothing, and cost as much as the features do.
            self._values = self._values[-_DIRECTIONS:]
            self._vectors = np.ascontiguousarray(self._vectors[:, -_DIRECTIONS:])
        self._start = np.zeros((self._width + 1, loss.outputs))

    def solve(self, l2: float) -> tuple[Linear, int, bool]:
        """The optimum for one strength.

        Returns:
            the model, the number of iterations and whether they reached the optimum: no component of the gradient, in
            the solver's coordinates, is above 1e-4.
        """
        scale = self._coordinates(l2)

        def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
            point = flat.reshape(self._start.shape)
            kernel, bias = scale(point[:-1], 1), point[-1]
            loss, towards_kernel, towards_bias = self._loss(kernel, bias)
            loss += l2 * float(np.sum(kernel * kernel))
            towards_kernel += 2 * l2 * kernel
            return loss, np.concatenate([scale(towards_kernel, 1), towards_bias[None]]).ravel()

        start = np.concatenate([scale(self._start[:-1], -1), self._start[-1:]])
        # Features are float32: where their rounding ends the search before the gradient is as small as asked, that is
        # the optimum too.
        options = {"maxiter": _ITERATIONS, "maxcor": _MEMORY, "gtol": _GRADIENT, "ftol": 1e-10}
        found = scipy.optimize.minimize(objective, start.ravel(), jac=True, method="L-BFGS-B", options=options)
        point = found.x.reshape(self._start.shape)
        kernel, bias = scale(point[:-1], 1), point[-1]
        self._start = np.concatenate([kernel, bias[None]])
        if self._span is not None:
            kernel = self._span @ kernel
        bias = bias - self._mean @ kernel
        converged = float(np.abs(found.jac).max()) <= _ROUNDING
        return Linear(kernel.astype(np.float32), bias.astype(np.float32)), int(found.nit), converged

    def _loss(self, kernel: np.ndarray, bias: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Mean loss of centred features without the penalty, and its gradients."""
        narrow = kernel.astype(np.float32)
        shift = (bias - self._centre @ kernel).astype(np.float32)
        loss, towards_kernel = 0.0, np.zeros(kernel.shape)
        towards_bias = np.zeros(bias.shape)
        for features, targets, weights in self._examples.slices():
            outputs = features @ narrow
            outputs += shift
            losses, residual = self._convex.losses(outputs, targets, True)
            loss += float(losses.astype(np.float64) @ weights)
            residual *= weights[:, None]
            towards_kernel += features.T @ residual
            towards_bias += residual.sum(axis=0, dtype=np.float64)
        towards_kernel -= np.outer(self._centre, towards_bias)
        return loss / self._total, towards_kernel / self._total, towards_bias / self._total

    def _enter_span(self) -> None:
        """Goes on with the centred features in the coordinates of their own span: no more of them than examples."""
        self._span = self._vectors
        inside = (np.asarray(self._examples.features[:], np.float64) - self._mean) @ self._span
        self._examples = dataclasses.replace(self._examples, features=inside.astype(np.float32))
        self._width = inside.shape[1]
        self._centre = np.zeros(self._width)

    def _moments(self) -> tuple[np.ndarray, float]:
        """The weighted mean of the features [d], and their total variance."""
        first = np.zeros(self._width)
        for features, _, weights in self._examples.slices():
            first += weights.astype(np.float64) @ features
        mean = first / self._total
        second = 0.0
        for features, _, weights in self._examples.slices():
            centred: np.ndarray = features - mean.astype(np.float32)
            second += float(np.einsum("ij,ij,i->", centred, centred, weights, dtype=np.float64))
        return mean, second / self._total

    def _spectrum(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues [r] and eigenvectors [d, r] of the covariance of a sample of rows."""
        count = len(self._examples.targets)
        rows = np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(int))
        sample = np.asarray(self._examples.features[rows], np.float64) - self._mean
        if self._examples.weights is not None:
            weights = np.asarray(self._examples.weights[rows], np.float64)
            sample *= np.sqrt(weights / weights.mean())[:, None]
        sample /= math.sqrt(len(rows))
        if len(rows) < self._width:
            values, left = np.linalg.eigh(sample @ sample.T)
        else:
            values, vectors = np.linalg.eigh(sample.T @ sample)
        kept = values > 1e-10 * max(values[-1], 1e-300)
        if len(rows) < self._width:
            return values[kept], (sample.T @ left[:, kept]) / np.sqrt(values[kept])
        return values[kept], vectors[:, kept]

    def _coordinates(self, l2: float) -> Callable[[np.ndarray, int], np.ndarray]:
        """Multiplies by the Hessian at zero to the power of -power / 2; symmetric, so it serves gradients too."""
        left = max(0, self._width - len(self._values))
        tail = max(0.0, self.variance - float(self._values.sum())) / left if left else 0.0
        curvature = self._values / self._convex.flatness + 2 * l2
        rest = tail / self._convex.flatness + 2 * l2 if left else float(curvature.min(initial=1.0))
        rest = max(rest, 1e-12)

        def multiply(matrix: np.ndarray, power: int) -> np.ndarray:
            outside = rest ** (-power / 2)
            inside = np.maximum(curvature, 1e-12) ** (-power / 2)
            if self._span is not None:
                return inside[:, None] * matrix
            return outside * matrix + self._vectors @ ((inside - outside)[:, None] * (self._vectors.T @ matrix))

        return multiply


def solve(
    train: Examples,
    evaluate: Examples,
    loss: Convex,
    options: HeadOptions,
    progress: Callable[[int, Step], None] | None = None,
    figures: Figures = lambda outputs, targets: {},
) -> Path:
    """Solves along a path of L2 strengths, from strong to weak, and chooses the one with the lowest eval loss.

    The strengths are half decades apart, the first so strong that 2 l2 is the total variance of the features (times
    the loss's `steepness`), so the path means the same at any scale of the features. It ends after two strengths
    without a better eval loss.

    Args:
        train: to learn from.
        evaluate: to choose on; its weights play no part.
        loss: of an example.
        options: `l2`, one strength instead of the path; `refit`.
        progress: called with the number of strengths done and the last of them.
        figures: to tell beside the loss.

    Raises:
        GraftError: a feature is no finite number.
    """
    solver = Solver(train, loss)
    strongest = (solver.variance or 1.0) / 2 * loss.steepness
    strengths = (
        [strongest * 10 ** (-i / _STEPS_A_DECADE) for i in range(_STEPS)] if options.l2 is None else [options.l2]
    )
    steps: list[Step] = []
    chosen, best = 0, None
    for number, strength in enumerate(strengths):
        start = time.perf_counter()
        model, iterations, converged = solver.solve(strength)
        found = measure(model, train, loss, figures)
        found |= {f"val_{name}": value for name, value in measure(model, evaluate, loss, figures).items()}
        if not math.isfinite(found["val_loss"]):
            raise _not_finite("eval")
        steps.append(Step(strength, found, iterations, converged, round(time.perf_counter() - start, 4)))
        if best is None or found["val_loss"] < steps[chosen].figures["val_loss"]:
            chosen, best = number, model
        if progress is not None:
            progress(len(steps), steps[-1])
        if number - chosen >= _PATIENCE:
            break
    assert best is not None
    if options.refit:
        best = refit(train, evaluate, loss, steps[chosen].l2)
    return Path(steps, chosen, best)


def _not_finite(split: str) -> GraftError:
    return GraftError(f"head: features of the {split} split are not finite numbers; no head can be solved on them")


def refit(train: Examples, evaluate: Examples, loss: Convex, l2: float) -> Linear:
    """Solves on both sets at a strength that was chosen with one of them held out.

    The penalty keeps its weight against each single example: l2 falls as the number of examples grows, as it does when
    scikit-learn's C is kept.
    """
    both = join(train, evaluate)
    return Solver(both, loss).solve(l2 * len(train.targets) / len(both.targets))[0]


def join(first: Examples, second: Examples, measured: int | None = None) -> Examples:
    """Two sets one after the other, without a copy of their features.

    Args:
        first: those that come first.
        second: those that follow.
        measured: see `Examples`.
    """
    weights = [np.ones(len(p.targets), np.float32) if p.weights is None else p.weights for p in (first, second)]
    features: Any = Joined(first.features, second.features)
    return Examples(features, np.concatenate([first.targets, second.targets]), np.concatenate(weights), measured)


def measure(model: Linear, examples: Examples, loss: Convex, figures: Figures) -> dict[str, float]:
    """Means over the measured examples: `loss`, and the figures by name."""
    count = len(examples.targets) if examples.measured is None else examples.measured
    sums: dict[str, float] = {"loss": 0.0}
    done = 0
    for features, targets, _ in examples.slices():
        outputs = features[: count - done] @ model.kernel + model.bias
        targets = targets[: count - done]
        found = {name: np.sum(values, dtype=np.float64) for name, values in figures(outputs, targets).items()}
        found["loss"] = loss.losses(outputs, targets, False)[0].sum(dtype=np.float64)  # may overwrite the outputs
        sums |= {name: sums.get(name, 0.0) + float(value) for name, value in found.items()}
        done += len(targets)
        if done >= count:
            break
    return {name: value / count for name, value in sums.items()}
