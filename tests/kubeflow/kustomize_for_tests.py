"""What `kustomize build` does with the files of kubeflow/manifests, as far as they use it.

Resources, namespace, labels, images, generators without the hash in the name, JSON patches, replacements. Whatever else
stands in a kustomization.yaml is refused. Where kubectl is on the PATH a test holds the two against each other.
"""

import base64
import copy
import pathlib
import re
from typing import Any

import yaml

Objects = list[dict[str, Any]]

FIELDS: dict[str, type] = {
    "apiVersion": str,
    "kind": str,
    "namespace": str,
    "resources": list,
    "labels": list,
    "images": list,
    "configMapGenerator": list,
    "secretGenerator": list,
    "patches": list,
    "replacements": list,
}
"""Fields of a Kustomization that are known here, with their types.

Source: kubernetes-sigs/kustomize, api/types/kustomization.go.
"""

_PARTS: dict[str, dict[str, type]] = {
    "labels": {"pairs": dict, "includeTemplates": bool},
    "images": {"name": str, "newName": str, "newTag": str},
    "configMapGenerator": {"name": str, "files": list, "literals": list},
    "secretGenerator": {"name": str, "envs": list, "options": dict},
    "patches": {"target": dict, "patch": str},
    "replacements": {"source": dict, "targets": list},
}
_OPTIONS = {"disableNameSuffixHash": bool, "annotations": dict}


def check(kustomization: dict[str, Any]) -> None:
    """Refuses what kustomize would not read, and what is not known here.

    Raises:
        ValueError: names the field.
    """
    _held_to("kustomization", kustomization, FIELDS)
    if (kustomization.get("apiVersion"), kustomization.get("kind")) != (
        "kustomize.config.k8s.io/v1beta1",
        "Kustomization",
    ):
        raise ValueError("apiVersion or kind is not that of a Kustomization")
    for field, known in _PARTS.items():
        for part in kustomization.get(field, []):
            _held_to(field, part, known)
    for part in kustomization.get("secretGenerator", []):
        _held_to("options", part.get("options", {}), _OPTIONS)


def _held_to(where: str, given: dict[str, Any], known: dict[str, type]) -> None:
    for key, value in given.items():
        if key not in known:
            raise ValueError(f"{where}: unknown field {key}")
        if not isinstance(value, known[key]):
            raise ValueError(f"{where}.{key}: {value!r} is no {known[key].__name__}")


def build(folder: pathlib.Path) -> Objects:
    """The objects of a kustomization.

    Raises:
        ValueError: a field is unknown, a patch or a replacement meets nothing.
        OSError: a file that is named is not there.
    """
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    check(kustomization)
    objects: Objects = []
    for name in kustomization.get("resources", []):
        path = folder / name
        if path.is_dir():
            objects += build(path)
        else:
            objects += [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]
    objects += _generated(folder, kustomization)
    for patch in kustomization.get("patches", []):
        met = [one for one in objects if _is(one, patch["target"])]
        if not met:
            raise ValueError(f"{folder.name}: a patch meets nothing: {patch['target']}")
        for one in met:
            for operation in yaml.safe_load(patch["patch"]):
                _apply(one, operation)
    for one in objects:
        _customise(one, kustomization)
    for replacement in kustomization.get("replacements", []):
        _replace(objects, replacement)
    return objects


def _is(one: dict[str, Any], target: dict[str, Any]) -> bool:
    return bool(one["kind"] == target["kind"] and one["metadata"]["name"] == target["name"])


def _generated(folder: pathlib.Path, kustomization: dict[str, Any]) -> Objects:
    made: Objects = []
    for part in kustomization.get("configMapGenerator", []):
        data = {name: (folder / name).read_text(encoding="utf-8") for name in part.get("files", [])}
        data |= dict(literal.split("=", 1) for literal in part.get("literals", []))
        made.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": part["name"]}, "data": data})
    for part in kustomization.get("secretGenerator", []):
        lines = [line for name in part["envs"] for line in (folder / name).read_text(encoding="utf-8").splitlines()]
        pairs = [line.split("=", 1) for line in lines if line and not line.startswith("#")]
        data = {key: base64.b64encode(value.encode()).decode() for key, value in pairs}
        metadata = {"name": part["name"]}
        if annotations := part.get("options", {}).get("annotations"):
            metadata["annotations"] = annotations
        made.append({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data})
    return made


def _apply(one: dict[str, Any], operation: dict[str, Any]) -> None:
    """A JSON patch (RFC 6902): add, replace or test."""
    *way, last = [step.replace("~1", "/").replace("~0", "~") for step in operation["path"].split("/")[1:]]
    place: Any = one
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place[step]
    key: Any = last if isinstance(place, dict) else len(place) if last == "-" else int(last)
    value = copy.deepcopy(operation["value"])
    match operation["op"]:
        case "add" if isinstance(place, list):
            place.insert(key, value)
        case "add":
            place[key] = value
        case "replace":
            if isinstance(place, dict) and key not in place:
                raise ValueError(f"{operation['path']}: nothing there")
            place[key] = value
        case "test":
            if place[key] != value:
                raise ValueError(f"{operation['path']} is {place[key]!r}, not {value!r}")
        case other:
            raise ValueError(f"unknown operation {other}")


def _customise(one: dict[str, Any], kustomization: dict[str, Any]) -> None:
    metadata = one["metadata"]
    if "namespace" in kustomization:
        metadata["namespace"] = kustomization["namespace"]
        for subject in one.get("subjects", []):
            subject["namespace"] = kustomization["namespace"]
    for label in kustomization.get("labels", []):
        places = [metadata]
        if label.get("includeTemplates"):
            places += [template["metadata"] for template in templates(one)]
            if one["kind"] == "CronJob":
                places.append(one["spec"]["jobTemplate"].setdefault("metadata", {}))
        for place in places:
            place["labels"] = place.get("labels", {}) | label["pairs"]
    for pod in (template["spec"] for template in templates(one)):
        for container in pod.get("initContainers", []) + pod["containers"]:
            for image in kustomization.get("images", []):
                if container["image"].partition(":")[0] == image["name"]:
                    container["image"] = f"{image['newName']}:{image['newTag']}"


def templates(one: dict[str, Any]) -> list[dict[str, Any]]:
    """The pod templates of an object; a pod is its own."""
    if one["kind"] == "Pod":
        return [one]
    spec = one.get("spec", {})
    if one["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return [spec["template"]] if one["kind"] in ("CronJob", "Job", "Deployment") else []


def _replace(objects: Objects, replacement: dict[str, Any]) -> None:
    source = replacement["source"]
    [origin] = [one for one in objects if _is(one, source)]
    place, key = _find(origin, source["fieldPath"])
    for target in replacement["targets"]:
        [met] = [one for one in objects if _is(one, target["select"])]
        for path in target["fieldPaths"]:
            there, at = _find(met, path)
            there[at] = place[key]


def _find(one: dict[str, Any], path: str) -> tuple[Any, str]:
    *way, last = re.findall(r"\[[^\]]*\]|[^.\[\]]+", path)
    place: Any = one
    for step in way:
        if step.startswith("["):
            name, value = step[1:-1].split("=")
            [place] = [item for item in place if item[name] == value]
        else:
            place = place[step]
    if last not in place:
        raise ValueError(f"{path}: nothing there")
    return place, last
