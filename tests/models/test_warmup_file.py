"""The warm-up file: both batch shapes, both decoders, nobody's pictures."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from graft.models.inputs.image.decoding import decode_image
from graft.models.warmup import synthetic_images, write_warmup


def test_requests_for_one_image_and_for_all(tmp_path):
    images = [b"one", b"two", b"three"]
    write_warmup(tmp_path / "requests", images, "colours")
    requests = [
        prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        for record in tf.data.TFRecordDataset(str(tmp_path / "requests")).as_numpy_iterator()
    ]
    sent = [(r.model_spec.signature_name, tf.make_ndarray(r.inputs["image_bytes"]).tolist()) for r in requests]
    assert sent == [(name, batch) for name in ("serving_default", "features") for batch in (images[:1], images)]
    assert {request.model_spec.name for request in requests} == {"colours"}


@pytest.mark.parametrize("size", [(8, 8), (16, 40)])
def test_drawn_images_use_both_decoders_and_are_the_same_each_time(size):
    images = synthetic_images(size)
    assert [image[:4] for image in images] == [b"\xff\xd8\xff\xe0", b"\x89PNG"] * 2
    pixels = [decode_image(tf.constant(image)).numpy() for image in images]
    assert {image.shape for image in pixels} == {(*size, 3)}
    assert not np.array_equal(pixels[1], pixels[3])
    assert synthetic_images(size) == images
