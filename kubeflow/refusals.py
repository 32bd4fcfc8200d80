"""Configurations that run here but could not on Kubeflow, refused when they are compiled."""

import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from graft.kubeflow import handover
from graft.kubeflow.options import KubeflowOptions, PodOptions
from graft.models import handles
from graft.models.errors import GraftError
from graft.models.transfer import in_steps
from graft.pipeline import stages
from graft.pipeline.config import Config
from graft.pipeline.stages.base import Stage

_SECRET = re.compile(r"(?i)secret|token|password|passwd|credential|api_?key|access_key")
_LOGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/@\s]*:[^/@\s]*@")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def check(config: Config, options: KubeflowOptions) -> None:
    """Refuses what no pod could do.

    Raises:
        GraftError: names the key, what came and what is allowed.
    """
    if not re.match(rf"({'|'.join(handover.STORES)})://[^/]", options.pipeline_root):
        raise GraftError(
            f"kubeflow.pipeline_root: received {options.pipeline_root}; allowed: an address of a store that the "
            f"launcher knows, {', '.join(f'{scheme}://BUCKET/...' for scheme in handover.STORES)}"
        )
    _check_secrets(config, options)
    _check_stages(config, options)
    _check_labels(options)
    _check_paths(config, options)


def _check_secrets(config: Config, options: KubeflowOptions) -> None:
    for name in options.env:
        if _SECRET.search(name):
            raise GraftError(
                f"kubeflow.env.{name}: looks like a secret, which would stand in the compiled file; allowed: "
                "kubeflow.secrets, which names a Secret of the cluster"
            )
    for key, value in _texts("", config.model_dump(mode="json", by_alias=True)):
        if _LOGIN.match(value):
            raise GraftError(
                f"{key}: holds a login, which would stand in the compiled file; allowed: an address without one, and "
                "kubeflow.secrets"
            )


def _check_stages(config: Config, options: KubeflowOptions) -> None:
    found = {stage.name: stage for stage in stages.enabled(config)}
    for name in options.stages:
        if name not in found:
            raise GraftError(f"kubeflow.stages.{name}: no stage of this pipeline; allowed: {', '.join(found)}")
    able = ", ".join(name for name, stage in found.items() if stage.accelerated)
    if options.pods.gpus:
        raise GraftError(f"kubeflow.pods.gpus: not every stage can use one; allowed: kubeflow.stages.STAGE of {able}")
    if options.pods.workers > 1:
        raise GraftError(f"kubeflow.pods.workers: received {options.pods.workers}; allowed: kubeflow.stages.train")
    for name, pod in options.stages.items():
        if pod.gpus and not found[name].accelerated:
            raise GraftError(
                f"kubeflow.stages.{name}.gpus: received {pod.gpus}; the stage computes nothing on GPUs; those that do: "
                f"{able}"
            )
        if pod.workers > 1:
            _check_workers(config, name, pod, found)
        if pod.cache and "cache" in pod.model_fields_set and found[name].looks_up:
            raise GraftError(
                f"kubeflow.stages.{name}.cache: received true; the stage looks into the model store, which Kubeflow's "
                "cache does not know; allowed: false"
            )


def _check_workers(config: Config, name: str, pod: PodOptions, found: Mapping[str, Stage]) -> None:
    key = f"kubeflow.stages.{name}.workers: received {pod.workers}"
    if not found[name].distributed:
        able = ", ".join(one for one, stage in found.items() if stage.distributed)
        raise GraftError(f"{key}; the work of this stage cannot be shared; that of these can: {able}")
    if not in_steps(config.transfer, config.head):
        raise GraftError(
            f"{key}; method {config.transfer.method!r} as it is set here has no batches that workers could share; "
            "allowed: 1, head.solver adam in place of a head that is solved, or another method (docs/kubeflow.md)"
        )
    devices = pod.workers * max(1, pod.gpus)
    if config.train.batch_size < devices:
        raise GraftError(
            f"{key} for {devices} devices; a step has {config.train.batch_size} examples over all of them; allowed: a "
            "larger train.batch_size, or fewer devices"
        )


def _check_labels(options: KubeflowOptions) -> None:
    selectors = {f"kubeflow.stages.{name}.node_selector": pod.node_selector for name, pod in options.stages.items()}
    selectors |= {"kubeflow.labels": options.labels, "kubeflow.pods.node_selector": options.pods.node_selector}
    for key, labels in selectors.items():
        for name, value in labels.items():
            if not _LABEL_KEY.fullmatch(name) or not _LABEL_VALUE.fullmatch(value):
                raise GraftError(
                    f"{key}: received {name}: {value!r}; allowed: labels of Kubernetes, at most 63 letters, digits, "
                    "'-', '_' and '.', which begin and end with a letter or digit"
                )


def _check_paths(config: Config, options: KubeflowOptions) -> None:
    """A pod sees its volumes and its image; a path elsewhere would be empty, and what is written there be lost."""
    shared = [volume.mount for volume in options.volumes]
    for key, path in _paths(config):
        written = key in ("root", "store")
        roots = shared if written else [*shared, *options.in_image]
        if not any(pathlib.PurePath(path).is_relative_to(root) for root in roots):
            where = f"below {' or '.join(roots)}" if roots else "below the folder of a volume"
            raise GraftError(
                f"{key}: received {path}, which no pod sees; allowed: a path {where} (kubeflow.volumes"
                + ("" if written else ", kubeflow.in_image")
                + ")"
            )


def _paths(config: Config) -> Iterator[tuple[str, str]]:
    """Keys that name a file or a folder, and what they name."""
    yield "data.path", config.data.path
    if (base := getattr(config.data, "base", None)) is not None:
        yield "data.base.path", base.path
    for place, target in enumerate(config.data.target):
        yield f"data.target.{place}.path", target.path
    if config.data.schema_file is not None:
        yield "data.schema", config.data.schema_file
    yield "root", config.root
    if "://" not in config.store:
        yield "store", config.store
    handle = config.backbone.handle
    if "://" not in handle and "/" in handle and not handles.is_of_a_kind(handle):
        yield "backbone.handle", handle
    teacher = getattr(config.transfer, "teacher", None)
    if teacher and "://" not in teacher:
        yield "transfer.teacher", teacher


def _texts(key: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, held in value.items():
            yield from _texts(f"{key}.{name}" if key else str(name), held)
    elif isinstance(value, list):
        for place, held in enumerate(value):
            yield from _texts(f"{key}.{place}", held)
