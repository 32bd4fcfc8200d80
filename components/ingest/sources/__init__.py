"""Sources of images. A new one is a file beside this and an entry here."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from components.ingest.options import DataOptions
    from components.ingest.sources.base import Source

REGISTRY = {
    "image_folder": "components.ingest.sources.image_folder:ImageFolder",
    "csv": "components.ingest.sources.csv:Csv",
    "tfrecord": "components.ingest.sources.tfrecord:TfRecord",
    "parquet": "components.ingest.sources.parquet:Parquet",
    "tfds": "components.ingest.sources.tfds:Tfds",
    "idx": "components.ingest.sources.idx:Idx",
}
"""Name in the config -> module and class, imported when used: some need TensorFlow or pyarrow."""


def load(options: "DataOptions", path: str, prefix: str = "") -> "Source":
    """The source that `options.source` names, reading `path`.

    Args:
      options: The data options.
      path: What to read: `options.path`, or one of its spans.
      prefix: Goes before the name of each file, to tell spans apart.
    """
    module, name = REGISTRY[options.source].split(":")
    return getattr(importlib.import_module(module), name)(options, path, prefix)
