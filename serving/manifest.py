"""The list of files with sizes and sha256 that every version in the store carries (`graft_manifest.json`)."""

import json
import pathlib
from typing import Any

from graft.models import durable
from graft.models.errors import GraftError
from graft.models.hashing import hash_file, hash_json
from graft.serving.pointer import StoreError

NAME = "graft_manifest.json"
FORMAT = 1
MAX_BYTES = 64 << 20
"""Largest manifest that is read."""


def list_tree(folder: pathlib.Path) -> tuple[list[str], list[str]]:
    """Relative POSIX paths of all files and of all folders below `folder`, sorted, without the manifest itself.

    Raises:
        GraftError: a name is neither a plain file nor a plain folder, or is not UTF-8.
    """
    files, folders = [], []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder).as_posix()
        try:
            relative.encode()
        except UnicodeEncodeError as error:
            raise GraftError(f"{folder}: the file name {relative!r} is not UTF-8; rename it") from error
        if path.is_dir() and not path.is_symlink():
            folders.append(relative)
        elif path.is_file():
            if relative != NAME:
                files.append(relative)
        else:
            raise GraftError(f"{path}: neither a file nor a folder; a model version holds plain files only")
    return files, folders


def describe(folder: pathlib.Path) -> dict[str, dict[str, Any]]:
    """`{relative path: {"size": bytes, "sha256": hex}}` of every file below `folder` but the manifest."""
    return {name: describe_file(folder / name) for name in list_tree(folder)[0]}


def describe_file(path: pathlib.Path) -> dict[str, Any]:
    """What a manifest says of one file."""
    return {"size": path.stat().st_size, "sha256": hash_file(path)}


def _seal(content: dict[str, Any]) -> str:
    """sha256 over the manifest without its own seal, so that a change of the manifest itself shows."""
    unsealed = {key: value for key, value in content.items() if key != "seal"}
    return hash_json(unsealed)


def encode(model: str, version: int, time: str, files: dict[str, Any], metadata: dict[str, Any]) -> bytes:
    """The manifest as JSON bytes. Raises GraftError if `metadata` cannot be written as JSON."""
    content = {"format": FORMAT, "model": model, "version": version, "time": time, "files": files, "metadata": metadata}
    try:
        # Through JSON once before sealing: what is read back (string keys, lists for tuples) must give the same seal.
        content = json.loads(json.dumps(content))
        return json.dumps(content | {"seal": _seal(content)}, indent=1, sort_keys=True).encode()
    except (TypeError, ValueError) as error:
        raise GraftError(f"metadata of {model} cannot be written as JSON: {error}; allowed are plain values") from error


def read(folder: pathlib.Path) -> dict[str, Any]:
    """The manifest of the version in `folder`. Raises GraftError if it is missing, unreadable or was altered."""
    path = folder / NAME
    try:
        content = durable.read_small(path, MAX_BYTES)
    except OSError as error:
        raise GraftError(f"{path}: {error.strerror}; a whole version has this file") from error
    return parse(content, str(path))


def parse(written: bytes, place: str) -> dict[str, Any]:
    """The manifest that `written` is. Raises GraftError, which names `place`, if it is none or was altered."""
    try:
        content = json.loads(written)
    except (ValueError, RecursionError) as error:
        raise GraftError(f"{place}: not JSON ({error})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT or not _lists_files(content.get("files")):
        raise GraftError(f"{place}: not a manifest of format {FORMAT}")
    if content.get("seal") != _seal(content):
        raise GraftError(f"{place}: the manifest was changed after it was written (its seal does not fit)")
    return content


def _lists_files(files: Any) -> bool:
    if not isinstance(files, dict):
        return False
    kinds = {"size": int, "sha256": str}
    return all(
        isinstance(described, dict) and all(isinstance(described.get(key), kind) for key, kind in kinds.items())
        for described in files.values()
    )


def changed(source: pathlib.Path) -> StoreError:
    """The error of a push whose source did not hold still."""
    return StoreError(f"{source} changed while it was copied; push again when its writer has ended")


def leaving_links(folder: pathlib.Path, root: pathlib.Path) -> list[str]:
    """Symbolic links at or below `folder`, and on the way from `root` to it, that lead out of `root`: `link -> target`.

    Raises:
        RuntimeError: links go round in a circle.
    """
    inside = root.resolve()
    way = [folder, *folder.parents]
    above = way[: way.index(root)] if root in way else []
    found = []
    for path in [*reversed(above), *sorted(folder.rglob("*"))]:
        if path.is_symlink() and not path.resolve().is_relative_to(inside):
            found.append(f"{path.relative_to(root).as_posix()} -> {path.readlink()}")
    return found


def problems(folder: pathlib.Path, store: pathlib.Path | None = None) -> list[str]:
    """What in `folder` is not as its manifest says: one line a fault, empty if the version is whole.

    A link that leads out of the store is a fault whatever is there: that content can change, and the link can show
    what nobody meant to serve, without anybody writing to the store.

    Args:
        folder: of one version.
        store: the store it lies in; None for a folder in no store, which links must not leave either.
    """
    try:
        leaving = leaving_links(folder, store or folder)
        if leaving:
            return [f"a link leads out of the store: {link}" for link in leaving]
        expected = read(folder)["files"]
        found = describe(folder)
    except (GraftError, OSError, RuntimeError) as error:
        return [str(error)]
    return differences(expected, found)


def differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What of the files `found` is not as `expected`, both as `describe` gives them: one line a fault."""
    faults = [f"{name}: missing" for name in sorted(expected.keys() - found.keys())]
    faults += [f"{name}: not in the manifest" for name in sorted(found.keys() - expected.keys())]
    for name in sorted(expected.keys() & found.keys()):
        if found[name]["size"] != expected[name]["size"]:
            faults.append(f"{name}: {found[name]['size']} bytes, the manifest says {expected[name]['size']}")
        elif found[name] != expected[name]:
            faults.append(f"{name}: changed (sha256 differs from the manifest)")
    return faults
