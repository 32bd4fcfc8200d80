"""Executor of Ingest."""

from typing import Any

from pydantic import field_validator
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils

from graft.components.executor import Artifacts, BaseExecutor
from graft.components.ingest import ingestion, sources
from graft.components.ingest.options import DataOptions
from graft.components.ingest.request import make_request
from graft.components.ingest.splits import SPLITS
from graft.components.parameters import BaseParameters
from graft.models.registry import only
from graft.models.settings import InputOptions, TargetOptions

_HELD_AGAINST_LATER = {"max_rejected", "schema_file", "fingerprint"}


class Parameters(BaseParameters):
    """Parameters of `Ingest`.

    Attributes:
        input: which may enter.
        target: what is predicted.
        data: the data options of the config. The limit and the schema that later stages hold the data against are left
            out, and so is how it is fingerprinted: changing them reads nothing again.
        input: of which what decides what may enter is kept.
        target: of which what decides how labels are read is kept.
        adapts: whether the method adapts a source domain to a target domain.
        unlabelled: whether examples of the target domain may have no label.
        fingerprint: of the files there are now (`fingerprint.fingerprint`): another one is another cache key.
    """

    input: InputOptions
    target: TargetOptions
    data: sources.REGISTRY.union()  # type: ignore[valid-type]
    fingerprint: str
    adapts: bool = False
    unlabelled: bool = False

    @field_validator("data")
    @classmethod
    def _without_what_is_not_used(cls, data: DataOptions) -> DataOptions:
        return only(data, type(data).model_fields.keys() - _HELD_AGAINST_LATER)

    @field_validator("input")
    @classmethod
    def _what_may_enter(cls, options: Any) -> Any:
        return only(options, {"kind", *options.ENTERS})

    @field_validator("target")
    @classmethod
    def _how_labels_are_read(cls, options: Any) -> Any:
        return only(options, {"kind", *options.PARSES})


class Executor(BaseExecutor, base_beam_executor.BaseBeamExecutor):
    """Runs `ingestion.ingest` in the Beam pipeline that TFX makes, and describes the artifacts."""

    PARAMETERS = Parameters

    def run(self, inputs: Artifacts, outputs: Artifacts, given: Parameters) -> None:
        """Ingests.

        Args:
          inputs: Empty.
          outputs: `examples` and `rejected`, one artifact each.
          given: what to read, and how; `fingerprint` and `code` are for the cache only.

        Raises:
          GraftError: See `ingestion.ingest`.
        """
        request = make_request(given.data, given.input, given.target, adapts=given.adapts, unlabelled=given.unlabelled)
        examples = outputs.artifact("examples")
        summary = ingestion.ingest(request, examples.uri, outputs.uri("rejected"), self._make_beam_pipeline)
        examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
        if summary.span is not None:
            examples.span = summary.span
