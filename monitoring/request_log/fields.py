"""What of a request may be written: inputs and outputs that are left out, and those that are hashed with a key."""

import dataclasses
import hmac
import os
from collections.abc import Mapping

import numpy as np

from graft.models.errors import GraftError
from graft.monitoring.request_log.options import KEY_VARIABLE, Options
from graft.serving.observers import Served

_SHORTEST_KEY = 16


class Fields:
    """The rules of one log.

    Attributes:
        unseen: names of the rules that no request had so far. A slip of the pen here would let data through.

    Raises:
        GraftError: something is to be hashed and there is no key, or a name is to be hashed and left out.
    """

    def __init__(self, options: Options):
        both = sorted(set(options.leave_out) & set(options.hash))
        if both:
            raise GraftError(f"request_log: {', '.join(both)} is under leave_out and under hash; allowed: one of them")
        self._keep_inputs = options.inputs == "keep"
        self._left_out, self._hashed = frozenset(options.leave_out), frozenset(options.hash)
        self._key = os.environ.get(KEY_VARIABLE, "").encode()
        if self._hashed and len(self._key) < _SHORTEST_KEY:
            raise GraftError(
                f"request_log.hash: the environment variable {KEY_VARIABLE} has {len(self._key)} bytes; it must hold a "
                f"secret of at least {_SHORTEST_KEY}"
            )
        self.unseen = set(self._left_out | self._hashed)

    def kept(self, served: Served) -> tuple[Served, tuple[str, ...]]:
        """The request without what is left out, and the names of that; quick, for it is done while its caller waits."""
        if self._keep_inputs and not self._left_out:
            return served, ()
        inputs = {name: array for name, array in served.inputs.items() if self._keep_inputs and self._is_kept(name)}
        outputs = {name: array for name, array in served.outputs.items() if self._is_kept(name)}
        gone = sorted((served.inputs.keys() - inputs.keys()) | (served.outputs.keys() - outputs.keys()))
        return dataclasses.replace(served, inputs=inputs, outputs=outputs), tuple(gone)

    def hashed(self, arrays: Mapping[str, np.ndarray]) -> tuple[Mapping[str, np.ndarray], list[str]]:
        """The arrays, with digests in place of those to hash, and the names of these."""
        if not self._hashed:
            return arrays, []
        names = sorted(arrays.keys() & self._hashed)
        return {**arrays, **{name: self._digests(arrays[name]) for name in names}}, names

    def _is_kept(self, name: str) -> bool:
        return name not in self._left_out

    def _digests(self, array: np.ndarray) -> np.ndarray:
        """Hexadecimal HMAC-SHA256 of each string, in the array's shape, or of each row of numbers, [n]."""
        if array.dtype.kind in "OSU":
            values = [value.encode() if isinstance(value, str) else value for value in array.ravel().tolist()]
            shape = array.shape
        else:
            shape = array.shape[:1]
            rows = np.ascontiguousarray(array).reshape(*(shape or (1,)), -1) if array.size else array
            values = [row.tobytes() for row in rows] if array.size else [b""] * (shape[0] if shape else 1)
        digests = np.empty(len(values), object)
        digests[:] = [hmac.digest(self._key, value, "sha256").hex().encode() for value in values]
        return digests.reshape(shape)
