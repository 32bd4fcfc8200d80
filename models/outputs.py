"""Outputs of a head in memory, for a whole split."""

from collections.abc import Callable, Iterable

import keras
import numpy as np
import tensorflow as tf

from graft.models.backbone import Backbone
from graft.models.phase import Batch
from graft.models.targets.base import Target
from graft.models.task import Split, Task
from graft.models.transfer import reads_inputs


def head_outputs(head: keras.Model, batches: Iterable[Batch]) -> np.ndarray:
    """float32 [n, units] for the `inputs` of batches of features, in their order."""
    return np.concatenate([np.asarray(head(batch["inputs"], training=False)) for batch in batches])


def network_outputs(backbone: Backbone, head: keras.Model, batches: Iterable[Batch]) -> np.ndarray:
    """float32 [n, units] for the `inputs` of batches as the backbone takes them, in their order."""

    @tf.function(reduce_retracing=True)
    def outputs(inputs: tf.Tensor) -> tf.Tensor:
        return head(tf.cast(backbone(inputs, training=False), tf.float32), training=False)

    return np.concatenate([outputs(batch["inputs"]).numpy() for batch in batches])


def trained_outputs(task: Task, split: Split) -> np.ndarray:
    """float32 [n, units] of a task's network after its method has fitted it, on inputs where the backbone moved."""
    if reads_inputs(task.options):
        assert task.backbone is not None
        return network_outputs(task.backbone, task.head, task.inputs(split).ordered())
    return head_outputs(task.head, task.arrays(split).ordered())


def tuned_target(task: Task, outputs: Callable[[Split], np.ndarray]) -> Target:
    """The task's target with the facts that a trained network's answers on eval teach.

    Args:
        task: of the training.
        outputs: of the trained network for a split, float32 [n, units]; not called where nothing is to be learned.
    """
    target = task.target
    return target.tuned(task.eval.targets, target.measured(outputs(task.eval))) if target.tunes else target
