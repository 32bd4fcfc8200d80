"""One backbone a process for all that only look at it: loading one takes seconds, and stages of a local run share it.

What is handed out is the same object each time and can only compute: it refuses to be unfrozen, so no training changes
what a later stage gets. Methods that train the backbone load one of their own by `own_backbone`.
"""

import json
import pathlib
import threading

import tensorflow as tf

from graft.models import handles
from graft.models.backbone import Backbone, configured_backbone
from graft.models.download import REMOTE, fetch
from graft.models.hashing import backbone_hash
from graft.models.inputs.base import Input
from graft.models.options import BackboneOptions

_lock = threading.Lock()
_held: tuple[tuple, Backbone] | None = None
"""The last one that was asked for, and no other: a backbone may take gigabytes."""


def shared_backbone(options: BackboneOptions, input: Input) -> Backbone:
    """`models.backbone.configured_backbone` for inference, from memory where the same one was the last to be loaded.

    It is the same by settings, input and content: what changed on disk meanwhile is loaded. Variables belong to the
    distribution strategy that they are made under, so with several replicas nothing is shared.

    Raises:
        GraftError: as `configured_backbone`.
    """
    global _held
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        return configured_backbone(options, input)
    key = (options.model_dump_json(), input, _content(options))
    with _lock:
        if _held is None or _held[0] != key:
            _held = None  # never two in memory
            backbone = configured_backbone(options, input)
            backbone.lend()
            _held = (key, backbone)
        return _held[1]


def own_backbone(options: BackboneOptions, input: Input) -> Backbone:
    """`configured_backbone` for who trains it; drops the shared one, which would be a second in memory."""
    global _held
    with _lock:
        _held = None
    return configured_backbone(options, input)


def _content(options: BackboneOptions) -> str:
    """Hash of what the handle names; a network of `keras.applications` is what its name says while a process lives."""
    place = handles.placed(options.handle)
    path = pathlib.Path(fetch(place, options.allow_http) if place.startswith(REMOTE) else place)
    return backbone_hash(path) if path.exists() else json.dumps(options.handle)
