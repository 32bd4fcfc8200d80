"""JSON of TensorFlow Serving's REST predict API to arrays and back: row form ("instances") and columnar ("inputs")."""

import base64
import binascii
import json
import math
import time
from collections.abc import Mapping
from typing import Any

import grpc
import numpy as np

from graft.serving import dtypes
from graft.serving.protos import types_pb2
from graft.serving.status import ServingError, invalid

MAX_DEPTH = 32
"""Deepest nesting of lists in a tensor: the most dimensions an array can have."""

VALUE_BYTES = 96
"""What a value of JSON takes on its way to an array or back, as an object, as text and in lists (measured)."""
_CHECK_EVERY = 1 << 14

_FLOATS = {types_pb2.DT_FLOAT: np.float32, types_pb2.DT_DOUBLE: np.float64}
_INTEGERS: dict[int, type[np.integer]] = {
    types_pb2.DT_INT8: np.int8,
    types_pb2.DT_UINT8: np.uint8,
    types_pb2.DT_INT16: np.int16,
    types_pb2.DT_UINT16: np.uint16,
    types_pb2.DT_INT32: np.int32,
    types_pb2.DT_UINT32: np.uint32,
    types_pb2.DT_INT64: np.int64,
    types_pb2.DT_UINT64: np.uint64,
}
_KINDS = {
    type(None): "Null",
    bool: "Bool",
    int: "Number",
    float: "Number",
    str: "String",
    list: "Array",
    dict: "Object",
}


def most_values(body: bytes | bytearray) -> int:
    """The most values, lists and objects that a JSON text may hold, at the cost of looking at its bytes."""
    return 1 + sum(body.count(mark) for mark in (b",", b"[", b"{", b":"))


def parse_request(body: bytes | bytearray) -> dict[str, Any]:
    """The JSON object at the start of `body`; text after it is ignored, as upstream's parser does.

    Raises:
        ServingError: INVALID_ARGUMENT "JSON Parse error" or nested too deep.
    """
    try:
        text = body.decode().lstrip(" \t\r\n")
    except UnicodeDecodeError as error:
        raise invalid(f"JSON Parse error: not UTF-8 at offset {error.start}") from error
    if not text:
        raise invalid("JSON Parse error: The document is empty")
    try:
        document, _ = json.JSONDecoder().raw_decode(text)
    except RecursionError as error:
        raise invalid(f"JSON Parse error: nested deeper than {MAX_DEPTH} levels") from error
    except json.JSONDecodeError as error:
        raise invalid(f"JSON Parse error: {error}") from error
    except ValueError as error:
        # Python's limit to the digits of an integer
        raise invalid("JSON Parse error: a number has too many digits") from error
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {_shown(document)} Type: {_KINDS[type(document)]} is not a JSON object")
    return document


def signature_name(document: dict[str, Any]) -> str:
    """The "signature_name" of a request, "" if it has none. Raises ServingError if it is not a string."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid("'signature_name' key must be a string value.")
    return name


def parse_inputs(document: dict[str, Any], inputs: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], bool]:
    """Arrays for a signature.

    Args:
        document: the request.
        inputs: TensorInfo by alias, as in a SignatureDef.

    Returns:
        The arrays by alias, and whether the request was in row form.

    Raises:
        ServingError: INVALID_ARGUMENT, or UNIMPLEMENTED for a dtype that JSON does not carry in columnar form.
    """
    inputs = dict(inputs)  # a map of a message fails on names that are no Unicode text
    if "instances" in document and "inputs" in document:
        raise invalid("Not formatted correctly expecting only one of 'instances' or 'inputs' keys to exist")
    if "instances" in document:
        return _parse_rows(document["instances"], inputs), True
    if "inputs" in document:
        return _parse_columns(document["inputs"], inputs), False
    raise invalid("Missing 'inputs' or 'instances' key")


def _parse_columns(value: Any, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    if isinstance(value, dict) and not _is_base64(value):
        for alias in inputs:
            if alias not in value:
                raise invalid(f"Missing named input: {alias} in 'inputs' object.")
        unknown = sorted(value.keys() - inputs.keys())
        if unknown:
            raise invalid(f"'inputs' object has names that are no inputs of the signature: {', '.join(unknown)}")
        return {alias: _array(value[alias], info.dtype) for alias, info in inputs.items()}
    if len(inputs) != 1:
        raise invalid(
            "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
            "tensorinfo_map"
        )
    ((alias, info),) = inputs.items()
    return {alias: _array(value, info.dtype)}


def _parse_rows(rows: Any, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    if not isinstance(rows, list):
        raise invalid("Expecting 'instances' value to be an list/array")
    if not rows:
        raise invalid("No values in 'instances' array")
    named = isinstance(rows[0], dict) and not _is_base64(rows[0])
    if not named and len(inputs) != 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    columns: dict[str, list[np.ndarray]] = {alias: [] for alias in inputs}
    for number, row in enumerate(rows):
        if named and not (isinstance(row, dict) and not _is_base64(row)):
            raise invalid(f"Expecting object but got list at item {number} of input list")
        if not named and isinstance(row, dict) and not _is_base64(row):
            raise invalid(f"Expecting value/list but got object at item {number} of input list")
        fields = row if named else {next(iter(inputs)): row}
        _check_keys(fields, inputs, number)
        for alias, info in inputs.items():
            try:
                array = _array(fields[alias], info.dtype, depth=1)
                if columns[alias] and array.shape != columns[alias][0].shape:
                    raise _misshapen(columns[alias][0].shape, array.shape)
            except ServingError as error:
                key = f" key: {alias}" if named else ""
                raise invalid(
                    f"Failed to process element: {number}{key} of 'instances' list. "
                    f"Error: {error.code.name}: {error.message}"
                ) from error
            columns[alias].append(array)
    return {alias: np.stack(arrays) for alias, arrays in columns.items()}


def _check_keys(fields: dict[str, Any], inputs: Mapping[str, Any], number: int) -> None:
    where = f"Failed to process element: {number} of 'instances' list. Error: INVALID_ARGUMENT: JSON object:"
    for name in fields:
        if name not in inputs:
            raise invalid(f"{where} does not have named input: {name}")
    if fields.keys() != set(inputs):
        raise invalid(f"{where} {_shown(fields)} keys must be equal to: {','.join(sorted(inputs))}")


def _misshapen(expected: tuple[int, ...], found: tuple[int, ...]) -> ServingError:
    if len(expected) == len(found) == 1:
        return invalid(f"Expecting tensor size: {expected[0]} but got: {found[0]}")
    return invalid(f"Expecting shape {_shape(expected)} but got: {_shape(found)}")


def _shape(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _array(value: Any, dtype: int, depth: int = 0) -> np.ndarray:
    leaves: list[Any] = []
    shape = _flatten(value, leaves, depth)
    return _typed(leaves, dtype).reshape(shape)


def _flatten(value: Any, leaves: list[Any], depth: int) -> tuple[int, ...]:
    """Appends the scalars of a nested list to `leaves` and returns its shape; ragged lists are refused."""
    if not isinstance(value, list):
        leaves.append(value)
        return ()
    if depth >= MAX_DEPTH:
        raise invalid(f"JSON Value is nested deeper than {MAX_DEPTH} levels")
    if list not in set(map(type, value)):
        leaves.extend(value)
        return (len(value),)
    shapes = []
    for item in value:
        shapes.append(_flatten(item, leaves, depth + 1))
        if shapes[-1] != shapes[0]:
            raise _misshapen(shapes[0], shapes[-1])
    return (len(value), *shapes[0])


def _typed(leaves: list[Any], dtype: int) -> np.ndarray:
    if dtype in _FLOATS:
        _require(leaves, {int, float}, dtype)
        with np.errstate(over="ignore"):
            # A double beyond the range of float becomes infinite, as upstream.
            return np.array([_to_float(leaf) for leaf in leaves], np.float64).astype(_FLOATS[dtype])
    if dtype in _INTEGERS:
        _require(leaves, {int}, dtype)
        limits = np.iinfo(_INTEGERS[dtype])
        for leaf in leaves:
            if not limits.min <= leaf <= limits.max:
                raise invalid(f"JSON Value: {leaf} Type: Number is not of expected type: {dtypes.name_of(dtype)}")
        return np.array(leaves, _INTEGERS[dtype])
    if dtype == types_pb2.DT_BOOL:
        _require(leaves, {bool}, dtype)
        return np.array(leaves, np.bool_)
    if dtype == types_pb2.DT_STRING:
        strings = np.empty(len(leaves), np.object_)
        strings[:] = [_to_bytes(leaf) for leaf in leaves]
        return strings
    value = _shown(leaves[0]) if leaves else "[]"
    raise ServingError(
        grpc.StatusCode.UNIMPLEMENTED, f"Conversion of JSON Value: {value} to type: {dtypes.name_of(dtype)}"
    )


def _to_float(leaf: int | float) -> float:
    try:
        return float(leaf)
    except OverflowError:
        return math.inf if leaf > 0 else -math.inf


def _require(leaves: list[Any], kinds: set[type], dtype: int) -> None:
    if not set(map(type, leaves)) <= kinds:
        wrong = next(leaf for leaf in leaves if type(leaf) not in kinds)
        raise invalid(
            f"JSON Value: {_shown(wrong)} Type: {_KINDS[type(wrong)]} is not of expected type: {dtypes.name_of(dtype)}"
        )


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"b64"}


def _to_bytes(leaf: Any) -> bytes:
    if isinstance(leaf, str):
        return leaf.encode("utf-8", "surrogatepass")
    if _is_base64(leaf) and isinstance(leaf["b64"], str):
        try:
            return base64.b64decode(leaf["b64"], validate=True)
        except (binascii.Error, ValueError) as error:
            raise invalid(f"Unable to base64 decode: {error}") from error
    if isinstance(leaf, dict):
        raise invalid(f"JSON Value: {_shown(leaf)} not formatted correctly for base64 data")
    raise invalid(f"JSON Value: {_shown(leaf)} Type: {_KINDS[type(leaf)]} is not of expected type: string")


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value)
    except RecursionError:
        # The parser, in C, goes some levels deeper than the writer.
        return "a deeply nested value"
    return text if len(text) <= 200 else f"{text[:200]}..."


def format_response(outputs: Mapping[str, np.ndarray], row_form: bool, end: float = math.inf) -> str:
    """The response body: {"predictions": [...]} in row form, else {"outputs": ...}; one output goes without its name.

    Args:
        outputs: arrays by alias.
        row_form: as `parse_inputs` said.
        end: `time.monotonic()` when the answer is too late.

    Raises:
        ServingError: DEADLINE_EXCEEDED; INVALID_ARGUMENT if an output has a dtype JSON does not carry or, in row form,
            another 0-th dimension than the first one.
    """
    if not row_form:
        written = {alias: _write(alias, array, end) for alias, array in outputs.items()}
        if len(written) == 1:
            return f'{{"outputs": {next(iter(written.values()))}}}'
        return f'{{"outputs": {{{_members(written)}}}}}'
    batch: int | None = None
    for alias, array in outputs.items():
        if array.ndim == 0:
            raise invalid(f"Tensor name: {alias} has no shape information: row form needs a 0-th (batch) dimension")
        # As upstream, of the outputs alone: a signature may take no input, or answer no row.
        batch = len(array) if batch is None else batch
        if len(array) != batch:
            raise invalid(f"Tensor name: {alias} has inconsistent batch size: {len(array)} expecting: {batch}")
    if len(outputs) == 1:
        ((alias, array),) = outputs.items()
        return f'{{"predictions": {_write(alias, array, end)}}}'
    rows = (
        _members({alias: _write(alias, array[row, ...], end) for alias, array in outputs.items()})
        for row in range(batch or 0)
    )
    return f'{{"predictions": [{", ".join(f"{{{row}}}" for row in rows)}]}}'


def _members(written: Mapping[str, str]) -> str:
    return ", ".join(f"{json.dumps(alias)}: {text}" for alias, text in sorted(written.items()))


def _write(alias: str, array: np.ndarray, end: float) -> str:
    array = np.asarray(array)
    if time.monotonic() > end:
        raise _too_late()
    if array.dtype.kind == "f" and array.dtype.itemsize >= 4:
        texts = []
        flat = array.ravel()
        for start in range(0, flat.size, _CHECK_EVERY):
            if time.monotonic() > end:
                raise _too_late()
            texts += [format_float(value) for value in flat[start : start + _CHECK_EVERY]]
    elif array.dtype.kind in "iu":
        texts = [str(value) for value in array.ravel().tolist()]
    elif array.dtype.kind == "b":
        texts = ["true" if value else "false" for value in array.ravel().tolist()]
    elif array.dtype.kind == "O":
        texts = [_write_bytes(alias, value) for value in array.ravel().tolist()]
    else:
        raise invalid(f"Failed to write JSON value for tensor type: {array.dtype.name}")
    return _nest(texts, array.shape)


def _too_late() -> ServingError:
    return ServingError(grpc.StatusCode.DEADLINE_EXCEEDED, "Timed out while the answer was written")


def _nest(texts: list[str], shape: tuple[int, ...]) -> str:
    if not shape:
        return texts[0]
    if len(shape) == 1:
        return f"[{', '.join(texts)}]"
    step = math.prod(shape[1:])
    return f"[{', '.join(_nest(texts[row * step : (row + 1) * step], shape[1:]) for row in range(shape[0]))}]"


def _write_bytes(alias: str, value: bytes | str) -> str:
    content = value.encode() if isinstance(value, str) else value
    if not alias.endswith("_bytes"):
        try:
            return json.dumps(content.decode(), ensure_ascii=False)
        except UnicodeDecodeError:
            pass  # upstream would write bytes that are not JSON; base64 loses nothing
    return json.dumps({"b64": base64.b64encode(content).decode()})


def format_float(value: np.floating) -> str:
    """The shortest decimal that reads back as `value`; whole numbers keep ".0"; NaN and infinities as bare words."""
    if not np.isfinite(value):
        return "NaN" if np.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    number, kind = float(value), type(value)
    for digits in (6, 7, 8, 9, 15, 16, 17):
        text = f"{number:.{digits}g}"
        if kind(text) == value:
            break
    return text if "." in text or "e" in text else f"{text}.0"
