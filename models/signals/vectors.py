"""Feature vectors of reference examples: a sample of rows in few columns, small enough to lie in a reference."""

import base64
import dataclasses
import functools
import hashlib
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

ROWS, COLUMNS = 512, 64
"""Most rows and columns that are kept: 128 KiB."""

_TYPE = np.dtype("<f4")


@functools.lru_cache(maxsize=4)
def _signs(width: int) -> np.ndarray:
    """Float32 [width, COLUMNS] of 1 and -1 by coin tosses that are the same everywhere and for ever."""
    tosses = hashlib.shake_256(f"graft feature vectors {width}".encode()).digest(width * COLUMNS // 8)
    bits = np.unpackbits(np.frombuffer(tosses, np.uint8)).reshape(width, COLUMNS)
    return bits.astype(np.float32) * 2 - 1


def projected(vectors: np.ndarray) -> np.ndarray:
    """Feature vectors in at most `COLUMNS` columns, float32 [n, k].

    A projection by random signs keeps distances (Achlioptas, "Database-friendly Random Projections", JCSS 66, 2003)
    and, unlike principal components, is not fitted to the reference: what is new is not told from it by the fit.

    Args:
        vectors: float [n, d]; as they are where d is at most `COLUMNS`.
    """
    vectors = np.asarray(vectors, np.float32)
    width = vectors.shape[1]
    return vectors if width <= COLUMNS else vectors @ (_signs(width) / np.float32(np.sqrt(width)))


@dataclasses.dataclass(frozen=True)
class Vectors:
    """Feature vectors of the first of a reference's examples.

    Attributes:
        width: of the vectors as the model gives them.
        rows: how many are kept.
        data: the rows, `projected`, float32 in little-endian order.
    """

    width: int
    rows: int
    data: bytes

    def __post_init__(self):
        """Raises ValueError where the parts do not fit together."""
        if self.width < 1 or self.rows < 0 or len(self.data) != self.rows * min(self.width, COLUMNS) * _TYPE.itemsize:
            raise ValueError(f"vectors are not {self.rows} rows of {min(self.width, COLUMNS)} columns")

    @classmethod
    def of(cls, vectors: np.ndarray) -> Self:
        """Keeps the first `ROWS` of float [n, d]; those that hold no finite number are left out."""
        kept = projected(vectors[:ROWS])
        kept = kept[np.isfinite(kept).all(axis=1)]
        return cls(vectors.shape[1], len(kept), kept.astype(_TYPE).tobytes())

    @property
    def values(self) -> np.ndarray:
        """Float32 [rows, k]."""
        return np.frombuffer(self.data, _TYPE).reshape(self.rows, min(self.width, COLUMNS)).astype(np.float32)

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return {"width": self.width, "rows": self.rows, "data": base64.b64encode(self.data).decode()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """What `to_json` made. Raises ValueError."""
        return cls(value["width"], value["rows"], base64.b64decode(value["data"], validate=True))
