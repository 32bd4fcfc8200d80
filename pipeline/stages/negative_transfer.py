"""negative_transfer: is transferring better than not transferring?"""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from graft.models.page import Block, Column, Table, Text
from graft.pipeline.config import Config
from graft.pipeline.metadata import Execution
from graft.pipeline.result import RunResult
from graft.pipeline.stages import base
from graft.pipeline.stages.settings import settings


class NegativeTransfer(base.Stage):
    """The same task, learned with and without the source; there only where its gate is set."""

    name = "negative_transfer"
    needs = "train.batch_size, the sizes in section input or gates.negative_transfer.references"
    shown = ("comparison",)
    accelerated = True

    def enabled(self, config: Config) -> bool:
        return config.gates.negative_transfer is not None

    def wire(self, wiring):
        from graft.components.negative_transfer.component import NegativeTransfer as Component
        from graft.components.negative_transfer.executor import Parameters

        options = wiring.config.gates.negative_transfer
        return Component(
            examples=wiring.output("ingest", "examples"),
            transform_graph=wiring.output("transform", "transform_graph"),
            features=wiring.output("features", "features"),
            parameters=Parameters(
                custom_config=settings(wiring),
                seeds=options.seeds,
                references=options.references,
                code=wiring.keys.code,
            ),
        )

    def line(self, result: RunResult, outputs: base.Outputs) -> str:
        compared = base.read_json(outputs, "comparison", "comparison.json")
        gap = compared["gap"][compared["best_reference"]]
        return f"gap {gap['mean']:+.4f} to {compared['best_reference']}"

    def explain(self, execution: Execution | None) -> Sequence[base.Told]:
        compared = base.read_kept(execution, "comparison", "comparison.json")
        if compared is None:
            missing = "Not measured: the run has no comparison with not transferring."
            return [
                (base.HELPS, missing),
                (base.SURE, "Nothing is known of that. gates.negative_transfer has a run compare."),
            ]
        means = {name: statistics.fmean(scores) for name, scores in compared["scores"].items()}
        own = means.pop("transferred")
        wide = max((gap["interval"][1] - gap["interval"][0]) / 2 for gap in compared["gap"].values())
        beside = ", ".join(f"{name.replace('_', ' ')} {mean:.3f}" for name, mean in means.items())
        return [
            (base.HELPS, f"{_ANSWERS[verdict(compared)]} {compared['statement']}"),
            (base.HELPS, f"Mean {compared['score']} on the test split: transferring {own:.3f}, {beside}."),
            (
                base.SURE,
                f"{len(compared['seeds'])} seeds and {compared['test_examples']} test examples tell gaps apart that "
                f"are larger than about {wide:.3f}. The luck of the training split is not in that.",
            ),
        ]

    def parts(self) -> Sequence[base.Part]:
        return [base.Part(self.name, "Against not transferring", _compared)]

    def card(self, ran: base.Ran) -> Sequence[base.Entry]:
        try:
            return [(base.COMPARISONS, _comparison(ran)["statement"])]
        except base.Absent as absent:
            return [(base.LIMITS, f"Against not transferring: {absent}")]


HELPS, HURTS, NOT_SHOWN = "helps", "hurts", "not shown"

_ANSWERS = {
    HELPS: "Yes, transferring helps: it is better than every way of not transferring.",
    HURTS: "No, transferring hurts: this source is worse than none.",
    NOT_SHOWN: "Not shown: transferring and not transferring cannot be told apart, or not against every reference.",
}


def verdict(compared: Mapping[str, Any]) -> str:
    """What a comparison says of transferring: `helps`, `hurts` or `not shown`."""
    if compared["beyond_luck"] > 0:
        return HURTS
    return HELPS if all(gap["interval"][1] < 0 for gap in compared["gap"].values()) else NOT_SHOWN


def _comparison(ran: base.Ran) -> dict:
    if ran.config.gates.negative_transfer is None:
        raise base.Absent("Not compared: gates.negative_transfer is not set.")
    return ran.json("negative_transfer", "comparison", "comparison.json")


def _compared(ran: base.Ran) -> Sequence[Block]:
    compared = _comparison(ran)
    score, rows = compared["score"], []
    for name, scores in compared["scores"].items():
        gap = compared["gap"].get(name)
        told = ("", "")
        if gap:
            told = (f"{gap['mean']:+.3f}", f"{gap['interval'][0]:+.3f} to {gap['interval'][1]:+.3f}")
        rows.append((name.replace("_", " "), min(scores), float(statistics.median(scores)), max(scores), *told))
    titles = (f"test {score}, min", "median", "max", "gap, mean", "interval")
    note = (
        f"{len(compared['seeds'])} seeds, {compared['test_examples']} test {ran.input.unit}, at most "
        f"{compared['epochs']} epochs each. The gap is the contestant's {score} minus that of transferring: above 0 "
        "the source hurts. All intervals hold together."
    )
    return [
        Text(compared["statement"]),
        Table([Column("contestant"), *(Column(title, "number") for title in titles)], rows),
        Text(note, note=True),
    ]
