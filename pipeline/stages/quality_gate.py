"""quality_gate: may the candidate replace what is served?"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graft.models.examples import SOURCE_DOMAIN
from graft.models.page import Block, Column, Examples, Gallery, Pair, Preview, Section, Shown, Table, Text, Tile
from graft.models.run_warning import RunWarning
from graft.models.targets import KINDS, make_target, restore
from graft.pipeline import floors
from graft.pipeline.metadata import Execution
from graft.pipeline.result import NO_QUALITY_GATE, RunResult
from graft.pipeline.stages import base

if TYPE_CHECKING:
    from graft.models.targets.base import Target


class QualityGate(base.Stage):
    """Judges the candidate on the test split, by itself and beside the served model."""

    name = "quality_gate"
    gate = "blessing"
    shown = ("quality", "blessing")
    looks_up = True

    def wire(self, wiring):
        from graft.components.quality_gate.component import QualityGate as Component
        from graft.components.quality_gate.executor import Parameters

        config, keys = wiring.config, wiring.keys
        compared = "negative_transfer" in wiring.before
        return Component(
            examples=wiring.output("ingest", "examples"),
            model=wiring.output("train", "model"),
            predictions=wiring.output("predict", "predictions"),
            evaluation=wiring.output("evaluate", "evaluation"),
            comparison=wiring.output("negative_transfer", "comparison") if compared else None,
            parameters=Parameters(
                gates=config.gates.model_dump(mode="json"),
                model_name=config.name,
                store=config.store,
                run_key=keys.run_key,
                served=keys.served,
                trust=config.backbone.trust,
                code=keys.code,
            ),
        )

    def line(self, result: RunResult, outputs: base.Outputs) -> str:
        figures = base.read_json(outputs, "quality", "figures.json")
        candidate, target = figures["candidate"], _target(figures)
        result.metrics = {name: candidate[name] for name in target.metrics}
        result.metrics["model_size_mb"] = figures["model_size_mb"]
        if figures["baseline"]:
            result.metrics[f"baseline_{target.headline}"] = figures["baseline"].get(target.headline)
        return f"{target.told(candidate)}{_domain(figures)}; {base.opened(self.gates(outputs))}"

    def warnings(self, ran: base.Ran) -> Sequence[RunWarning]:
        figures = _figures(ran)
        found = _target(figures).warnings(figures["candidate"], ran.input.unit)
        return [*found, *_ungated(ran)]

    def judged(self, execution: Execution | None) -> dict[str, Any]:
        """`metrics`, and `baseline`: version and headline of what was served before, None without one."""
        figures = base.read_kept(execution, "quality", "figures.json")
        if not figures:
            return {"metrics": None, "baseline": None}
        target, served = _target(figures), figures["baseline"]
        return {
            "metrics": {name: figures["candidate"][name] for name in target.metrics},
            "baseline": {name: served.get(name) for name in ("version", target.headline)} if served else None,
        }

    def rows(self, lineage: Mapping[str, Any]) -> Sequence[base.Row]:
        if "metrics" not in lineage:
            return ()
        metrics, served = lineage["metrics"], lineage["baseline"]
        beside = "nothing was served before" if metrics else base.GONE
        if served:
            figures = {name: value for name, value in served.items() if name != "version" and value is not None}
            beside = ", ".join([f"version {served['version']}", *(f"{n} {v:.4f}" for n, v in figures.items())])
        return [("metrics", base.inline(metrics) + " (test split)" if metrics else base.GONE), ("baseline", beside)]

    def explain(self, execution: Execution | None) -> Sequence[base.Told]:
        figures = base.read_kept(execution, "quality", "figures.json")
        if not figures:
            return ()
        target, served = _target(figures), figures["baseline"]
        told = [(base.FATE, f"On the test split the candidate has {target.told(figures['candidate'])}.")]
        if served and "statement" in served:
            told.append(
                (base.FATE, f"The model that was served before, version {served['version']}, {served['statement']}.")
            )
        return told

    def parts(self) -> Sequence[base.Part]:
        return [
            base.Part("quality", "Quality on the test split", _quality),
            base.Part("mistakes", "Worst mistakes", _mistakes),
            base.Part("comparisons", "Against the served baseline", _baseline),
            base.Part("slices", "Slices", _slices),
        ]

    def tiles(self, ran: base.Ran) -> Sequence[Tile]:
        figures = _figures(ran)
        size = Tile("model size", f"{figures['model_size_mb']:.1f} MB")
        return [*_target(figures).tiles(figures["candidate"]), size]

    def card(self, ran: base.Ran) -> Sequence[base.Entry]:
        figures, unit = _figures(ran), ran.input.unit
        card = _target(figures).card(figures["candidate"], unit)
        source = _judged_on(figures, unit) or (
            f"The figures come from {figures['candidate']['examples']} {unit} of the same source as the training "
            f"{unit}. {unit.capitalize()} of another place, time or maker may be harder, and near-duplicates may "
            "lie on both sides of a split."
        )
        served = figures["baseline"]
        beside = "nothing was served before: there is no baseline."
        if served:
            beside = f"version {served['version']} {served['statement']}."
        return [
            (base.THE_MODEL, Text(card.description)),
            (base.THE_MODEL, f"Size: {figures['model_size_mb']:.1f} MB"),
            *((base.FIGURES, table) for table in card.figures),
            *((base.LIMITS, line) for line in (*card.limits[:1], source, *card.limits[1:])),
            (base.COMPARISONS, f"Served baseline: {beside}"),
            (
                base.SERVING,
                Text(
                    f"The signature serving_default takes {ran.input.unit} as {ran.input.signature_name} and returns "
                    f"{card.signature}; the signature features returns the feature vector."
                ),
            ),
        ]


def _ungated(ran: base.Ran) -> list[RunWarning]:
    """A warning where no limit holds the candidate's own figures, with limits that would."""
    from graft.components.ingest.summary import read_summary

    summary = read_summary(ran.uri("ingest", "rejected"))
    used = summary.judged or summary.used
    examples = {split: sum(used[split].values()) for split in used} if summary.judged else summary.counts
    proposed = floors.proposed(ran.config, used, examples)
    if proposed is None:
        return []
    text = (
        "no quality gate: nothing under gates holds the model's own figures against a limit, so that any model passes. "
        f"For this data set at the least {floors.shown(proposed)}"
    )
    return [RunWarning(NO_QUALITY_GATE, text, grave=True)]


def _domain(figures: Mapping[str, Any]) -> str:
    """The domain that was judged, for a line; empty where there is one only."""
    domain = figures.get("domain")
    return f" on the {domain} domain" if domain else ""


def _judged_on(figures: Mapping[str, Any], unit: str) -> str:
    """A sentence on the domain that was judged, where it is not the one that the model is for."""
    if figures.get("domain") != SOURCE_DOMAIN:
        return ""
    return (
        f"The figures and the gates come from {figures['candidate']['examples']} {unit} of the source domain: no test "
        f"example of the target domain, which the model is for, has a label. They say nothing of the target domain."
    )


def _figures(ran: base.Ran) -> dict[str, Any]:
    return ran.json("quality_gate", "quality", "figures.json")


def _target(figures: Mapping[str, Any]) -> "Target":
    """As the candidate was trained."""
    if "target" not in figures:  # of Graft 0.1, which knew one kind only
        return make_target(KINDS.options(str(KINDS.default))(), figures.get("classes", ()))
    return restore(figures["target"])


def _quality(ran: base.Ran) -> Sequence[Section]:
    figures = _figures(ran)
    sections = _target(figures).sections(figures["candidate"], ran.input.unit)
    if (told := _judged_on(figures, ran.input.unit)) and sections:
        sections[0] = dataclasses.replace(sections[0], blocks=[Text(told), *sections[0].blocks])
    return sections


def _mistakes(ran: base.Ran) -> Sequence[Section]:
    from graft.components.predict import predictions
    from graft.pipeline import previews

    kept = predictions.load(ran.uri("predict", "predictions"))
    section = kept.target.worst(kept.encoded, kept.answers, ran.input.unit)
    wanted = {shown.place: kept.sha256[shown.place] for shown in _shown(section.blocks)}
    found = previews.rows_at(ran.uri("ingest", "examples"), "test", wanted, ran.input)
    return [dataclasses.replace(section, blocks=[_with_previews(block, found) for block in section.blocks])]


def _shown(blocks: Sequence[Block]) -> Iterator[Shown]:
    for block in blocks:
        if isinstance(block, Examples):
            yield from block.rows
        elif isinstance(block, Pair):
            yield from _shown([*block.left, *block.right])


def _with_previews(block: Block, found: Mapping[int, Preview]) -> Block:
    if isinstance(block, Examples):
        rows = [dataclasses.replace(found[shown.place], captions=shown.captions) for shown in block.rows]
        return Gallery([("", rows)], large=True)
    if isinstance(block, Pair):
        return Pair(*([_with_previews(one, found) for one in side] for side in (block.left, block.right)))
    return block


def _baseline(ran: base.Ran) -> Sequence[Block]:
    figures = _figures(ran)
    served = figures["baseline"]
    if served is None:
        raise base.Absent("Nothing was served before: there is no baseline.")
    if not served.get("comparable", True):
        raise base.Absent(f"Not compared: served version {served['version']} {served['statement']}.")
    return _target(figures).rivals(figures, ran.config.gates.model_dump(), ran.input.unit)


def _slices(ran: base.Ran) -> Sequence[Block]:
    if not ran.config.data.slices:
        raise base.Absent("No slices: data.slices is empty.")
    figures = _figures(ran)
    shown = _target(figures).slice_columns
    rows = [
        (column, value, row["examples"], *(row[name] for name in shown), _gated(ran, column, row["examples"]))
        for column, by_value in figures["slices"].items()
        for value, row in by_value.items()
    ]
    columns = [Column("column"), Column("value", "long"), Column(ran.input.unit, "number")]
    columns += [Column(name.replace("_", " "), "number") for name in shown]
    return [Table([*columns, Column("gated")], rows)]


def _gated(ran: base.Ran, column: str, examples: int) -> str:
    floors = ran.config.gates.slices.get(column)
    return "yes" if floors is not None and examples >= floors.min_examples else "no"
