"""A job is made, taken over, looked at and deleted through the Kubernetes API; a refusal is one line."""

import signal
import subprocess
import sys

import pytest
from kubernetes_server_for_tests import KubernetesServer, api_of
from test_jobs import manifests

from graft.kubeflow import cluster_job, workers
from graft.kubeflow.cluster_job import ClusterJob
from graft.kubeflow.job_folder import JobFolder
from graft.models.errors import GraftError

NAME = "graft-train-0123"


@pytest.fixture
def server():
    with KubernetesServer() as found:
        yield found


@pytest.fixture
def make(server):
    """Makes a job of the server's, asked for without waiting."""
    with api_of(server) as api:

        def made(kind: str = "trainjob", patience: float = 5.0, **changes) -> ClusterJob:
            return ClusterJob(manifests(kind, **changes), "team-a", api, ("train-pod", "uid-1"), patience, every=0.01)

        yield made


def test_a_trainjob_is_made_with_its_runtime_and_deleted_with_it(server, make):
    job = make()
    job.start()
    assert set(server.objects) == {("trainingruntimes", NAME), ("trainjobs", NAME)}
    for held in server.objects.values():
        assert held["metadata"]["namespace"] == "team-a"
        (owner,) = held["metadata"]["ownerReferences"]
        assert owner == {"apiVersion": "v1", "kind": "Pod", "name": "train-pod", "uid": "uid-1"}
    assert job.failure() is None
    server.condition(NAME, "Complete")
    assert job.failure() == ""
    server.lingering = 3
    job.end()
    assert not server.objects
    assert [asked for asked in server.asked if asked.startswith("POST")] == ["POST trainingruntimes", "POST trainjobs"]
    # The job first: a runtime that is in use would not go.
    assert server.asked.index("DELETE trainjobs") < server.asked.index("DELETE trainingruntimes")
    before = len(server.asked)
    job.end()
    assert len(server.asked) == before


def test_a_tfjob(server, make):
    job = make("tfjob")
    job.start()
    assert set(server.objects) == {("tfjobs", NAME)}
    server.condition(NAME, "Running")
    assert job.failure() is None
    server.condition(NAME, "Failed", "BackoffLimitExceeded", "too many restarts")
    assert job.failure() == "BackoffLimitExceeded: too many restarts"
    job.end(wait=False)
    assert server.asked[-1] == "DELETE tfjobs"


def test_a_job_that_runs_is_taken_over(server, make):
    make().start()
    server.objects["trainjobs", NAME]["status"] = {"conditions": []}
    make().start()
    assert server.asked.count("POST trainjobs") == 1
    assert "DELETE trainjobs" not in server.asked


@pytest.mark.slow
@pytest.mark.parametrize("state", ["failed", "leaving", "other"])
def test_a_job_that_is_of_no_use_is_replaced(server, make, state):
    """It has failed, or somebody deletes it, or the configuration was another one."""
    make().start()
    server.lingering = 2
    if state == "failed":
        server.condition(NAME, "Failed")
    if state == "leaving":
        server.objects["trainjobs", NAME]["metadata"]["deletionTimestamp"] = "now"
    if state == "other":
        make(memory="32Gi").start()
    else:
        make().start()
    held = server.objects["trainjobs", NAME]
    assert "deletionTimestamp" not in held["metadata"]
    assert "status" not in held
    pod = server.objects["trainingruntimes", NAME]["spec"]["template"]["spec"]["replicatedJobs"][0]
    memory = pod["template"]["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]
    assert memory == ("32Gi" if state == "other" else "16Gi")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        (
            (403, "trainjobs.trainer.kubeflow.org is forbidden: User cannot create"),
            r"TrainJob graft-train-0123: the Kubernetes API refused to create it: 403 .* is forbidden.*; give "
            r"the account of the run's pods the right to create trainjobs\.trainer\.kubeflow\.org \(kubeflow/manifests",
        ),
        ((404, "the server could not find the requested resource"), "the cluster knows no TrainJob: install Kubeflow"),
        ((422, "spec.x: Invalid value"), "refused to create it: 422 spec.x: Invalid value$"),
    ],
)
def test_a_refusal_is_one_line_that_says_what_to_do(server, make, refusal, message):
    server.refuse["trainjobs"] = refusal
    with pytest.raises(GraftError, match=message) as raised:
        make().start()
    assert "\n" not in str(raised.value)


def test_an_api_that_is_away_for_a_moment_is_asked_again(server, make):
    server.away = 2
    job = make()
    job.start()
    server.away = 1
    assert job.failure() is None
    assert job.failure() is None
    server.condition(NAME, "Complete")
    assert job.failure() == ""


def test_an_api_that_stays_away(server, make):
    job = make(patience=0.05)
    job.start()
    server.away = 10**6
    with pytest.raises(GraftError, match="TrainJob graft-train-0123: the Kubernetes API does not answer: 503"):
        while job.failure() is None:
            pass
    job.end()  # says so in the log, and raises nothing


def test_a_job_that_somebody_deleted(server, make, tmp_path):
    job = make()
    job.start()
    server.objects.clear()
    with pytest.raises(GraftError, match="somebody has deleted it"):
        workers.follow(job, JobFolder(tmp_path), 0.01)


def test_a_job_that_ends_without_a_result(server, make, tmp_path):
    """An image that cannot be pulled, a node that is too small: no worker could say why."""
    job = make()
    job.start()
    server.condition(NAME, "Failed", "FailedJobs", "jobset failed due to one or more job failures")
    with pytest.raises(GraftError, match="has ended without a result: FailedJobs: jobset failed due"):
        workers.follow(job, JobFolder(tmp_path), 0.01)


def test_a_worker_that_says_why_ends_the_job_at_once(server, make, tmp_path, caplog):
    job, folder = make(), JobFolder(tmp_path)
    job.start()
    folder.log(0).write_text("worker 0: train: 2 replicas\nworker 0: half a li")
    folder.fail("the loss became nan")
    caplog.set_level("INFO")
    with pytest.raises(GraftError, match=r"^the loss became nan$"):
        workers.follow(job, folder, 0.01)
    assert "worker 0: train: 2 replicas" in caplog.messages
    assert not any("half" in message for message in caplog.messages)


def test_outside_of_a_pod_there_is_no_way_to_the_api(monkeypatch):
    for name in ("KUBERNETES_SERVICE_HOST", cluster_job.NAMESPACE):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(GraftError, match=r"no way to the Kubernetes API .*graft kubeflow run-local"):
        ClusterJob.in_pod(manifests())


def test_a_pod_that_is_told_to_go_deletes_its_job(tmp_path):
    """SIGTERM, in a process of its own; what it has to do is a file that it deletes."""
    (tmp_path / "job").touch()
    code = (
        "import os, signal, sys, pathlib, time\n"
        "from graft.kubeflow import pod\n"
        "def work():\n"
        "    with pod.ending(pathlib.Path(sys.argv[1]).unlink):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        time.sleep(60)\n"
        "sys.exit(pod.run(work, 'train'))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "job")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 128 + signal.SIGTERM
    assert "ended by SIGTERM" in ended.stderr
    assert not (tmp_path / "job").exists()
