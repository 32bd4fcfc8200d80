"""The labelled examples of all splits beside one another: vectors, labels, and where each comes from."""

import dataclasses
import json
import pathlib
from typing import TYPE_CHECKING

import numpy as np

from graft.components.predict import predictions
from graft.models.errors import GraftError
from graft.models.examples import DIGEST, FILE, GROUP, JUDGED, group_key, read_examples, split_files
from graft.models.stored import reading
from graft.models.targets.base import Target

if TYPE_CHECKING:
    from graft.models.label_review.review import Labelled

LEARNED, TEST = ("train", "eval"), "test"
_SAME = 0.01
"""Vectors of one example that differ by less, as a share of their length, are of one network: engines round."""


@dataclasses.dataclass(frozen=True)
class Part:
    """The judged examples of one split, a row each, in the order of the shards.

    Attributes:
        split: its name.
        vectors: float32 [n, d].
        encoded: labels.
        digests: S64 [n].
        groups: what stands for the group of each; empty for none.
        files: names shown to people.
    """

    split: str
    vectors: np.ndarray
    encoded: np.ndarray
    digests: np.ndarray
    groups: list[bytes]
    files: list[str]


def gather(features: str, predicted: str, examples: str, target: Target) -> tuple[list[Part], str]:
    """The parts, and why the test split is not among them; empty if it is.

    Args:
        features: the artifact of the features.
        predicted: the artifact of the predictions.
        examples: the `Examples` of `ingest`.
        target: of the run, with its names.

    Raises:
        GraftError: an artifact is damaged, or is not of the same examples as another.
    """
    parts = [_cached(features, split) for split in LEARNED]
    if pathlib.Path(features, f"Split-{TEST}").is_dir():
        return [*parts, _cached(features, TEST)], ""
    found = predictions.vectors(predicted)
    if found is None:
        return parts, "the model gives no feature vectors of it"
    vectors, probes = found
    if not _same_network(parts[-1], probes):
        return parts, "the model's backbone was trained on, and gives other vectors than the features that are cached"
    return [*parts, _predicted(vectors, predicted, examples, target)], ""


def labelled(parts: list[Part]) -> "Labelled":
    """All parts, one after the other."""
    from graft.models.label_review.review import Labelled

    return Labelled(
        vectors=np.concatenate([part.vectors for part in parts]),
        encoded=np.concatenate([part.encoded for part in parts]),
        digests=np.concatenate([part.digests for part in parts]),
        groups=[group for part in parts for group in part.groups],
        learned=np.concatenate([np.full(len(part.files), part.split in LEARNED) for part in parts]),
    )


def _cached(features: str, split: str) -> Part:
    from graft.models.task import load_split

    folder = pathlib.Path(features, f"Split-{split}")
    kept = load_split(features, split).judged
    rows = np.arange(len(kept)) if kept.rows is None else kept.rows
    with reading(folder / "files.json", "features"):
        files = json.loads((folder / "files.json").read_text(encoding="utf-8"))
        names = [str(files[row]) for row in rows.tolist()]
    groups = [b""] * len(rows)
    if (folder / "groups.npy").exists():
        with reading(folder / "groups.npy", "features"):
            groups = np.load(folder / "groups.npy")[rows].tolist()
    if kept.digests is None:
        raise GraftError(f"{folder}: has no sha256.npy; run again with --from features")
    return Part(split, np.asarray(kept.features[:], np.float32), kept.targets, kept.digests, groups, names)


def _same_network(part: Part, probes: predictions.Probes) -> bool:
    """Whether the probes have the vectors that the features have; False where none of them is there."""
    rows = {digest: row for row, digest in enumerate(part.digests.tolist())}
    known = [(part.vectors[rows[digest]], vector) for digest, vector in probes.items() if digest in rows]
    return bool(known) and all(
        ours.shape == theirs.shape and np.linalg.norm(ours - theirs) <= _SAME * np.linalg.norm(ours)
        for ours, theirs in known
    )


def _predicted(vectors: np.ndarray, predicted: str, examples: str, target: Target) -> Part:
    kept = predictions.load(predicted)
    rows = list(read_examples(split_files(examples, TEST), (DIGEST, FILE, GROUP), JUDGED))
    if [row[DIGEST] for row in rows] != kept.sha256 or len(vectors) != len(rows):
        raise GraftError(f"{predicted}: is not of the test split in {examples}; run again with --from predict")
    if kept.target.names != target.names:
        raise GraftError(f"{predicted}: its target's names are not those of the features; run again with --from train")
    return Part(
        split=TEST,
        vectors=vectors.astype(np.float32),
        encoded=kept.encoded,
        digests=np.array(kept.sha256, "S64"),
        groups=[group_key(row[GROUP]) for row in rows],
        files=[row[FILE].decode("utf-8", "replace") for row in rows],
    )
