"""What Kubeflow's driver and launcher hand to a container, in the form that TFX's executors understand, and back.

Open-source Kubeflow Pipelines fills in an `ExecutorInput` (pipeline_spec.proto, as JSON) that TFX's own entrypoint
cannot read: input artifacts come without their type, outputs of KFP's own kinds (`system.Artifact`, for the logs) among
them, and with addresses of the object store where the launcher has put local copies. All of this is mended here, on
plain JSON, so that it can be read and tested without a cluster and without TFX.
"""

import datetime
import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from graft.kubeflow import parameters
from graft.models.errors import GraftError
from graft.models.hashing import hash_folder

LOGS = "executor-logs"
"""Output of the kind system.Artifact that Kubeflow adds for the logs."""

ROOT = "GRAFT_LAUNCHER_ROOT"
"""Environment variable: the folder that the launcher's local copies lie below, `/` in a pod."""

STORES = {"gs": "gcs", "minio": "minio", "s3": "s3"}
"""Schemes of addresses that the launcher knows, and the folder below the root that it keeps copies in."""

_ADDRESS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<path>.+)")
_KEPT = ".kept"
"""File in an output folder that would be empty: an object store knows no empty folders."""

BEGAN, SECONDS, IDENTITY = "graft_began", "graft_seconds", "graft_sha256"
"""Metadata of each output."""
CLOSED = "graft_closed"
"""Metadata of an output that is empty, for an earlier gate had closed."""

Json = dict[str, Any]


def local_path(uri: str) -> pathlib.Path:
    """Where the launcher keeps what an address names (`LocalPathForURI` in its launcher_v2.go).

    Raises:
        GraftError: it is the address of a kind of store that the launcher does not know.
    """
    if "://" not in uri:
        return pathlib.Path(uri)
    return pathlib.Path(os.environ.get(ROOT, "/"), below_root(uri))


def below_root(uri: str) -> pathlib.Path:
    """The same, relative to the launcher's root.

    Raises:
        GraftError: it is no address of a kind of store that the launcher knows.
    """
    found = _ADDRESS.fullmatch(uri)
    if found is None or found["scheme"] not in STORES:
        allowed = ", ".join(f"{scheme}://" for scheme in STORES)
        raise GraftError(f"artifact {uri}: Kubeflow's launcher brings no such address; allowed: {allowed} or a path")
    return pathlib.Path(STORES[found["scheme"]], found["path"])


def mended(given: Json, inputs_spec: Json) -> Json:
    """An `ExecutorInput` whose artifacts have types and local paths, without what is not the component's.

    Parameters of the run stand in place of their marks, and are in `run` by name. Verdicts of earlier stages are in
    `verdicts` by stage.

    Args:
        given: as the driver made it.
        inputs_spec: `ComponentInputsSpec` of the component, as it was compiled; has the types of its inputs.

    Raises:
        GraftError: an input is not one of the component's, an address is of no known kind, or a parameter of the run is
            missing or none that may be.
    """
    inputs, outputs = given.get("inputs", {}), given.get("outputs", {})
    types = inputs_spec.get("artifacts", {})
    found: Json = {}
    verdicts: Json = {}
    for name, held in inputs.get("artifacts", {}).items():
        if name.startswith(parameters.GATE):
            verdicts[name.removeprefix(parameters.GATE)] = local(held["artifacts"][0])
            continue
        if name not in types:
            raise GraftError(f"input {name!r} is none of the component's; allowed: {', '.join(sorted(types))}")
        found[name] = [
            {**local(artifact), "type": _known(artifact) or types[name]["artifactType"]}
            for artifact in held.get("artifacts", ())
        ]
    own = {
        name: [{**local(artifact), "type": artifact["type"]} for artifact in held["artifacts"]]
        for name, held in outputs.get("artifacts", {}).items()
        if not any(title(artifact.get("type", {})).startswith("system.") for artifact in held["artifacts"])
    }
    held = {name: value for name, value in inputs.get("parameterValues", {}).items() if value is not None}
    prefix = parameters.PREFIX
    run = parameters.checked({n.removeprefix(prefix): value for n, value in held.items() if n.startswith(prefix)})
    whole = {
        name
        for name, spec in inputs_spec.get("parameters", {}).items()
        if spec.get("parameterType") in ("NUMBER_INTEGER", "INT")
    }
    return {
        "inputs": found,
        "outputs": own,
        # A struct of protobuf has one kind of number.
        "parameters": {
            name: int(value) if name in whole else parameters.filled(value, run)
            for name, value in held.items()
            if not name.startswith(prefix)
        },
        "run": run,
        "verdicts": verdicts,
        "output_file": outputs["outputFile"],
    }


def title(kind: Mapping[str, str]) -> str:
    """The name of an artifact's type: `tfx.Examples`, `graft.Features`, `system.Artifact`; empty if there is none."""
    if "schemaTitle" in kind:
        return kind["schemaTitle"]
    schema = yaml.safe_load(kind.get("instanceSchema") or "") or {}
    return schema.get("title", "") if isinstance(schema, dict) else ""


def times(began: datetime.datetime, seconds: float) -> Json:
    """When a task began and how long it took, as metadata of its outputs: the report reads it there."""
    return {BEGAN: began.isoformat(timespec="seconds"), SECONDS: round(seconds, 3)}


def identity(uri: str) -> Json:
    """What an output holds, as metadata: a task that takes it as input compares."""
    return {IDENTITY: hash_folder(pathlib.Path(uri))}


def check_whole(name: str, artifact: Json) -> None:
    """Refuses an input that is not what its task wrote: an upload was cut, or the store has lost or changed a file.

    Raises:
        GraftError: it is so.
    """
    path, wanted = pathlib.Path(artifact["uri"]), artifact["metadata"].get(IDENTITY)
    if wanted is not None and not (path.is_dir() and hash_folder(path) == wanted):
        raise GraftError(
            f"input {name}: {path} is not what was written: files are missing or changed; run again without the cache"
        )


def told(outputs: Mapping[str, list[tuple[str, Mapping[str, Any]]]], common: Mapping[str, Any] | None = None) -> Json:
    """An `ExecutorOutput`: what the launcher is to know of the outputs.

    Where they lie is left out, for the launcher knows it: it would upload to what is written here instead.

    Args:
        outputs: by name, of each artifact its local path and its properties; those that are None are left out, which
            the launcher could not store.
        common: properties of all.
    """
    return {
        "artifacts": {
            name: {
                "artifacts": [
                    {
                        "metadata": {key: value for key, value in properties.items() if value is not None}
                        | {**(common or {})}
                    }
                    for _, properties in artifacts
                ]
            }
            for name, artifacts in outputs.items()
        }
    }


def keep_empty_folders(folder: pathlib.Path) -> None:
    """Puts an empty hidden file into each folder that has nothing else, so that it survives the way through a store.

    The folder itself is made if it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for empty in [path for path in _folders(folder) if not any(path.iterdir())]:
        (empty / _KEPT).touch()


def _folders(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    if folder.is_dir():
        yield folder
        yield from (path for path in sorted(folder.rglob("*")) if path.is_dir())


def local(artifact: Json) -> Json:
    """Where the launcher keeps an artifact, and its metadata."""
    return {"uri": str(local_path(artifact["uri"])), "metadata": artifact.get("metadata") or {}}


def _known(artifact: Json) -> Json | None:
    kind = artifact.get("type") or {}
    return kind if title(kind) else None
