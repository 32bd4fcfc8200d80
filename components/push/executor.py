"""Executor of `push`."""

import json
import pathlib
from typing import Any

from tfx.utils import path_utils

from graft.components import gates
from graft.components.baseline import BEST, COMPARED, METRICS, find_baseline, pointer_state, require_unchanged
from graft.components.executor import Artifacts, BaseExecutor
from graft.components.parameters import BaseParameters
from graft.models.saved_model_check import find_faults, require_allowed
from graft.models.signals.reference import FILE, PLACE, Reference
from graft.serving.store import open_store

_NOTED = 100


class Parameters(BaseParameters):
    """Parameters of `Push`.

    Attributes:
        model_name: name in the store.
        store: address of the model store.
        store_id: identity of that store, so that a new store at the same path is no cache hit.
        pointer: state of its pointer (`components.baseline`), so that one moved by hand is no cache hit.
        keep: versions to keep.
        metadata: kept in the version's manifest (config, data fingerprint, code, backbone).
        trust: whether the model may do more than compute, as its backbone may.
    """

    model_name: str
    store: str
    store_id: str = ""
    pointer: str = ""
    keep: int
    metadata: dict[str, Any]
    trust: bool


class Executor(BaseExecutor):
    """Copies the model and its reference into the store and moves its pointer."""

    PARAMETERS = Parameters

    def run(self, inputs: Artifacts, outputs: Artifacts, given: Parameters) -> None:
        """Pushes.

        Raises:
            GateClosed: a gate did not bless the model.
            StoreError: the store cannot take it; the version served before stays.
            GraftError: the reference is damaged; the model does more than compute, and its backbone is not trusted; or
                another version is served than the one that the gates held it against.
        """
        blessing = inputs.artifact("model_blessing")
        gates.require_open("quality_gate", blessing)
        gates.require_open("serving_check", inputs.artifact("infra_blessing"))
        metadata = dict(given.metadata)
        if self._context is not None:
            metadata["run_id"] = self._context.pipeline_run_id
        store = open_store(given.store, keep=given.keep)
        name = given.model_name
        metadata["baseline"] = find_baseline(store, name, metadata["run_key"])
        compared = blessing.get_string_custom_property(COMPARED)
        require_unchanged(store, name, metadata["baseline"], compared, metadata.get("run_id"))
        metadata["pointer_state"] = pointer_state(store, name, metadata["run_key"])
        metadata[BEST] = blessing.get_int_custom_property(BEST)
        # Nothing in a blessing of an earlier version of Graft.
        metadata[METRICS] = json.loads(blessing.get_string_custom_property(METRICS) or "null")
        model_path = path_utils.serving_model_path(inputs.uri("model"))
        metadata["trusted_operations"] = _trusted_operations(pathlib.Path(model_path), given.trust)
        reference = inputs.path("predictions") / FILE
        Reference.load(reference)  # a damaged one is not pushed
        version = store.push(name, model_path, metadata, protect=[metadata[BEST]], beside={PLACE: reference})
        pushed = outputs.artifact("pushed_model")
        pushed.set_string_custom_property("pushed_destination", store.version_address(name, version))
        pushed.set_string_custom_property("pushed_version", str(version))
        pushed.set_string_custom_property("served_version", str(store.served(name)))


def _trusted_operations(model: pathlib.Path, trust: bool) -> list[str]:
    """What the model does besides computing, for the manifest. It is a note: what a server allows, its start says."""
    if trust:
        return find_faults(model)[:_NOTED]
    require_allowed(model, f"model {model}", "it is pushed only with backbone.trust: true")
    return []
