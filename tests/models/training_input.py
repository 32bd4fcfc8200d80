"""A small but real input of the trainer: PNG files in TFRecords, a Transform output, cached features, a backbone."""

import dataclasses
import hashlib
import pathlib
import types
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from small_images import image_file

CLASSES = ["blue", "green", "red"]
SIZES = {"train": 42, "eval": 18, "test": 18}
IMAGE_SIZE = (16, 16)
INPUT = {"kind": "image", "image_size": IMAGE_SIZE, "value_range": (-1.0, 1.0)}


def make_image(label: str, rng: np.random.Generator) -> bytes:
    """A noisy PNG of 20x20 pixels in which the named channel is brighter."""
    pixels = rng.integers(0, 200, (20, 20, 3))
    pixels[..., ["red", "green", "blue"].index(label)] += 55
    return image_file(pixels.astype(np.uint8))


def make_example(image: bytes, label: str, name: str) -> bytes:
    """A serialized Example as `ingest` writes it."""
    values: dict[str, Any] = {
        "input": image,
        "label": label.encode(),
        "file": name.encode(),
        "sha256": hashlib.sha256(image).hexdigest().encode(),
        "format": b"PNG",
        "width": 20,
        "height": 20,
    }
    feature = {
        key: tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
        if isinstance(value, int)
        else tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        for key, value in values.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


@dataclasses.dataclass
class TrainingInput:
    """Where the parts lie; the two backbones are the same network as a `.keras` file and as a SavedModel."""

    root: pathlib.Path
    backbone: pathlib.Path
    hub_backbone: pathlib.Path
    transform: pathlib.Path
    images: dict[str, list[bytes]]
    labels: dict[str, np.ndarray]

    @property
    def features(self) -> pathlib.Path:
        """Those of `backbone`."""
        return self.root / "features"

    @property
    def hub_features(self) -> pathlib.Path:
        """The same vectors, as those of `hub_backbone`."""
        return self.root / "hub_features"

    def patterns(self, split: str) -> list[str]:
        return [str(self.root / "examples" / f"Split-{split}" / "*")]

    def fn_args(self, out: pathlib.Path, **config: Any) -> types.SimpleNamespace:
        """Arguments for `run_fn`, writing under `out`."""
        settings = {
            "input": INPUT,
            "backbone": {"handle": str(self.backbone)},
            "head": {"dropout": 0.2},
            "transfer": {"method": "frozen"},
            "train": {"epochs": 4, "batch_size": 8, "learning_rate": 0.01},
            "checkpoint_dir": str(out / "checkpoints"),
            "features_path": str(self.features),
        }
        return types.SimpleNamespace(
            custom_config={**settings, **config},
            train_files=self.patterns("train"),
            eval_files=self.patterns("eval"),
            transform_graph_path=str(self.transform),
            serving_model_dir=str(out / "model"),
            model_run_dir=str(out / "run"),
        )

    def comparison(self, **config: Any):
        """What the references are compared on."""
        from graft.models.references import Comparison

        files = {split: self.patterns(split) for split in SIZES}
        return Comparison.from_config(self.fn_args(self.root, **config).custom_config, self.transform, files)

    def task(
        self,
        method: dict[str, Any] | None = None,
        kind: str = "backbone",
        head: dict[str, Any] | None = None,
        features: pathlib.Path | None = None,
        **train: Any,
    ):
        """A task of a transfer method, without run_fn around it; the head is trained unless `head` says otherwise.

        Keys of `target` and `augment` may stand among those of `train`.
        """
        from graft.models.inputs import make_input
        from graft.models.settings import Settings
        from graft.models.targets import load_target
        from graft.models.task import load_split
        from graft.models.trainer import build_task

        target = {key: train.pop(key) for key in ("class_weights", "label_smoothing") if key in train}
        settings = Settings.model_validate(
            {
                "input": {**INPUT, **({"augment": train.pop("augment")} if "augment" in train else {})},
                "target": target,
                "backbone": {"handle": str(getattr(self, kind))},
                "head": head or {"solver": "adam"},
                "transfer": method or {"method": "frozen"},
                "train": {"epochs": 4, "batch_size": 8, "learning_rate": 0.01, "checkpoint_seconds": 0.0, **train},
            }
        )
        features = self.features if features is None else features
        return build_task(
            settings,
            make_input(settings.input),
            load_target(settings.target, self.transform),
            load_split(features, "train", self.patterns("train")),
            load_split(features, "eval", self.patterns("eval")),
        )


def weights(layer: keras.Layer) -> list[np.ndarray]:
    """Copies of all variables of a layer but its dropout seeds."""
    return [variable.numpy() for variable in layer.weights]


def make_network(seed: int = 0) -> keras.Model:
    """A tiny convolutional network with batch normalisation, images in [-1, 1] to 16 features."""

    def kernel(index: int) -> keras.initializers.Initializer:
        return keras.initializers.HeNormal(seed=seed * 10 + index)

    images = keras.Input((*IMAGE_SIZE, 3))
    maps = keras.layers.Conv2D(8, 3, strides=2, kernel_initializer=kernel(0), use_bias=False, name="conv_0")(images)
    maps = keras.layers.ReLU()(keras.layers.BatchNormalization(name="norm_0")(maps))
    maps = keras.layers.Conv2D(16, 3, strides=2, kernel_initializer=kernel(1), use_bias=False, name="conv_1")(maps)
    maps = keras.layers.ReLU()(keras.layers.BatchNormalization(name="norm_1")(maps))
    return keras.Model(images, keras.layers.GlobalAveragePooling2D(name="pool")(maps))


def write_transform(root: pathlib.Path) -> None:
    """Runs the real `preprocessing_fn` through Beam over the training examples."""
    import apache_beam as beam
    import tensorflow_transform.beam as tft_beam
    from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

    from graft.models.preprocessing import preprocessing_fn

    spec = {name: tf.io.FixedLenFeature([1], tf.string) for name in ("input", "label", "file", "sha256", "format")} | {
        name: tf.io.FixedLenFeature([1], tf.int64) for name in ("width", "height")
    }
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))
    records = tf.data.TFRecordDataset(sorted(tf.io.gfile.glob(str(root / "examples" / "Split-train" / "*"))))
    rows = []
    for record in records.as_numpy_iterator():
        feature = tf.train.Example.FromString(record).features.feature
        rows.append({k: list(v.bytes_list.value or v.int64_list.value) for k, v in feature.items()})
    options = beam.options.pipeline_options.PipelineOptions(flags=[], direct_running_mode="in_memory")
    with beam.Pipeline("DirectRunner", options=options) as pipeline, tft_beam.Context(temp_dir=str(root / "beam")):
        data = pipeline | beam.Create(rows)
        function = (data, metadata) | tft_beam.AnalyzeDataset(preprocessing_fn)
        _ = function | tft_beam.WriteTransformFn(str(root / "transform"))
