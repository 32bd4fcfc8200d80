"""Executor of `labels`."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from graft.components.labels import findings
from graft.components.labels.gather import gather, labelled
from graft.components.parameters import BaseParameters
from graft.models import targets
from graft.models.examples import DIGEST, INPUT, JUDGED, read_examples, split_files
from graft.models.inputs import make_input
from graft.models.inputs.base import Input
from graft.models.settings import InputOptions, TargetOptions


class Parameters(BaseParameters):
    """Parameters of `LabelReview`.

    Attributes:
        input: draws the examples that a report shows.
        target: what is predicted.
    """

    input: InputOptions
    target: TargetOptions


class Executor(base_executor.BaseExecutor):
    """Writes `labels.json`, see `components.labels.findings`, and in it `previews` of what a report shows."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Reviews the labels of all splits, on vectors that are there already.

        Raises:
            GraftError: an artifact is damaged, or is not of the same examples as another.
        """
        from graft.models.label_review.review import review

        given = Parameters.load(exec_properties)
        transform_graph = artifact_utils.get_single_uri(input_dict["transform_graph"])
        examples = artifact_utils.get_single_uri(input_dict["examples"])
        features = artifact_utils.get_single_uri(input_dict["features"])
        predicted = artifact_utils.get_single_uri(input_dict["predictions"])
        target = targets.load_target(given.target, transform_graph)
        parts, why_no_test = gather(features, predicted, examples, target)
        found = findings.findings(review(labelled(parts), target), parts, why_no_test)
        found["previews"] = previews(examples, findings.shown(found), make_input(given.input))
        output = pathlib.Path(artifact_utils.get_single_uri(output_dict["review"]), findings.FILE)
        output.write_text(json.dumps(found), encoding="utf-8")


def previews(examples: str, wanted: Mapping[tuple[str, str], None], input: Input) -> dict[str, Mapping[str, str]]:
    """How the examples look that a report shows: split, a slash and digest -> preview."""
    found: dict[str, Mapping[str, str]] = {}
    for split in sorted({split for split, _ in wanted}):
        left = {digest.encode() for of, digest in wanted if of == split}
        for row in read_examples(split_files(examples, split), (INPUT, DIGEST), JUDGED):
            if row[DIGEST] in left:
                left.remove(row[DIGEST])
                found[f"{split}/{row[DIGEST].decode()}"] = input.preview(row[INPUT])
            if not left:
                break
    return found
