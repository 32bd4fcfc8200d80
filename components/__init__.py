"""Graft's own TFX components, a folder each.

The artifact types can be imported from here (`components.Features`), the name TFX's entrypoint on Kubeflow looks for;
they are loaded on first use, because TFX takes seconds.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    from components import artifacts

    if name.startswith("_") or not hasattr(artifacts, name):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(artifacts, name)
