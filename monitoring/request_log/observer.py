"""The request log: an observer of a server, or of a client beside a server that keeps no log of its own.

    graft serve STORE --request-log FOLDER
    Client(address, model, observers=[RequestLog(Options(folder="requests"))])

Does not import TensorFlow.
"""

import dataclasses
import hashlib
import logging
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from graft.models.errors import GraftError
from graft.monitoring import exposition
from graft.monitoring.request_log.counts import Counts
from graft.monitoring.request_log.fields import Fields
from graft.monitoring.request_log.options import Options
from graft.monitoring.request_log.record import encode
from graft.monitoring.request_log.writer import Writer
from graft.serving.observers import Observer, Page, Served

# What a record takes beside its arrays while it waits.
_OVERHEAD_BYTES = 2048

logger = logging.getLogger(__name__)


class _Waiting(NamedTuple):
    served: Served
    left_out: tuple[str, ...]
    shortened: bool


class RequestLog(Observer):
    """Writes sampled requests to TFRecord files; may be told by several threads; a context manager.

    Attributes:
        counts: what was written, and what was not and why.

    Raises:
        GraftError: no folder is named or it cannot be written to, or the key of `hash` is missing.
    """

    def __init__(self, options: Options):
        if options.folder is None:
            raise GraftError("request_log.folder is null; give the folder of the log")
        self.counts = Counts()
        self._options, self._fields = options, Fields(options)
        self._warned = False
        self._writer: Writer[_Waiting] = Writer(options, self._encoded, self.counts, self._look_at_names)

    def observe(self, served: Served) -> None:
        """Takes a request if the sample holds it and there is room."""
        if not sampled(served.request_id, self._options.sample):
            self.counts.add(unsampled=1)
            return
        served, left_out = self._fields.kept(served)
        size = _size(served.inputs)
        shortened = size > self._options.max_bytes
        if shortened:  # what will not be written need not wait
            served, size = dataclasses.replace(served, inputs={}), 0
        self._writer.offer(_Waiting(served, left_out, shortened), size + _size(served.outputs) + _OVERHEAD_BYTES)

    def pages(self) -> Mapping[str, Page]:
        """Its series on the page for Prometheus."""
        return exposition.page(self.counts.text, needed=False)

    def close(self) -> None:
        """Writes what waits and finishes the file."""
        self._writer.close()

    def __enter__(self) -> "RequestLog":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _encoded(self, waiting: _Waiting) -> bytes:
        served, options = waiting.served, self._options
        if self._fields.unseen:
            self._fields.unseen.difference_update(served.inputs, served.outputs, waiting.left_out)
        content, shortened = encode(
            served, waiting.left_out, self._fields, options.sample, options.max_bytes, waiting.shortened
        )
        if shortened:
            self.counts.add(shortened=1)
        return content

    def _look_at_names(self) -> None:
        if self._fields.unseen and not self._warned:
            self._warned = True
            names = ", ".join(sorted(self._fields.unseen))
            logger.warning(
                "request_log: leave_out or hash names %s; no request had an input or output of that name", names
            )


def sampled(request_id: str, share: float) -> bool:
    """Whether a request is in a sample of that share: a hash of its id decides, the same everywhere and every time."""
    if share >= 1:
        return True
    digest = hashlib.blake2b(request_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64


def _size(arrays: Mapping[str, np.ndarray]) -> int:
    """Bytes of arrays, their strings included."""
    return sum(
        sum(map(len, array.ravel().tolist())) + 64 * array.size if array.dtype == object else array.nbytes
        for array in arrays.values()
    )
