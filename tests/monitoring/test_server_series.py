"""Series of what a server and its process are at."""

import os
import pathlib
import sys

import pytest
from exported_series import STATE, server_metrics
from prometheus_client.parser import text_string_to_metric_families

from graft.monitoring import process_series, server_series
from graft.monitoring.metrics import Metrics
from graft.serving.exchange import REASONS


def values(lines: str) -> dict[tuple, float]:
    families = text_string_to_metric_families(lines)
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def test_each_models_versions_and_the_servers_queue():
    found = values("\n".join(server_series.lines(STATE)) + "\n")
    assert found["graft_model_versions_available", "m"] == 2 and found["graft_model_versions_available", "none"] == 0
    assert found["graft_model_version_served", "m"] == 2 and found["graft_model_version_newest", "m"] == 3
    assert found["graft_model_pinned", "m"] == 1 and found["graft_model_load_failures_total", "m"] == 4
    assert not any(key[1:] == ("none",) and "version_" in key[0] for key in found), "what is not there has no number"
    assert (found["graft_predictions_running",], found["graft_predictions_waiting",]) == (1, 2)
    assert (found["graft_request_held_bytes",], found["graft_request_held_limit_bytes",]) == (3, 4)


def test_refusals_waits_and_batches_are_counted():
    found = values(server_metrics().text())
    assert found["graft_requests_refused_total", "rest", "queue_full"] == 1
    others = [(t, r) for t in ("grpc", "rest") for r in REASONS if (t, r) != ("rest", "queue_full")]
    assert all(found["graft_requests_refused_total", *one] == 0 for one in others), "a rule must see the first one"
    assert found["graft_queue_wait_seconds_sum", "grpc"] == 0.5 and found["graft_queue_wait_seconds_count", "rest"] == 0
    assert found["graft_request_batch_size_bucket", "m", "s", "2"] == 0
    assert found["graft_request_batch_size_bucket", "m", "s", "4"] == 1


def test_the_process_is_this_one():
    found = {
        sample.name: sample
        for f in text_string_to_metric_families("\n".join(process_series.lines()) + "\n")
        for sample in f.samples
    }
    resident = int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert found["process_resident_memory_bytes"].value == pytest.approx(resident, rel=0.2)
    assert 0 < found["process_open_fds"].value <= found["process_max_fds"].value
    assert found["graft_memory_available_bytes"].value > 0
    assert found["graft_build_info"].labels["python"] == ".".join(map(str, sys.version_info[:3]))


def test_a_clients_metrics_say_nothing_of_a_server():
    assert "process_" not in Metrics().text() and "refused" not in Metrics().text()
