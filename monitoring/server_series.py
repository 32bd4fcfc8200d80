"""Series of what a server is at: its models' versions, its queue, the bytes it holds."""

from collections.abc import Callable

from graft.monitoring.exposition import head, line
from graft.serving.observers import ModelState, ServerState

_OF_MODELS: dict[str, tuple[str, str, Callable[[ModelState], float | None]]] = {
    "graft_model_versions_available": ("gauge", "Versions that can serve.", lambda m: len(m.available)),
    "graft_model_version_served": (
        "gauge",
        "The newest version that can serve; absent where there is none.",
        lambda m: max(m.available, default=None),
    ),
    "graft_model_version_wanted": ("gauge", "The version that the store's pointer names.", lambda m: m.wanted),
    "graft_model_version_newest": ("gauge", "The newest version in the store.", lambda m: m.newest),
    "graft_model_pinned": ("gauge", "Whether the served version is held against newer ones.", lambda m: m.pinned),
    "graft_model_versions_loading": ("gauge", "Versions that are being loaded.", lambda m: m.loading),
    "graft_model_versions_failed": ("gauge", "Versions that could not be loaded.", lambda m: m.failed),
    "graft_model_load_failures_total": ("counter", "Attempts to load that failed.", lambda m: m.load_failures),
    "graft_model_load_duration_seconds": (
        "gauge",
        "Load and warm-up of the newest version that can serve.",
        lambda m: m.load_seconds,
    ),
}
_OF_SERVER: dict[str, tuple[str, Callable[[ServerState], float]]] = {
    "graft_predictions_running": ("Predictions that are worked on.", lambda s: s.running),
    "graft_predictions_waiting": ("Predictions that wait for a thread.", lambda s: s.waiting),
    "graft_predictions_limit": ("Predictions that may run or wait; more are refused.", lambda s: s.most_predictions),
    "graft_request_held_bytes": ("Bytes of requests under way.", lambda s: s.held_bytes),
    "graft_request_held_limit_bytes": ("Bytes of requests that may be under way.", lambda s: s.most_bytes),
}


def lines(state: ServerState) -> list[str]:
    """All of them in the text format."""
    found = []
    for name, (kind, text, of_model) in _OF_MODELS.items():
        found += head(name, kind, text)
        values = [(model, of_model(known)) for model, known in state.models.items()]
        found += [line(name, [("model", model)], _number(value)) for model, value in values if value is not None]
    for name, (text, of_server) in _OF_SERVER.items():
        found += [*head(name, "gauge", text), line(name, (), of_server(state))]
    return found


def _number(value: float) -> float:
    return int(value) if isinstance(value, bool) else value
