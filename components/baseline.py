"""What the store serves before a push: the version a candidate must not be worse than, and the pointer's state."""

from collections.abc import Mapping
from typing import Any

from graft.models.errors import GraftError
from graft.serving.pointer import PointerError
from graft.serving.store import ModelStore

BEST = "best_version"
"""Key of a manifest's metadata and custom property of the quality gate's blessing: the version that was still better
than this one, on the test split of this one's run; 0 where this one is the best so far."""

COMPARED = "compared_with"
"""Custom property of the quality gate's blessing: the version that the candidate was held against, or `NOTHING`."""
NOTHING = "nothing"

METRICS = "metrics"
"""Key of a manifest's metadata and custom property of the quality gate's blessing, there as JSON: the figures of the
model on its run's test split that lists show, the headline first."""


def compared_with(baseline: Mapping[str, Any] | None) -> str:
    """The value of `COMPARED` for a baseline of `find_baseline`."""
    return NOTHING if baseline is None else str(baseline["version"])


def require_unchanged(
    store: ModelStore, model: str, baseline: Mapping[str, Any] | None, compared: str, run_id: str | None
) -> None:
    """Refuses a push where another version is served than the one that the gates held the candidate against.

    Args:
        store: the model store.
        model: name of the model.
        baseline: what `find_baseline` finds now.
        compared: what the blessing says; empty for one of an earlier version of Graft, which noted nothing.
        run_id: of the run that pushes: its own push, tried again, is no other version.

    Raises:
        GraftError: it is so.
    """
    now, served = compared_with(baseline), store.served(model)
    if compared in ("", now):
        return
    if run_id and served is not None and store.manifest(model, served)["metadata"].get("run_id") == run_id:
        return
    version, held = (name if name == NOTHING else f"version {name}" for name in (now, compared))
    raise GraftError(
        f"{store.address}: {model} {version} is served now, but the gates held this model against {held}: another run "
        "pushed, or the pointer was moved, while this one ran. Nothing was pushed; run again"
    )


def find_baseline(store: ModelStore, model: str, run_key: str) -> dict[str, Any] | None:
    """Looks at the store's pointer.

    If the served version came from a run with the same key, the candidate is that model again; what it was compared
    with then stands, so that an unchanged run is a cache hit.

    Args:
        store: the model store.
        model: name of the model.
        run_key: identity of what goes into the candidate (`pipeline.prepare.run_key`); empty if not known.

    Returns:
        {version, path, best}, or None where nothing is served; `path` is its address in the store; `best` is {version,
        path} of the best version so far, None where that is the served one, or was deleted.
    """
    version = store.served(model)
    if version is None:
        return None
    metadata = store.manifest(model, version)["metadata"]
    if run_key and metadata.get("run_key") == run_key:
        baseline = metadata.get("baseline")
        # Retention may have taken it since.
        if not baseline or baseline["version"] not in store.versions(model):
            return None
        best = baseline.get("best")
        return {**baseline, "best": best if best and best["version"] in store.versions(model) else None}
    best = metadata.get(BEST)
    known = best in store.versions(model)
    return {
        "version": version,
        "path": store.version_address(model, version),
        "best": {"version": best, "path": store.version_address(model, best)} if known else None,
    }


def pointer_state(store: ModelStore, model: str, run_key: str) -> str:
    """The state of the pointer that a push of this run starts from.

    It changes when a rollback, a pin or another run's push moves the pointer, so that the push is no cache hit then. It
    stays when the push of the run itself has moved it.

    Args:
        store: the model store.
        model: name of the model.
        run_key: identity of what goes into the candidate; empty if not known.
    """
    version = store.served(model)
    if version is None:
        return "empty"
    metadata = store.manifest(model, version)["metadata"]
    if run_key and metadata.get("run_key") == run_key and "pointer_state" in metadata:
        return metadata["pointer_state"]
    try:
        current = store.current(model)
    except PointerError:
        return f"{version}, broken"
    return f"{version} since {current.time}" if current else "empty"
