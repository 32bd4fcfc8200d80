"""A model's answers on a split: made once, kept as arrays for Graft and as tf.Examples for TFMA."""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from graft.models import progress, targets
from graft.models.examples import DIGEST, DOMAIN, INPUT, JUDGED, LABEL, read_examples
from graft.models.stored import reading
from graft.models.targets.base import Target, Value

if TYPE_CHECKING:
    from graft.models.predict import SavedModelPredictor
    from graft.models.signals.collect import Collector

Probes = Mapping[bytes, np.ndarray]
"""Feature vectors, float32 [d], of a few examples by their digest."""

FILE, VECTORS = "predictions.npz", "vectors.npz"


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Answers in the order of the split's files.

    Attributes:
        target: what the model answers.
        encoded: the truth as `target.encode` gives it, one row an example.
        answers: what `target.answer_name` holds, float32 [n, ...].
        sha256: n digests in hex, bytes.
        slices: n values by column.
        examples_per_second: rate of the pass.
        domain: of the examples, `source` or `target`; empty where there are no domains.
        vectors: feature vectors of the examples, float32 [n, d], where the pass gave them; kept beside, see `vectors`.
        probes: feature vectors of a few examples of eval by their digest, by which cached features are known to be of
            the same network.
    """

    target: Target
    encoded: np.ndarray
    answers: np.ndarray
    sha256: list[bytes]
    slices: dict[str, list[str]]
    examples_per_second: float
    domain: str = ""
    vectors: np.ndarray | None = None
    probes: Probes = dataclasses.field(default_factory=dict)

    def save(self, uri: str) -> None:
        """Writes `predictions.npz` and, for TFMA, `Split-test/predictions.tfrecord.gz` under `uri`."""
        import tensorflow as tf

        folder = pathlib.Path(uri)
        examples = folder / "Split-test" / "predictions.tfrecord.gz"
        examples.parent.mkdir(parents=True, exist_ok=True)
        columns = self.target.evaluated(self.encoded, self.answers)
        columns = {**{name: [[value] for value in values] for name, values in self.slices.items()}, **columns}
        with tf.io.TFRecordWriter(str(examples), "GZIP") as writer:
            for row in range(len(self.sha256)):
                features = tf.train.Features()
                for name, values in columns.items():
                    held = features.feature[name]
                    if values[row] and isinstance(values[row][0], str):
                        held.bytes_list.value.extend(text.encode() for text in values[row])
                    else:
                        held.float_list.value.extend(values[row])
                writer.write(tf.train.Example(features=features).SerializeToString())
        np.savez(
            folder / FILE,
            target=np.array(json.dumps(self.target.description())),
            encoded=self.encoded,
            answers=self.answers,
            sha256=np.array(self.sha256, "S64"),
            examples_per_second=self.examples_per_second,
            domain=np.array(self.domain),
            **{f"slice.{column}": np.array(values) for column, values in self.slices.items()},
        )
        if self.vectors is not None and self.probes:
            digests, probes = np.array(list(self.probes), "S64"), np.stack(list(self.probes.values()))
            np.savez(folder / VECTORS, vectors=self.vectors, digests=digests, probes=probes)


def load(uri: str) -> Predictions:
    """Reads what `save` wrote; GraftError where the file is missing or damaged."""
    path = pathlib.Path(uri) / FILE
    with reading(path, "predict"), np.load(path) as kept:
        return Predictions(
            target=targets.restore(json.loads(str(kept["target"]))),
            encoded=kept["encoded"],
            answers=kept["answers"],
            sha256=kept["sha256"].tolist(),
            slices={name[6:]: kept[name].tolist() for name in kept.files if name.startswith("slice.")},
            examples_per_second=float(kept["examples_per_second"]),
            domain=str(kept["domain"]) if "domain" in kept else "",
        )


def vectors(uri: str) -> tuple[np.ndarray, Probes] | None:
    """`vectors` and `probes` of what `save` wrote; None where the pass gave none."""
    path = pathlib.Path(uri) / VECTORS
    if not path.is_file():
        return None
    with reading(path, "predict"), np.load(path) as kept:
        return kept["vectors"], dict(zip(kept["digests"].tolist(), kept["probes"], strict=True))


def predict(
    model_path: str,
    files: list[str],
    stage: str,
    columns: Sequence[str] = (),
    seen: "Collector | None" = None,
    probes: Mapping[bytes, bytes] | None = None,
) -> Predictions:
    """One pass of a model's `serving_default` over the labelled examples of the target domain.

    Where the split has none, over those of the source domain.

    Args:
        model_path: folder of an export.
        files: TFRecords of ingestion's Examples of the test split.
        stage: the stage's name in progress reports.
        columns: features to keep beside the answers.
        seen: is shown each example on its way, and its feature vector.
        probes: contents by digest, whose feature vectors are kept too.

    Raises:
        GraftError: the target of an example is none that the model can answer.
    """
    from graft.models.predict import SavedModelPredictor

    truth: list[Value] = []
    hashes: list[bytes] = []
    slices: dict[str, list[str]] = {column: [] for column in columns}
    domains: set[str] = set()
    facts = () if seen is None else tuple(seen.input.FACTS)

    def contents() -> Iterator[bytes]:
        for row in read_examples(files, (INPUT, LABEL, DIGEST, DOMAIN, *columns, *facts), domain=JUDGED):
            domains.add((row[DOMAIN] or b"").decode())
            truth.append(row[LABEL])
            hashes.append(row[DIGEST])
            for column in columns:
                slices[column].append(row[column].decode())
            if seen is not None:
                seen.see(row[INPUT], row)
            yield row[INPUT]

    embedded: list[np.ndarray] = []

    def embed(part: np.ndarray) -> None:
        assert seen is not None
        seen.embed(part)
        if probes:
            embedded.append(part)

    with SavedModelPredictor(model_path, embeds=seen is not None) as predictor:
        answers = _answers(predictor, contents(), stage, None if seen is None else embed)
        encoded = predictor.target.encode(truth, "test split: ")
        rate, domain = predictor.examples_per_second, max(domains, default="")
        found = Predictions(predictor.target, encoded, answers, hashes, slices, rate, domain)
        if not embedded or not probes:
            return found
        probed: list[np.ndarray] = []
        predictor.predict(probes.values(), embedded=probed.append)
        known = dict(zip(probes, np.concatenate(probed), strict=True))
        return dataclasses.replace(found, vectors=np.concatenate(embedded), probes=known)


def answer(model_path: str, files: list[str], stage: str) -> tuple[Target, np.ndarray]:
    """What another model answers to the same examples; their targets need not be any that it knows."""
    from graft.models.predict import SavedModelPredictor

    rows = read_examples(files, (INPUT,), domain=JUDGED)
    with SavedModelPredictor(model_path) as predictor:
        return predictor.target, _answers(predictor, (row[INPUT] for row in rows), stage)


def _answers(
    predictor: "SavedModelPredictor",
    contents: Iterator[bytes],
    stage: str,
    embedded: Callable[[np.ndarray], None] | None = None,
) -> np.ndarray:
    done = 0

    def report(batch: int) -> None:
        nonlocal done
        done += batch
        progress.report(stage, done, None, predictor.input.unit)

    return predictor.predict(contents, progress=report, embedded=embedded)
