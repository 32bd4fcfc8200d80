"""Mixed precision: the backbone computes in 16 bit while it is trained, variables and head stay in 32."""

import contextlib
import logging
from collections.abc import Iterator

import keras
import tensorflow as tf

from graft.models.backbone import Backbone
from graft.models.hub_layer import HubLayer

log = logging.getLogger(__name__)


def choose_policy(option: str) -> str:
    """The Keras dtype policy for `auto`, `on` or `off` on this machine.

    Where 16 bit is used it is bfloat16, which needs no loss scaling, but float16 on GPUs of compute capability 7.x,
    which have no fast bfloat16.

    Returns:
        `float32`, `mixed_bfloat16` or `mixed_float16`. `auto` is float32 without a GPU of capability 7.0 or more: on a
        CPU 16 bit is slower.
    """
    if option == "off":
        return "float32"
    details = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    capability = min((found.get("compute_capability", (0, 0)) for found in details), default=None)
    if capability is None:
        return "mixed_bfloat16" if option == "on" else "float32"
    if capability >= (8, 0):
        return "mixed_bfloat16"
    return "mixed_float16" if option == "on" or capability >= (7, 0) else "float32"


@contextlib.contextmanager
def using(backbone: Backbone | None, policy: str) -> Iterator[str]:
    """Lets the layers of a backbone compute under a policy, and puts their own back at the end.

    A restored SavedModel computes in the types it was traced with, so the policy has no effect there. A layer whose
    policy is not float32 keeps it: its maker chose it.

    Args:
        backbone: what computes, or None for nothing to do.
        policy: `float32`, `mixed_bfloat16` or `mixed_float16`.

    Yields:
        the policy in effect: `float32` where no layer took another.
    """
    layers: list[keras.Layer] = []
    if backbone is not None and policy != "float32":
        if isinstance(backbone.body, HubLayer):
            log.info("mixed precision: %s computes in the types it was published with", backbone.handle)
        else:
            layers = [layer for layer in backbone.body._flatten_layers() if layer.dtype_policy.name == "float32"]
    for layer in layers:
        layer.dtype_policy = policy
    try:
        yield policy if layers else "float32"
    finally:
        for layer in layers:
            layer.dtype_policy = "float32"
