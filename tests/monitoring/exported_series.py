"""What the code exports: each page made for once, with something in every series, and read back."""

import pathlib

import grpc
import numpy as np
from prometheus_client.parser import text_string_to_metric_families
from run_folders import write_run

from graft.monitoring.access_log import AccessLog
from graft.monitoring.collect import Collector
from graft.monitoring.drift import results
from graft.monitoring.drift import series as drift_series
from graft.monitoring.label_series import Labels
from graft.monitoring.metrics import Metrics
from graft.monitoring.request_log.counts import Counts
from graft.monitoring.request_log.labels import LabelStore
from graft.monitoring.run_series import Runs
from graft.monitoring.store_series import Store
from graft.serving.exchange import PREDICT, Exchange
from graft.serving.observers import ModelState, Served, ServerState
from graft.serving.store import open_store

BY_PROMETHEUS = {"up": set()}
OF_TARGETS = {"job", "instance"}
STATE = ServerState({"m": ModelState((1, 2), 2, 3, True, 1, 1, 4, 0.5), "none": ModelState(())}, 1, 2, 128, 3, 4)


def values(series: Labels | Runs) -> dict[tuple, float]:
    """By name and labels."""
    families = text_string_to_metric_families("\n".join(series.lines()) + "\n")
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def server_metrics() -> Metrics:
    """Of a server that has answered one request and refused another."""
    metrics = Metrics()
    metrics.attach(lambda: STATE)
    arrays = {"x": np.zeros([3, 2])}
    metrics.observe(Served("m", 2, "s", arrays, arrays, grpc.StatusCode.OK, 0.02, "grpc", 0.0, "id"))
    answered = Exchange("grpc", "id", PREDICT, queued=1.0, started=1.5, reached=True, code=grpc.StatusCode.OK)
    refused = Exchange("rest", "id", PREDICT, code=grpc.StatusCode.RESOURCE_EXHAUSTED)
    refused.refuse("queue_full")
    metrics.ended(answered)
    metrics.ended(refused)
    return metrics


def collector(folder: pathlib.Path) -> Collector:
    """Of a run, a store of one model and a label."""
    write_run(folder / "runs", "flowers", "20260101-000000-000")
    model = folder / "model"
    model.mkdir()
    (model / "saved_model.pb").write_bytes(b"x")
    open_store(folder / "store").push("flowers", model, {})
    log = folder / "log"
    log.mkdir()
    labels = folder / "labels.csv"
    labels.write_text("request_id,label\na,daisy\n")
    with LabelStore(log) as store:
        store.add("flowers", labels, ["label"])
    return Collector(
        {
            "runs": Runs(folder / "runs", 3600.0).lines,
            "store": Store(str(folder / "store")).lines,
            "labels": Labels(log).lines,
        }
    )


def judged_window() -> results.Window:
    """Of `graft monitor`, with something in every series."""
    test = results.Test(
        **{"signal": "words", "group": "input", "against": "reference", "rows": 9, "effect": 0.2, "least_effect": 0.1},
        **{"p_value": 0.5, "level": 0.01, "alarm": False},
    )
    mean = results.Mean(mean=0.5, low=0.4, high=0.6, miss=0.05, rows=9)
    return results.Window(
        **{"kind": "requests", "model": "m", "version": 1, "number": 1, "begin": 1.0, "end": 2.0, "closed": 3.0},
        **{"reason": "rows", "requests": 9, "rows": 9, "drifted": False, "tests": (test,), "in_row": {"input": 0}},
        **{"quality": mean, "estimate": mean, "reference_time": 0.5},
    )


def exported(folder: pathlib.Path) -> dict[str, set[str]]:
    """Labels by series."""
    access_log = AccessLog(str(folder / "access.jsonl"))
    access_log.close()
    monitor = drift_series.text([judged_window()], drift_series.Health("m", 1.0, totals={"requests": 9}))
    pages = [server_metrics().text(), Counts().text(), access_log.text(), collector(folder).page(), monitor]
    found: dict[str, set[str]] = {}
    for page in pages:
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
    return found
