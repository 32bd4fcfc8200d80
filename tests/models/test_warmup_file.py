"""The warm-up file: both signatures, both batch shapes."""

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from graft.models.warmup import write_warmup


def test_requests_for_one_image_and_for_all(tmp_path):
    images = [b"one", b"two", b"three"]
    write_warmup(tmp_path / "requests", "image_bytes", images, "colours")
    requests = [
        prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        for record in tf.data.TFRecordDataset(str(tmp_path / "requests")).as_numpy_iterator()
    ]
    sent = [(r.model_spec.signature_name, tf.make_ndarray(r.inputs["image_bytes"]).tolist()) for r in requests]
    assert sent == [(name, batch) for name in ("serving_default", "features") for batch in (images[:1], images)]
    assert {request.model_spec.name for request in requests} == {"colours"}


def test_a_signature_of_values_is_asked_about_one_row_of_zeros(tmp_path):
    spec = tf.TensorSpec([None, 200, 200, 3], tf.float32, name="pixels")
    write_warmup(tmp_path / "requests", "image_bytes", [b"one"], "colours", {"serving_pixels": spec})
    assert (tmp_path / "requests").stat().st_size < 1000
    [*_, last] = tf.data.TFRecordDataset(str(tmp_path / "requests")).as_numpy_iterator()
    request = prediction_log_pb2.PredictionLog.FromString(last).predict_log.request
    assert request.model_spec.signature_name == "serving_pixels"
    value = tf.make_ndarray(request.inputs["pixels"])
    assert value.shape == (1, 200, 200, 3) and value.dtype == "float32" and not value.any()
