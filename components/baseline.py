"""What the store serves before a push: the version a candidate must not be worse than, and the pointer's state."""

from serving.pointer import PointerError
from serving.store import ModelStore


def find_baseline(store: ModelStore, model: str, run_key: str) -> dict | None:
    """Looks at the store's pointer.

    If the served version came from a run with the same key, the candidate is that model again; what it was compared
    with then stands, so that an unchanged run is a cache hit.

    Args:
        store: the model store.
        model: name of the model.
        run_key: identity of what goes into the candidate (`pipeline.prepare.run_key`); empty if not known.

    Returns:
        {version, path}, or None where nothing is served.
    """
    version = store.served(model)
    if version is None:
        return None
    metadata = store.manifest(model, version)["metadata"]
    if run_key and metadata.get("run_key") == run_key:
        baseline = metadata.get("baseline")
        # Retention may have taken it since.
        return baseline if baseline and baseline["version"] in store.versions(model) else None
    return {"version": version, "path": str(store.version_path(model, version))}


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
