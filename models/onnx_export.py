"""An export as one ONNX file, for runtimes without TensorFlow: what the signature for decoded contents computes.

tf2onnx converts the graph; onnxruntime then answers real examples beside the export, and only what agrees is written.
Both are the extra `onnx`.
"""

import importlib.metadata
import importlib.util
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from graft.models import installation
from graft.models.durable import write_atomic
from graft.models.errors import GraftError, one_line
from graft.models.inputs import exported_input
from graft.models.inputs.base import Input
from graft.models.inputs.preparing import preparer
from graft.models.inputs.values import Values
from graft.models.targets import exported_target
from graft.models.targets.base import Target

if TYPE_CHECKING:
    import onnx

OPSET = 17
"""Version of ONNX's operators: the newest that all releases of onnxruntime since 1.12 run."""
TOLERANCE = 1e-4
"""Largest `Target.distance` between an answer of ONNX and one of the export."""
PREFIX = "graft."
"""Of the names of Graft's metadata in the file."""

_PACKAGES = ("tf2onnx", "onnxruntime")
_AT_ONCE = 16


def require_packages() -> None:
    """Raises GraftError: the extra is not installed."""
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise GraftError(
            f"{' and '.join(missing)}: not installed; install the extra (pip install 'graft-transfer[onnx]', or "
            f"{' '.join(_PACKAGES)} alone)"
        )


def export_onnx(
    directory: str | Path,
    path: str | Path,
    contents: Sequence[bytes],
    facts: Mapping[str, Any],
    tolerance: float = TOLERANCE,
) -> dict[str, Any]:
    """Converts an export, compares the answers and writes the file, whole or not at all.

    The file takes `Input.values`, unchecked, and gives the outputs of `Target.answer` that are numbers. Its
    metadata, JSON under `graft.*`: `input` (settings, and what is allowed in words), `classes` (names of the places of
    an answer), `target`, `versions`, and `facts`.

    Args:
        directory: of the export, which is trusted.
        path: of the file; one that is there is replaced.
        contents: real ones, at least one: the export answers the bytes, ONNX what they decode to.
        facts: JSON types by name, to keep in the file.
        tolerance: largest difference of two answers, as `Target.distance` measures it.

    Returns:
        `examples`, `difference` (`Target.distance`), `bytes`, `opset`, `outputs`.

    Raises:
        GraftError: the extra is not installed; the input has no decoded form; an operation has no counterpart in ONNX;
            or the answers differ by more.
    """
    require_packages()
    directory = Path(directory)
    input, target = exported_input(directory), exported_target(directory)
    values = input.values
    if values is None:
        raise GraftError(
            f"{directory}: the model takes {input.unit}, whose way to the network is made of operations on strings, "
            "which ONNX does not have"
        )
    if not contents:
        raise GraftError(f"onnx: at least one {input.one} is needed to compare the answers; received none")
    loaded = tf.saved_model.load(str(directory))
    converted = _converted(loaded, values, target, directory)
    _describe(converted, input, values, target, facts)
    written = converted.SerializeToString()
    difference = _difference(loaded, written, input, values, target, contents)
    if not difference <= tolerance:
        raise GraftError(
            f"{path}: not written: the {target.answer_name} of ONNX differ from the model's by {difference:.3g} on "
            f"{len(contents)} {input.unit}; allowed: {tolerance:g}"
        )
    try:
        write_atomic(Path(path), written)
    except OSError as error:
        raise GraftError(f"{path}: cannot be written: {error.strerror or error}") from error
    return {
        "examples": len(contents),
        "difference": difference,
        "bytes": len(written),
        "opset": OPSET,
        "outputs": [output.name for output in converted.graph.output],
    }


def _converted(loaded: Any, decoded: Values, target: Target, directory: Path) -> "onnx.ModelProto":
    import tf2onnx

    spec = decoded.spec

    @tf.function(input_signature=[spec], autograph=False)
    def answer(values: tf.Tensor) -> dict[str, tf.Tensor]:
        given = target.answer(loaded.network(decoded.prepare(values, checked=False))[1])
        return {name: value for name, value in given.items() if value.dtype != tf.string}

    log = logging.getLogger("tf2onnx")
    level = log.level
    log.setLevel(logging.CRITICAL)  # what it has to say of operations is said below
    try:
        model, _ = tf2onnx.convert.from_function(answer, input_signature=[spec], opset=OPSET)
    except Exception as error:  # of a converter that raises whatever its handlers do
        raise GraftError(
            f"{directory}: cannot be converted to ONNX: {type(error).__name__}: {one_line(error)}"
        ) from error
    finally:
        log.setLevel(level)
    if unknown := unknown_operations(model):
        raise GraftError(
            f"{directory}: cannot be converted to ONNX: opset {OPSET} has no {', '.join(unknown)}; take another "
            "backbone, or serve the model as it is"
        )
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "n"
    return model


def unknown_operations(model: "onnx.ModelProto") -> list[str]:
    """Operations of a graph that ONNX does not have: the converter leaves them under TensorFlow's names."""
    import onnx

    versions = {opset.domain: opset.version for opset in model.opset_import}
    return sorted(
        {
            node.op_type
            for node in _nodes(model.graph)
            if not onnx.defs.has(node.op_type, versions.get(node.domain, OPSET), node.domain)
        }
    )


def _nodes(graph: "onnx.GraphProto") -> Iterator["onnx.NodeProto"]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _describe(model: "onnx.ModelProto", input: Input, values: Values, target: Target, facts: Mapping[str, Any]) -> None:
    import onnx

    try:
        own = importlib.metadata.version(installation.DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:  # it runs from a checkout
        own = "unknown"
    told = {
        "input": {**input.prepared_by, "values": values.told, "name": values.name},
        "classes": list(target.names),
        "target": target.description(),
        "versions": {"graft": own, **{name: importlib.metadata.version(name) for name in ("tensorflow", "tf2onnx")}},
        **facts,
    }
    onnx.helper.set_model_props(model, {f"{PREFIX}{name}": json.dumps(value) for name, value in told.items()})
    model.producer_name, model.producer_version = "graft", own
    model.doc_string = f"Takes {values.name}: {values.told}."


def _difference(
    loaded: Any, written: bytes, input: Input, values: Values, target: Target, contents: Sequence[bytes]
) -> float:
    """The largest `Target.distance` of an answer of ONNX to decoded contents from the export's to their bytes."""
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(written, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no class in common but this
        raise GraftError(f"onnx: onnxruntime refuses the converted model: {one_line(error)}") from error
    prepare, serve = preparer(input), loaded.signatures["serving_default"]
    found, wanted = [], []
    for start in range(0, len(contents), _AT_ONCE):
        some = tf.constant(list(contents[start : start + _AT_ONCE]))
        decoded = values.from_prepared(prepare(some)).numpy()
        found.append(session.run([target.answer_name], {values.name: decoded})[0])
        wanted.append(serve(**{input.signature_name: some})[target.answer_name].numpy())
    return float(target.distance(np.concatenate(found), np.concatenate(wanted)))
