"""Graft: a production pipeline for transfer learning on TensorFlow and Keras 3.

The folders of the repository are imported below this name (`graft.models`, `graft.serving`, ...); inside the house a
module is called by its folder (`models.loop`). The artifact types of Graft's components can be had from here
(`graft.Features`): TFX's entrypoint on Kubeflow finds a class by the name of its type, and takes names of two parts
only. They are loaded on first use, because TFX takes seconds.
"""

import importlib
from typing import Any

from graft.models import deferred

deferred.defer()  # before anything imports TensorFlow


def __getattr__(name: str) -> Any:
    # Classes only: a submodule is asked for here too, before it is imported.
    artifacts = importlib.import_module("graft.components.artifacts") if name[:1].isupper() else None
    if not hasattr(artifacts, name):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(artifacts, name)
