"""Pipelines with runs that were never run, as `graft compare` reads them."""

import hashlib
import json
import pathlib
from typing import Any

import numpy as np
from metadata_writer import MetadataWriter

from graft.components.predict.predictions import FILE
from graft.models.targets import make_target, parse_options

FIRST, SECOND, EARLY = "20260101-000000-000", "20260102-000000-000", "20260103-000000-000"
NAMES = ("cat", "dog")
CONFIG = {"name": "pets", "head": {"l2": [0.1, 1.0], "dropout": 0.0}, "transfer": {"method": "frozen"}}


class Runs:
    """The runs of one pipeline, which are written one by one."""

    def __init__(self, root: pathlib.Path, name: str = "pets"):
        self.folder, self.name = root / name, name
        self._writer = MetadataWriter(self.folder, name)

    def add(
        self,
        run: str,
        wrong: int | None,
        count: int = 60,
        begin: int = 0,
        config: dict | None = CONFIG,
        kind: str = "label",
        **told: Any,
    ) -> pathlib.Path:
        """Writes a run of which `wrong` test examples were answered wrongly; None: it failed before that.

        Returns:
            the folder of its answers.
        """
        kept = self.folder / "artifacts" / run
        kept.mkdir(parents=True)
        self._writer.execution(run, "ingest", {"examples": self._writer.artifact("Examples", str(kept))})
        metrics = {}
        if wrong is None:
            self._writer.execution(run, "train", {}, state="FAILED")
        else:
            metrics = {"accuracy": 1 - wrong / count, "examples": count}
            self._answers(kept, wrong, count, begin, kind)
            self._writer.execution(run, "predict", {"predictions": self._writer.artifact("Predictions", str(kept))})
        folder = self.folder / "runs" / run
        folder.mkdir(parents=True)
        value = {"run_id": run, "status": "failed" if wrong is None else "passed", "stages": [], "gates": []}
        value |= {"metrics": metrics, "started": 1.76e9, "ended": 1.76e9 + int(run[6:8]) * 86400}
        (folder / "run.json").write_text(json.dumps(value | ({"config": config} if config else {}) | told))
        return kept

    def _answers(self, folder: pathlib.Path, wrong: int, count: int, begin: int, kind: str) -> None:
        truth = np.arange(count) % 2
        answered = np.where(np.arange(count) < wrong, 1 - truth, truth)
        if kind == "label":
            target, answers = make_target(parse_options({"kind": "label"}), NAMES), np.eye(2)[answered]
        else:
            options = parse_options({"kind": "numbers", "columns": ["size"]})
            target = make_target(options, ("size",), {"mean": [0.0], "std": [1.0]})
            truth, answers = truth[:, None].astype(float), answered[:, None].astype(float)
        digests = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(begin, begin + count)]
        np.savez(
            folder / FILE,
            target=np.array(json.dumps(target.description())),
            encoded=truth,
            answers=answers.astype(np.float32),
            sha256=np.array(digests, "S64"),
            examples_per_second=1.0,
        )
