"""Replays the recorded requests of a SavedModel before it serves, so that no client pays for lazy initialisation."""

import os
import pathlib
import struct

import grpc
import tensorflow as tf
from google.protobuf import message
from tensorflow_serving.apis import prediction_log_pb2

from serving import tensors
from serving.data_plane import DataPlane
from serving.engine import DEFAULT_SIGNATURE, Engine
from serving.status import ServingError, invalid

WARMUP_FILE = pathlib.PurePath("assets.extra", "tf_serving_warmup_requests")
MAX_RECORDS = 1000


def warm_up(engine: Engine, data_plane: DataPlane) -> int:
    """Runs the requests in assets.extra/tf_serving_warmup_requests (TFRecord of PredictionLog), if there are any.

    Returns:
        How many requests were run.

    Raises:
        ServingError: the file is not whole, a record cannot be parsed, is not a Predict request, is one of more than
            1000, or fails; the load of the version then fails with it.
    """
    path = engine.path / WARMUP_FILE
    if not path.is_file():
        return 0
    _check_lengths(path)
    count = 0
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        count += 1
        if count > MAX_RECORDS:
            raise invalid(f"Number of warmup records exceeds the maximum ({MAX_RECORDS}): {path}")
        _replay(engine, data_plane, path, record)
    return count


def _check_lengths(path: pathlib.Path) -> None:
    """Follows the lengths of the records: TensorFlow allocates what a record claims, and dies of a claim of 2^60 bytes.

    A record is its length (uint64, little-endian), a checksum of 4 bytes, the content, and 4 bytes more
    (https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details).
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        while file.tell() < size:
            (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
            if length > size - file.tell() - 8:
                raise invalid(f"{path}: the warmup record at byte {file.tell() - 8} is cut or claims {length} bytes")
            file.seek(4 + length + 4, os.SEEK_CUR)


def _replay(engine: Engine, data_plane: DataPlane, path: pathlib.Path, record: bytes) -> None:
    log = prediction_log_pb2.PredictionLog()
    try:
        log.ParseFromString(record)
    except message.DecodeError as error:
        raise invalid(f"Failed to parse warmup record: {path}: {error}") from error
    kind = log.WhichOneof("log_type")
    if kind != "predict_log":
        raise ServingError(grpc.StatusCode.UNIMPLEMENTED, f"Unsupported log_type for warmup: {kind}")
    request = log.predict_log.request
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    if name not in engine.signatures:
        raise invalid(f"warmup record names the signature {name!r}; the model has {', '.join(engine.signatures)}")
    data_plane.predict(engine, name, tensors.to_arrays(request.inputs), list(request.output_filter))
