"""What Kubeflow's states of a run mean for who submitted it."""

import datetime

import kfp_server_api
import pytest

from graft.kubeflow import orchestrator

# Client 2.17 spells it otherwise than 2.4.
Status = getattr(kfp_server_api, kfp_server_api.V2beta1Run.openapi_types["error"])
END = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)


def run(state, failed=(), error=None):
    tasks = [kfp_server_api.V2beta1PipelineTaskDetail(display_name="ingest", state="SUCCEEDED")]
    tasks += [kfp_server_api.V2beta1PipelineTaskDetail(display_name=name, state="FAILED") for name in failed]
    return kfp_server_api.V2beta1Run(
        run_id="r1",
        state=state,
        finished_at=END,
        error=error and Status(code=2, message=error),
        run_details=kfp_server_api.V2beta1RunDetails(task_details=tasks),
    )


@pytest.mark.parametrize("state", [None, "PENDING", "RUNNING", "PAUSED", "CANCELING"])
def test_one_that_has_not_ended(state):
    assert orchestrator.state_of(run(state)) == orchestrator.RunState("r1", "running")


@pytest.mark.parametrize(
    ("state", "failed", "status"),
    [
        ("SUCCEEDED", (), "passed"),
        ("CANCELED", (), "interrupted"),
        ("FAILED", ("train",), "failed"),
        ("FAILED", (), "failed"),
        ("SKIPPED", (), "failed"),
        ("FAILED", ("verdict",), "gate_closed"),
        ("FAILED", ("graph", "verdict"), "gate_closed"),  # with `kubeflow.notify`
        ("FAILED", ("report", "verdict"), "failed"),
    ],
)
def test_one_that_has(state, failed, status):
    found = orchestrator.state_of(run(state, failed, "no\nmemory"))
    assert (found.status, found.ended) == (status, END.timestamp())
    assert found.reason == (
        "" if status == "passed" else "; ".join((f"{state} on Kubeflow", "no memory", *_named(failed)))
    )


def _named(failed):
    return [", ".join(failed)] if failed else []


def test_an_end_that_the_server_does_not_tell_is_not_1970():
    found = run("SUCCEEDED")
    found.finished_at = datetime.datetime.fromtimestamp(0, datetime.UTC)
    assert orchestrator.state_of(found).ended is None
