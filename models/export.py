"""The export: one SavedModel from encoded image bytes to named probabilities.

Decoding and resizing, backbone, head and class names are all in the graph, so a client sends files as they are. Class
names are a constant, not a hash table: the signatures that serve hold variables only and can be frozen to constants.
Only `transform_features`, for TFMA, holds the label table of the Transform graph.
"""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from graft.models.backbone import Backbone
from graft.models.datasets import decoder
from graft.models.errors import GraftError
from graft.models.examples import INPUT
from graft.models.inputs.image.decoding import preprocess
from graft.models.warmup import synthetic_images, write_warmup

TOLERANCE = 1e-5
"""Largest difference of a probability or feature between the export and the model in memory."""


class ServingModel(tf.Module):
    """What is saved: backbone, head and class names behind four signatures."""

    def __init__(
        self,
        backbone: Backbone,
        head: keras.Model,
        classes: Sequence[str],
        transform_graph_path: str | Path,
        image_size: tuple[int, int],
        value_range: tuple[float, float],
    ):
        """Takes the parts as they are; see `export_model`."""
        super().__init__(name="graft")
        # Only the variables are tracked: the layers themselves would bring their training traces into the export.
        self.backbone_variables = [variable.value for variable in backbone.variables]
        self.head_variables = [variable.value for variable in head.variables]
        self.transform = tf.saved_model.load(str(Path(transform_graph_path) / "transform_fn"))
        self._classes = [name.encode() for name in classes]

        # Traced once and called by every signature, and without AutoGraph, which no op here needs: both save seconds.
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
        def answer(image_bytes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            features = backbone(preprocess(image_bytes, image_size, value_range), training=False)
            features = tf.cast(features, tf.float32)
            return features, head(features, training=False)

        self.answer = answer

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")], autograph=False)
    def serve(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Encoded images [n] -> classes, probabilities, scores [n, classes] and the top-1 label [n]."""
        names = tf.constant(self._classes)
        _, scores = self.answer(image_bytes)
        return {
            "classes": tf.tile(names[None], [tf.shape(scores)[0], 1]),
            "probabilities": tf.nn.softmax(scores),
            "scores": scores,
            "label": tf.gather(names, tf.argmax(scores, axis=1)),
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")], autograph=False)
    def features(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Encoded images [n] -> feature_vector [n, d]."""
        return {"feature_vector": self.answer(image_bytes)[0]}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")], autograph=False)
    def evaluate_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Serialized ingest Examples [n] -> probabilities [n, classes]."""
        parsed = tf.io.parse_example(examples, {INPUT: tf.io.FixedLenFeature([], tf.string)})
        return {"probabilities": tf.nn.softmax(self.answer(parsed[INPUT])[1])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")], autograph=False)
    def transform_features(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Serialized ingest Examples [n] -> label, int64 [n], by the Transform graph; -1 for an unknown name."""
        transform = self.transform.transform_fn
        function = transform.concrete_functions[0] if hasattr(transform, "concrete_functions") else transform
        specs = function.structured_input_signature[0][0]
        parsed = tf.io.parse_example(examples, {name: _parse_spec(spec) for name, spec in specs.items()})
        return {"label": tf.reshape(transform(parsed)["label"], [-1])}


def _parse_spec(spec: tf.TypeSpec) -> tf.io.FixedLenFeature | tf.io.VarLenFeature | tf.io.RaggedFeature:
    """How to parse a feature into what the Transform graph takes."""
    if isinstance(spec, tf.SparseTensorSpec):
        return tf.io.VarLenFeature(spec.dtype)
    if isinstance(spec, tf.RaggedTensorSpec):
        return tf.io.RaggedFeature(spec.dtype)
    return tf.io.FixedLenFeature(spec.shape[1:], spec.dtype)


def export_model(
    backbone: Backbone,
    head: keras.Model,
    classes: Sequence[str],
    transform_graph_path: str | Path,
    directory: str | Path,
    image_size: tuple[int, int],
    value_range: tuple[float, float],
    images: Sequence[bytes],
    warmup_images: Sequence[bytes] | None = None,
    model_name: str = "model",
) -> None:
    """Writes the SavedModel, loads it back and compares its answers with those of the model in memory.

    | signature | input | outputs |
    |---|---|---|
    | serving_default | image_bytes string [n] | classes string [n, k], probabilities and scores float32 [n, k] |
    | | | label string [n], the most probable class |
    | features | image_bytes string [n] | feature_vector float32 [n, d] |
    | evaluate_examples | examples string [n] | probabilities float32 [n, k] |
    | transform_features | examples string [n] | label int64 [n] |

    n may be 0. Beside it lie `assets.extra/labels.txt`, a class a line, and
    `assets.extra/tf_serving_warmup_requests` (https://www.tensorflow.org/tfx/serving/saved_model_warmup).

    Args:
        backbone: features of preprocessed images.
        head: logits of features.
        classes: class names by index of the logit.
        transform_graph_path: output folder of Transform.
        directory: where to write; made if need be.
        image_size: (height, width) that the backbone takes, pixels.
        value_range: what pixel values 0 and 255 become.
        images: real encoded images, at least one, that the comparison is done with; they are written nowhere.
        warmup_images: encoded images to write as warm-up requests; None: drawn ones.
        model_name: the name the requests call the model by.

    Raises:
        GraftError: no image, or an answer of the export differs from the model in memory by more than
            `TOLERANCE`.
    """
    directory = Path(directory)
    if not images:
        raise GraftError("export: at least one image is needed to compare the export with the model; received none")
    model = ServingModel(backbone, head, classes, transform_graph_path, image_size, value_range)
    signatures = {
        "serving_default": model.serve,
        "features": model.features,
        "evaluate_examples": model.evaluate_examples,
        "transform_features": model.transform_features,
    }
    tf.saved_model.save(model, str(directory), signatures=signatures)
    extra = directory / "assets.extra"
    extra.mkdir(exist_ok=True)
    (extra / "labels.txt").write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")
    requested = synthetic_images(image_size) if warmup_images is None else warmup_images
    write_warmup(extra / "tf_serving_warmup_requests", requested, model_name)
    compare_export(directory, backbone, head, image_size, value_range, images)


def compare_export(
    directory: str | Path,
    backbone: Backbone,
    head: keras.Model,
    image_size: tuple[int, int],
    value_range: tuple[float, float],
    images: Sequence[bytes],
) -> float:
    """Loads an export as a server would and compares its answers with those of the model in memory.

    Returns:
        the largest difference of a probability.

    Raises:
        GraftError: it is more than `TOLERANCE`, or not a number.
    """
    exported = tf.saved_model.load(str(directory)).signatures["serving_default"]
    answers = exported(image_bytes=tf.constant(list(images)))["probabilities"].numpy()
    decode = decoder(tuple(image_size), tuple(value_range))
    features = backbone(tf.stack([decode(tf.constant(image)) for image in images]), training=False)
    expected = tf.nn.softmax(head(tf.cast(features, tf.float32), training=False)).numpy()
    difference = float(np.max(np.abs(answers - expected)))
    if not difference <= TOLERANCE:
        raise GraftError(
            f"{directory}: the exported model's probabilities differ from the trained model's by {difference:.3g} "
            f"on {len(images)} images; allowed: {TOLERANCE:g}"
        )
    return difference
