"""Whether the objects of an overlay fit together, and hold to what a pod of ours may do."""

from collections.abc import Iterator
from typing import Any

from kustomize_for_tests import Objects, templates

from graft.kubeflow import jobs

PLACEHOLDERS = ("MODEL", "CLAIM")
MADE_BY_KUBEFLOW = ("ServiceAccount", "default-editor")
"""With a profile (kubeflow/kubeflow, components/profile-controller)."""
MADE_BY_THE_PIPELINE = {"app.kubernetes.io/name": jobs.APP}
"""Labels of pods that stand in no manifest."""
_UNITS = {"Gi": 2**30, "Mi": 2**20, "Ki": 2**10}


def faults(objects: Objects, elsewhere: Objects = ()) -> list[str]:  # type: ignore[assignment]
    """What does not fit: a line for each.

    Args:
        objects: of the overlay.
        elsewhere: of the one that is applied beside it.
    """
    return [
        *_namespaces(objects),
        *_references(objects, [*objects, *elsewhere]),
        *_selectors(objects),
        *_ports(objects),
        *(fault for one in objects for template in templates(one) for fault in _pod(_named(one), template["spec"])),
        *(fault for one in objects if one["kind"] == "InferenceService" for fault in _inference_service(one)),
        *(f"{_named(one)}: {word} is left" for one in objects for word in PLACEHOLDERS if _holds(one, word)),
    ]


def _named(one: dict[str, Any]) -> str:
    return f"{one['kind']} {one['metadata']['name']}"


def _holds(value: Any, word: str) -> bool:
    if isinstance(value, dict):
        return any(_holds(item, word) for key, item in value.items() if key != "data")
    if isinstance(value, list):
        return any(_holds(item, word) for item in value)
    return isinstance(value, str) and word in value.replace("://", "/").split("/")


def _namespaces(objects: Objects) -> Iterator[str]:
    found = {one["metadata"].get("namespace") for one in objects}
    if len(found) != 1 or None in found:
        yield f"namespaces: {found}"
    for one in objects:
        for subject in one.get("subjects", []):
            if subject["namespace"] not in found:
                yield f"{_named(one)}: subject in another namespace"


def _references(objects: Objects, there: Objects) -> Iterator[str]:
    held: dict[tuple[str, str], Any] = {(one["kind"], one["metadata"]["name"]): one for one in there}
    held[MADE_BY_KUBEFLOW] = {}

    def missing(kind: str, name: str, where: str, key: str | None = None) -> Iterator[str]:
        if (kind, name) not in held:
            yield f"{where}: no {kind} {name}"
        elif key is not None and key not in held[kind, name]["data"]:
            yield f"{where}: {kind} {name} has no key {key}"

    for one in objects:
        where = _named(one)
        if one["kind"] == "RoleBinding":
            yield from missing(one["roleRef"]["kind"], one["roleRef"]["name"], where)
            for subject in one["subjects"]:
                yield from missing(subject["kind"], subject["name"], where)
        for secret in one.get("secrets", []):
            yield from missing("Secret", secret["name"], where)
        if one["kind"] == "InferenceService":
            predictor = one["spec"]["predictor"]
            yield from missing("ServiceAccount", predictor["serviceAccountName"], where)
            if predictor["model"]["storageUri"].startswith("pvc://"):
                yield from missing("PersistentVolumeClaim", predictor["model"]["storageUri"].split("/")[2], where)
        for pod in (template["spec"] for template in templates(one)):
            yield from missing("ServiceAccount", pod["serviceAccountName"], where)
            for volume in pod.get("volumes", []):
                if "configMap" in volume:
                    yield from missing("ConfigMap", volume["configMap"]["name"], where)
                if "secret" in volume:
                    yield from missing("Secret", volume["secret"]["secretName"], where)
                if "persistentVolumeClaim" in volume:
                    yield from missing("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"], where)
            for container in _containers(pod):
                for source in container.get("envFrom", []):
                    yield from missing("Secret", source["secretRef"]["name"], where)
                for variable in container.get("env", []):
                    for kind, key in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
                        if reference := variable.get("valueFrom", {}).get(key):
                            yield from missing(kind, reference["name"], where, reference["key"])


def _selected(objects: Objects, selector: dict[str, str]) -> Objects:
    return [
        template
        for one in objects
        for template in templates(one)
        if selector.items() <= template["metadata"]["labels"].items()
    ]


def _selectors(objects: Objects) -> Iterator[str]:
    for one in objects:
        spec = one.get("spec", {})
        found = {
            "Service": lambda spec=spec: [spec["selector"]],
            "NetworkPolicy": lambda spec=spec: [spec["podSelector"]["matchLabels"]],
            "PodDisruptionBudget": lambda spec=spec: [spec["selector"]["matchLabels"]],
            "Deployment": lambda spec=spec: [
                spec["selector"]["matchLabels"],
                *(
                    spread["labelSelector"]["matchLabels"]
                    for spread in spec["template"]["spec"]["topologySpreadConstraints"]
                ),
            ],
        }.get(one["kind"], list)()
        for selector in found:
            if not selector or not (selector == MADE_BY_THE_PIPELINE or _selected(objects, selector)):
                yield f"{_named(one)}: {selector} selects no pod"


def _ports(objects: Objects) -> Iterator[str]:
    for one in objects:
        spec = one.get("spec", {})
        if one["kind"] == "Service":
            names = _open(_selected(objects, spec["selector"]))
            yield from (
                f"{_named(one)}: no port {p['targetPort']}" for p in spec["ports"] if p["targetPort"] not in names
            )
        if one["kind"] == "NetworkPolicy":
            names = _open(_selected(objects, spec["podSelector"]["matchLabels"]))
            for rule in spec["ingress"]:
                yield from (
                    f"{_named(one)}: no port {p['port']}" for p in rule.get("ports", []) if p["port"] not in names
                )
        for template in templates(one):
            names = _open([template])
            for container in _containers(template["spec"]):
                for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                    way = container.get(probe, {})
                    asked = way.get("httpGet", way.get("tcpSocket"))
                    if asked and asked["port"] not in names:
                        yield f"{_named(one)}: {probe}: no port {asked['port']}"


def _open(found: Objects) -> set[str | int]:
    ports = [port for template in found for one in _containers(template["spec"]) for port in one.get("ports", [])]
    return {port["name"] for port in ports} | {port["containerPort"] for port in ports}


def _containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def _pod(where: str, pod: dict[str, Any]) -> Iterator[str]:
    security = pod.get("securityContext", {})
    if not security.get("runAsNonRoot") or not security.get("runAsUser"):
        yield f"{where}: may run as root"
    if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield f"{where}: seccomp is not RuntimeDefault"
    if pod.get("automountServiceAccountToken") is not False:
        yield f"{where}: gets a token of Kubernetes' API"
    for key in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
        if pod.get(key):
            yield f"{where}: {key}"
    volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
    yield from (f"{where}: {name}: hostPath" for name, volume in volumes.items() if "hostPath" in volume)
    mounted = set()
    for container in _containers(pod):
        name = f"{where}: {container['name']}"
        yield from _container(name, container)
        mounts = container.get("volumeMounts", [])
        yield from (f"{name}: no volume {mount['name']}" for mount in mounts if mount["name"] not in volumes)
        if len({mount["mountPath"] for mount in mounts}) < len(mounts):
            yield f"{name}: two volumes at one place"
        mounted |= {mount["name"] for mount in mounts}
    yield from (f"{where}: nothing mounts {name}" for name in volumes.keys() - mounted)
    room = sum(_room(one) for one in pod["containers"])
    if (asked := sum(_bytes(v["emptyDir"]["sizeLimit"]) for v in volumes.values() if "emptyDir" in v)) > room:
        yield f"{where}: its emptyDirs may hold {asked} bytes, and it is evicted at {room}"


def _room(container: dict[str, Any]) -> int:
    return _bytes(container.get("resources", {}).get("limits", {}).get("ephemeral-storage", "0Gi"))


def _bytes(quantity: str) -> int:
    return int(quantity[:-2]) * _UNITS[quantity[-2:]]


def _container(where: str, container: dict[str, Any]) -> Iterator[str]:
    image, _, tag = container["image"].partition(":")
    if not tag or tag == "latest":
        yield f"{where}: image {image} has no version"
    yield from _locked(where, container)
    for variable in container.get("env", []):
        if "value" in variable and any(word in variable["name"] for word in ("KEY", "SECRET", "TOKEN", "PASSWORD")):
            yield f"{where}: {variable['name']} has its value here"


def _locked(where: str, container: dict[str, Any]) -> Iterator[str]:
    security = container.get("securityContext", {})
    if security.get("allowPrivilegeEscalation") is not False or security.get("privileged"):
        yield f"{where}: may gain privileges"
    if not security.get("readOnlyRootFilesystem"):
        yield f"{where}: can write its root file system"
    if security.get("capabilities", {}).get("drop") != ["ALL"] or security["capabilities"].get("add"):
        yield f"{where}: has capabilities"
    for bound in ("requests", "limits"):
        if not {"cpu", "memory"} <= container.get("resources", {}).get(bound, {}).keys():
            yield f"{where}: no {bound} of cpu and memory"


def _inference_service(one: dict[str, Any]) -> Iterator[str]:
    predictor = one["spec"]["predictor"]
    if not predictor["securityContext"].get("runAsNonRoot"):
        yield f"{_named(one)}: may run as root"
    yield from _locked(_named(one), predictor["model"])
    if "runtimeVersion" not in predictor["model"]:
        yield f"{_named(one)}: KServe's own version of the server"
