"""One logged request as tensorflow-serving-api's PredictionLog, and back; without TensorFlow.

PredictionLog knows request, response, model, version, signature, sampling rate and a time in whole seconds. It has no
field for the rest, so that stands in `log_metadata.request_origin` as a JSON object, where every reader of the message
sees it: `request_id`, `time` (seconds since 1970), `seconds`, `status` (gRPC's name), `transport`; and, where they are
true, `left_out` and `hashed` (names), `shortened`.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from google.protobuf import message

from graft.models.errors import one_line
from graft.monitoring.request_log.fields import Fields
from graft.serving import request_ids, tensors
from graft.serving.observers import Served
from graft.serving.protos import prediction_log_pb2
from graft.serving.status import ServingError


class TooLarge(Exception):
    """A record is longer than it may be, even without its inputs."""


class ForeignRecord(Exception):
    """A record that no request log of Graft wrote."""


def encode(
    served: Served, left_out: Sequence[str], fields: Fields, sample: float, most: int, shortened: bool = False
) -> tuple[bytes, bool]:
    """The bytes of a record.

    Args:
        served: the request, without what is left out.
        left_out: the names of that.
        fields: what is hashed.
        sample: share of requests that is written.
        most: longest record, bytes.
        shortened: its inputs were taken away because they were too long.

    Returns:
        The record, and whether its inputs were left out for its length, before or now.

    Raises:
        TooLarge: it is too long without inputs, too.
    """
    log = prediction_log_pb2.PredictionLog()
    metadata, request, response = log.log_metadata, log.predict_log.request, log.predict_log.response
    spec = metadata.model_spec
    spec.name, spec.signature_name = served.model or "", served.signature or ""
    # The request names no version: a record can be replayed on another, as a warm-up does.
    request.model_spec.CopyFrom(spec)
    if served.version is not None:
        spec.version.value = served.version
    response.model_spec.CopyFrom(spec)
    metadata.sampling_config.sampling_rate = sample
    metadata.timestamp_secs = int(served.time)
    inputs, hashed_inputs = fields.hashed(served.inputs)
    outputs, hashed_outputs = fields.hashed(served.outputs)
    for name, array in inputs.items():
        tensors.fill(request.inputs[name], array, as_content=True)
    for name, array in outputs.items():
        tensors.fill(response.outputs[name], array, as_content=True)
    more: dict[str, Any] = {"left_out": left_out} if left_out else {}
    more |= {"hashed": [*hashed_inputs, *hashed_outputs]} if hashed_inputs or hashed_outputs else {}
    if shortened or log.ByteSize() > most - 1024:  # the facts are yet to come
        request.inputs.clear()
        more["shortened"] = shortened = True
    # Written by hand, for it is done for every request: what stands here needs no escapes.
    metadata.request_origin = (
        f'{{"request_id":"{served.request_id}","time":{served.time:.6f},"seconds":{served.seconds:.6f},'
        f'"status":"{served.code.name}","transport":"{served.transport}"'
        f"{',' + json.dumps(more)[1:-1] if more else ''}}}"
    )
    content = log.SerializeToString()
    if len(content) > most:
        raise TooLarge(f"{len(content)} bytes without inputs; allowed: {most}")
    return content, shortened


class Record:
    """A logged request.

    Attributes:
        request_id, time, seconds, status, transport: as `serving.observers.Served` has them.
        model, version, signature: None where the server knew none.
        sample: share of requests that was written.
        left_out, hashed: names of inputs and outputs that were not written, or as hashes.
        shortened: the inputs were left out because the record was too long.
        offset: where it begins in its file, bytes.
    """

    def __init__(self, content: bytes, offset: int = 0):
        """Raises ForeignRecord: the bytes are no PredictionLog, or one of somebody else's."""
        log = prediction_log_pb2.PredictionLog()
        try:
            log.ParseFromString(content)
            facts = json.loads(log.log_metadata.request_origin or "null")
        except (message.DecodeError, ValueError, RecursionError) as error:
            raise ForeignRecord(f"no PredictionLog of Graft's: {one_line(error, 200)}") from error
        self._log, self.offset = log.predict_log, offset
        try:
            self.request_id: str = facts["request_id"]
            self.time, self.seconds = float(facts["time"]), float(facts["seconds"])
            self.status: str = str(facts["status"])
            self.transport: str = str(facts["transport"])
            self.left_out: tuple[str, ...] = tuple(facts.get("left_out", ()))
            self.hashed: tuple[str, ...] = tuple(facts.get("hashed", ()))
            self.shortened = bool(facts.get("shortened"))
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise ForeignRecord("a PredictionLog without the facts that Graft writes") from error
        if not request_ids.is_sound(self.request_id):
            raise ForeignRecord(f"its request_id is {self.request_id!r:.200}; allowed: {request_ids.ALLOWED}")
        spec = log.log_metadata.model_spec
        self.model: str | None = spec.name or None
        self.version: int | None = spec.version.value if spec.HasField("version") else None
        self.signature: str | None = spec.signature_name or None
        self.sample: float = log.log_metadata.sampling_config.sampling_rate

    @functools.cached_property
    def inputs(self) -> dict[str, np.ndarray]:
        """Arrays by name, without what was left out. Raises ForeignRecord if they cannot be read."""
        return _arrays(self._log.request.inputs)

    @functools.cached_property
    def outputs(self) -> dict[str, np.ndarray]:
        """Arrays by name, without what was left out; none of a failed request. Raises ForeignRecord."""
        return _arrays(self._log.response.outputs)

    @property
    def examples(self) -> int:
        """How many it asked about, by the shapes of its answers; nothing of them is read."""
        shapes = (proto.tensor_shape.dim for proto in self._log.response.outputs.values())
        return max((int(dimensions[0].size) for dimensions in shapes if dimensions), default=1)

    @property
    def answered(self) -> bool:
        """Whether the request did not fail."""
        return self.status == "OK"


def _arrays(protos: Mapping[str, Any]) -> dict[str, np.ndarray]:
    try:
        return tensors.to_arrays(protos)
    except ServingError as error:
        raise ForeignRecord(f"a tensor cannot be read: {error.message}") from error
