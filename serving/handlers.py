"""Answers to the API's calls as messages, the same for gRPC and REST."""

from collections.abc import Mapping

import grpc
import numpy as np

from graft.serving import tensors
from graft.serving.data_plane import Asked, DataPlane, Run
from graft.serving.engine import DEFAULT_SIGNATURE, Engine
from graft.serving.protos import get_model_metadata_pb2, get_model_status_pb2, model_pb2, predict_pb2
from graft.serving.registry import ModelRegistry, Version
from graft.serving.status import ServingError, invalid


class Handlers:
    """PredictionService and ModelService on top of a registry.

    Args:
        registry: the loaded models.
        data_plane: runs them.
        tensor_content: write output tensors as raw bytes in place of the typed fields that TensorFlow Serving uses.
    """

    def __init__(self, registry: ModelRegistry, data_plane: DataPlane, tensor_content: bool = False):
        self.registry = registry
        self.data_plane = data_plane
        self._tensor_content = tensor_content

    def predict(
        self, request: predict_pb2.PredictRequest, timeout_s: float | None = None
    ) -> predict_pb2.PredictResponse:
        """Runs one signature of one model. Raises ServingError."""
        return self.data_plane.predict(_asked(request), _Messages(request, timeout_s, self._tensor_content))

    def get_model_metadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """The signatures of a model. Raises ServingError."""
        asked = _asked(request)
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != "signature_def":
                raise invalid(f"Metadata field {field} is not supported")
        with self.registry.use(asked.model, asked.version, asked.label) as version:
            assert version.engine is not None
            signatures = get_model_metadata_pb2.SignatureDefMap()
            for name, signature in version.engine.signatures.items():
                signatures.signature_def[name].CopyFrom(signature)
            response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=_spec(version, ""))
        response.metadata["signature_def"].Pack(signatures)
        return response

    def get_model_status(
        self, request: get_model_status_pb2.GetModelStatusRequest
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """State of all versions of a model, or of the one asked for; a label is ignored, as upstream does.

        Raises:
            ServingError: NOT_FOUND.
        """
        spec = request.model_spec
        response = get_model_status_pb2.GetModelStatusResponse()
        for version in self.registry.status(spec.name, spec.version.value if spec.HasField("version") else None):
            status = response.model_version_status.add(version=version.number, state=int(version.state))
            status.status.error_code = 0
            if version.error is not None:
                status.status.error_code = version.error.code.value[0]
                status.status.error_message = version.error.message
        return response


class _Messages:
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
        response = predict_pb2.PredictResponse(model_spec=_spec(version, request.signature))
        for alias, array in outputs.items():
            response.outputs[alias].CopyFrom(tensors.to_proto(array, self._tensor_content))
        return response


def _asked(request) -> Asked:
    """Raises ServingError: no model is named."""
    _require_spec(request)
    spec = request.model_spec
    return Asked(
        spec.name,
        spec.version.value if spec.HasField("version") else None,
        spec.version_label if spec.HasField("version_label") else None,
    )


def _require_spec(request) -> None:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")


def _spec(version: Version, signature_name: str) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=version.model, signature_name=signature_name)
    spec.version.value = version.number
    return spec
