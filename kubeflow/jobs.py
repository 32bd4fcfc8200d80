"""Manifests of the job that trains with several workers: a TrainJob with a runtime of its own, or a TFJob.

Everything that the pods need is in the manifest, from the same section `kubeflow` as the pods of the pipeline. For a
TrainJob it stands in a TrainingRuntime that is made and deleted with it: no runtime for TensorFlow comes with Kubeflow
Trainer, and the way in which a TrainJob changes what a runtime says differs between its versions (podTemplateOverrides
until 2.1, runtimePatches from 2.2 on).

Sources: kubeflow/trainer, pkg/apis/trainer/v1alpha1; kubernetes-sigs/jobset, api/jobset/v1alpha2;
kubeflow/training-operator, pkg/apis/kubeflow.org/v1.
"""

import json
from typing import Any

from graft.kubeflow.options import KubeflowOptions, PodOptions

Json = dict[str, Any]

RUN_FN = "graft.kubeflow.workers.run_fn"
"""In place of the trainer's, where several workers train."""
KEY = "workers"
"""In `custom_config` of such a training: what `described` gives."""

NAME, FOLDER = "<job>", "<folder>"
"""In a manifest, for what only the run knows: the name of the job and its folder."""

APP = "graft-worker"
"""Label `app.kubernetes.io/name` of the pods; a NetworkPolicy knows them by it."""

PORT = 2222
_TRAINER, _NODE = "trainer.kubeflow.org", "node"
_COMMAND = ["python", "-m", "graft.kubeflow.worker", FOLDER]


def described(pod: PodOptions, options: KubeflowOptions) -> Json:
    """What the task is told: how many workers, how often they are started again, and the manifests, in their order."""
    documents = _train_job(pod, options) if pod.job == "trainjob" else [_tf_job(pod, options)]
    return {"count": pod.workers, "retries": pod.retries, "manifests": documents}


def assign(parameters: Json, pod: PodOptions, options: KubeflowOptions) -> None:
    """Makes the task of a training one that starts a job, in place.

    Args:
        parameters: of the task, in the pipeline spec.
        pod: what each worker gets.
        options: the section `kubeflow`.
    """
    parameters["run_fn"]["runtimeValue"]["constant"] = RUN_FN
    config = json.loads(parameters["custom_config"]["runtimeValue"]["constant"])
    config[KEY] = described(pod, options)
    parameters["custom_config"]["runtimeValue"]["constant"] = json.dumps(config, sort_keys=True)


def named(manifest: Any, name: str, folder: str) -> Any:
    """A manifest with the name of the job and its folder in their places."""
    if isinstance(manifest, dict):
        return {key: named(value, name, folder) for key, value in manifest.items()}
    if isinstance(manifest, list):
        return [named(value, name, folder) for value in manifest]
    return manifest.replace(NAME, name).replace(FOLDER, folder) if isinstance(manifest, str) else manifest


def _train_job(pod: PodOptions, options: KubeflowOptions) -> list[Json]:
    hosts = f"{NAME}-{_NODE}-0-{{}}.{NAME}:{PORT}"
    arguments = ["--workers", str(pod.workers), "--hosts", hosts]
    job = {
        # One that fails ends all: without it the others cannot go on, and maxRestarts starts all of them anew.
        "backoffLimit": 0,
        **({"activeDeadlineSeconds": pod.timeout_seconds} if pod.timeout_seconds else {}),
        "template": {"metadata": {"labels": _labels(options)}, "spec": _pod(_NODE, arguments, pod, options, "Never")},
    }
    runtime = {
        "apiVersion": f"{_TRAINER}/v1alpha1",
        "kind": "TrainingRuntime",
        "metadata": {"name": NAME, "labels": {f"{_TRAINER}/framework": "tensorflow"}},
        "spec": {
            "mlPolicy": {"numNodes": pod.workers},
            "template": {
                "spec": {
                    "network": {"enableDNSHostnames": True, "publishNotReadyAddresses": True},
                    "failurePolicy": {"maxRestarts": pod.retries},
                    "replicatedJobs": [
                        {
                            "name": _NODE,
                            "template": {
                                "metadata": {"labels": {f"{_TRAINER}/trainjob-ancestor-step": "trainer"}},
                                "spec": job,
                            },
                        }
                    ],
                }
            },
        },
    }
    started = {
        "apiVersion": f"{_TRAINER}/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": NAME},
        "spec": {
            "runtimeRef": {"apiGroup": _TRAINER, "kind": "TrainingRuntime", "name": NAME},
            "trainer": {"numNodes": pod.workers},
        },
    }
    return [runtime, started]


def _tf_job(pod: PodOptions, options: KubeflowOptions) -> Json:
    spec = _pod("tensorflow", [], pod, options, "OnFailure")
    spec["containers"][0]["ports"] = [{"name": "tfjob-port", "containerPort": PORT}]
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "TFJob",
        "metadata": {"name": NAME},
        "spec": {
            "runPolicy": {
                "cleanPodPolicy": "All",
                # Containers are counted: one that is lost, those that lose it, and one that came back too early.
                "backoffLimit": pod.retries * (pod.workers + 1),
                **({"activeDeadlineSeconds": pod.timeout_seconds} if pod.timeout_seconds else {}),
            },
            "successPolicy": "AllWorkers",
            "tfReplicaSpecs": {
                "Worker": {
                    "replicas": pod.workers,
                    "restartPolicy": "OnFailure",
                    "template": {"metadata": {"labels": _labels(options)}, "spec": spec},
                }
            },
        },
    }


def _labels(options: KubeflowOptions) -> Json:
    # Istio's proxy would keep the pods from ending, and stand between the workers.
    own = {"app.kubernetes.io/name": APP, "app.kubernetes.io/part-of": "graft", "sidecar.istio.io/inject": "false"}
    return {**dict(sorted(options.labels.items())), **own}


def _pod(name: str, arguments: list[str], pod: PodOptions, options: KubeflowOptions, restart: str) -> Json:
    """The spec of a worker's pod."""
    volumes = [
        {"name": f"volume-{place}", "persistentVolumeClaim": {"claimName": volume.claim}}
        for place, volume in enumerate(options.volumes)
    ]
    mounts = [{"name": f"volume-{i}", "mountPath": volume.mount} for i, volume in enumerate(options.volumes)]
    for place, secret in enumerate(options.secrets):
        if secret.mount:
            volumes.append({"name": f"secret-{place}", "secret": {"secretName": secret.name}})
            mounts.append({"name": f"secret-{place}", "mountPath": secret.mount})
    if pod.gpus > 1:  # NCCL joins the GPUs of a pod by shared memory, and 64 MB of it are too little
        volumes.append({"name": "shared-memory", "emptyDir": {"medium": "Memory"}})
        mounts.append({"name": "shared-memory", "mountPath": "/dev/shm"})
    resources = {
        **({"cpu": f"{pod.cpu:g}"} if pod.cpu is not None else {}),
        **({"memory": pod.memory} if pod.memory is not None else {}),
        **({pod.accelerator: str(pod.gpus)} if pod.gpus else {}),
    }
    container: Json = {
        "name": name,
        "image": options.image,
        "command": list(_COMMAND),
        "args": arguments,
        "env": _variables(options),
        "volumeMounts": mounts,
        "resources": {"requests": resources, "limits": dict(resources)} if resources else {},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec: Json = {
        "restartPolicy": restart,
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "imagePullSecrets": [{"name": secret} for secret in options.image_pull_secrets],
        "nodeSelector": dict(sorted(pod.node_selector.items())),
        "tolerations": [toleration.model_dump(exclude_defaults=True) for toleration in pod.tolerations],
        "containers": [{key: value for key, value in container.items() if value}],
        "volumes": volumes,
    }
    return {key: value for key, value in spec.items() if value or value is False}


def _variables(options: KubeflowOptions) -> list[Json]:
    plain: list[Json] = [{"name": name, "value": value} for name, value in sorted(options.env.items())]
    return plain + [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": secret.name, "key": key}}}
        for secret in options.secrets
        for name, key in sorted(secret.env.items())
    ]
