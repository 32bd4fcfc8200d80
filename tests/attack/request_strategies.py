"""Requests to a server, right, nearly right and wrong, as hypothesis strategies; all bounded in size."""

import base64
import dataclasses
import gzip
import io
import json

from hypothesis import strategies as st
from PIL import Image

from graft.serving.protos import get_model_metadata_pb2, get_model_status_pb2, predict_pb2, tensor_pb2

PREDICT = "/tensorflow.serving.PredictionService/Predict"
METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
HEALTH = "/grpc.health.v1.Health/Check"
METHODS = (
    *(PREDICT, METADATA, STATUS, HEALTH),
    "/tensorflow.serving.PredictionService/Classify",
    "/tensorflow.serving.PredictionService/MultiInference",
    "/tensorflow.serving.ModelService/HandleReloadConfigRequest",
    "/tensorflow.serving.PredictionService/Nothing",
    "/grpc.health.v1.Health/Watch",
)
SIGNATURES = {
    "m": {"": {"x": 1}, "serving_default": {"x": 1}, "both": {"a": 1, "b": 1}},
    "images": {"": {"image_bytes": 7}, "features": {"image_bytes": 7}},
    "zoo": {
        **{"lookup": {"word": 7}, "count": {"step": 9}, "dense": {"x": 1}, "echo": {"s": 7}, "scalar": {"x": 1}},
        **{"int64": {"x": 9}, "int8": {"x": 6}, "uint8": {"x": 4}, "bool": {"x": 10}, "float64": {"x": 2}},
        **{"float16": {"x": 19}, "complex64": {"x": 8}},
    },
    "odd": {
        **{"nothing": {}, "any": {"x": 1}, "echo": {"s": 7}, "parse": {"examples": 7}, "no_rows": {"x": 1}},
        **{"no_columns": {"x": 1}},
    },
}
"""What is served: dtype by input of each signature of each model."""


@dataclasses.dataclass(frozen=True)
class Sent:
    """One request.

    Attributes:
        kind: "gRPC", "REST", "raw gRPC" or "raw REST"; raw is what goes to the port byte by byte.
        target: the method of gRPC, or verb and path of REST.
        headers: of REST, or metadata of gRPC.
        body: message, body or bytes.
    """

    kind: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


def _encoded(kind: str, size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.radial_gradient("L").resize(size).convert("RGB").save(buffer, kind)
    return buffer.getvalue()


_IMAGES = [_encoded(kind, (9, 7)) for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")]
_NUMBERS = [0, 1, 2, 3, -1, 7, 100, 255, 256, 1 << 16, (1 << 31) - 1, -(1 << 31), (1 << 63) - 1, -(1 << 63)]
_text = st.text(max_size=12) | st.sampled_from(["", "\0", "é", "../..", "a" * 2000, "%2F", "x:predict", "😀"])


@st.composite
def mutated(draw, originals: st.SearchStrategy[bytes]) -> bytes:
    """Some bytes cut, doubled, flipped or put in."""
    content = bytearray(draw(originals))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(content)))
        how = draw(st.sampled_from(["flip", "cut", "put", "double"]))
        if how == "flip" and place < len(content):
            content[place] = draw(st.integers(0, 255))
        elif how == "cut":
            del content[place : place + draw(st.integers(1, 40))]
        elif how == "put":
            content[place:place] = draw(st.binary(max_size=12))
        else:
            content[place:place] = content[:place][-200:]
    return bytes(content)


_strings = st.one_of(
    st.sampled_from(_IMAGES), mutated(st.sampled_from(_IMAGES)), st.binary(max_size=40), st.just(b"\x0a\x0b\x0a\x09")
)
_dtypes = st.sampled_from([1, 1, 1, 7, 7, 9, 3, 2, 4, 6, 8, 10, 14, 17, 18, 19, 22, 23, 0, 13, 20, 21, 101, 999])
_dims = st.lists(st.sampled_from([0, 1, 1, 2, 2, 3, 4, 1000, -1, 1 << 31, 1 << 62, (1 << 63) - 1]), max_size=4)


@st.composite
def tensors(draw, dtype: int) -> tensor_pb2.TensorProto:
    """A TensorProto, most often of `dtype`, whose type, shape and values may or may not go together."""
    proto = tensor_pb2.TensorProto()
    proto.dtype = dtype if draw(st.integers(0, 7)) else draw(_dtypes)
    count = draw(st.integers(0, 5))
    field = draw(st.sampled_from(["fitting"] * 40 + ["float_val", "int_val", "int64_val", "string_val", "bool_val"]))
    if field == "fitting":
        fields = {
            1: "float_val",
            2: "double_val",
            7: "string_val",
            9: "int64_val",
            10: "bool_val",
            8: "scomplex_val",
            19: "half_val",
        }
        field = fields.get(proto.dtype, "int_val")
    if field == "string_val":
        proto.string_val.extend(draw(st.lists(_strings, min_size=count, max_size=count)))
    elif field in ("float_val", "double_val", "scomplex_val"):
        count *= 2 if field == "scomplex_val" else 1
        getattr(proto, field).extend(draw(st.lists(st.floats(width=32), min_size=count, max_size=count)))
    else:
        values = [1, 0] if field in ("bool_val", "half_val") else [0, 1, -1, 127, 300]
        getattr(proto, field).extend(draw(st.lists(st.sampled_from(values), min_size=count, max_size=count)))
    if draw(st.integers(0, 29)) == 0:
        proto.tensor_content = draw(st.binary(max_size=64))
    shape = draw(st.sampled_from(["fitting"] * 12 + ["any", "any", "deep"]))
    if shape == "any":
        dims = draw(_dims)
    else:
        count //= 2 if field == "scomplex_val" else 1
        dims = [count] if shape == "fitting" else [1] * draw(st.sampled_from([0, 31, 32, 33, 255]))
    for size in dims:
        proto.tensor_shape.dim.add(size=size)
    proto.tensor_shape.unknown_rank = draw(st.integers(0, 30)) == 0
    return proto


@st.composite
def _addresses(draw) -> tuple[str, str, dict[str, int]]:
    model = draw(st.sampled_from(sorted(SIGNATURES)))
    signature = draw(st.sampled_from(sorted(SIGNATURES[model])))
    aliases = SIGNATURES[model][signature]
    if draw(st.integers(0, 29)) == 0:
        signature = draw(_text)
    if draw(st.integers(0, 29)) == 0:
        model = draw(_text)
    return model, signature, aliases


def _fill(draw, spec, model: str, signature: str) -> None:
    spec.name, spec.signature_name = model, signature
    version = draw(st.sampled_from([""] * 18 + ["version", "label"]))
    if version == "version":
        spec.version.value = draw(st.sampled_from(_NUMBERS))
    elif version == "label":
        spec.version_label = draw(_text)


@st.composite
def _predict_messages(draw) -> bytes:
    sent = predict_pb2.PredictRequest()
    model, signature, aliases = draw(_addresses())
    if draw(st.integers(0, 20)):
        _fill(draw, sent.model_spec, model, signature)
    for alias, dtype in aliases.items():
        if draw(st.integers(0, 29)):
            sent.inputs[alias].CopyFrom(draw(tensors(dtype)))
    if draw(st.integers(0, 29)) == 0:
        sent.inputs[draw(_text)].CopyFrom(draw(tensors(1)))
    if draw(st.integers(0, 9)) == 0:
        sent.output_filter.extend(draw(st.lists(st.sampled_from(["y", "sum", "label", "text"]) | _text, max_size=3)))
    return sent.SerializeToString()


@st.composite
def _control_messages(draw) -> bytes:
    sent = draw(
        st.sampled_from([get_model_status_pb2.GetModelStatusRequest, get_model_metadata_pb2.GetModelMetadataRequest])
    )()
    model, signature, _ = draw(_addresses())
    _fill(draw, sent.model_spec, model, signature)
    if hasattr(sent, "metadata_field"):
        sent.metadata_field.extend(draw(st.lists(st.sampled_from(["signature_def", "x", ""]), max_size=2)))
    return sent.SerializeToString()


@st.composite
def _grpc(draw) -> Sent:
    if draw(st.integers(0, 3)):
        whole = draw(_predict_messages())
        body = draw(mutated(st.just(whole))) if draw(st.integers(0, 2)) == 0 else whole
        return Sent("gRPC", PREDICT, (), body)
    method = draw(st.sampled_from(METHODS))
    body = draw(_control_messages() | mutated(_control_messages()) | st.binary(max_size=60))
    names = st.text("abcdefghij-", min_size=1, max_size=8).map(lambda name: f"x{name}")
    metadata = st.dictionaries(names, st.text("abc 123", max_size=20), max_size=3)
    return Sent("gRPC", method, tuple(draw(metadata).items()), body)


_huge = st.sampled_from(["9" * 400, "9" * 5000, "1e400", "-1e999", "NaN", "Infinity", "-0", "1E-400", "0.1e", "01"])
_leaves = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(repr),
    st.sampled_from(["true", "false", "null", '"\\ud800"', '{"b64": "AAAA"}', '{"b64": "*"}', '{"b64": 3}', "{}"]),
    _huge,
    _text.map(json.dumps),
)
_nests = st.integers(1, 200).map(lambda depth: "[" * depth + "1" + "]" * depth) | st.just("[" * 60_000)
_values = st.recursive(
    _leaves,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(st.tuples(st.sampled_from(["x", "a", "b", "b64", "s"]), inner), max_size=3).map(
            lambda pairs: "{" + ", ".join(f'"{name}": {value}' for name, value in pairs) + "}"  # names may be double
        )
    ),
    max_leaves=8,
)
_base64 = _strings.map(lambda content: {"b64": base64.b64encode(content).decode()})
_columns = {
    **dict.fromkeys((1, 2, 19), st.integers(-300, 300) | st.floats(-10, 10)),
    **{7: _base64 | _text, 10: st.booleans()},
}


def _column(dtype: int) -> st.SearchStrategy[str]:
    """JSON of some values that an input of `dtype` takes."""
    return st.lists(_columns.get(dtype, st.integers(0, 130)), max_size=5).map(json.dumps)


@st.composite
def _json(draw) -> tuple[str, bytes]:
    model, signature, aliases = draw(_addresses())
    form = draw(st.sampled_from(["inputs"] * 6 + ["instances"] * 6 + ["other"]))

    def values(dtype: int) -> str:
        return draw(draw(st.sampled_from([_column(dtype)] * 8 + [_values, _values, _nests])))

    if draw(st.booleans()) and aliases:
        value = values(next(iter(aliases.values())))
    else:
        row = "{" + ", ".join(f'"{alias}": {values(dtype)}' for alias, dtype in aliases.items()) + "}"
        value = f"[{row}]" if form == "instances" else row
    members = [f'"{form}": {value}']
    if signature:
        members.append(f'"signature_name": {json.dumps(signature)}')
    if draw(st.integers(0, 9)) == 0:
        members.append(draw(st.sampled_from(members)))
    text = "{" + ", ".join(members) + "}" + draw(st.sampled_from(["", "", "", "x", "}", "\0"]))
    return model, text.encode("utf-8", "surrogatepass")


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text.encode("utf-8", "surrogatepass"), safe="%:/")


@st.composite
def _paths(draw, model: str) -> str:
    version = draw(st.sampled_from([""] * 12 + ["/versions/1", "/versions/99", f"/versions/{'9' * 60}", "/labels/a"]))
    tail = draw(st.sampled_from([":predict"] * 24 + ["", "/metadata", ":classify", ":nothing", "?a=b", "//"]))
    start = draw(st.sampled_from(["/v1/models/"] * 40 + ["/", "/v1/", "/v2/models/"]))
    return _quoted(f"{start}{model}{version}{tail}")


@st.composite
def _rest(draw) -> Sent:
    model, body = draw(_json())
    headers = {}
    if draw(st.integers(0, 5)) == 0:
        body = draw(mutated(st.just(body)))
    if draw(st.integers(0, 9)) == 0:
        headers["Content-Encoding"] = draw(st.sampled_from(["gzip", "gzip", "x-gzip", "deflate"]))
        packed = gzip.compress(body, 1, mtime=0)
        body = draw(st.just(packed) | st.just(body) | mutated(st.just(packed)))
    if draw(st.integers(0, 9)) == 0:
        name = draw(st.sampled_from(["Origin", "Content-Type", "Accept", "X-A"]))
        headers[name] = draw(st.text("abc/*;=0:", max_size=30))
    verb = draw(st.sampled_from(["POST"] * 30 + ["GET", "GET", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"]))
    return Sent("REST", f"{verb} {draw(_paths(model))}", tuple(headers.items()), body)


@st.composite
def _raw_http(draw) -> bytes:
    sent = draw(_rest())
    lines = [f"{sent.target} HTTP/{draw(st.sampled_from(['1.1', '1.1', '1.0', '2.0', '9']))}", "Host: x"]
    framing = draw(st.sampled_from(["length", "wrong", "chunked", "both", "none", "expect"]))
    body = sent.body[:2000]
    if framing in ("length", "both", "expect"):
        lines.append(f"Content-Length: {len(body)}")
    if framing == "wrong":
        lines.append(f"Content-Length: {draw(st.sampled_from(['-1', '0', '5', 'x', '9' * 30, '1, 2', '99999']))}")
    if framing == "expect":
        lines.append("Expect: 100-continue")
    if framing in ("chunked", "both"):
        lines.append("Transfer-Encoding: chunked")
        extension = draw(st.sampled_from(["", "", ";a=b", ";" + "a" * 3000]))
        body = f"{len(body):x}{extension}\r\n".encode() + body + b"\r\n0\r\n\r\n"
    lines += [f"{name}: {value}" for name, value in sent.headers]
    whole = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body
    return whole * draw(st.sampled_from([1, 1, 2]))


_raw_rest = (st.binary(max_size=200) | _raw_http() | mutated(_raw_http())).map(
    lambda body: Sent("raw REST", "", (), body)
)


@st.composite
def _raw_grpc(draw) -> Sent:
    from http2 import PREFACE, call, frame, message

    parts = [draw(st.sampled_from([PREFACE, PREFACE, PREFACE, b"", PREFACE[:9]])), frame(4)]
    for stream in draw(st.lists(st.sampled_from([1, 3, 5, 0, 2, 1 << 30]), max_size=4)):
        kind = draw(st.sampled_from(["call", "message", "half", "frame"]))
        if kind == "call":
            parts.append(call(stream, draw(st.sampled_from(METHODS))))
        elif kind == "message":
            parts.append(message(stream, draw(_predict_messages())))
        elif kind == "half":
            parts.append(message(stream, b"half", claimed=draw(st.sampled_from([5, 1 << 20, (1 << 32) - 1]))))
        else:
            parts.append(
                frame(draw(st.integers(0, 12)), draw(st.integers(0, 255)), stream, draw(st.binary(max_size=40)))
            )
    whole = b"".join(parts)
    return Sent("raw gRPC", "", (), draw(st.just(whole) | mutated(st.just(whole)) | st.binary(max_size=200)))


@st.composite
def requests(draw) -> Sent:
    """Requests of all kinds, most of them whole."""
    return draw(draw(st.sampled_from([_grpc()] * 8 + [_rest()] * 8 + [_raw_rest] * 2 + [_raw_grpc()])))
