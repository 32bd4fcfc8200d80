"""Graft's own TFX components, a folder each.

The artifact types can be imported from here (`components.Features`), the name TFX's entrypoint on Kubeflow looks for;
they are loaded on first use, because TFX takes seconds.
"""

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    # Classes only: a submodule is asked for here too, before it is imported.
    artifacts = importlib.import_module("components.artifacts") if name[:1].isupper() else None
    if not hasattr(artifacts, name):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(artifacts, name)
