"""The Grafana dashboard as code.

python -m graft.monitoring.grafana > monitoring/dashboards/graft.json

Import the file in Grafana, or put it where Grafana's provisioning looks. It asks for the Prometheus data source by a
variable and names no address.
"""

import dataclasses
import json
from typing import Any

from graft.models.text import say

_WIDTH, _HEIGHT = 24, 8
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_OF_SERVER = 'job=~"$job", instance=~"$instance"'
_OF_MODEL = f'{_OF_SERVER}, model=~"$model"'


@dataclasses.dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        title: what a reader sees.
        unit: Grafana's name of it (`s`, `bytes`, `reqps`, `percentunit`, `short`).
        queries: PromQL by legend.
        kind: Grafana's type of panel.
    """

    title: str
    unit: str
    queries: dict[str, str]
    kind: str = "timeseries"


def _quantile(share: float, name: str, by: str, of: str) -> str:
    return f"histogram_quantile({share}, sum by ({by}, le) (rate({name}_bucket{{{of}}}[$__rate_interval])))"


def _rate(name: str, by: str, of: str) -> str:
    return f"sum by ({by}) (rate({name}{{{of}}}[$__rate_interval]))"


_DURATION = "graft_request_duration_seconds"

ROWS: dict[str, list[Panel]] = {
    "Requests": [
        Panel(
            "Requests by model and version",
            "reqps",
            {"{{model}} {{version}}": _rate("graft_requests_total", "model, version", _OF_MODEL)},
        ),
        Panel(
            "Requests that failed, by status",
            "reqps",
            {"{{model}} {{status}}": _rate("graft_requests_total", "model, status", f'{_OF_MODEL}, status!="OK"')},
        ),
        Panel(
            "Requests that were refused, by reason",
            "reqps",
            {"{{transport}} {{reason}}": _rate("graft_requests_refused_total", "transport, reason", _OF_SERVER)},
        ),
        Panel(
            "Duration of answered requests",
            "s",
            {
                "p50 {{model}}": _quantile(0.5, _DURATION, "model", f'{_OF_MODEL}, status="OK"'),
                "p99 {{model}}": _quantile(0.99, _DURATION, "model", f'{_OF_MODEL}, status="OK"'),
            },
        ),
        Panel(
            "Durations",
            "s",
            {"{{le}}": f'sum by (le) (increase({_DURATION}_bucket{{{_OF_MODEL}, status="OK"}}[$__rate_interval]))'},
            "heatmap",
        ),
        Panel(
            "Share of faults in one hour, beside what 99.9 % allows",
            "percentunit",
            {"{{job}}": 'job:graft_request_errors:ratio_rate1h{job=~"$job"}', "allowed": "vector(0.001)"},
        ),
        Panel(
            "Share of answers beyond 0.5 s in one hour, beside what 99 % allows",
            "percentunit",
            {"{{job}}": 'job:graft_requests_slow:ratio_rate1h{job=~"$job"}', "allowed": "vector(0.01)"},
        ),
        Panel(
            "Examples in a request, mean",
            "short",
            {
                "{{model}}": f"{_rate('graft_request_batch_size_sum', 'model', _OF_MODEL)} / "
                f"{_rate('graft_request_batch_size_count', 'model', _OF_MODEL)}"
            },
        ),
    ],
    "Server": [
        Panel(
            "Versions",
            "short",
            {
                "{{model}} served": f"graft_model_version_served{{{_OF_MODEL}}}",
                "{{model}} wanted": f"graft_model_version_wanted{{{_OF_MODEL}}}",
                "{{model}} newest": f"graft_model_version_newest{{{_OF_MODEL}}}",
                "{{model}} pinned": f"graft_model_pinned{{{_OF_MODEL}}}",
            },
            "table",
        ),
        Panel(
            "Versions available, loading, failed",
            "short",
            {
                "{{model}} available": f"graft_model_versions_available{{{_OF_MODEL}}}",
                "{{model}} loading": f"graft_model_versions_loading{{{_OF_MODEL}}}",
                "{{model}} failed": f"graft_model_versions_failed{{{_OF_MODEL}}}",
            },
        ),
        Panel("Load and warm-up", "s", {"{{model}}": f"graft_model_load_duration_seconds{{{_OF_MODEL}}}"}),
        Panel(
            "Predictions",
            "short",
            {
                "{{instance}} running": f"graft_predictions_running{{{_OF_SERVER}}}",
                "{{instance}} waiting": f"graft_predictions_waiting{{{_OF_SERVER}}}",
                "{{instance}} limit": f"graft_predictions_limit{{{_OF_SERVER}}}",
            },
        ),
        Panel("Wait for a thread", "s", {"p99": _quantile(0.99, "graft_queue_wait_seconds", "transport", _OF_SERVER)}),
        Panel(
            "Memory",
            "bytes",
            {
                "{{instance}} resident": f"process_resident_memory_bytes{{{_OF_SERVER}}}",
                "{{instance}} available": f"graft_memory_available_bytes{{{_OF_SERVER}}}",
                "{{instance}} bodies": f"graft_request_held_bytes{{{_OF_SERVER}}}",
            },
        ),
        Panel(
            "Processor", "short", {"{{instance}}": f"rate(process_cpu_seconds_total{{{_OF_SERVER}}}[$__rate_interval])"}
        ),
        Panel(
            "Logs: lost",
            "short",
            {
                "requests {{reason}}": _rate("graft_request_log_dropped_total", "reason", _OF_SERVER),
                "access {{reason}}": _rate("graft_access_log_dropped_total", "reason", _OF_SERVER),
            },
        ),
        Panel("Build", "short", {"{{instance}}": f"graft_build_info{{{_OF_SERVER}}}"}, "table"),
    ],
    "Pipelines": [
        Panel("Last run", "short", {"{{pipeline}} {{status}}": "graft_pipeline_last_run_status == 1"}, "table"),
        Panel("Duration of the last run", "s", {"{{pipeline}}": "graft_pipeline_last_run_duration_seconds"}),
        Panel(
            "Since the last start", "s", {"{{pipeline}}": "time() - graft_pipeline_last_run_start_timestamp_seconds"}
        ),
        Panel(
            "Since the last run that passed",
            "s",
            {"{{pipeline}}": "time() - graft_pipeline_last_success_timestamp_seconds"},
        ),
        Panel("Runs on disk", "short", {"{{pipeline}} {{status}}": "graft_pipeline_runs"}),
        Panel("Stages of the last run", "s", {"{{stage}}": "graft_pipeline_stage_duration_seconds"}, "bargauge"),
        Panel(
            "Store",
            "short",
            {
                "{{model}} served": 'graft_store_served_version{model=~"$model"}',
                "{{model}} newest": 'graft_store_newest_version{model=~"$model"}',
            },
        ),
        Panel(
            "Labels",
            "short",
            {
                "{{model}} came": 'graft_labels{model=~"$model"}',
                "{{model}} without a request": 'graft_labels_unmatched{model=~"$model"}',
                "{{model}} requests without one": 'graft_requests_unlabelled{model=~"$model"}',
            },
        ),
    ],
    "Drift": [
        Panel(
            "Statistic beside its threshold",
            "short",
            {
                "{{model}} {{kind}} {{feature}}": 'graft_drift_statistic{model=~"$model"}',
                "{{model}} {{kind}} {{feature}} threshold": 'graft_drift_threshold{model=~"$model"}',
            },
        ),
        Panel(
            "Windows that have drifted", "short", {"{{model}} {{kind}}": 'graft_drift_windows_drifted{model=~"$model"}'}
        ),
        Panel(
            "Age of the reference",
            "s",
            {"{{model}} {{version}}": 'time() - graft_drift_reference_timestamp_seconds{model=~"$model"}'},
        ),
    ],
}


def dashboard() -> dict[str, Any]:
    """What Grafana imports; the same each time."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        place = {"h": 1, "w": _WIDTH, "x": 0, "y": top}
        panels.append({"id": len(panels) + 1, "type": "row", "title": title, "collapsed": False, "gridPos": place})
        top += 1
        for number, panel in enumerate(row):
            place = {"h": _HEIGHT, "w": _WIDTH // 2, "x": number % 2 * _WIDTH // 2, "y": top + number // 2 * _HEIGHT}
            panels.append(_panel(len(panels) + 1, panel, place))
        top += (len(row) + 1) // 2 * _HEIGHT
    return {
        "uid": "graft",
        "title": "Graft",
        "tags": ["graft"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "annotations": {"list": [_annotation()]},
        "templating": {
            "list": [
                {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
                _variable("job", "label_values(graft_build_info, job)"),
                _variable("instance", 'label_values(graft_build_info{job=~"$job"}, instance)'),
                _variable("model", "label_values(graft_model_versions_available, model)"),
            ]
        },
        "panels": panels,
    }


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    now = panel.kind in ("table", "bargauge")
    targets = [
        {
            "refId": chr(ord("A") + place),
            "datasource": _DATASOURCE,
            "expr": query,
            "legendFormat": legend,
            "instant": now,
            "range": not now,
            "format": {"heatmap": "heatmap", "table": "table"}.get(panel.kind, "time_series"),
        }
        for place, (legend, query) in enumerate(panel.queries.items())
    ]
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": _DATASOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": targets,
    }


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "datasource": _DATASOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "sort": 1,
    }


def _annotation() -> dict[str, Any]:
    """A line where a new version was pushed."""
    return {
        "name": "pushes",
        "datasource": _DATASOURCE,
        "enable": True,
        "iconColor": "blue",
        "expr": 'changes(graft_store_pushed_timestamp_seconds{model=~"$model"}[5m]) > 0',
        "step": "5m",
        "titleFormat": "push",
        "textFormat": "{{model}}",
    }


def text() -> str:
    """The file."""
    return json.dumps(dashboard(), indent=1) + "\n"


if __name__ == "__main__":
    say(*text().splitlines())
