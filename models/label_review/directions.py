"""Vectors in the few directions that hold most of them: what makes products of many vectors cheap."""

import numpy as np

_SAMPLE = 4096


def strongest(vectors: np.ndarray, count: int) -> np.ndarray:
    """Vectors float32 [n, d] in the `count` directions in which a sample is longest; as they are if d is no larger.

    The directions are at right angles: no two vectors lie further apart than before.
    """
    if vectors.shape[1] <= count:
        return vectors
    rows = np.unique(np.linspace(0, len(vectors) - 1, min(len(vectors), _SAMPLE)).astype(int))
    sample = np.asarray(vectors[rows], np.float32)
    _, directions = np.linalg.eigh((sample.T @ sample).astype(np.float64))
    return np.asarray(vectors, np.float32) @ np.ascontiguousarray(directions[:, -count:]).astype(np.float32)
