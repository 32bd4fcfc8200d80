"""The served version that a candidate must not be worse than."""

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
