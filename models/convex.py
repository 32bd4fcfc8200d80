"""Convex losses of a linear head: what `models.linear` minimises. NumPy only.

Each gives the losses of a batch of outputs and their derivatives. Where the head has several outputs, `Sigmoid` and
`Squares` are means over them, as the losses of Keras are.
"""

from typing import Protocol

import numpy as np


class Convex(Protocol):
    """A loss that is convex in the outputs of a linear head.

    Attributes:
        outputs: of the head, k.
        flatness: at outputs of zero the Hessian of the mean loss is the covariance of the features divided by this.
        steepness: by how much a path of L2 strengths starts above or below that of `Softmax`.
    """

    outputs: int
    flatness: float
    steepness: float

    def losses(self, outputs: np.ndarray, targets: np.ndarray, training: bool) -> tuple[np.ndarray, np.ndarray]:
        """Loss of each example and its derivative.

        Args:
            outputs: float32 [n, k]; may be overwritten.
            targets: encoded targets of the examples, [n, ...].
            training: whether it is minimised; else it is measured, without smoothing.

        Returns:
            losses [n], derivatives of each by the outputs float32 [n, k].
        """


class Softmax:
    """Cross-entropy of one label of k.

    Args:
        classes: k.
        smoothing: share of the label that is spread over all classes in training, from 0 to below 1.
    """

    def __init__(self, classes: int, smoothing: float = 0.0):
        self.outputs, self._smoothing = classes, smoothing
        # At zero every class has probability 1 / k.
        self.flatness, self.steepness = float(classes), 1.0

    def losses(self, outputs: np.ndarray, targets: np.ndarray, training: bool) -> tuple[np.ndarray, np.ndarray]:
        """See `Convex`; targets are int [n]."""
        smoothing, rows = self._smoothing if training else 0.0, np.arange(len(targets))
        outputs -= outputs.max(axis=1, keepdims=True)
        kept = (1 - smoothing) * outputs[rows, targets]
        if smoothing:
            kept += smoothing * outputs.mean(axis=1)
        np.exp(outputs, out=outputs)
        sums = outputs.sum(axis=1, keepdims=True)
        losses = np.log(sums[:, 0]) - kept
        outputs /= sums
        outputs[rows, targets] -= 1 - smoothing
        outputs -= smoothing / self.outputs
        return losses, outputs


class Sigmoid:
    """Mean of k binary cross-entropies: several labels of k, k logistic regressions with one strength.

    Args:
        labels: k.
    """

    def __init__(self, labels: int):
        self.outputs = labels
        self.flatness, self.steepness = 4.0 * labels, 1.0 / labels

    def losses(self, outputs: np.ndarray, targets: np.ndarray, training: bool) -> tuple[np.ndarray, np.ndarray]:
        """See `Convex`; targets are float [n, k], from 0 to 1."""
        decayed = np.exp(-np.abs(outputs))
        losses = (np.maximum(outputs, 0) - outputs * targets + np.log1p(decayed)).mean(axis=1)
        probabilities = np.where(outputs >= 0, 1, decayed) / (1 + decayed)
        return losses, (probabilities - targets) / self.outputs


class Squares:
    """Mean of k squared errors: ridge regression. The targets should be of a size near 1.

    Args:
        numbers: k.
    """

    def __init__(self, numbers: int):
        self.outputs = numbers
        self.flatness, self.steepness = numbers / 2.0, 8.0 / numbers

    def losses(self, outputs: np.ndarray, targets: np.ndarray, training: bool) -> tuple[np.ndarray, np.ndarray]:
        """See `Convex`; targets are float [n, k]."""
        error = outputs - targets
        return np.mean(error * error, axis=1), 2 * error / self.outputs
