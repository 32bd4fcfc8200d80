"""Graft: a production pipeline for transfer learning on TensorFlow and Keras 3.

`graft.run(config)` makes and pushes a model, `graft.load(store)` predicts with one in this process, `graft.Client` asks
a server; each is imported at its first use. The client is there without the pipeline's packages, with grpcio and NumPy.

The folders of the repository are imported below this name (`graft.models`, `graft.serving`, ...); inside the house a
module is called by its folder (`models.loop`). The artifact types of Graft's components can be had from here
(`graft.Features`): TFX's entrypoint on Kubeflow finds a class by the name of its type, and takes names of two parts
only. They are loaded on first use, because TFX takes seconds.
"""

import importlib
from typing import TYPE_CHECKING, Any

from graft.models import deferred, installation

if TYPE_CHECKING:
    from graft.models.errors import GraftError as GraftError
    from graft.pipeline.api import Run as Run
    from graft.pipeline.api import run as run
    from graft.serving.client import Client as Client
    from graft.serving.loaded import LoadedModel as LoadedModel
    from graft.serving.loaded import load as load

deferred.defer()  # before anything imports TensorFlow

_API = {
    "Client": "graft.serving.client",
    "GraftError": "graft.models.errors",
    "LoadedModel": "graft.serving.loaded",
    "Run": "graft.pipeline.api",
    "load": "graft.serving.loaded",
    "run": "graft.pipeline.api",
}


_OF_A_CLIENT = ("Client", "GraftError")


def __getattr__(name: str) -> Any:
    if name not in _OF_A_CLIENT and (name in _API or name[:1].isupper()):
        installation.require(f"graft.{name}")
    if name in _API:
        return getattr(importlib.import_module(_API[name]), name)
    # Classes only: a submodule is asked for here too, before it is imported.
    artifacts = importlib.import_module("graft.components.artifacts") if name[:1].isupper() else None
    if not hasattr(artifacts, name):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(artifacts, name)
