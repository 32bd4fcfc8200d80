"""The backbones that can be named: of `keras.applications`, of installed packages, in folders, in configurations."""

import os
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from graft.models.errors import GraftError
from graft.pipeline.output import table

if TYPE_CHECKING:
    from graft.models.backbone_facts import Facts

FOLDER, CONFIGS = pathlib.Path("backbones"), pathlib.Path("configs")
_DEPTH = 3
"""Levels of folders below the one that is looked through: `family/name/1`."""


def listed(folder: pathlib.Path | None = None) -> list[dict[str, Any]]:
    """Every backbone that a handle here can name; no network is built, loaded or downloaded.

    Args:
        folder: where local ones lie; None: `backbones/` if there is one, and what the files in `configs/` name.

    Returns:
        For each `handle`, `from` (`keras.applications`, the package's kind of handle, `folder` or the configuration's
        path), `parameters`, `bytes`, `input`, `feature_dim`, `licence`; None where that is not known.

    Raises:
        GraftError: `folder` is none; a package's entry point is at fault.
    """
    from graft.models import application_facts, handles  # imported here: `graft --help` needs none of it

    found = [_row(handle, "keras.applications", facts) for handle, facts in application_facts.every()]
    found += [_row(handle, handle.partition(":")[0], facts) for handle, facts in handles.every()]
    if folder is not None and not folder.is_dir():
        raise GraftError(f"--folder {str(folder)!r} is no folder")
    there = folder or (FOLDER if FOLDER.is_dir() else None)
    local = {str(path): "folder" for path in _local(there)} if there else {}
    known = {row["handle"] for row in found}
    if folder is None:
        for handle, path in _configured():
            if application_facts.facts(handle) is None and handle not in known:
                local.setdefault(handle, str(path))
    return found + [_of_file(handle, origin) for handle, origin in local.items()]


def lines(found: list[dict[str, Any]]) -> list[str]:
    """What `listed` found, for people."""
    rows = [
        (
            row["handle"],
            "" if row["parameters"] is None else f"{row['parameters'] / 1e6:.1f}",
            "" if row["bytes"] is None else f"{row['bytes'] / 1e6:.0f}",
            *(_sized(row["input"]) if row["input"] else ("", "")),
            row["feature_dim"],
            row["licence"] or "not known",
        )
        for row in found
    ]
    header = ("handle", "parameters (10^6)", "MB", "size", "range", "features", "licence")
    return [
        *table(rows, header),
        "Also the URL of a SavedModel (TF-Hub, Kaggle, .tar.gz). `graft backbone show HANDLE` says more of any.",
    ]


def _sized(input: dict[str, Any]) -> tuple[str, str]:
    """What an input looks like: sides, and between what its values lie."""
    sides, ranged = (next((input[key] for key in input if key.endswith(end)), None) for end in ("_size", "_range"))
    return (
        "x".join(map(str, sides)) if sides else "",
        "" if ranged is None else f"{ranged[0]:g} to {ranged[1]:g}",
    )


def _row(handle: str, origin: str, facts: "Facts") -> dict[str, Any]:
    return {
        "handle": handle,
        "from": origin,
        "parameters": facts.parameters,
        "bytes": facts.bytes,
        "input": facts.input or None,
        "feature_dim": facts.feature_dim,
        "licence": facts.licence,
    }


def _of_file(handle: str, origin: str) -> dict[str, Any]:
    """Of a local one only the size on disk is known; of one that is not there, nothing."""
    from graft.models.backbone_facts import Facts

    path = pathlib.Path(handle)
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else []
    size = sum(file.stat().st_size for file in files)
    return _row(handle, origin, Facts()) | {"bytes": size if files else None}


def _local(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """SavedModels and `.keras` files below a folder, by their paths; nothing within a SavedModel counts."""
    for top, folders, files in os.walk(folder):
        path = pathlib.Path(top)
        if "saved_model.pb" in files:
            yield path
            folders.clear()
            continue
        folders.sort()
        if len(path.relative_to(folder).parts) >= _DEPTH:
            folders.clear()
        yield from (path / name for name in sorted(files) if name.endswith(".keras"))


def _configured() -> Iterator[tuple[str, pathlib.Path]]:
    """Handles that the configurations in `configs/` name, by file; what cannot be read there names none."""
    from graft.pipeline import config as configs

    for path in sorted([*CONFIGS.glob("*.yaml"), *CONFIGS.glob("*.yml")]):
        try:
            yield configs.load(path).backbone.handle, path
        except GraftError:  # a file of another program, or one that names what is not set here
            continue
