"""The warm-up file of an export: requests that a server replays before it answers others.

Format: https://www.tensorflow.org/tfx/serving/saved_model_warmup.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

_SEED = 0  # fixed: the same model exported again has the same bytes, and is not pushed again


def synthetic_images(image_size: tuple[int, int]) -> list[bytes]:
    """Four drawn images, JPEG and PNG in turn, so that both decoders, a batch of one and one of several are made ready.

    They hold noise: nobody's picture leaves the data for the model store with them.

    Args:
        image_size: (height, width) in pixels.
    """
    rng = np.random.default_rng(_SEED)
    encoders = (tf.io.encode_jpeg, tf.io.encode_png) * 2
    return [encode(rng.integers(0, 256, (*image_size, 3), dtype=np.uint8)).numpy() for encode in encoders]


def write_warmup(path: Path, images: Sequence[bytes], model_name: str) -> None:
    """Writes one Predict request for a single image and one for all: both batch shapes are then compiled.

    Args:
        path: the file, a TFRecord of PredictionLog.
        images: encoded images, at least one.
        model_name: the name the requests call the model by.
    """
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature in ("serving_default", "features"):
            for batch in [images[:1], images] if len(images) > 1 else [images]:
                request = predict_pb2.PredictRequest()
                request.model_spec.name = model_name
                request.model_spec.signature_name = signature
                request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto(list(batch), tf.string))
                entry = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
                writer.write(entry.SerializeToString())
