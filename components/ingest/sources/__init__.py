"""Sources of examples. A new one is a file beside this and an entry here; one of a layer above is an entry point of the
group `graft.sources` (setup.py).

Its module holds `Options`, a pydantic model with its own `source`, and `Source`, a subclass of
`sources.base.Source`; it imports neither TensorFlow nor pyarrow before something is read.
"""

from typing import Any

from graft.components.ingest.options import DataOptions, RowOptions
from graft.models.registry import Registry

REGISTRY = Registry(
    "data.source",
    {
        "image_folder": "graft.components.ingest.sources.image_folder",
        "csv": "graft.components.ingest.sources.csv",
        "tfrecord": "graft.components.ingest.sources.tfrecord",
        "parquet": "graft.components.ingest.sources.parquet",
        "tfds": "graft.components.ingest.sources.tfds",
        "idx": "graft.components.ingest.sources.idx",
    },
    group="graft.sources",
    needs=("Source",),
)


def with_columns() -> list[str]:
    """Names of the sources that have columns."""
    return [name for name in REGISTRY if issubclass(REGISTRY.options(name), RowOptions)]


def parse_options(options: dict[str, Any]) -> DataOptions:
    """The options of a source from JSON types or values.

    Raises:
      GraftError: There is no such source.
      pydantic.ValidationError: A key or a value is wrong.
    """
    return REGISTRY.options(str(options.get("source"))).model_validate(options)  # type: ignore[return-value]
