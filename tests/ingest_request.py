"""What ingestion is asked for, from plain values, and what it wrote."""

from typing import Any

from graft.components.ingest import sources
from graft.components.ingest.request import Request, make_request
from graft.models import examples, inputs, targets


def read(result: Any, split: str, *names: str, domain: str | None = None) -> list[tuple]:
    """Some features of each example that an ingestion (fixture `ingest`) wrote."""
    files = examples.split_files(str(result.examples), split)
    return [tuple(row[name] for name in names) for row in examples.read_examples(files, names, domain)]


def request(
    *,
    input: dict[str, Any] | None = None,
    target: dict[str, Any] | None = None,
    second: Any = (),
    adapts: bool = False,
    unlabelled: bool = False,
    **data: Any,
) -> Request:
    """A request: data options by name (`second` is `data.target`), those of input and target as mappings."""
    return make_request(
        sources.parse_options(data | {"target": second}),
        inputs.parse_options(input or {}),
        targets.parse_options(target or {}),
        adapts=adapts,
        unlabelled=unlabelled,
    )
