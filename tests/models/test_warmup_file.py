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
