"""A model's answers on a split: made once, kept as arrays for Graft and as tf.Examples for TFMA."""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from graft.models import progress
from graft.models.examples import DIGEST, INPUT, read_examples
from graft.models.predict import SavedModelPredictor, most_probable
from graft.models.stored import reading

LABEL, PREDICTION, PROBABILITIES = "label", "prediction", "probabilities"
"""Features for TFMA: the true and the most probable class by name, float32 [k]; beside them the slice columns."""


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Answers in the order of the split's files.

    Attributes:
        classes: k names, by index of the probability.
        labels: n names, the true ones.
        probabilities: float32 [n, k].
        sha256: n digests in hex, bytes.
        slices: n values by column.
        images_per_second: rate of the pass.
    """

    classes: list[str]
    labels: list[str]
    probabilities: np.ndarray
    sha256: list[bytes]
    slices: dict[str, list[str]]
    images_per_second: float

    @property
    def label_ids(self) -> np.ndarray:
        """int64 [n], indices into `classes`; -1 for a name that is none of them."""
        index = {name: i for i, name in enumerate(self.classes)}
        return np.array([index.get(name, -1) for name in self.labels], np.int64)

    @property
    def predicted(self) -> np.ndarray:
        """int [n], the most probable class; -1 where a probability is no finite number."""
        return most_probable(self.probabilities)

    @property
    def correct(self) -> np.ndarray:
        """bool [n], whether the most probable class is the true one."""
        found = self.predicted
        return (found == self.label_ids) & (found >= 0)

    def save(self, uri: str) -> None:
        """Writes `predictions.npz` and `Split-test/predictions.tfrecord.gz` under `uri`."""
        folder = pathlib.Path(uri)
        examples = folder / "Split-test" / "predictions.tfrecord.gz"
        examples.parent.mkdir(parents=True, exist_ok=True)
        with tf.io.TFRecordWriter(str(examples), "GZIP") as writer:
            for row, (probabilities, predicted) in enumerate(zip(self.probabilities, self.predicted, strict=True)):
                features = tf.train.Features()
                texts = {LABEL: self.labels[row], PREDICTION: self.classes[predicted] if predicted >= 0 else ""}
                texts |= {column: values[row] for column, values in self.slices.items()}
                for name, text in texts.items():
                    features.feature[name].bytes_list.value.append(text.encode())
                features.feature[PROBABILITIES].float_list.value.extend(probabilities)
                writer.write(tf.train.Example(features=features).SerializeToString())
        np.savez(
            folder / "predictions.npz",
            classes=np.array(self.classes),
            labels=self.label_ids,
            probabilities=self.probabilities,
            sha256=np.array(self.sha256, "S64"),
            images_per_second=self.images_per_second,
            **{f"slice.{column}": np.array(values) for column, values in self.slices.items()},
        )


def load(uri: str) -> Predictions:
    """Reads what `save` wrote; GraftError where the file is missing or damaged."""
    path = pathlib.Path(uri) / "predictions.npz"
    with reading(path, "predict"), np.load(path) as kept:
        classes = kept["classes"].tolist()
        return Predictions(
            classes=classes,
            labels=[classes[i] for i in kept["labels"]],
            probabilities=kept["probabilities"],
            sha256=kept["sha256"].tolist(),
            slices={name[6:]: kept[name].tolist() for name in kept.files if name.startswith("slice.")},
            images_per_second=float(kept["images_per_second"]),
        )


def predict(model_path: str, files: list[str], stage: str, columns: Sequence[str] = ()) -> Predictions:
    """One pass of a model's `serving_default` over the images of `files`.

    Args:
        model_path: folder of an export.
        files: TFRecords of ingestion's Examples.
        stage: the stage's name in progress reports.
        columns: features to keep beside the answers.
    """
    labels: list[str] = []
    hashes: list[bytes] = []
    slices: dict[str, list[str]] = {column: [] for column in columns}

    def images():
        for row in read_examples(files, (INPUT, LABEL, DIGEST, *columns)):
            labels.append(row[LABEL][0])
            hashes.append(row[DIGEST])
            for column in columns:
                slices[column].append(row[column].decode())
            yield row[INPUT]

    done = 0

    def report(batch: int) -> None:
        nonlocal done
        done += batch
        progress.report(stage, done, None, "images")

    with SavedModelPredictor(model_path) as predictor:
        probabilities = predictor.predict(images(), progress=report)
        return Predictions(
            list(predictor.target.names), labels, probabilities, hashes, slices, predictor.examples_per_second
        )
