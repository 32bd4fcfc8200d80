"""Replays the recorded requests of a SavedModel before it serves, so that no client pays for lazy initialisation."""

import pathlib

import grpc
from google.protobuf import message

from graft.models.tfrecord_file import DamagedError, TooLong, read_records
from graft.serving import tensors
from graft.serving.data_plane import DataPlane, Run
from graft.serving.engine import DEFAULT_SIGNATURE, Engine
from graft.serving.protos import prediction_log_pb2
from graft.serving.status import ServingError, invalid

WARMUP_FILE = pathlib.PurePath("assets.extra", "tf_serving_warmup_requests")
MAX_RECORDS = 1000
MAX_RECORD_BYTES = 64 << 20


def warm_up(engine: Engine, data_plane: DataPlane) -> int:
    """Runs the requests in assets.extra/tf_serving_warmup_requests (TFRecord of PredictionLog), if there are any.

    Returns:
        How many requests were run.

    Raises:
        ServingError: the file is damaged, a record is longer than 64 MiB, cannot be parsed, is not a Predict request,
            is one of more than 1000, or fails; the load of the version then fails with it.
    """
    path = engine.path / WARMUP_FILE
    if not path.is_file():
        return 0
    count = 0
    try:
        for record in read_records(path, MAX_RECORD_BYTES):
            count += 1
            if count > MAX_RECORDS:
                raise invalid(f"Number of warmup records exceeds the maximum ({MAX_RECORDS}): {path}")
            if isinstance(record, TooLong):
                raise invalid(f"warmup record of {record.length} bytes, at most {MAX_RECORD_BYTES} are read: {path}")
            _replay(engine, data_plane, path, record)
    except (DamagedError, OSError) as error:
        raise ServingError(grpc.StatusCode.DATA_LOSS, f"{path}: record {count} cannot be read: {error}") from error
    return count


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
    data_plane.replay(engine, Run(name, tensors.to_arrays(request.inputs), list(request.output_filter)))
