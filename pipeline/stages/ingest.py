"""ingest: examples from any source, checked and split."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graft.models.natural import natural_key
from graft.models.page import Block, Column, Gallery, Table, Text
from graft.models.transfer import adapts, takes_unlabelled
from graft.pipeline.metadata import Execution
from graft.pipeline.result import RunResult
from graft.pipeline.stages import base

if TYPE_CHECKING:
    from graft.components.ingest.summary import Summary


_MOST_REJECTED, _MOST_STRATA = 50, 30


class Ingest(base.Stage):
    """Reads the source; every other stage works on what it wrote."""

    name = "ingest"
    needs = "the limits in section input"
    shown = ("examples", "rejected")

    def wire(self, wiring):
        from graft.components.ingest.component import Ingest as Component
        from graft.components.ingest.executor import Parameters

        config = wiring.config
        return Component(
            Parameters(
                input=wiring.entering,
                target=wiring.parsed,
                data=config.data,
                adapts=adapts(config.transfer),
                unlabelled=takes_unlabelled(config.transfer),
                fingerprint=wiring.keys.fingerprint,
                code=wiring.keys.code,
            )
        )

    def line(self, result: RunResult, outputs: base.Outputs) -> str:
        # Imported here: it needs TensorFlow, which a refusal at the start of a run should not wait for.
        from graft.components.ingest.summary import read_summary

        summary = read_summary(outputs["rejected"].uri)
        result.rejected = {"total": summary.rejected_count, "reasons": dict(summary.rejected)}
        counts = ", ".join(f"{count} {split}" for split, count in summary.counts.items())
        few = (
            f"; {len(summary.unmeasured)} of {len(summary.classes)} classes not in every split"
            if summary.unmeasured
            else ""
        )
        left_out = f"; {sum(summary.left_out.values())} left out" if summary.left_out else ""
        return f"{counts}; {summary.rejected_count} rejected{left_out}{few}"

    def describe(self, execution: Execution | None) -> dict[str, Any]:
        """`data` (source, path, fingerprint, counts by split and class, rejected) and `code` (sha256 of the source)."""
        if execution is None:
            return {"data": None, "code": None}
        options = execution.parameters["data"]
        # Read plainly: the reader of the summary imports TensorFlow, which takes seconds.
        summary = base.read_kept(execution, "rejected", "summary.json") or {}
        used = summary.get("used")
        data = {
            "source": options["source"],
            "path": options.get("path") or options.get("name"),
            "fingerprint": execution.parameters["fingerprint"],
            "counts": used,
            # One of several classes counts in each.
            "examples": summary.get("counts") or (used and {split: sum(n.values()) for split, n in used.items()}),
            "rejected": summary.get("rejected_count"),
            "left_out": summary.get("left_out") or {},
        }
        return {"data": data, "code": execution.parameters["code"]}

    def rows(self, lineage: Mapping[str, Any]) -> Sequence[base.Row]:
        data = lineage["data"]
        if data is None:
            return ()
        counts, strata = data["counts"], []
        used = ", ".join(f"{split} {count}" for split, count in (data["examples"] or {}).items())
        left_out = ", ".join(f"{count} {code}" for code, count in data["left_out"].items())
        if counts is not None:
            strata = sorted({name for by_name in counts.values() for name in by_name if name}, key=natural_key)
        return [
            ("data", f"{data['source']} {data['path']}"),
            ("", f"fingerprint {data['fingerprint']}"),
            ("", f"{used}; {data['rejected']} rejected" if used else f"counts {base.GONE}"),
            *([("", f"left out by the source: {left_out}")] if left_out else []),
            *([] if counts is not None and not strata else [("", f"classes: {', '.join(strata) or base.GONE}")]),
            ("code", lineage["code"]),
        ]

    def parts(self) -> Sequence[base.Part]:
        return [
            base.Part("data", "Data", _data),
            base.Part("samples", "Samples (train)", _samples),
            base.Part("rejected", "Rejected files", _rejected),
        ]

    def card(self, ran: base.Ran) -> Sequence[base.Entry]:
        summary, unit, data = _summary(ran), ran.input.unit, ran.config.data
        rejected = summary.total - summary.used_count
        words = f"{summary.used_count} {unit} from {data.source} {_place(data)}; {rejected} rejected."
        if ran.lineage.get("data"):
            words += f" Fingerprint {ran.lineage['data']['fingerprint']}."
        entries: list[base.Entry] = [
            (base.DATA, Text(words)),
            (base.DATA, _counts(summary, ran.target.stratum, with_sums=False)),
        ]
        if summary.unmeasured:
            entries.append((base.DATA, Text(_unmeasured(summary, ran))))
        return entries


def _place(data: Any) -> str:
    """Where a source finds its data: a path, or a name."""
    return getattr(data, "path", None) or getattr(data, "name", None) or ""


def _summary(ran: base.Ran) -> "Summary":
    from graft.components.ingest.summary import read_summary

    return read_summary(ran.uri("ingest", "rejected"))


def _data(ran: base.Ran) -> Sequence[Block]:
    summary = _summary(ran)
    span = "" if summary.span is None else f"; newest span {summary.span}"
    blocks: list[Block] = [
        Text(
            f"{summary.used_count} of {summary.total} {ran.input.unit} used, {summary.bytes / 1e6:.1f} MB encoded, "
            f"{summary.duplicates} of them duplicates{span}."
        )
    ]
    if summary.unmeasured:
        blocks.append(Text(_unmeasured(summary, ran)))
    if summary.domains:
        by_split = "; ".join(
            f"{split} {', '.join(f'{count} {domain}' for domain, count in sorted(counts.items()))}"
            for split, counts in summary.domains.items()
        )
        blocks.append(Text(f"By domain: {by_split}."))
    blocks.append(_counts(summary, ran.target.stratum, with_sums=True))
    if summary.left_out:
        rows = [(code, count, summary.reasons.get(code, code)) for code, count in summary.left_out.items()]
        columns = [Column("left out"), Column("number", "number"), Column("meaning")]
        blocks += [Text("What the source holds and did not give:"), Table(columns, rows)]
    return blocks


def _unmeasured(summary: "Summary", ran: base.Ran) -> str:
    missing = "; ".join(f"{name} in {' and '.join(splits)}" for name, splits in summary.unmeasured.items())
    return f"Too few {ran.input.unit} to measure every {ran.target.stratum}: there is no {ran.input.one} of {missing}."


def _counts(summary: "Summary", stratum: str, with_sums: bool) -> Table:
    """Examples by stratum and split; a sum for each where it is asked for."""
    from graft.components.ingest.splits import SPLITS

    names = sorted({name for strata in summary.used.values() for name in strata if name}, key=natural_key)
    counts = {name: [summary.used[split].get(name, 0) for split in SPLITS] for name in names}
    totals = [summary.counts[split] for split in SPLITS]
    columns = [Column(stratum), *(Column(split, "number") for split in SPLITS)]
    if not with_sums:
        return Table(columns, [(name, *row) for name, row in (*counts.items(), ("all", totals))])
    return Table(
        [*columns, Column("all", "number")],
        [(name, *row, sum(row)) for name, row in counts.items()],
        foot=("all", *totals, summary.used_count),
    )


def _samples(ran: base.Ran) -> Sequence[Block]:
    from graft.pipeline import previews

    strata = _summary(ran).classes
    # A few of each; of what is not told apart as many as make a row.
    names, each = (strata[:_MOST_STRATA], 3) if strata else ([""], 12)
    shown = previews.samples(ran.uri("ingest", "examples"), "train", names, ran.input, ran.target, each)
    blocks: list[Block] = [Gallery(list(shown.items()))]
    if len(strata) > len(shown):
        blocks.append(Text(f"{len(strata) - len(shown)} more are not shown.", note=True))
    return blocks


def _rejected(ran: base.Ran) -> Sequence[Block]:
    from graft.components.ingest.summary import read_rejected

    summary, unit = _summary(ran), ran.input.unit
    if not summary.rejected_count:
        return [Text("None.")]
    rows = read_rejected(ran.uri("ingest", "rejected"))[:_MOST_REJECTED]
    share = f"{100 * summary.rejected_fraction:.2f} % of those seen"
    return [
        Text(f"{summary.rejected_count} {unit} rejected ({share}); the first {len(rows)} are listed."),
        Table(
            [Column("reason"), Column(unit, "number"), Column("meaning")],
            [(code, count, summary.reasons.get(code, code)) for code, count in summary.rejected.items()],
        ),
        Table(
            [Column("file", "long"), Column("label"), Column("reason"), Column("detail", "long")],
            [(row["file"], row["label"], row["reason"], row["detail"]) for row in rows],
        ),
    ]
