"""Objects of Kubernetes held to its published schema: the models of the official client, generated from its OpenAPI."""

import re
from collections.abc import Iterator
from typing import Any

import kubernetes.client
from kubernetes.client import models

MODELS = {
    ("v1", "ConfigMap"): "V1ConfigMap",
    ("v1", "PersistentVolumeClaim"): "V1PersistentVolumeClaim",
    ("v1", "Pod"): "V1Pod",
    ("v1", "Secret"): "V1Secret",
    ("v1", "Service"): "V1Service",
    ("v1", "ServiceAccount"): "V1ServiceAccount",
    ("apps/v1", "Deployment"): "V1Deployment",
    ("batch/v1", "CronJob"): "V1CronJob",
    ("batch/v1", "Job"): "V1Job",
    ("networking.k8s.io/v1", "NetworkPolicy"): "V1NetworkPolicy",
    ("policy/v1", "PodDisruptionBudget"): "V1PodDisruptionBudget",
    ("rbac.authorization.k8s.io/v1", "Role"): "V1Role",
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): "V1RoleBinding",
}
# kubeflow/trainer, pkg/apis/trainer/v1alpha1 (trainjob_types.go, trainingruntime_types.go); kubernetes-sigs/jobset,
# api/jobset/v1alpha2/jobset_types.go; kubeflow/training-operator, pkg/apis/kubeflow.org/v1 (tensorflow_types.go,
# common_types.go). Only the fields that are used, so that one that is misspelt is unknown. A type of Kubernetes' own
# stands for its model.
JOBS: dict[tuple[str, str], dict[str, Any]] = {
    ("trainer.kubeflow.org/v1alpha1", "TrainingRuntime"): {
        "mlPolicy": {"numNodes": int},
        "template": {
            "spec": {
                "network": {"enableDNSHostnames": bool, "publishNotReadyAddresses": bool},
                "failurePolicy": {"maxRestarts": int},
                "replicatedJobs": [{"name": str, "template": "V1JobTemplateSpec"}],
            }
        },
    },
    ("trainer.kubeflow.org/v1alpha1", "TrainJob"): {
        "runtimeRef": {"apiGroup": str, "kind": str, "name": str},
        "trainer": {"numNodes": int},
    },
    ("kubeflow.org/v1", "TFJob"): {
        "runPolicy": {"cleanPodPolicy": str, "backoffLimit": int, "activeDeadlineSeconds": int},
        "successPolicy": str,
        "tfReplicaSpecs": {
            "Worker": {"replicas": int, "restartPolicy": str, "template": "V1PodTemplateSpec"},
        },
    },
}
_ALLOWED = {
    "cleanPodPolicy": ("All", "Running", "None"),
    "successPolicy": ("", "AllWorkers"),
    "restartPolicy": ("Always", "OnFailure", "Never", "ExitCode"),
    "kind": ("TrainingRuntime", "ClusterTrainingRuntime"),
}
INFERENCE_SERVICE = ("serving.kserve.io/v1beta1", "InferenceService")

_PLAIN = {"str": str, "int": int, "bool": bool, "float": float, "datetime": str}
_QUANTITIES = ("limits", "requests")
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
_STRICT = kubernetes.client.Configuration()
_STRICT.client_side_validation = True

# kserve/kserve, pkg/apis/serving/v1beta1/component.go (ComponentExtensionSpec), model.go (ModelSpec), predictor.go
# (PredictorExtensionSpec); what else a predictor has is a pod's, and what else a model has is a container's. Only what
# the manifests use, so that a key that is misspelt is unknown.
_PREDICTOR = {"minReplicas": int, "maxReplicas": int, "annotations": dict, "labels": dict}
_MODEL = {"runtime": str, "storageUri": str, "runtimeVersion": str, "protocolVersion": str}
_STORAGE = ("gs://", "s3://", "pvc://", "file://", "https://", "http://", "hdfs://", "webhdfs://", "oci://", "hf://")
_PROTOCOLS = ("v1", "v2", "grpc-v1", "grpc-v2")


def faults(one: dict[str, Any]) -> list[str]:
    """What of an object its schema does not allow: a line for each, with its place."""
    kind = (one.get("apiVersion"), one.get("kind"))
    if kind == INFERENCE_SERVICE:
        return list(_inference_service(one))
    if kind in JOBS:
        return list(_job(one, JOBS[kind]))  # type: ignore[index]
    if kind not in MODELS:
        return [f"{kind}: unknown kind"]
    return list(_model(one, MODELS[kind], str(one["kind"])))  # type: ignore[index]


def _value(value: Any, kind: str, where: str) -> Iterator[str]:
    if listed := re.fullmatch(r"list\[(.+)\]", kind):
        if not isinstance(value, list):
            yield f"{where}: {value!r} is no list"
            return
        for place, item in enumerate(value):
            yield from _value(item, listed[1], f"{where}[{place}]")
    elif mapped := re.fullmatch(r"dict[(\[]str, (.+)[)\]]", kind):
        if not isinstance(value, dict):
            yield f"{where}: {value!r} is no mapping"
            return
        for key, item in value.items():
            yield from _value(item, mapped[1], f"{where}.{key}")
            if where.rpartition(".")[2] in _QUANTITIES and not _QUANTITY.fullmatch(str(item)):
                yield f"{where}.{key}: {item!r} is no quantity"
    elif kind in _PLAIN:
        if not isinstance(value, _PLAIN[kind]) or (isinstance(value, bool) and kind != "bool"):
            yield f"{where}: {value!r} is no {kind}"
    elif kind == "object":  # a number or a name, of a port
        if isinstance(value, bool) or not isinstance(value, int | str):
            yield f"{where}: {value!r} is neither a number nor a name"
    else:
        yield from _model(value, kind, where)


def _model(value: Any, kind: str, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: {value!r} is no mapping"
        return
    model = getattr(models, kind)
    attributes = {key: attribute for attribute, key in model.attribute_map.items()}
    given = {}
    for key, item in value.items():
        if key not in attributes:
            yield f"{where}: unknown key {key}"
            continue
        given[attributes[key]] = item
        yield from _value(item, model.openapi_types[attributes[key]], f"{where}.{key}")
    try:
        model(local_vars_configuration=_STRICT, **given)
    except ValueError as error:  # what is required and missing, or no value of an enumeration
        yield f"{where}: {error}"


def _job(one: dict[str, Any], spec: dict[str, Any]) -> Iterator[str]:
    where = str(one["kind"])
    yield from (
        f"{where}: unknown key {key}" for key in set(one) - {"apiVersion", "kind", "metadata", "spec", "status"}
    )
    yield from _model(one["metadata"], "V1ObjectMeta", f"{where}.metadata")
    if not re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", one["metadata"].get("name", "")):
        yield f"{where}.metadata.name: {one['metadata'].get('name')!r} is no DNS label"
    yield from _fields(one.get("spec"), spec, f"{where}.spec")


def _fields(value: Any, kind: Any, where: str) -> Iterator[str]:
    """Of a type that no model is published of: fields with their types, all of which must be there."""
    if isinstance(kind, dict):
        if not isinstance(value, dict):
            yield f"{where}: {value!r} is no mapping"
            return
        yield from (f"{where}: unknown key {key}" for key in set(value) - set(kind))
        optional = {"activeDeadlineSeconds"}
        yield from (f"{where}: {key} is missing" for key in set(kind) - set(value) - optional)
        for key in set(kind) & set(value):
            yield from _fields(value[key], kind[key], f"{where}.{key}")
            if value[key] not in _ALLOWED.get(key, (value[key],)):
                yield f"{where}.{key}: {value[key]!r} is none of {_ALLOWED[key]}"
    elif isinstance(kind, list):
        for place, item in enumerate(value):
            yield from _fields(item, kind[0], f"{where}[{place}]")
    elif isinstance(kind, str):
        yield from _model(value, kind, where)
    elif not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        yield f"{where}: {value!r} is no {kind.__name__}"


def _inference_service(one: dict[str, Any]) -> Iterator[str]:
    where = "InferenceService"
    yield from (f"{where}: unknown key {key}" for key in set(one) - {"apiVersion", "kind", "metadata", "spec"})
    yield from _model(one["metadata"], "V1ObjectMeta", f"{where}.metadata")
    yield from (f"{where}.spec: unknown key {key}" for key in set(one["spec"]) - {"predictor"})
    predictor = dict(one["spec"]["predictor"])
    model = predictor.pop("model")
    # The containers are KServe's; the model of a pod wants one.
    yield from _own(predictor, _PREDICTOR, "V1PodSpec", {"containers": []}, f"{where}.spec.predictor")
    where += ".spec.predictor.model"
    model_format = model.get("modelFormat", {})
    yield from (f"{where}.modelFormat: unknown key {key}" for key in set(model_format) - {"name", "version"})
    if model_format.get("name") != "tensorflow":
        yield f"{where}.modelFormat.name: {model_format.get('name')!r} is not what the runtime takes"
    if not str(model.get("storageUri", "")).startswith(_STORAGE):
        yield f"{where}.storageUri: {model.get('storageUri')!r} has no scheme that KServe knows"
    if model.get("protocolVersion") not in _PROTOCOLS:
        yield f"{where}.protocolVersion: {model.get('protocolVersion')!r} is none of {_PROTOCOLS}"
    rest = {key: value for key, value in model.items() if key != "modelFormat"}
    yield from _own(rest, _MODEL, "V1Container", {"name": "kserve-container"}, where)


def _own(given: dict[str, Any], own: dict[str, type], base: str, more: dict[str, Any], where: str) -> Iterator[str]:
    for key in own.keys() & given.keys():
        if not isinstance(given[key], own[key]) or isinstance(given[key], bool):
            yield f"{where}.{key}: {given[key]!r} is no {own[key].__name__}"
    yield from _model(more | {key: value for key, value in given.items() if key not in own}, base, where)
