"""Manifests of a job: equal to the golden file, and nothing in them that their types do not have.

To renew the golden file after a change that is meant: `GRAFT_RENEW_GOLDEN=1 python -m pytest tests/kubeflow`.
"""

import copy
import json
import os
import pathlib

import pytest
import schema_for_tests as schema
import yaml

from graft.kubeflow import jobs, worker
from graft.kubeflow.options import KubeflowOptions

GOLDEN = pathlib.Path(__file__).parent / "golden" / "jobs.yaml"
STAGE = {
    "cpu": 4,
    "memory": "16Gi",
    "gpus": 2,
    "workers": 3,
    "node_selector": {"cloud.example/gpu": "a100"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "timeout_seconds": 7200,
    "retries": 4,
}
SECTION = {
    "image": "registry.example/graft:1",
    "image_pull_secrets": ["registry"],
    "labels": {"team": "vision"},
    "env": {"TFHUB_CACHE_DIR": "/data/hub"},
    "secrets": [
        {"name": "store", "env": {"AWS_ACCESS_KEY_ID": "id"}},
        {"name": "chat", "env": {"HOOK": "url"}, "mount": "/secrets/chat"},
    ],
    "volumes": [{"claim": "data", "mount": "/data"}, {"claim": "runs", "mount": "/runs"}],
}


def manifests(job: str = "trainjob", **changes) -> list[dict]:
    options = KubeflowOptions.model_validate({**SECTION, "stages": {"train": {**STAGE, "job": job, **changes}}})
    told = jobs.described(options.pod("train"), options)
    return jobs.named(told["manifests"], "graft-train-0123", "/runs/x/workers/graft-train-0123")


@pytest.fixture(scope="module")
def made() -> dict[str, list[dict]]:
    return {job: manifests(job) for job in ("trainjob", "tfjob")}


def pod_of(documents: list[dict]) -> dict:
    """The pods' template."""
    spec = documents[0]["spec"]
    if documents[0]["kind"] == "TFJob":
        return spec["tfReplicaSpecs"]["Worker"]["template"]
    return spec["template"]["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]


def test_equal_the_golden_file(made):
    documents = [document for found in made.values() for document in found]
    if os.environ.get("GRAFT_RENEW_GOLDEN"):
        GOLDEN.write_text(yaml.safe_dump_all(copy.deepcopy(documents), sort_keys=True))
    assert documents == list(yaml.safe_load_all(GOLDEN.read_text()))


@pytest.mark.parametrize("job", ["trainjob", "tfjob"])
def test_their_types_have_all_of_it(made, job):
    assert [fault for document in made[job] for fault in schema.faults(document)] == []
    bare = KubeflowOptions.model_validate({"stages": {"train": {"workers": 2, "job": job}}})
    told = jobs.described(bare.pod("train"), bare)
    assert [fault for one in jobs.named(told["manifests"], "a", "/b") for fault in schema.faults(one)] == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda spec: spec["template"]["spec"].update(failurepolicy={}), "unknown key failurepolicy"),
        (lambda spec: spec["mlPolicy"].update(numNodes="3"), "'3' is no int"),
        (lambda spec: spec["template"]["spec"].pop("network"), "network is missing"),
        (
            lambda spec: spec["template"]["spec"]["replicatedJobs"][0]["template"]["spec"].update(backofflimit=0),
            "unknown key backofflimit",
        ),
    ],
)
def test_a_fault_in_one_is_seen(change, message):
    runtime = manifests()[0]
    change(runtime["spec"])
    assert any(message in fault for fault in schema.faults(runtime))


@pytest.mark.parametrize("job", ["trainjob", "tfjob"])
def test_a_worker_gets_what_the_pod_of_the_stage_would_get(made, job):
    pod = pod_of(made[job])
    (container,) = pod["spec"]["containers"]
    assert container["resources"]["limits"] == {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "2"}
    assert container["resources"]["requests"] == container["resources"]["limits"]
    assert pod["spec"]["nodeSelector"] == STAGE["node_selector"]
    assert pod["spec"]["tolerations"] == STAGE["tolerations"]
    assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {
        "/data",
        "/runs",
        "/secrets/chat",
        "/dev/shm",
    }
    assert {mount["name"] for mount in container["volumeMounts"]} == {one["name"] for one in pod["spec"]["volumes"]}
    assert {one["name"] for one in container["env"]} == {"TFHUB_CACHE_DIR", "AWS_ACCESS_KEY_ID", "HOOK"}
    assert pod["metadata"]["labels"]["team"] == "vision"
    assert pod["spec"]["automountServiceAccountToken"] is False


def test_the_pods_of_a_trainjob_name_each_other_as_jobset_names_them(made, monkeypatch):
    """JOBSET-REPLICATEDJOB-JOB-POD.SUBDOMAIN, the JobSet and the subdomain being called as the TrainJob."""
    runtime, job = made["trainjob"]
    assert job["spec"]["runtimeRef"]["name"] == runtime["metadata"]["name"]
    (container,) = pod_of([runtime])["spec"]["containers"]
    assert container["command"] == ["python", "-m", worker.__name__, "/runs/x/workers/graft-train-0123"]
    monkeypatch.setenv("TF_CONFIG", "")
    monkeypatch.setenv(worker.INDEX, "2")
    workers, hosts = container["args"][1::2]
    worker.join(int(workers), hosts)
    assert json.loads(os.environ["TF_CONFIG"])["cluster"]["worker"] == [
        f"graft-train-0123-node-0-{number}.graft-train-0123:2222" for number in range(3)
    ]
    longest = f"{jobs.NAME}-node-0-99".replace(jobs.NAME, f"graft-train-{'0' * 12}")
    assert len(longest) <= 63


def test_a_worker_that_fails_is_started_again_with_the_others_or_by_itself(made):
    runtime = made["trainjob"][0]["spec"]["template"]["spec"]
    assert runtime["failurePolicy"] == {"maxRestarts": 4}
    assert runtime["replicatedJobs"][0]["template"]["spec"]["backoffLimit"] == 0
    assert pod_of(made["trainjob"])["spec"]["restartPolicy"] == "Never"
    spec = made["tfjob"][0]["spec"]
    assert spec["tfReplicaSpecs"]["Worker"]["restartPolicy"] == "OnFailure"
    assert spec["runPolicy"]["backoffLimit"] == 4 * (3 + 1)


def test_the_containers_of_a_tfjob_are_called_as_its_operator_wants(made):
    (container,) = pod_of(made["tfjob"])["spec"]["containers"]
    assert container["name"] == "tensorflow"
    assert container["ports"] == [{"name": "tfjob-port", "containerPort": 2222}]
    assert "args" not in container
