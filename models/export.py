"""The export: one SavedModel from contents as a client sends them to the target's answer.

What the input prepares, backbone, head and names are all in the graph, so a client sends contents as they are. Names
are a constant, not a hash table: the signatures that serve hold variables only and can be frozen to constants. Only
`transform_features`, for TFMA, holds the label table of the Transform graph.
"""

import concurrent.futures
import importlib.metadata
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from graft.models import grappler
from graft.models.backbone import Backbone
from graft.models.errors import GraftError
from graft.models.examples import INPUT
from graft.models.inputs.preparing import preparer
from graft.models.loaded_export import load_export
from graft.models.targets import DESCRIPTION, LABELS
from graft.models.targets.base import Target
from graft.models.warmup import write_warmup

TOLERANCE = 1e-5
"""Largest distance (`Target.distance`) between an answer of the export and one of the model in memory."""

_LIBRARIES = ("tensorflow", "keras")


class ServingModel(tf.Module):
    """What is saved: input, backbone, head and target behind four signatures, five where the input has values."""

    def __init__(self, backbone: Backbone, head: keras.Model, target: Target, transform_graph_path: str | Path):
        """Takes the parts as they are; see `export_model`."""
        super().__init__(name="graft")
        # Only the variables are tracked: the layers themselves would bring their training traces into the export.
        self.backbone_variables = [variable.value for variable in backbone.variables]
        self.head_variables = [variable.value for variable in head.variables]
        self.transform = tf.saved_model.load(str(Path(transform_graph_path) / "transform_fn"))
        prepare = preparer(backbone.takes)
        contents = [tf.TensorSpec([None], tf.string, name=backbone.takes.signature_name)]
        examples = [tf.TensorSpec([None], tf.string, name="examples")]

        # Traced once and called by every signature, and without AutoGraph, which no op here needs: both save seconds.
        @tf.function(input_signature=[backbone.takes.spec], autograph=False)
        def network(prepared: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            features = tf.cast(backbone(prepared, training=False), tf.float32)
            return features, head(features, training=False)

        @tf.function(input_signature=contents, autograph=False)
        def serve(contents: tf.Tensor) -> dict[str, tf.Tensor]:
            return target.answer(network(prepare(contents))[1])

        @tf.function(input_signature=contents, autograph=False)
        def features(contents: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"feature_vector": network(prepare(contents))[0]}

        @tf.function(input_signature=examples, autograph=False)
        def evaluate_examples(examples: tf.Tensor) -> dict[str, tf.Tensor]:
            parsed = tf.io.parse_example(examples, {INPUT: tf.io.FixedLenFeature([], tf.string)})
            return {target.answer_name: target.answer(network(prepare(parsed[INPUT]))[1])[target.answer_name]}

        @tf.function(input_signature=examples, autograph=False)
        def transform_features(examples: tf.Tensor) -> dict[str, tf.Tensor]:
            transform = self.transform.transform_fn
            function = transform.concrete_functions[0] if hasattr(transform, "concrete_functions") else transform
            specs = function.structured_input_signature[0][0]
            parsed = tf.io.parse_example(examples, {name: _parse_spec(spec) for name, spec in specs.items()})
            return {"label": transform(parsed)["label"]}

        self.prepare, self.network = prepare, network
        self.signatures = {
            "serving_default": serve,
            "features": features,
            "evaluate_examples": evaluate_examples,
            "transform_features": transform_features,
        }
        if (decoded := backbone.takes.values) is not None:

            @tf.function(input_signature=[decoded.spec], autograph=False)
            def serve_values(values: tf.Tensor) -> dict[str, tf.Tensor]:
                return target.answer(network(decoded.prepare(values))[1])

            self.signatures[decoded.signature] = serve_values


def _parse_spec(spec: tf.TypeSpec) -> tf.io.FixedLenFeature | tf.io.VarLenFeature | tf.io.RaggedFeature:
    """How to parse a feature into what the Transform graph takes."""
    if isinstance(spec, tf.SparseTensorSpec):
        return tf.io.VarLenFeature(spec.dtype)
    if isinstance(spec, tf.RaggedTensorSpec):
        return tf.io.RaggedFeature(spec.dtype)
    return tf.io.FixedLenFeature(spec.shape[1:], spec.dtype)


@grappler.left_out()
def export_model(
    backbone: Backbone,
    head: keras.Model,
    target: Target,
    transform_graph_path: str | Path,
    directory: str | Path,
    contents: Sequence[bytes],
    warmup_contents: Sequence[bytes] | None = None,
    model_name: str = "model",
) -> None:
    """Writes the SavedModel, loads it back and compares its answers with those of the model in memory.

    | signature | input | outputs |
    |---|---|---|
    | serving_default | `Input.signature_name` string [n] | `Target.answer` |
    | features | `Input.signature_name` string [n] | feature_vector float32 [n, d] |
    | evaluate_examples | examples string [n] | `Target.answer_name` |
    | transform_features | examples string [n] | label, as Transform encodes it |
    | `Values.signature` | `Values.spec` | `Target.answer`; where there are `Input.values` |

    n may be 0. Beside the signatures a function `network` takes what the input prepares and gives features and outputs
    of the head: who learns from this model shows it examples that were changed at random.

    In `assets.extra` lie `graft.json` (input, target with names and facts, versions: what a reader of the model needs
    to know), `labels.txt` (a name a line, for readers of other makers) and `tf_serving_warmup_requests`
    (https://www.tensorflow.org/tfx/serving/saved_model_warmup).

    Args:
        backbone: features of what its input prepares.
        head: outputs of features.
        target: what the outputs mean, with its names and facts.
        transform_graph_path: output folder of Transform.
        directory: where to write; made if need be.
        contents: real ones, at least one, that the comparison is done with; they are written nowhere.
        warmup_contents: contents to write as warm-up requests; None: drawn ones.
        model_name: the name the requests call the model by.

    Raises:
        GraftError: no content, or an answer of the export differs from the model in memory by more than `TOLERANCE`.
    """
    directory = Path(directory)
    input = backbone.takes
    if not contents:
        raise GraftError(
            f"export: at least one {input.one} is needed to compare the export with the model; received none"
        )
    model = ServingModel(backbone, head, target, transform_graph_path)
    signatures = model.signatures
    del model.signatures  # they are saved as signatures, not as functions too
    # Not through AutoGraph either: of the signatures it finds nothing to convert.
    save = tf.autograph.experimental.do_not_convert(tf.saved_model.save)
    save(model, str(directory), signatures=signatures)
    extra = directory / "assets.extra"
    extra.mkdir(exist_ok=True)
    (extra / DESCRIPTION).write_text(json.dumps(_description(backbone, target), indent=1), encoding="utf-8")
    (extra / LABELS).write_text("".join(f"{name}\n" for name in target.names), encoding="utf-8")
    requested = input.drawn() if warmup_contents is None else warmup_contents
    more = {} if (decoded := input.values) is None else {decoded.signature: decoded.spec}
    write_warmup(extra / "tf_serving_warmup_requests", input.signature_name, requested, model_name, more)
    compare_export(directory, backbone, head, target, contents)


def compare_export(
    directory: str | Path, backbone: Backbone, head: keras.Model, target: Target, contents: Sequence[bytes]
) -> float:
    """Loads an export as a server would and compares its answers with those of the model in memory.

    Returns:
        the largest `Target.distance` of two answers.

    Raises:
        GraftError: it is more than `TOLERANCE`, or not a number.
    """
    input, given = backbone.takes, tf.constant(list(contents))

    def in_memory() -> np.ndarray:
        features = tf.cast(backbone(preparer(input)(given), training=False), tf.float32)
        return np.asarray(target.measured(head(features, training=False)))

    # Loading is Python's work, computing is TensorFlow's: side by side they take little more than one of them.
    with concurrent.futures.ThreadPoolExecutor(1) as beside:
        expected = beside.submit(in_memory)
        exported = load_export(directory).signatures["serving_default"]
        answers = exported(**{input.signature_name: given})[target.answer_name].numpy()
    distance = float(target.distance(np.asarray(answers), expected.result()))
    if not distance <= TOLERANCE:
        raise GraftError(
            f"{directory}: the exported model's {target.answer_name} differ from the trained model's by {distance:.3g} "
            f"on {len(contents)} {input.unit}; allowed: {TOLERANCE:g}"
        )
    return distance


def _description(backbone: Backbone, target: Target) -> dict[str, Any]:
    return {
        "input": backbone.takes.prepared_by,
        "target": target.description(),
        "versions": {name: importlib.metadata.version(name) for name in _LIBRARIES},
    }
