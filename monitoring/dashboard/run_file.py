"""All that one `run.json` says, for the page of that run."""

import pathlib
from typing import Any

import pydantic

from graft.models import durable
from graft.models.errors import GraftError
from graft.pipeline.result_file import FILE_NAME

_MOST_BYTES = 1 << 26


class _Part(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="ignore", frozen=True, protected_namespaces=())


class Stage(_Part):
    """As `pipeline.running.StageRun`; `peak_mb` is None where it was not measured."""

    name: str
    seconds: float
    cached: bool = False
    peak_mb: float | None = None
    status: str = "done"
    result: str = ""


class GateShown(_Part):
    """As `models.gates.Gate`."""

    name: str
    passed: bool
    value: float | None = None
    limit: float | None = None
    detail: str = ""


class RunFile(_Part):
    """As `pipeline.result.RunResult`; what runs of earlier versions did not write is None."""

    status: str
    reason: str = ""
    stages: tuple[Stage, ...]
    gates: tuple[GateShown, ...] = ()
    metrics: dict[str, Any] = {}
    rejected: dict[str, Any] = {}
    model_version: int | None = None
    report: str | None = None


def read(folder: pathlib.Path) -> RunFile | None:
    """What a run says of itself; None where it has not ended. Raises GraftError: the file is damaged."""
    path = folder / FILE_NAME
    try:
        return RunFile.model_validate_json(durable.read_small(path, _MOST_BYTES))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise GraftError(f"{path}: {error.strerror}") from error
    except pydantic.ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, fault["loc"])) or "all"
        raise GraftError(f"{path}: damaged: {where}: {fault['msg']}") from None
