"""TensorFlow Serving's calls as a client makes them: what it sends, and what it reads of the answers.

The messages are those of tensorflow_serving/apis and tensorflow/core/framework, byte for byte (the tests hold them
against the official classes); the client does without TensorFlow, its serving API and protobuf.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from graft.serving import dtypes
from graft.serving.wire import I32, I64, LEN, VARINT, block, fields, fixed, number, signed, text, varints

PREDICT = "/tensorflow.serving.PredictionService/Predict"
METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"

_SIGNATURES = "tensorflow.serving.SignatureDefMap"


@dataclasses.dataclass
class Dim:
    """TensorShapeProto.Dim."""

    size: int = 0


@dataclasses.dataclass
class Shape:
    """TensorShapeProto."""

    dim: list[Dim] = dataclasses.field(default_factory=list)
    unknown_rank: bool = False


@dataclasses.dataclass
class Tensor:
    """TensorProto, with the names of its fields, so that `serving.tensors.to_array` reads both."""

    dtype: int = 0
    tensor_shape: Shape = dataclasses.field(default_factory=Shape)
    tensor_content: bytes = b""
    float_val: Any = ()
    double_val: Any = ()
    half_val: Any = ()
    int_val: Any = ()
    int64_val: Any = ()
    bool_val: Any = ()
    uint32_val: Any = ()
    uint64_val: Any = ()
    scomplex_val: Any = ()
    dcomplex_val: Any = ()
    string_val: Any = ()


_FIXED = {5: ("float_val", np.float32), 6: ("double_val", np.float64)} | {
    9: ("scomplex_val", np.float32),
    12: ("dcomplex_val", np.float64),
}
_VARINTS = {
    7: ("int_val", np.int32),
    10: ("int64_val", np.int64),
    11: ("bool_val", np.bool_),
    13: ("half_val", np.int32),
    16: ("uint32_val", np.uint32),
    17: ("uint64_val", np.uint64),
}


# What is sent.


def tensor(array: np.ndarray) -> bytes:
    """A TensorProto: numbers as `tensor_content`, text (as UTF-8) and bytes as DT_STRING.

    Raises:
        TypeError: the array's dtype has no tensor type, or an object is neither bytes nor str.
    """
    sizes = b"".join(block(2, number(1, size)) for size in array.shape)
    shape = block(2, sizes) if sizes else b""
    if array.dtype.kind in "OSU":
        values = array.ravel().tolist()
        if wrong := [type(value).__name__ for value in values if not isinstance(value, (bytes, str))]:
            raise TypeError(f"an array that holds a {wrong[0]} cannot be sent as a tensor of strings")
        return b"".join((number(1, dtypes.STRING), shape, *(block(8, value) for value in values)))
    if array.dtype not in dtypes.NUMBERS:
        raise TypeError(f"an array of dtype {array.dtype} cannot be sent as a tensor")
    content = np.ascontiguousarray(array).tobytes()
    sent = (number(1, dtypes.NUMBERS[array.dtype]), shape, block(4, content) if content else b"")
    return b"".join(sent)


def _spec(model: str, version: int | None, signature: str = "") -> bytes:
    """A ModelSpec as the first field of a request."""
    parts = (
        block(1, model) if model else b"",
        b"" if version is None else block(2, number(1, version)),
        block(3, signature) if signature else b"",
    )
    return block(1, b"".join(parts))


def predict_request(
    model: str, version: int | None, signature: str, inputs: Mapping[str, bytes], outputs: Iterable[str]
) -> bytes:
    """A PredictRequest; `inputs` are TensorProtos by name, `outputs` the names of those wanted."""
    entries = (block(2, block(1, name) + block(2, value)) for name, value in inputs.items())
    return b"".join((_spec(model, version, signature), *entries, *(block(3, name) for name in outputs)))


def metadata_request(model: str, version: int | None) -> bytes:
    """A GetModelMetadataRequest for the signatures."""
    return _spec(model, version) + block(2, "signature_def")


def status_request(model: str, version: int | None) -> bytes:
    """A GetModelStatusRequest."""
    return _spec(model, version)


# What is read. Each raises WireError for bytes that are no such message.


def read_tensor(message: memoryview | bytes) -> Tensor:
    """A TensorProto."""
    found = Tensor()
    values: dict[str, list[np.ndarray]] = {}
    strings: list[bytes] = []
    for field, kind, value, content in fields(memoryview(message)):
        if field in _FIXED and kind in (LEN, I32, I64):
            name, dtype = _FIXED[field]
            values.setdefault(name, []).append(fixed(content, dtype))
        elif field in _VARINTS and kind in (LEN, VARINT):
            name, kept = _VARINTS[field]
            several = varints(content) if kind == LEN else np.array([value], np.uint64)
            values.setdefault(name, []).append(several.astype(kept))
        elif (field, kind) == (1, VARINT):
            found.dtype = value
        elif (field, kind) == (2, LEN):
            _read_shape(content, found.tensor_shape)
        elif (field, kind) == (4, LEN):
            found.tensor_content = bytes(content)
        elif (field, kind) == (8, LEN):
            strings.append(bytes(content))
    for name, parts in values.items():
        setattr(found, name, parts[0] if len(parts) == 1 else np.concatenate(parts))
    found.string_val = strings
    return found


def _read_shape(message: memoryview, shape: Shape) -> None:
    for field, kind, value, content in fields(message):
        if (field, kind) == (2, LEN):
            dim = Dim()
            for inner, inner_kind, size, _ in fields(content):
                if (inner, inner_kind) == (1, VARINT):
                    dim.size = signed(size)
            shape.dim.append(dim)
        elif (field, kind) == (3, VARINT):
            shape.unknown_rank = value != 0


def read_prediction(message: bytes) -> tuple[int | None, dict[str, Tensor]]:
    """Of a PredictResponse the version that answered, None where it is not said, and the outputs by name."""
    version, outputs = None, {}
    for field, kind, _, content in fields(memoryview(message)):
        if (field, kind) == (1, LEN):
            name, value = _entry(content)
            outputs[name] = read_tensor(value)
        elif (field, kind) == (2, LEN):
            for inner, inner_kind, _, inner_content in fields(content):
                if (inner, inner_kind) == (2, LEN):
                    version = _int64_value(inner_content)
    return version, outputs


def _entry(message: memoryview) -> tuple[str, memoryview]:
    """Key and message of an entry of a map."""
    name, value = "", message[:0]
    for field, kind, _, content in fields(message):
        if (field, kind) == (1, LEN):
            name = text(content)
        elif (field, kind) == (2, LEN):
            value = content
    return name, value


def _int64_value(message: memoryview) -> int:
    found = 0
    for field, kind, value, _ in fields(message):
        if (field, kind) == (1, VARINT):
            found = signed(value)
    return found


def read_signatures(message: bytes) -> dict[str, dict[str, dict[str, Any]]]:
    """Of a GetModelMetadataResponse `{name: {"inputs": {alias: {"dtype": str, "shape": list or None}}}}`.

    Beside `inputs` stand `outputs`, likewise. A size of -1 is any; the shape of unknown rank is None.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for field, kind, _, content in fields(memoryview(message)):
        if (field, kind) != (2, LEN):
            continue
        name, packed = _entry(content)
        if name != "signature_def":
            continue
        url, value = _entry(packed)  # an Any has the form of an entry: a type's name, then a message
        if url.rpartition("/")[2] == _SIGNATURES:
            found = dict(
                _read_signature(entry) for number, kind, _, entry in fields(value) if (number, kind) == (1, LEN)
            )
    return found


def _read_signature(message: memoryview) -> tuple[str, dict[str, dict[str, Any]]]:
    name, content = _entry(message)
    found: dict[str, dict[str, Any]] = {"inputs": {}, "outputs": {}}
    for field, kind, _, entry in fields(content):
        if field in (1, 2) and kind == LEN:
            alias, info = _entry(entry)
            found[("inputs", "outputs")[field - 1]][alias] = _read_info(info)
    return name, found


def _read_info(message: memoryview) -> dict[str, Any]:
    dtype, shape = 0, Shape()
    for field, kind, value, content in fields(message):
        if (field, kind) == (2, VARINT):
            dtype = value
        elif (field, kind) == (3, LEN):
            _read_shape(content, shape)
    return {"dtype": dtypes.name_of(dtype), "shape": None if shape.unknown_rank else [dim.size for dim in shape.dim]}


def read_statuses(message: bytes) -> Sequence[tuple[int, int, int, str]]:
    """Of a GetModelStatusResponse for each version its number, state, error's code and message."""
    found = []
    for field, kind, _, content in fields(memoryview(message)):
        if (field, kind) == (1, LEN):
            found.append(_read_status(content))
    return found


def _read_status(message: memoryview) -> tuple[int, int, int, str]:
    version = state = code = 0
    said = ""
    for field, kind, value, content in fields(message):
        if (field, kind) == (1, VARINT):
            version = signed(value)
        elif (field, kind) == (2, VARINT):
            state = value
        elif (field, kind) == (3, LEN):
            for inner, inner_kind, inner_value, inner_content in fields(content):
                if (inner, inner_kind) == (1, VARINT):
                    code = inner_value
                elif (inner, inner_kind) == (2, LEN):
                    said = text(inner_content)
    return version, state, code, said
