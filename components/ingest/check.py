"""Whether images are to be used: limits and type from the header, then the pixels as the served graph decodes them."""

import collections
import contextlib
import functools
import hashlib
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent import futures

import tensorflow as tf

from graft.components.ingest.header import Header, Refused, read_header
from graft.components.ingest.options import DataOptions
from graft.components.ingest.reasons import Reason
from graft.components.ingest.sources.base import Item
from graft.models.errors import kernel_reason
from graft.models.inputs.image import convert, decoding

BATCH_IMAGES = 64
"""Images decoded in one call, so that the cost of a call vanishes."""

BATCH_PIXELS = 2**24
"""Pixels decoded in one call; a larger image goes alone, one at a time in the process."""

_THREADS = max(1, os.cpu_count() or 1)

Batch = list[tuple[Item, Header]]

_compile_lock = threading.Lock()
_large_lock = threading.Lock()


def check_header(item: Item, options: DataOptions) -> Header:
    """Checks what can be told without unpacking.

    Args:
      item: An image as the source gives it.
      options: Its limits apply.

    Returns:
      The header of an image worth decoding.

    Raises:
      Refused: The source could not read it, it is too large, of another type, or announces too many pixels.
    """
    if item.reason is not None:
        raise Refused(item.reason, item.detail)
    if len(item.encoded) > options.max_bytes:
        raise Refused(Reason.TOO_LARGE, f"{len(item.encoded)} bytes, at most {options.max_bytes} are read")
    header = read_header(item.encoded)
    if header.pixels > options.max_pixels:
        size = f"{header.format} of {header.width} x {header.height}, {header.pixels} pixels in all"
        raise Refused(Reason.TOO_MANY_PIXELS, f"{size}; at most {options.max_pixels} are decoded")
    return header


def decode_ahead(batches: Iterable[Batch]) -> Iterator[tuple[Batch, list[str | None]]]:
    """Decodes on other threads while the caller reads and writes.

    Args:
      batches: Images whose headers were checked.

    Yields:
      Each batch with the answers of `check_batch`, in order. As many batches are held as the machine has cores.
    """
    pending: collections.deque = collections.deque()
    for batch in batches:
        pending.append((batch, _pool().submit(check_batch, batch)))
        if len(pending) > _THREADS:
            done, answer = pending.popleft()
            yield done, answer.result()
    for done, answer in pending:
        yield done, answer.result()


@functools.cache
def _pool() -> futures.Executor:
    return futures.ThreadPoolExecutor(_THREADS, thread_name_prefix="decode")


def check_batch(batch: Batch) -> list[str | None]:
    """Converts what the rule does not decode, then decodes images and drops the pixels.

    Args:
      batch: Images whose headers were checked. `encoded` of one that is converted becomes the PNG, and `digest` is set.

    Returns:
      For each image None when `inputs.image.decoding.decode_image` decodes it, else what it or the conversion says.
    """
    large = any(header.pixels > BATCH_PIXELS for _, header in batch)
    with _large_lock if large else contextlib.nullcontext():
        faults = [_convert(item) if header.format in convert.FORMATS else None for item, header in batch]
        sound = [i for i, fault in enumerate(faults) if fault is None]
        decoded = _check([batch[i][0].encoded for i in sound], [batch[i][1] for i in sound])
        for i, fault in zip(sound, decoded, strict=True):
            faults[i] = fault
        return faults


def _convert(item: Item) -> str | None:
    try:
        encoded = convert.to_supported(item.encoded)
    except convert.ConversionError as error:
        return str(error)
    # What the file is, its split too, must not change with the version of the library that converts it.
    item.digest = item.digest or hashlib.sha256(item.encoded).digest()
    item.encoded = encoded
    return None


def _check(encoded: Sequence[bytes], headers: Sequence[Header]) -> list[str | None]:
    faults: list[str | None] = [None] * len(encoded)
    for decodes, chosen in (
        (_Compiled.pngs, [i for i, header in enumerate(headers) if header.format == "PNG"]),
        (_Compiled.any, [i for i, header in enumerate(headers) if header.format != "PNG"]),
    ):
        if chosen and not _decodes(decodes(), [encoded[i] for i in chosen]):
            for i in chosen:
                faults[i] = _fault(encoded[i])
    return faults


def _decodes(function, encoded: list[bytes]) -> bool:
    try:
        function(tf.constant(encoded))
    except tf.errors.InvalidArgumentError:
        return False
    return True


def _fault(encoded: bytes) -> str | None:
    try:
        _Compiled.any()(tf.constant([encoded]))
    except tf.errors.InvalidArgumentError as error:
        return kernel_reason(error.message)
    return None


class _Compiled:
    """The graphs, compiled once per process."""

    _functions: dict[str, tf.types.experimental.ConcreteFunction] = {}

    @classmethod
    def any(cls):
        """The rule itself."""
        return cls._get("any", decoding.decode_image)

    @classmethod
    def pngs(cls):
        """What the rule does with a PNG, without what cannot fail: six times faster on small ones."""
        return cls._get("pngs", lambda encoded: tf.io.decode_png(encoded, channels=4))

    @classmethod
    def _get(cls, name, decode):
        with _compile_lock:
            if name not in cls._functions:

                @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
                def heights(encoded):
                    return tf.map_fn(
                        lambda one: tf.shape(decode(one))[0],
                        encoded,
                        fn_output_signature=tf.int32,
                        parallel_iterations=1,  # bounds memory; other threads decode other batches
                    )

                cls._functions[name] = heights.get_concrete_function()
            return cls._functions[name]
