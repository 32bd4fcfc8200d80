"""The warm-up file of an export: requests that a server replays before it answers others.

Format: https://www.tensorflow.org/tfx/serving/saved_model_warmup.
"""

import types
from collections.abc import Mapping, Sequence
from pathlib import Path

import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2


def write_warmup(
    path: Path,
    input_name: str,
    contents: Sequence[bytes],
    model_name: str,
    values: Mapping[str, tf.TensorSpec] = types.MappingProxyType({}),
) -> None:
    """Writes one Predict request for a single content and one for all: both batch shapes are then compiled.

    Args:
        path: the file, a TFRecord of PredictionLog.
        input_name: of the signatures' input.
        contents: what to ask, at least one.
        model_name: the name the requests call the model by.
        values: what a signature takes that takes no contents, by its name: it is asked once, about one row of zeros,
            of which the file holds one number.
    """
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature in ("serving_default", "features"):
            for batch in [contents[:1], contents] if len(contents) > 1 else [contents]:
                writer.write(_record(model_name, signature, input_name, tf.make_tensor_proto(list(batch), tf.string)))
        for signature, spec in values.items():
            row = tf.make_tensor_proto(0, spec.dtype, [1, *spec.shape[1:]])
            writer.write(_record(model_name, signature, spec.name, row))


def _record(model_name: str, signature: str, input_name: str, value: tensor_pb2.TensorProto) -> bytes:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model_name
    request.model_spec.signature_name = signature
    request.inputs[input_name].CopyFrom(value)
    return prediction_log_pb2.PredictionLog(
        predict_log=prediction_log_pb2.PredictLog(request=request)
    ).SerializeToString()
