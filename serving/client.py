"""A client of any TensorFlow Serving compatible server, over gRPC; does not import TensorFlow."""

import dataclasses
import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import grpc
import numpy as np

from graft.models.errors import GraftError
from graft.models.inputs.image.convert import ConversionError, to_supported
from graft.models.inputs.image.header import HeaderError, announced
from graft.serving import tensors
from graft.serving.protos import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

_RETRIED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
_STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
# What a request needs beside the image bytes: names, lengths, the shape.
_OVERHEAD_BYTES = 16 << 10

logger = logging.getLogger(__name__)


class ClientError(GraftError):
    """A call failed for good.

    Attributes:
        code: the gRPC status code, None if the fault is in the request or the answer itself.
        image: index of the image that the server refused, None if it is not about one.
    """

    def __init__(self, message: str, code: grpc.StatusCode | None = None, image: int | None = None):
        super().__init__(message)
        self.code = code
        self.image = image


@dataclasses.dataclass(frozen=True)
class Prediction:
    """One image's answer: the most probable class, and the probability of every class by name."""

    label: str
    probabilities: dict[str, float]


class Client:
    """Calls one model on one server; may be shared by threads; a context manager.

    Args:
        address: "HOST:PORT" of the gRPC port, or "unix:PATH".
        model: name of the model.
        version: a version, or None for the latest.
        deadline_s: seconds a call may take, all of its retries included.
        retries: how often a call is tried again while the server is UNAVAILABLE or RESOURCE_EXHAUSTED.
        max_message_bytes: largest request to send; bigger batches of images go in several. Graft's server takes
            64 MiB by default.
        max_images: most images in one request.
        max_pixels: most pixels that the images of one request may announce.
    """

    def __init__(
        self,
        address: str,
        model: str,
        *,
        version: int | None = None,
        deadline_s: float = 30.0,
        retries: int = 5,
        max_message_bytes: int = 60 << 20,
        max_images: int = 64,
        max_pixels: int = 1 << 29,
    ):
        self.address, self.model, self.version = address, model, version
        self._deadline_s, self._retries = deadline_s, retries
        self._max_message_bytes, self._max_images, self._max_pixels = max_message_bytes, max_images, max_pixels
        unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._channel = grpc.insecure_channel(address, options=unlimited)
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def predict_images(self, images: Sequence[bytes]) -> list[Prediction]:
        """Classifies encoded images (JPEG, PNG, GIF, BMP, WebP, TIFF) by the export's default signature, in order.

        WebP and TIFF are sent as the PNG that ingestion makes of them.

        Raises:
            ClientError: an image is too large for one message or cannot be decoded (`image` says which), or a call
                failed.
        """
        predictions: list[Prediction] = []
        for chunk in self._chunks(images):
            try:
                predictions += self._predict_chunk(chunk)
            except ClientError as error:
                if error.code is not grpc.StatusCode.INVALID_ARGUMENT:
                    raise
                # The server refuses a batch as a whole: one by one the bad image shows.
                for image in chunk:
                    predictions += self._predict_one(image, len(predictions))
        return predictions

    def _predict_one(self, image: bytes, number: int) -> list[Prediction]:
        try:
            return self._predict_chunk([image])
        except ClientError as error:
            raise ClientError(f"image {number}: {error}", error.code, number) from None

    def _predict_chunk(self, chunk: Sequence[bytes]) -> list[Prediction]:
        array = np.empty(len(chunk), np.object_)
        array[:] = chunk
        # All outputs, as warm-up asks: the first call with a filter of its own waits until the server has prepared it.
        outputs = self.predict({"image_bytes": array})
        answers = zip(outputs["classes"], outputs["probabilities"], outputs["label"], strict=True)
        return [
            Prediction(label.decode(), {name.decode(): float(p) for name, p in zip(classes, row, strict=True)})
            for classes, row, label in answers
        ]

    def predict(
        self, inputs: Mapping[str, np.ndarray], signature: str = "serving_default", outputs: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        """Runs one signature.

        Args:
            inputs: an array by input name; strings as object arrays of bytes.
            signature: which one.
            outputs: the outputs wanted, none meaning all.

        Returns:
            An array by output name; strings as object arrays of bytes.

        Raises:
            ClientError: the call failed; its message names address, model and gRPC code.
        """
        request = predict_pb2.PredictRequest(output_filter=outputs)
        self._fill(request.model_spec)
        request.model_spec.signature_name = signature
        for alias, array in inputs.items():
            request.inputs[alias].CopyFrom(tensors.to_proto(np.asarray(array), as_content=True))
        response = self._call(self._prediction.Predict, request)
        return {alias: tensors.to_array(proto) for alias, proto in response.outputs.items()}

    def metadata(self) -> dict[str, dict[str, dict[str, Any]]]:
        """The signatures: `{name: {"inputs": {alias: {"dtype": str, "shape": list | None}}, "outputs": ...}}`.

        A size of -1 is any; the shape of unknown rank is None. Raises ClientError.
        """
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        self._fill(request.model_spec)
        response = self._call(self._prediction.GetModelMetadata, request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        return {
            name: {"inputs": _described(signature.inputs), "outputs": _described(signature.outputs)}
            for name, signature in signatures.signature_def.items()
        }

    def status(self) -> list[dict[str, Any]]:
        """`{"version", "state", "error_code", "error_message"}` of each version the server knows.

        Raises:
            ClientError: the call failed; NOT_FOUND if the server knows no such model.
        """
        request = get_model_status_pb2.GetModelStatusRequest()
        self._fill(request.model_spec)
        response = self._call(self._models.GetModelStatus, request)
        return [
            {
                "version": version.version,
                "state": _STATES.get(version.state, str(version.state)),
                "error_code": version.status.error_code,
                "error_message": version.status.error_message,
            }
            for version in response.model_version_status
        ]

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _fill(self, spec) -> None:
        spec.name = self.model
        if self.version is not None:
            spec.version.value = self.version

    def _chunks(self, images: Sequence[bytes]) -> Iterator[list[bytes]]:
        """What goes into one message each; made one after the other, as a PNG is several times larger than its WebP."""
        limit = self._max_message_bytes - _OVERHEAD_BYTES
        chunk: list[bytes] = []
        size = pixels = 0
        for number, original in enumerate(images):
            try:
                image = to_supported(original)
            except ConversionError as error:
                raise ClientError(f"image {number}: {error}", image=number) from error
            if len(image) > limit:
                kind = "" if image is original else " as PNG"
                message = f"image {number} has {len(image)} bytes{kind}; one message takes at most {limit}"
                raise ClientError(message, image=number)
            more = _pixels(image)
            full = len(chunk) >= self._max_images or pixels + more > self._max_pixels
            if chunk and (full or size + len(image) > limit):
                yield chunk
                chunk, size, pixels = [], 0, 0
            chunk.append(image)
            size += len(image)
            pixels += more
        if chunk:
            yield chunk

    def _call(self, method: Callable, request: Any) -> Any:
        end = time.monotonic() + self._deadline_s
        attempt = 0
        while True:
            try:
                return method(request, timeout=max(0.0, end - time.monotonic()))
            except grpc.RpcError as error:
                pause = random.uniform(0.5, 1.0) * min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**attempt)
                if not self._worth_a_retry(error, attempt) or time.monotonic() + pause >= end:
                    raise ClientError(self._explained(error, attempt), error.code()) from error
                logger.info("%s: %s, attempt %d, again in %.2f s", self.address, error.code().name, attempt + 1, pause)
                time.sleep(pause)
                attempt += 1

    def _worth_a_retry(self, error: grpc.RpcError, attempt: int) -> bool:
        # A message over the server's cap is RESOURCE_EXHAUSTED too, and stays too large.
        too_large = "larger than max" in (error.details() or "")
        return attempt < self._retries and error.code() in _RETRIED and not too_large

    def _explained(self, error: grpc.RpcError, attempt: int) -> str:
        model = self.model if self.version is None else f"{self.model} version {self.version}"
        tried = f" after {attempt + 1} attempts" if attempt else ""
        return f"{self.address}: model {model}: {error.code().name}{tried}: {error.details()}"


def _pixels(image: bytes) -> int:
    try:
        header = announced(image)
    except HeaderError:
        return 0  # for the server to refuse, by its number
    return 0 if header is None else header.pixels


def _described(infos: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        alias: {
            "dtype": tensors.dtype_name(info.dtype),
            "shape": None if info.tensor_shape.unknown_rank else [dim.size for dim in info.tensor_shape.dim],
        }
        for alias, info in infos.items()
    }
