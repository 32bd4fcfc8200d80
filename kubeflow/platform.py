"""The second document of a compiled file: what Kubernetes is to know of each task's pod.

Its schema is `kubernetes_executor_config.proto` of kubeflow/pipelines. A server skips what it cannot read there without
a word, so it is checked against that schema when it is written.
"""

from collections.abc import Collection
from typing import Any

from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2

from graft.kubeflow import cluster_job, workers
from graft.kubeflow.options import KubeflowOptions, PodOptions
from graft.models.errors import GraftError

Json = dict[str, Any]

WHO = {
    workers.RUN: "metadata.labels['pipeline/runid']",
    cluster_job.NAMESPACE: "metadata.namespace",
    cluster_job.POD: "metadata.name",
    cluster_job.POD_UID: "metadata.uid",
}
"""What a pod that starts a job is told of itself: a variable, and the field of the pod that it is taken from."""


def platform_spec(pods: dict[str, PodOptions], options: KubeflowOptions, launching: Collection[str] = ()) -> Json:
    """The document; empty where no pod is anything special.

    Args:
        pods: what each executor's pod gets, by label of the executor.
        options: the section `kubeflow`, for what they have in common.
        launching: labels of those that start a job, and must know who they are.
    """
    executors = {label: found for label, pod in pods.items() if (found := _executor(pod, options))}
    for label in launching:
        told = [{"name": name, "fieldPath": path} for name, path in sorted(WHO.items())]
        executors.setdefault(label, {})["fieldPathAsEnv"] = told
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}} if executors else {}


def check_platform(document: Json, executors: set[str]) -> None:
    """Refuses a document that a server would not understand.

    Raises:
        GraftError: it names an executor that the pipeline does not have, or holds what is not in the schema.
    """
    for label, held in document["platforms"]["kubernetes"]["deploymentSpec"]["executors"].items():
        if label not in executors:
            raise GraftError(f"platform document: executor {label!r} is none of the pipeline's")
        try:
            json_format.ParseDict(held, kubernetes_executor_config_pb2.KubernetesExecutorConfig())
        except json_format.ParseError as error:
            raise GraftError(f"platform document: executor {label}: {error}") from None


def _executor(pod: PodOptions, options: KubeflowOptions) -> Json:
    """One executor's; the names of claims and secrets in the old and in the new form."""
    found: Json = {
        "pvcMount": [
            {"constant": volume.claim, "mountPath": volume.mount, "pvcNameParameter": _constant(volume.claim)}
            for volume in options.volumes
        ],
        "secretAsEnv": [
            {
                **_secret(secret.name),
                "keyToEnv": [{"secretKey": key, "envVar": name} for name, key in sorted(secret.env.items())],
            }
            for secret in options.secrets
            if secret.env
        ],
        "secretAsVolume": [
            {**_secret(secret.name), "mountPath": secret.mount, "optional": False}
            for secret in options.secrets
            if secret.mount
        ],
        "imagePullSecret": [_secret(name) for name in options.image_pull_secrets],
        "nodeSelector": {"labels": dict(sorted(pod.node_selector.items()))} if pod.node_selector else {},
        "tolerations": [toleration.model_dump(exclude_defaults=True) for toleration in pod.tolerations],
        "podMetadata": {"labels": dict(sorted(options.labels.items()))} if options.labels else {},
        "activeDeadlineSeconds": str(pod.timeout_seconds) if pod.timeout_seconds else "",
    }
    for toleration in found["tolerations"]:
        toleration.setdefault("operator", "Equal")
    return {name: value for name, value in found.items() if value}


def _secret(name: str) -> Json:
    return {"secretName": name, "secretNameParameter": _constant(name)}


def _constant(value: str) -> Json:
    return {"runtimeValue": {"constant": value}}
