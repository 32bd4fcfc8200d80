"""TensorProto to NumPy and back, without TensorFlow.

`tf.make_ndarray` would allocate whatever size a request claims (one value repeated over the claimed shape); here the
claimed size is checked first. What is read may be a TensorProto or a `serving.wire_messages.Tensor`, whose fields have
the same names.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from graft.serving import dtypes
from graft.serving.status import invalid

if TYPE_CHECKING:
    from graft.serving.protos import tensor_pb2
    from graft.serving.wire_messages import Tensor

MAX_TENSOR_BYTES = 1 << 30
"""Largest array that one TensorProto may claim."""
MAX_FILL_BYTES = 16 << 20
"""Most that the inputs of one request together may claim beyond the values they hold."""
_MAX_EXTENT = 2**58
MAX_RANK = 32
"""The most dimensions an array can have."""


def to_arrays(protos: "Mapping[str, Tensor]", max_fill_bytes: int = MAX_FILL_BYTES) -> dict[str, np.ndarray]:
    """The arrays of a request's inputs. A few bytes may claim any shape, so the claims are summed before any is met.

    Raises:
        ServingError: INVALID_ARGUMENT for claims of more than `max_fill_bytes` over what was sent; else as `to_array`.
    """
    fill = 0
    for proto in protos.values():
        kind, field, shape = _described(proto)
        if not proto.tensor_content and kind is not np.object_:
            held = len(getattr(proto, field)) // (2 if field.endswith("complex_val") else 1)
            fill += max(0, math.prod(shape) - held) * np.dtype(kind).itemsize
    if fill > max_fill_bytes:
        raise invalid(
            f"the shapes of the inputs claim {fill} bytes more than the values hold; "
            f"this server takes at most {max_fill_bytes}"
        )
    return {alias: to_array(proto) for alias, proto in protos.items()}


def _described(proto: "Tensor") -> tuple[type, str, list[int]]:
    """NumPy type, field of the values and shape. Raises ServingError if the type or the shape is not sound."""
    if proto.dtype not in dtypes.KINDS:
        needs = "; the package ml_dtypes is missing" if proto.dtype == dtypes.BFLOAT16 else ""
        raise invalid(f"tensor of type {dtypes.name_of(proto.dtype)} cannot be read{needs}")
    rank = len(proto.tensor_shape.dim)
    if rank > MAX_RANK:
        raise invalid(f"tensor has {rank} dimensions; this server takes at most {MAX_RANK}")
    shape = [dim.size for dim in proto.tensor_shape.dim]
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise invalid(f"tensor shape {shape} is not fully defined: every dimension must be 0 or more")
    if math.prod(size for size in shape if size) > _MAX_EXTENT:
        raise invalid(f"tensor shape {shape} is larger than an array can be, even an empty one")
    return *dtypes.KINDS[proto.dtype], shape


def to_array(proto: "Tensor", max_bytes: int = MAX_TENSOR_BYTES) -> np.ndarray:
    """The array that `proto` describes; strings become an object array of bytes.

    Raises:
        ServingError: INVALID_ARGUMENT if the dtype is not a value type, the shape is not fully known and sound or has
            more than 32 dimensions, it is larger than `max_bytes`, or the values do not fit it.
    """
    kind, field, shape = _described(proto)
    count = math.prod(shape)
    if count * np.dtype(kind).itemsize > max_bytes:
        raise invalid(f"tensor of shape {shape} takes more than {max_bytes} bytes")
    if proto.tensor_content:
        if kind is np.object_:
            raise invalid("a string tensor must use string_val, not tensor_content")
        if len(proto.tensor_content) != count * np.dtype(kind).itemsize:
            raise invalid(
                f"tensor_content has {len(proto.tensor_content)} bytes; shape {shape} does not need that many"
            )
        return np.frombuffer(proto.tensor_content, dtype=kind).reshape(shape)
    values = getattr(proto, field)
    flat: np.ndarray
    if field.endswith("complex_val"):
        flat = np.array(values, dtype=np.float32 if kind is np.complex64 else np.float64).view(kind)
    elif field == "half_val":
        flat = np.array(values, dtype=np.uint16).view(kind)
    elif kind is np.object_:
        flat = np.empty(len(values), dtype=np.object_)
        flat[:] = list(values)
    else:
        # Small integers travel in int32 fields; what does not fit is cut as TensorFlow cuts it.
        flat = np.array(values, dtype=np.int32 if field == "int_val" else kind).astype(kind)
    if flat.size > count or (flat.size == 0 and count):
        raise invalid(f"tensor has {flat.size} values; shape {shape} needs {count}")
    if flat.size < count:
        # The protobuf's own compression: the last value stands for all that follow. Not for strings: one image of a
        # few bytes would stand for a batch of any size.
        if kind is np.object_:
            raise invalid(f"string tensor has {flat.size} values; shape {shape} needs {count}")
        flat = np.concatenate([flat, np.repeat(flat[-1:], count - flat.size)])
    return flat.reshape(shape)


def to_proto(array: np.ndarray, as_content: bool = False) -> "tensor_pb2.TensorProto":
    """`array` as a TensorProto; text and bytes arrays become DT_STRING (text as UTF-8).

    Args:
        array: any shape; an object array must hold bytes or str.
        as_content: raw bytes in `tensor_content` (fast) in place of the typed field (TensorFlow Serving's default).

    Raises:
        TypeError: the array's dtype has no tensor type.
    """
    from graft.serving.protos import tensor_pb2  # imported here: the client reads tensors without

    proto = tensor_pb2.TensorProto()
    fill(proto, np.asarray(array), as_content)
    return proto


def fill(proto: "tensor_pb2.TensorProto", array: np.ndarray, as_content: bool = False) -> None:
    """`to_proto` into an empty message that is there, as one of a map. Raises TypeError likewise."""
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if array.dtype.kind in "OSU":
        proto.dtype = dtypes.STRING
        flat = array.ravel().tolist()
        proto.string_val.extend(value.encode() if isinstance(value, str) else value for value in flat)
        return
    if array.dtype not in dtypes.NUMBERS:
        raise TypeError(f"an array of dtype {array.dtype} cannot be sent as a tensor")
    proto.dtype = dtypes.NUMBERS[array.dtype]
    kind, field = dtypes.KINDS[proto.dtype]
    if as_content:
        proto.tensor_content = np.ascontiguousarray(array).tobytes()
        return
    flat = np.ascontiguousarray(array).ravel()
    if field.endswith("complex_val"):
        flat = flat.view(np.float32 if kind is np.complex64 else np.float64)
    elif field == "half_val":
        flat = flat.view(np.uint16)
    getattr(proto, field).extend(flat.tolist())
