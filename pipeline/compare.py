"""Two runs, or two versions of a model store, side by side: configuration, figures, timings.

What the runs have left is read; nothing is predicted anew. What cannot be compared is said, and hides nothing else.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from graft.models.errors import GraftError
from graft.models.text import located
from graft.pipeline import result_file
from graft.pipeline.metadata import FILE_NAME, Execution, Metadata

_LISTED = 5


@dataclasses.dataclass(frozen=True)
class Side:
    """One of the two.

    Attributes:
        name: as it was asked for.
        pipeline: its name.
        run: id of the run, empty where that is not known.
        version: that was asked for, None for a run.
        status: of the run; empty where that is not known.
        metrics: numbers by name, as the run or the manifest has them.
        config: of the run, None where that is not known.
        executions: the stages of the run.
        predictions: where the answers on the test split lie, None without any.
        why_none: why there are no answers, a sentence.
    """

    name: str
    pipeline: str
    run: str
    version: int | None
    status: str
    metrics: Mapping[str, float]
    config: Mapping[str, Any] | None
    executions: Sequence[Execution]
    predictions: str | None
    why_none: str

    def to_json(self) -> dict[str, Any]:
        """What stands at the head of a comparison."""
        names = ("name", "pipeline", "run", "version", "status", "metrics")
        return {name: getattr(self, name) for name in names}


def find(asked: str, root: pathlib.Path, store: str, name: str | None) -> Side:
    """What was asked for.

    Args:
        asked: id of a run, or number of a version; PIPELINE/RUN or MODEL/VERSION where several have it.
        root: of the runs.
        store: address of the model store.
        name: of pipeline or model, where it does not stand in `asked`.

    Raises:
        GraftError: there is no such run or version, or several pipelines or models have it.
    """
    before, _, last = asked.rpartition("/")
    if last.isdecimal():
        return _of_version(asked, before or name, int(last), root, store)
    return _of_run(asked, before or name, last, root)


def _of_run(asked: str, name: str | None, run: str, root: pathlib.Path) -> Side:
    runs = {path.name: _runs(path) for path in sorted(root.glob("*")) if name in (None, path.name) and path.is_dir()}
    having = [pipeline for pipeline, ids in runs.items() if run in ids]
    if len(having) > 1:
        raise GraftError(f"{asked}: a run of several pipelines ({', '.join(having)}); write PIPELINE/{run}")
    if not having:
        latest = "; ".join(f"{pipeline}: {', '.join(ids[-_LISTED:])}" for pipeline, ids in runs.items() if ids)
        raise GraftError(
            f"{asked}: no such run below {located(root)}; the latest are {latest or 'none'} (`graft runs` lists all)"
        )
    return _read(asked, root / having[0], run, None, {})


def _runs(folder: pathlib.Path) -> list[str]:
    """Ids of the runs of a pipeline; those too that ended before the first stage."""
    known = Metadata(folder).runs() if (folder / FILE_NAME).is_file() else []
    left = {path.name for path in folder.glob("runs/*") if path.is_dir()}
    return sorted(left.union(known))


def _of_version(asked: str, name: str | None, version: int, root: pathlib.Path, address: str) -> Side:
    from graft.serving.store import open_store

    store = open_store(address)
    models = store.models()
    having = [model for model in models if name in (None, model) and version in store.versions(model)]
    if len(having) > 1:
        raise GraftError(f"{asked}: a version of several models ({', '.join(having)}); write MODEL/{version}")
    if not having:
        there = "; ".join(
            f"{model}: {', '.join(map(str, store.versions(model)[-_LISTED:]))}"
            for model in models
            if name in (None, model)
        )
        raise GraftError(f"{asked}: no such version in {store.address}; the latest are {there or 'none'}")
    about = store.manifest(having[0], version).get("metadata") or {}
    return _read(asked, root / having[0], str(about.get("run_id") or ""), version, about)


def _read(asked: str, folder: pathlib.Path, run: str, version: int | None, about: Mapping[str, Any]) -> Side:
    """What a run has left and, of a version, its manifest."""
    told = result_file.read(folder / "runs" / run) if run else {}
    executions: list[Execution] = []
    outputs: Mapping[str, Any] = {}
    why = "its run is not known" if not run else f"its run {run} is not below {folder.parent}"
    if run and (folder / FILE_NAME).is_file():
        metadata = Metadata(folder)
        if run in metadata.runs():
            executions, outputs = metadata.executions(run), metadata.outputs(run)
            why = f"it ended ({told.get('status') or 'killed, or under way'}) before its test split was judged"
    if version is None and not executions:
        why = f"it ended ({told.get('status') or 'killed, or under way'}) before its first stage"
    kept = outputs.get("predict", {}).get("predictions")
    config = about.get("config") or told.get("config") or _pushed_config(executions)
    return Side(
        name=asked,
        pipeline=folder.name,
        run=run,
        version=version,
        status=str(told.get("status") or ""),
        metrics=result_file.numbers(told.get("metrics") or about.get("metrics")),
        config=config if isinstance(config, dict) else None,
        executions=executions,
        predictions=kept.uri if kept is not None else None,
        why_none="" if kept is not None else why,
    )


def _pushed_config(executions: Sequence[Execution]) -> Any:
    """Runs of earlier versions of Graft wrote their configuration into the parameters of the push only."""
    metadata = next((e.parameters.get("metadata") for e in executions if e.stage == "push"), None)
    return metadata.get("config") if isinstance(metadata, dict) else None


def compare(first: Side, second: Side) -> dict[str, Any]:
    """Both side by side.

    Returns:
        JSON types. `first`, `second`: as of `Side.to_json`. `config`: {key, first, second} of each key that differs,
        a side that does not have it without that entry; None where one configuration is not known. `judged`: as of
        `models.side_by_side.compare`, None where that cannot be; `stages`: by name `first` and `second`, each None or
        `seconds`, `cached`. `notes`: sentences on what could not be compared, and why.
    """
    notes = []
    if first.pipeline != second.pipeline:
        notes.append(f"They are of different pipelines, {first.pipeline} and {second.pipeline}.")
    config = None
    if first.config is None or second.config is None:
        whose = [side.name for side in (first, second) if side.config is None]
        notes.append(f"The configurations are not compared: that of {' and '.join(whose)} was not kept.")
    else:
        config = differences(first.config, second.config)
    judged = None
    try:
        judged = _judged(first, second)
    except GraftError as error:
        notes.append(f"The answers on the test split are not compared: {error}.")
    return {
        "first": first.to_json(),
        "second": second.to_json(),
        "config": config,
        "judged": judged,
        "stages": _stages(first.executions, second.executions),
        "notes": notes,
    }


def _judged(first: Side, second: Side) -> dict[str, Any]:
    from graft.components.predict import predictions
    from graft.models import side_by_side

    judged = []
    for side in (first, second):
        if side.predictions is None:
            raise GraftError(f"{side.name}: {side.why_none}")
        kept = predictions.load(side.predictions)
        judged.append(side_by_side.Judged(kept.target, kept.encoded, kept.answers, kept.sha256, kept.domain))
    return side_by_side.compare(*judged)


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The keys of two configurations that differ, as `transfer.method`; lists are compared as a whole."""
    sides = flat(first), flat(second)
    rows = []
    for key in sorted(sides[0].keys() | sides[1].keys()):
        held = {name: of[key] for name, of in zip(("first", "second"), sides, strict=True) if key in of}
        if len(held) < 2 or held["first"] != held["second"]:
            rows.append({"key": key, **held})
    return rows


def flat(value: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """A configuration by keys as `transfer.method`; a list, or a mapping that is empty, is one value."""
    found: dict[str, Any] = {}
    for name, held in value.items():
        key = f"{before}{name}"
        found |= flat(held, f"{key}.") if isinstance(held, dict) and held else {key: held}
    return found


def _stages(first: Sequence[Execution], second: Sequence[Execution]) -> dict[str, Any]:
    sides = [{e.stage: {"seconds": e.seconds, "cached": e.state == "CACHED"} for e in of} for of in (first, second)]
    return {name: {"first": sides[0].get(name), "second": sides[1].get(name)} for name in {**sides[0], **sides[1]}}
