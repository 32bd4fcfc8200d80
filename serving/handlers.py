"""Answers to the API's calls as messages, the same for gRPC and REST."""

from graft.serving.codecs import Messages, model_spec
from graft.serving.data_plane import Asked, DataPlane
from graft.serving.exchange import Exchange
from graft.serving.protos import get_model_metadata_pb2, get_model_status_pb2, predict_pb2
from graft.serving.registry import ModelRegistry
from graft.serving.status import invalid


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
        self, request: predict_pb2.PredictRequest, timeout_s: float | None = None, exchange: Exchange | None = None
    ) -> predict_pb2.PredictResponse:
        """Runs one signature of one model. Raises ServingError."""
        codec = Messages(request, timeout_s, self._tensor_content)
        return self.data_plane.predict(_asked(request), codec, exchange)

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
            response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=model_spec(version, ""))
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
