"""A handful of the data's own images, for checks that need pixels before ingestion has run."""

import itertools

from graft.components.ingest import check
from graft.components.ingest.header import Refused
from graft.components.ingest.options import DataOptions
from graft.components.ingest.spans import open_sources

_CHUNKS = 8
_TRIED = 64
"""Images read of one chunk at most, where those before cannot be used."""


def sample_images(options: DataOptions, count: int) -> list[bytes]:
    """Reads a few usable images from the first chunks of the newest span; the rest of the source is not read.

    Args:
      options: The data options.
      count: How many to return at most.

    Returns:
      The bytes of images that can be decoded, no two alike; fewer than `count`, or none, where the images that
      were tried are not usable.

    Raises:
      GraftError: The path is missing or empty, or a container is damaged.
    """
    _, source = open_sources(options)[-1]
    chunks = list(itertools.islice(source.chunks(), _CHUNKS))
    found: dict[bytes, None] = {}
    for number, chunk in enumerate(chunks):
        # The first chunks of class folders hold a class each, so none gives more than its part.
        wanted = len(found) + -(-(count - len(found)) // (len(chunks) - number))
        for item in itertools.islice(chunk.read(), _TRIED):
            if len(found) == wanted:
                break
            try:
                header = check.check_header(item, options)
            except Refused:
                continue
            for _, faults in check.decode_ahead([[(item, header)]]):
                if faults == [None]:
                    found[item.encoded] = None
    return list(found)
