"""labels: which labels are to be looked at again, and which examples are near-duplicates."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from graft.models.page import Block, Gallery, Preview, Text
from graft.pipeline.result import RunResult
from graft.pipeline.stages import base


class Labels(base.Stage):
    """Holds each label against models that have not learned from it, on vectors that are there already."""

    name = "labels"
    shown = ("review",)

    def wire(self, wiring):
        from graft.components.labels.component import LabelReviewer
        from graft.components.labels.executor import Parameters

        return LabelReviewer(
            examples=wiring.output("ingest", "examples"),
            transform_graph=wiring.output("transform", "transform_graph"),
            features=wiring.output("features", "features"),
            predictions=wiring.output("predict", "predictions"),
            parameters=Parameters(input=wiring.entering, target=wiring.parsed, code=wiring.keys.code),
        )

    def line(self, result: RunResult, outputs: base.Outputs) -> str:
        found = read(outputs)
        near = found["near"]
        result.labels = {"looked_at": sum(found["examples"].values()), "flagged": found["flagged"]}
        result.labels |= {f"near_duplicates_{name}": near[name] for name in NEAR}
        judged = f"{found['flagged']} labels to look at" if not found["why_none"] else "too few labels to judge"
        return f"{judged}, {near['pairs']} near-duplicates"

    def parts(self) -> Sequence[base.Part]:
        return [base.Part(self.name, "Labels to look at", _shown)]

    def card(self, ran: base.Ran) -> Sequence[base.Entry]:
        found, unit = ran.json("labels", "review", _FILE), ran.input.unit
        near = found["near"]
        total = sum(found["examples"].values())
        lines = [
            f"Near-duplicates among {near['looked_at']} {unit}: {near['pairs']} pairs, {near['across_splits']} of them "
            f"on both sides of a split, {near['contradicting']} with labels that contradict one another"
        ]
        if not found["why_none"]:
            lines.append(f"Labels that a model without them contradicts: {found['flagged']} of {total} {unit}")
        return [(base.DATA, line) for line in lines]


_FILE = "labels.json"

NEAR = ("pairs", "contradicting", "across_splits", "within")
"""Counts of near-duplicates: all pairs, those whose labels contradict one another, those across splits, those that are
neither."""


def read(outputs: base.Outputs) -> dict[str, Any]:
    """What the stage found, see `components.labels.findings`."""
    return base.read_json(outputs, "review", _FILE)


def _shown(ran: base.Ran) -> Sequence[Block]:
    found = ran.json("labels", "review", _FILE)
    return [*_suspicious(found, ran.input.unit), *_near(found, ran.input.unit)]


def _suspicious(found: Mapping[str, Any], unit: str) -> list[Block]:
    from graft.components.labels.findings import SHOWN_LABELS

    if found["why_none"]:
        return [Text(f"No label was judged: {found['why_none']}.")]
    counts = ", ".join(f"{count} {split}" for split, count in found["examples"].items())
    told = (
        f"{found['flagged']} labels of {counts} {unit} are worth a look. Each was held against a linear head on the "
        f"cached features that had not learned from it, nor from its group or near-duplicates. {found['rule']} A flag "
        f"is no verdict: where {unit} are hard, the head is wrong. Its {found['score_name']} is {found['right']:.3f}."
    )
    if found["why_no_test"]:
        told += f" The test split was not looked at: {found['why_no_test']}."
    else:
        told += " Nothing was learned or chosen on the test split."
    learned = sum(count for split, count in found["examples"].items() if split != "test")
    if found["learned_from"] < learned:
        told += f" The heads learned from {found['learned_from']} of {learned} {unit}, drawn by their digests."
    shown = [_preview(found, one, _captions(found, one)) for one in found["labels"][:SHOWN_LABELS]]
    note = (
        f"The {len(shown)} most suspicious of {found['ranked']}, flagged ones first, by the {found['score_words']}. "
        "All of them: graft labels -o FILE.csv."
    )
    return [Text(told), Gallery([("", shown)], large=True), Text(note, note=True)]


def _captions(found: Mapping[str, Any], one: Mapping[str, Any]) -> list[str]:
    sure = f"{one['score']:.1f}"
    if found["support"]:
        sure = f"{found['support']} {one['for_suggested']:.2f} against {one['for_given']:.2f}"
    return [f"label: {one['given']}", f"model: {one['suggested']}", sure, one["split"] + one["flagged"] * ", flagged"]


def _preview(found: Mapping[str, Any], one: Mapping[str, Any], captions: Sequence[str] = ()) -> Preview:
    return Preview(found["previews"][f"{one['split']}/{one['sha256']}"], captions, file=one["file"])


def _near(found: Mapping[str, Any], unit: str) -> list[Block]:
    from graft.components.labels.findings import shown_pairs

    near, total = found["near"], sum(found["examples"].values())
    looked = f"{total} {unit}"
    if near["looked_at"] < total:
        looked = f"{near['looked_at']} of {total} {unit} (all of test, the others drawn by their digests)"
    how = (
        f"closer than {near['limit']:.4f} (1 less the cosine of their feature vectors), where the usual distance to "
        f"the nearest neighbour is {near['usual']:.4f}"
    )
    if not near["pairs"]:
        return [Text(f"No near-duplicates among {looked}: no two are {how}.")]
    told = (
        f"{near['pairs']} pairs of near-duplicates among {looked}, {how}: {near['contradicting']} whose labels "
        f"contradict one another, {near['across_splits']} across splits, {near['within']} within one. What stands on "
        "both sides of a split makes figures look better than they are; data.group keeps it together."
    )
    groups = []
    for pair in shown_pairs(found):
        both = [pair["first"], pair["second"]]
        sides = " and ".join(f"{one['label']} ({one['split']}, {one['file']})" for one in both)
        groups.append((f"{sides}: distance {pair['distance']:.4f}", [_unnamed(_preview(found, one)) for one in both]))
    return [Text(told), Gallery(groups)]


def _unnamed(preview: Preview) -> Preview:
    return dataclasses.replace(preview, file="")
