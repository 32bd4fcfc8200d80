"""Contents on their way through the input: admitted one by one, verified in batches on several threads."""

import collections
import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from typing import NamedTuple

from graft.components.ingest.sources.base import Item
from graft.models.inputs.base import Facts, Input, Refused

BATCH_ITEMS = 64
"""Contents verified in one call, so that the cost of a call vanishes."""

_BATCH_BYTES = 2**23
_THREADS = max(1, os.cpu_count() or 1)

Batch = list[tuple[Item, Facts]]


class Answer(NamedTuple):
    """What became of one content.

    Attributes:
      content: The bytes to store, or why it is not used.
      digest: sha256 of what the source gave: identity and split must not change with the library that converts it.
    """

    content: bytes | Refused
    digest: bytes


def admit(item: Item, source: Input) -> Facts:
    """What is known of an example without unpacking it.

    Args:
      item: As its source gives it.
      source: What it is to be.

    Raises:
      Refused: The source could not read it, the input does not take it, or what is said of it may not be used.
    """
    if item.reason is not None:
        raise Refused(item.reason, item.detail)
    facts = source.admit(item.content)
    if item.about.refused is not None:
        raise Refused(*item.about.refused)
    return facts


def batches(items: Iterable[Item], source: Input, refuse: Callable[[Item, Refused], None]) -> Iterator[Batch]:
    """Groups what is worth verifying, bounded by number, bytes and cost; hands the others to `refuse`."""
    batch: Batch = []
    cost = size = 0
    for item in items:
        try:
            facts = admit(item, source)
        except Refused as refused:
            refuse(item, refused)
            continue
        its_cost, its_size = source.cost(facts), len(item.content)
        full = len(batch) == BATCH_ITEMS or size + its_size > _BATCH_BYTES
        if batch and (full or cost + its_cost > source.BATCH_COST):
            yield batch
            batch, cost, size = [], 0, 0
        batch.append((item, facts))
        cost += its_cost
        size += its_size
    if batch:
        yield batch


def verify_ahead(found: Iterable[Batch], source: Input) -> Iterator[tuple[Batch, list[Answer]]]:
    """Verifies and hashes on other threads while the caller reads and writes.

    Args:
      found: Batches of what was admitted.
      source: Verifies them.

    Yields:
      Each batch with its answers, in order. As many batches are held as the machine has cores.
    """
    pending: collections.deque = collections.deque()
    for batch in found:
        pending.append((batch, _pool().submit(_verify, batch, source)))
        if len(pending) > _THREADS:
            done, answer = pending.popleft()
            yield done, answer.result()
    for done, answer in pending:
        yield done, answer.result()


def _verify(batch: Batch, source: Input) -> list[Answer]:
    contents = [item.content for item, _ in batch]
    verified = source.verify(contents, [facts for _, facts in batch])
    # Here, and not where the records are made: hashing lets other threads work meanwhile.
    return [Answer(one, hashlib.sha256(given).digest()) for one, given in zip(verified, contents, strict=True)]


@functools.cache
def _pool() -> futures.Executor:
    return futures.ThreadPoolExecutor(_THREADS, thread_name_prefix="verify")
