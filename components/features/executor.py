"""Executor of `features`: TFRecord shards in, one `.npy` of vectors a split out."""

import json
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from graft.models import progress
from graft.models.applications import is_application
from graft.models.backbone import configured_backbone
from graft.models.datasets import read_classes
from graft.models.errors import GraftError
from graft.models.examples import DIGEST, INPUT, LABEL, read_examples, split_files
from graft.models.features import extract_features, write_backbone
from graft.models.inputs import make_input, parse_input
from graft.models.options import BackboneOptions


class Executor(base_executor.BaseExecutor):
    """Writes `classes.json` and, by split, `features.npy` float32 [n, d], `labels.npy` int64 [n], `sha256.npy` S64 [n].

    Rows keep the order of the sorted shards. `backbone.json` says which network made them.
    """

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs the one pass.

        Raises:
            GraftError: the backbone is not the one whose identity the run began with.
        """
        given = json.loads(exec_properties["backbone"])
        known = given.pop("identity", None)
        input = make_input(parse_input(given.pop("input")))
        options = BackboneOptions.model_validate(given)
        backbone = configured_backbone(options, input)
        # A network of keras.applications is known by its name until it is built; see `pipeline.prepare`.
        if known and known != backbone.identity and not is_application(options.handle):
            raise GraftError(
                f"backbone {options.handle!r} changed during the run: its sha256 was {known} at the start and is "
                f"{backbone.identity} now; run again"
            )
        classes = read_classes(artifact_utils.get_single_uri(input_dict["transform_graph"]))
        index = {name: i for i, name in enumerate(classes)}
        output = pathlib.Path(artifact_utils.get_single_uri(output_dict["features"]))
        examples = artifact_utils.get_single_uri(input_dict["examples"])
        splits = json.loads(exec_properties["splits"])
        labels: dict[str, list[int]] = {split: [] for split in splits}
        hashes: dict[str, list[bytes]] = {split: [] for split in splits}
        done = 0

        def encoded() -> Iterator[bytes]:
            for split in splits:
                for example in read_examples(split_files(examples, split), (INPUT, LABEL, DIGEST)):
                    labels[split].append(index[example[LABEL][0]])
                    hashes[split].append(example[DIGEST])
                    yield example[INPUT]

        def report(batch: int) -> None:
            nonlocal done
            done += batch
            progress.report("features", done, None, input.unit)

        # All splits in one call: freezing the backbone takes seconds.
        vectors = extract_features(backbone, encoded(), progress=report)
        ends = np.cumsum([len(labels[split]) for split in splits])
        for split, part in zip(splits, np.split(vectors, ends[:-1]), strict=True):
            folder = output / f"Split-{split}"
            folder.mkdir(parents=True)
            np.save(folder / "features.npy", part)
            np.save(folder / "labels.npy", np.array(labels[split], np.int64))
            np.save(folder / "sha256.npy", np.array(hashes[split], "S64"))
        write_backbone(output, backbone)
        (output / "classes.json").write_text(json.dumps(classes), encoding="utf-8")
