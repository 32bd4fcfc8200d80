"""A Predict request in the form of its transport, to arrays and back: the codecs of `DataPlane.predict`."""

import time
from collections.abc import Callable, Mapping

import grpc
import numpy as np

from graft.serving import json_tensors, tensors
from graft.serving.data_plane import Run
from graft.serving.engine import DEFAULT_SIGNATURE, Engine
from graft.serving.protos import model_pb2, predict_pb2
from graft.serving.registry import Version
from graft.serving.status import ServingError, invalid


class Messages:
    """The codec of gRPC: PredictRequest and PredictResponse."""

    transport = "grpc"

    def __init__(self, request: predict_pb2.PredictRequest, timeout_s: float | None, tensor_content: bool):
        self._request, self._timeout_s, self._tensor_content = request, timeout_s, tensor_content

    def read(self, engine: Engine) -> Run:
        """Raises ServingError: FAILED_PRECONDITION for a signature that the model lacks."""
        name = self._request.model_spec.signature_name or DEFAULT_SIGNATURE
        if name not in engine.signatures:
            raise ServingError(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
        inputs = tensors.to_arrays(self._request.inputs)
        return Run(name, inputs, list(self._request.output_filter), self._timeout_s)

    def write(self, version: Version, request: Run, outputs: Mapping[str, np.ndarray]) -> predict_pb2.PredictResponse:
        """The response."""
        response = predict_pb2.PredictResponse(model_spec=model_spec(version, request.signature))
        for alias, array in outputs.items():
            response.outputs[alias].CopyFrom(tensors.to_proto(array, self._tensor_content))
        return response


class Json:
    """The codec of REST: the JSON of a request and of its answer.

    Args:
        body: the request; emptied once it is read.
        charge: takes the memory for so many values of JSON, of `request` or `answer`. Raises ServingError.
        end: when the time is up, of the clock `time.monotonic`.
    """

    transport = "rest"

    def __init__(self, body: bytearray, charge: Callable[[int, str], None], end: float):
        self._body, self._charge, self._end = body, charge, end
        self._row_form = False

    def read(self, engine: Engine) -> Run:
        """Raises ServingError: it is no JSON, or not of the form that the signature needs."""
        self._charge(json_tensors.most_values(self._body), "request")
        document = json_tensors.parse_request(self._body)
        self._body.clear()
        signature = json_tensors.signature_name(document) or DEFAULT_SIGNATURE
        if signature not in engine.signatures:
            raise invalid(f'Serving signature name: "{signature}" not found in signature def')
        inputs, self._row_form = json_tensors.parse_inputs(document, engine.signatures[signature].inputs)
        return Run(signature, inputs, timeout_s=max(0.0, self._end - time.monotonic()))

    def write(self, version: Version, request: Run, outputs: Mapping[str, np.ndarray]) -> str:
        """Raises ServingError: it is too large, or takes too long to write."""
        self._charge(sum(np.size(array) for array in outputs.values()), "answer")
        return json_tensors.format_response(outputs, self._row_form, self._end)


def model_spec(version: Version, signature_name: str) -> model_pb2.ModelSpec:
    """Who answered."""
    spec = model_pb2.ModelSpec(name=version.model, signature_name=signature_name)
    spec.version.value = version.number
    return spec
