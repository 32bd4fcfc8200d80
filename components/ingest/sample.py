"""A handful of the data's own contents, for checks that need some before ingestion has run."""

import itertools

from graft.components.ingest import verify
from graft.components.ingest.request import Request
from graft.components.ingest.spans import open_sources
from graft.models.inputs.base import Refused

_CHUNKS = 8
_TRIED = 64
"""Examples read of one chunk at most, where those before cannot be used."""


def sample_contents(request: Request, count: int) -> list[bytes]:
    """Reads a few usable contents from the first chunks of the newest span; the rest of the source is not read.

    Args:
      request: What is asked for.
      count: How many to return at most.

    Returns:
      Contents as they would be stored, no two alike; fewer than `count`, or none, where those
      that were tried are not usable.

    Raises:
      GraftError: The path is missing or empty, or a container is damaged.
    """
    _, source = open_sources(request)[-1]
    chunks = list(itertools.islice(source.chunks(), _CHUNKS))
    found: dict[bytes, None] = {}
    for number, chunk in enumerate(chunks):
        # The first chunks of class folders hold a class each, so none gives more than its part.
        wanted = len(found) + -(-(count - len(found)) // (len(chunks) - number))
        for item in itertools.islice(chunk.read(), _TRIED):
            if len(found) == wanted:
                break
            try:
                facts = verify.admit(item, request.input)
            except Refused:
                continue
            (content,) = request.input.verify([item.content], [facts])
            if isinstance(content, bytes):
                found[content] = None
    return list(found)
