"""Executor of `labels`."""

import json
from collections.abc import Mapping

from graft.components.executor import Artifacts, BaseExecutor
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


class Executor(BaseExecutor):
    """Writes `labels.json`, see `components.labels.findings`, and in it `previews` of what a report shows."""

    PARAMETERS = Parameters

    def run(self, inputs: Artifacts, outputs: Artifacts, given: Parameters) -> None:
        """Reviews the labels of all splits, on vectors that are there already.

        Raises:
            GraftError: an artifact is damaged, or is not of the same examples as another.
        """
        from graft.models.label_review.review import review

        examples = inputs.uri("examples")
        target = targets.load_target(given.target, inputs.uri("transform_graph"))
        parts, why_no_test = gather(inputs.uri("features"), inputs.uri("predictions"), examples, target)
        found = findings.findings(review(labelled(parts), target), parts, why_no_test)
        found["previews"] = previews(examples, findings.shown(found), make_input(given.input))
        (outputs.path("review") / findings.FILE).write_text(json.dumps(found), encoding="utf-8")


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
