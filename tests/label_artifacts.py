"""The artifacts that the stage `labels` reads, of texts whose vectors and wrong labels are known."""

import hashlib
import json
import pathlib

import numpy as np
from tfrecords import framed

from graft.components.predict.predictions import Predictions
from graft.models.examples import build, group_key
from graft.models.targets import KINDS, make_target
from graft.models.targets.base import Target

CLASSES = ("bus", "=car()")
COUNTS = {"train": 60, "eval": 20, "test": 20}
WRONG = {"train": (3, 7), "eval": (4,), "test": (5,)}
"""Rows whose label is the other class's."""


def target() -> Target:
    """Of what the artifacts hold."""
    return make_target(KINDS.options("label")(), CLASSES)


def write(root: pathlib.Path, moved: bool = False, cached_test: bool = False) -> dict[str, str]:
    """Writes `examples`, `features` and `predictions`; gives their folders.

    The first text of test is a near-duplicate of the first of train, the second of eval one of the third of eval with
    the other label.

    Args:
        root: a folder.
        moved: whether the model's backbone was trained on: its vectors are others.
        cached_test: whether the features are of the test split too.
    """
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(2, 32))
    truth = {split: np.arange(count) % 2 for split, count in COUNTS.items()}
    vectors = {
        split: (centres[rows] + 0.8 * rng.normal(size=(len(rows), 32))).astype(np.float32)
        for split, rows in truth.items()
    }
    vectors["test"][0] = vectors["train"][0] * 1.01
    vectors["eval"][2] = vectors["eval"][1] * 1.01
    folders = {name: root / name for name in ("examples", "features", "predictions")}
    digests = {}
    for split, rows in truth.items():
        labels = rows.copy()
        labels[list(WRONG[split])] = 1 - labels[list(WRONG[split])]
        texts = [f"{split} {row} <b>" for row in range(len(rows))]
        digests[split] = np.array([hashlib.sha256(text.encode()).hexdigest() for text in texts], "S64")
        _examples(folders["examples"] / f"Split-{split}", split, texts, labels)
        if split != "test" or cached_test:
            _features(folders["features"] / f"Split-{split}", vectors[split], labels, digests[split], split)
        truth[split] = labels
    (folders["features"] / "names.json").write_text(json.dumps(CLASSES))
    change = 1.1 * rng.normal(size=32).astype(np.float32) if moved else np.float32(1.0)
    probes = {digests["eval"][row]: vectors["eval"][row] * change for row in range(3)}
    answers = np.full((COUNTS["test"], 2), 0.5, np.float32)
    folders["predictions"].mkdir()
    Predictions(
        target(),
        truth["test"],
        answers,
        digests["test"].tolist(),
        {},
        1.0,
        vectors=vectors["test"] * change,
        probes=probes,
    ).save(str(folders["predictions"]))
    return {name: str(folder) for name, folder in folders.items()}


def name(split: str, row: int) -> str:
    """Of the file of a text."""
    return f"{split}/{row}.txt"


def _examples(folder: pathlib.Path, split: str, texts: list[str], labels: np.ndarray) -> None:
    folder.mkdir(parents=True)
    records = [
        build(
            text.encode(),
            (CLASSES[labels[row]],),
            name(split, row),
            hashlib.sha256(text.encode()).digest(),
            {},
            group=f"g{row // 2}" if split == "train" else "",
        )
        for row, text in enumerate(texts)
    ]
    (folder / "data-00000-of-00001").write_bytes(b"".join(map(framed, records)))


def _features(folder: pathlib.Path, vectors: np.ndarray, labels: np.ndarray, digests: np.ndarray, split: str) -> None:
    folder.mkdir(parents=True)
    np.save(folder / "features.npy", vectors)
    np.save(folder / "labels.npy", labels)
    np.save(folder / "sha256.npy", digests)
    (folder / "files.json").write_text(json.dumps([name(split, row) for row in range(len(labels))]))
    if split == "train":
        groups = [group_key(f"g{row // 2}".encode()) for row in range(len(labels))]
        np.save(folder / "groups.npy", np.array(groups, "S64"))
