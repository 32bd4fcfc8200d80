"""Publishes a Keras network as a Reusable SavedModel, the format that TF-Hub backbones have.

Keras 3's own `export()` writes neither `__call__` nor `regularization_losses`, so that its output can be served but not
fine-tuned. Format: https://www.tensorflow.org/hub/reusable_saved_models.
"""

import pathlib

import keras
import tensorflow as tf

from graft.models.empty_batch import never_empty
from graft.models.errors import GraftError


def publish_backbone(model: keras.Model, path: str | pathlib.Path, spec: tf.TensorSpec) -> None:
    """Writes `model` as a feature-vector SavedModel.

    The SavedModel is callable with a batch of `spec` and `training=True` or `False`, lists
    `variables`, `trainable_variables` and `regularization_losses`, and has the signature serving_default
    (`inputs` -> `feature_vector`, float32 `[n, d]`).

    Args:
        model: from a batch of `spec` to `[n, d]`, or to `[n, h, w, c]`, which is averaged over height and width.
        path: folder to write.
        spec: what it takes, with a leading None (`models.inputs.base.Input.spec`).

    Raises:
        GraftError: if the model does not give a feature vector for it.
    """
    examples = tf.TensorSpec(spec.shape, spec.dtype, name="inputs")

    @tf.function(autograph=False)
    def call(inputs, training=False):
        features = never_empty(lambda some: model(some, training=training), inputs)
        if len(features.shape) == 4:
            features = tf.reduce_mean(features, axis=[1, 2])
        return tf.cast(features, tf.float32)

    try:
        inference = call.get_concrete_function(examples, training=False)
        call.get_concrete_function(examples, training=True)
    except ValueError as error:
        raise GraftError(f"model {model.name!r} does not take {spec.dtype.name}{spec.shape}: {error}") from error
    shapes = [tuple(output.shape) for output in inference.outputs]
    if len(shapes) != 1 or len(shapes[0]) != 2:
        raise GraftError(f"model {model.name!r} must give a vector [n, d] or a map [n, h, w, c]; it gives {shapes}")

    @tf.function(input_signature=[examples], autograph=False)
    def serving_default(inputs):
        return {"feature_vector": call(inputs, training=False)}

    # Not tf.Module: its `variables` is a property, which is not saved.
    published = tf.train.Checkpoint()
    published.__call__ = call
    published.variables = [variable.value for variable in model.variables]
    published.trainable_variables = [variable.value for variable in model.trainable_variables]
    published.regularization_losses = [
        _regularization_loss(variable) for variable in model.trainable_variables if variable.regularizer is not None
    ]
    tf.saved_model.save(published, str(path), signatures={"serving_default": serving_default})


def _regularization_loss(variable: keras.Variable):
    return tf.function(lambda: variable.regularizer(variable.value), input_signature=[], autograph=False)
