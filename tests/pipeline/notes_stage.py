"""A sixteenth stage in one file: component, executor and room. Used by test_new_stage.py."""

import json
import pathlib

from tfx import types
from tfx.dsl.components.base import executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec

from graft.components import gates
from graft.components.artifacts import DataBlessing
from graft.components.component import BaseComponent
from graft.components.executor import Artifacts, BaseExecutor
from graft.components.parameters import BaseParameters
from graft.models.gates import at_most
from graft.models.page import Column, Table, Text, Tile
from graft.pipeline.stages import base


class Parameters(BaseParameters):
    """What the stage is given: the most bytes that the test split may take, and for whom the note is."""

    most_bytes: int
    readers: tuple[str, ...]


class Executor(BaseExecutor):
    """Writes a note about the size of the test split."""

    PARAMETERS = Parameters

    def run(self, inputs: Artifacts, outputs: Artifacts, given: Parameters) -> None:
        """Measures, writes, judges."""
        size = sum(shard.stat().st_size for shard in pathlib.Path(inputs.split_uri("examples", "test")).glob("*"))
        blessing = outputs.artifact("blessing")
        gates.bless(blessing, [at_most("test_bytes", size, given.most_bytes)])
        note = {"bytes": size, "readers": given.readers}
        pathlib.Path(blessing.uri, "note.json").write_text(json.dumps(note), encoding="utf-8")


class NotesSpec(ComponentSpec):
    """Inputs, parameters and output."""

    PARAMETERS = Parameters.declared()
    INPUTS = {"examples": ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS = {"blessing": ChannelParameter(type=DataBlessing)}


class Component(BaseComponent):
    """The component."""

    SPEC_CLASS = NotesSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, examples: types.BaseChannel, parameters: Parameters):
        super().__init__(examples=examples, **parameters.dump())


class Notes(base.Stage):
    """The room; `most_bytes` stands for what a section of the configuration would say."""

    name = "notes"
    gate = "blessing"

    def __init__(self, most_bytes: int):
        self.most_bytes = most_bytes

    def wire(self, wiring):
        return Component(
            wiring.output("ingest", "examples"),
            Parameters(most_bytes=self.most_bytes, readers=("auditor", "owner"), code=wiring.keys.code),
        )

    def line(self, result, outputs):
        note = base.read_json(outputs, "blessing", "note.json")
        result.metrics["test_bytes"] = note["bytes"]
        return f"note for {' and '.join(note['readers'])}; {base.opened(self.gates(outputs))}"

    def describe(self, execution):
        return {"note": base.read_kept(execution, "blessing", "note.json")}

    def rows(self, lineage):
        return [("note", f"for {', '.join(lineage['note']['readers'])}")] if lineage["note"] else []

    def parts(self):
        return [base.Part("notes", "Notes", self._told)]

    def _told(self, ran):
        note = ran.json("notes", "blessing", "note.json")
        return [
            Text("Who reads this:"),
            Table(
                [Column("reader"), Column("bytes", "number")], [(reader, note["bytes"]) for reader in note["readers"]]
            ),
        ]

    def tiles(self, ran):
        return [Tile("notes", str(len(ran.json("notes", "blessing", "note.json")["readers"])))]
