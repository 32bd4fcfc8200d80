"""One target task under one seed, on which Graft's own code trains a method and what it is compared with.

Images become PNG contents in TFRecord as ingestion writes them, features come from `models.features`, training goes
through `models.references` and with it through the trainer's `build_task` and the method's `fit`: what is measured is
what a run does, not a copy of it.
"""

import dataclasses
import functools
import hashlib
import math
import pathlib
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.methods.form import Result
from graft.models import examples, references
from graft.models.backbone import load_backbone
from graft.models.examples import SOURCE_DOMAIN, TARGET_DOMAIN, UNLABELLED
from graft.models.features import extract_features
from graft.models.history import History
from graft.models.inputs import make_input
from graft.models.inputs.image.png import encode_png
from graft.models.settings import Settings
from graft.models.shared_backbone import shared_backbone
from graft.models.targets import make_target
from graft.models.task import Split
from graft.models.trainer import make_deterministic

SPLITS = ("train", "eval", "test")
SCRATCH_STEPS = 500
"""Optimizer steps that a network from scratch gets at the least."""


@functools.cache
def workshop() -> pathlib.Path:
    """A folder that lasts as long as the process."""
    folder = tempfile.TemporaryDirectory(prefix="graft-methods-")
    _held.append(folder)
    return pathlib.Path(folder.name)


_held: list[tempfile.TemporaryDirectory] = []


@dataclasses.dataclass(frozen=True)
class Rows:
    """Examples.

    Attributes:
        contents: encoded, as a run would get them.
        labels: int [n], or float [n, columns] for a target of numbers.
    """

    contents: Sequence[bytes]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.contents)

    def taken(self, rows: np.ndarray) -> "Rows":
        """Those at these places."""
        return Rows([self.contents[row] for row in rows], self.labels[rows])


def pictures(pixels: np.ndarray, labels: np.ndarray) -> Rows:
    """Grey images float [n, h, w] in [0, 1] as PNG files."""
    grey = np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    height, width = grey.shape[1:]
    return Rows([encode_png(image.tobytes(), width, height, 1) for image in grey], np.asarray(labels))


class Setting:
    """A target task.

    Args:
        backbone: folder of the published backbone.
        rows: `train`, `eval`, `test`; for methods with two domains also `source` (labelled, for training) and, where
            wanted, `source_eval`; for those that look at examples without labels `unlabelled`. Labels are places in
            `names`; those of `unlabelled` go nowhere.
        names: of the classes.
        seed: of weights, order and augmentation.
        input: keys of the section `input`.
        head: keys of the section `head`.
        train: keys of the section `train`.
    """

    def __init__(
        self,
        backbone: pathlib.Path,
        rows: Mapping[str, Rows],
        names: Sequence[str],
        seed: int,
        input: Mapping[str, Any],
        head: Mapping[str, Any] | None = None,
        train: Mapping[str, Any] | None = None,
    ):
        self.rows, self.names, self.seed = rows, list(names), seed
        self._settings = Settings.model_validate(
            {
                "input": {"kind": "image", **input},
                "backbone": {"handle": str(backbone)},
                "head": dict(head or {}),
                "train": {"seed": seed, **(train or {})},
            }
        )
        self._input = make_input(self._settings.input)
        self._target = make_target(self._settings.target, self.names)
        self._folder = pathlib.Path(tempfile.mkdtemp(dir=workshop()))
        self._epochs = self._settings.train.epochs
        shared = shared_backbone(self._settings.backbone, self._input)
        self._splits = {name: self._split(name, shared) for name in SPLITS}

    def transferred(self, transfer: Mapping[str, Any], **sections: Mapping[str, Any]) -> Result:
        """The method, configured by the keys of the section `transfer`.

        Args:
            transfer: with `method`.
            sections: keys of `head`, `train` or `input` that differ from those of the setting.
        """
        comparison = self._comparison(transfer, **sections)
        return self._timed(lambda: references.transferred(comparison, self.seed))

    def vectors(self, split: str) -> np.ndarray:
        """float32 [n, d], the features of a split's examples, those of the source domain last."""
        return self._splits[split].features

    def raw(self) -> Result:
        """A linear head on the input's plain form (pixels), solved, its strength chosen on eval."""
        comparison = self._comparison({"method": "frozen"})
        return self._timed(lambda: references.raw_linear_head(comparison, self._plain))

    def scratch(self, epochs: int | None = None, learning_rate: float | None = None) -> Result:
        """The same network from weights drawn anew, with the weights of its most accurate epoch on eval.

        Not with those of the lowest loss, as the others: of few labels such a network is sure and often wrong, and its
        eval loss is lowest before it has learned anything.

        Args:
            epochs: its budget; by default the most that a contestant of this setting might take until now, and those
                of SCRATCH_STEPS at the least: a network that has not learned yet is no baseline.
            learning_rate: that of the section `train` by default.
        """
        each = math.ceil(len(self.rows["train"]) / self._settings.train.batch_size)
        budget = epochs or max(self._epochs, math.ceil(SCRATCH_STEPS / each))
        train = {"patience": budget} if learning_rate is None else {"patience": budget, "learning_rate": learning_rate}
        comparison = self._comparison({"method": "frozen"}, train=train)
        published = shared_backbone(self._settings.backbone, self._input)
        return self._timed(
            lambda: references.from_scratch(comparison, self.seed, budget, published, ("val_accuracy", False)),
            counts=False,
        )

    @functools.cached_property
    def _plain(self) -> dict[str, np.ndarray]:
        return references.plain_form(self._comparison({"method": "frozen"}))

    def _comparison(self, transfer: Mapping[str, Any], **sections: Mapping[str, Any]) -> references.Comparison:
        held = self._settings.model_dump(mode="json")
        for name, keys in sections.items():
            held[name] |= keys
        settings = Settings.model_validate({**held, "transfer": dict(transfer)})
        return references.Comparison(settings, make_input(settings.input), self._target, **self._splits)

    def _timed(self, train: Callable[[], references.Outcome], counts: bool = True) -> Result:
        make_deterministic(self.seed)
        started = time.process_time()
        outcome = train()
        seconds = time.process_time() - started
        history = outcome.history or History()
        if counts:
            self._epochs = max(self._epochs, history.max_epochs)
        findings = {finding.name: finding.value for finding in history.findings}
        return Result(outcome.scores, seconds, history.steps, findings)

    def _split(self, name: str, backbone) -> Split:
        """A split with its Examples on disk and its features; rows of other domains last."""
        parts = [(TARGET_DOMAIN, self.rows[name])]
        others = {"train": {SOURCE_DOMAIN: "source", UNLABELLED: "unlabelled"}, "eval": {SOURCE_DOMAIN: "source_eval"}}
        parts += [(domain, self.rows[key]) for domain, key in others.get(name, {}).items() if key in self.rows]
        two = bool({"source", "source_eval", "unlabelled"} & set(self.rows))
        contents = [content for _, rows in parts for content in rows.contents]
        domains = [domain for domain, rows in parts for _ in rows.contents]
        labels = np.concatenate(
            [np.full_like(rows.labels, -1) if domain == UNLABELLED else rows.labels for domain, rows in parts]
        )
        path = self._folder / f"{name}.tfrecord"
        digests = [hashlib.sha256(content).digest() for content in contents]
        with tf.io.TFRecordWriter(str(path)) as writer:
            for place, (content, label, digest, domain) in enumerate(
                zip(contents, labels, digests, domains, strict=True)
            ):
                named = [] if domain == UNLABELLED else [self.names[label]]
                writer.write(examples.build(content, named, f"{place}.png", digest, {}, domain=domain if two else None))
        return Split(
            extract_features(backbone, contents),
            labels,
            (str(path),),
            domains=np.array(domains, "S10") if two else None,
            digests=np.array([digest.hex() for digest in digests], "S64"),
        )


def features(backbone: pathlib.Path, rows: Rows, input: Mapping[str, Any]) -> np.ndarray:
    """float32 [n, d] of examples behind a published backbone."""
    takes = make_input(Settings.model_validate({"input": {"kind": "image", **input}, "backbone": {"handle": ""}}).input)
    return extract_features(load_backbone(str(backbone), takes), rows.contents)
