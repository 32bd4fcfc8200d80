"""TensorFlow's value types by number, without TensorFlow (tensorflow/core/framework/types.proto)."""

import contextlib

import numpy as np

FLOAT, DOUBLE, INT32, UINT8, INT16, INT8, STRING, COMPLEX64, INT64, BOOL = range(1, 11)
BFLOAT16, UINT16, COMPLEX128, HALF, UINT32, UINT64 = 14, 17, 18, 19, 22, 23

NAMES = (
    *("invalid", "float", "double", "int32", "uint8", "int16", "int8", "string", "complex64", "int64", "bool"),
    *("qint8", "quint8", "qint32", "bfloat16", "qint16", "quint16", "uint16", "complex128", "half", "resource"),
    *("variant", "uint32", "uint64", "float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz"),
    *("float8_e5m2fnuz", "int4", "uint4", "int2", "uint2", "float4_e2m1fn"),
)
"""As TensorFlow prints them, by number."""

REF = 100
"""What the number of a type's reference is higher by."""

KINDS: dict[int, tuple[type, str]] = {
    FLOAT: (np.float32, "float_val"),
    DOUBLE: (np.float64, "double_val"),
    HALF: (np.float16, "half_val"),
    INT8: (np.int8, "int_val"),
    UINT8: (np.uint8, "int_val"),
    INT16: (np.int16, "int_val"),
    UINT16: (np.uint16, "int_val"),
    INT32: (np.int32, "int_val"),
    UINT32: (np.uint32, "uint32_val"),
    INT64: (np.int64, "int64_val"),
    UINT64: (np.uint64, "uint64_val"),
    BOOL: (np.bool_, "bool_val"),
    COMPLEX64: (np.complex64, "scomplex_val"),
    COMPLEX128: (np.complex128, "dcomplex_val"),
    STRING: (np.object_, "string_val"),
}
"""NumPy type, and the field of TensorProto that holds the values, by number."""

with contextlib.suppress(ModuleNotFoundError):  # TensorFlow brings it; a client without TensorFlow may lack it
    import ml_dtypes

    KINDS[BFLOAT16] = (ml_dtypes.bfloat16, "half_val")

NUMBERS: dict[np.dtype, int] = {np.dtype(kind): number for number, (kind, _) in KINDS.items() if kind is not np.object_}
"""By NumPy type."""


def name_of(number: int) -> str:
    """The name TensorFlow prints for a type: `float` for DT_FLOAT, `float_ref` for its reference."""
    if 0 <= number < len(NAMES):
        return NAMES[number]
    if REF < number < REF + len(NAMES):
        return f"{NAMES[number - REF]}_ref"
    return str(number)
