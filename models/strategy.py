"""Over which devices a training goes: one, all of this process, or those of several workers.

Several workers are processes that know each other by `TF_CONFIG`, as TensorFlow defines it. Each runs the same
training on the same data, takes its share of every batch, and sums gradients and figures with the others. So all make
the same steps. The first, the chief, is the only one that writes.
"""

import functools
import json
import os

import numpy as np
import tensorflow as tf

from graft.models.errors import GraftError

TF_CONFIG = "TF_CONFIG"


def choose() -> tf.distribute.Strategy:
    """MultiWorkerMirroredStrategy where `TF_CONFIG` names several workers, else MirroredStrategy over all devices.

    The devices are the GPUs, or the CPU devices where there is none. With one device and no other worker it is the
    default strategy. Where there are other workers, it waits for them, and it must be called before anything else is
    asked of TensorFlow.

    Raises:
        GraftError: `TF_CONFIG` cannot be read.
    """
    if _workers() > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) > 1:
        return _mirrored(tuple(device.name for device in devices))
    return tf.distribute.get_strategy()


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    """The strategy of all trainings of this process on these devices.

    Each strategy numbers its sums over devices from the same number on, and TensorFlow takes one of that number in an
    earlier training for the same, which fails where its shape was another.
    """
    return tf.distribute.MirroredStrategy(devices)


def leads(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes: the chief of several workers, or the only process."""
    if not _of_several(strategy):
        return True
    resolver = strategy.cluster_resolver
    chief = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
    return (resolver.task_type, resolver.task_id) == (chief, 0)


def agree(strategy: tf.distribute.Strategy, values: np.ndarray) -> np.ndarray:
    """The chief's values in every worker; those that are given where there is one process.

    Args:
        strategy: of the training; all workers call this at the same place, and each waits for the others.
        values: floating-point numbers, of one shape in all workers.
    """
    if not _of_several(strategy):
        return values
    mine = tf.convert_to_tensor(values if leads(strategy) else np.zeros_like(values))
    replica = strategy.num_replicas_in_sync // _workers()
    parts = strategy.run(lambda: mine / replica)
    found: np.ndarray = strategy.reduce(tf.distribute.ReduceOp.SUM, parts, axis=None).numpy()
    return found


def _of_several(strategy: tf.distribute.Strategy) -> bool:
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def _workers() -> int:
    """How many `TF_CONFIG` names; 1 where there is none."""
    text = os.environ.get(TF_CONFIG)
    if not text:
        return 1
    try:
        cluster = json.loads(text).get("cluster", {})
        return max(1, sum(len(cluster.get(job, ())) for job in ("chief", "worker")))
    except (ValueError, AttributeError, TypeError) as error:
        raise GraftError(f"{TF_CONFIG}: received {text[:200]!r}; allowed: JSON as TensorFlow defines it") from error
