"""ingest: examples from any source, checked and split."""

from collections.abc import Mapping, Sequence
from typing import Any

from graft.models.natural import natural_key
from graft.pipeline.metadata import Execution
from graft.pipeline.result import RunResult
from graft.pipeline.stages import base


class Ingest(base.Stage):
    """Reads the source; every other stage works on what it wrote."""

    name = "ingest"
    needs = "input.max_bytes and the other limits of input"

    def wire(self, wiring):
        from graft.components.ingest.component import Ingest as Component
        from graft.components.ingest.executor import Parameters

        config = wiring.config
        return Component(
            Parameters(
                input=wiring.entering,
                target=wiring.parsed,
                data=config.data,
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
        return f"{counts}; {summary.rejected_count} rejected{few}"

    def describe(self, execution: Execution | None) -> dict[str, Any]:
        """`data` (source, path, fingerprint, counts by split and class, rejected) and `code` (sha256 of the source)."""
        if execution is None:
            return {"data": None, "code": None}
        options = execution.parameters["data"]
        # Read plainly: the reader of the summary imports TensorFlow, which takes seconds.
        summary = base.read_kept(execution, "rejected", "summary.json") or {}
        data = {
            "source": options["source"],
            "path": options["path"],
            "fingerprint": execution.parameters["fingerprint"],
            "counts": summary.get("used"),
            "rejected": summary.get("rejected_count"),
        }
        return {"data": data, "code": execution.parameters["code"]}

    def rows(self, lineage: Mapping[str, Any]) -> Sequence[base.Row]:
        data = lineage["data"]
        counts = data["counts"] or {}
        used = ", ".join(f"{split} {sum(strata.values())}" for split, strata in counts.items())
        strata = ", ".join(sorted({name for by_name in counts.values() for name in by_name}, key=natural_key))
        return [
            ("data", f"{data['source']} {data['path']}"),
            ("", f"fingerprint {data['fingerprint']}"),
            ("", f"{used}; {data['rejected']} rejected" if used else f"counts {base.GONE}"),
            ("", f"classes: {strata or base.GONE}"),
            ("code", lineage["code"]),
        ]
