"""The pipeline as pipeline spec 2.1 for open-source Kubeflow Pipelines.

TFX's KubeflowV2DagRunner writes the spec; what open-source Kubeflow needs beyond it is added here, and what it would
refuse is refused here. `kubeflow.stand_in` runs what comes out.
"""

import pathlib
import re
import tempfile
from typing import Any

import yaml
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

from graft.components.beam import LOCAL_BEAM_ARGS
from graft.kubeflow import last_tasks, parameters, platform, refusals, tasks
from graft.kubeflow.check import check_spec
from graft.kubeflow.options import KubeflowOptions, PodOptions
from graft.models.durable import write_atomic
from graft.models.errors import GraftError
from graft.pipeline import sections, settling, stages
from graft.pipeline.config import Config
from graft.pipeline.graph import build_pipeline
from graft.pipeline.stages.base import Keys

ENTRYPOINT = ("python", "-m", "graft.kubeflow.entrypoint")
"""In place of TFX's own, see `kubeflow.handover`."""

Json = dict[str, Any]


def compile_pipeline(
    config: Config, output: pathlib.Path, image: str | None = None, pipeline_root: str | None = None
) -> None:
    """Writes the spec of the graph that `graft run` runs, and the platform document after it.

    What `graft run` looks up on this machine (fingerprint of the data, version of the code) is a parameter of the run;
    the served baseline is looked up in every run.

    Args:
        config: the pipeline; its paths are those inside the cluster.
        output: file to write, `.yaml`.
        image: container image that holds Graft, in place of the configuration's.
        pipeline_root: root of the artifacts, in place of the configuration's.

    Raises:
        GraftError: the file name does not end in .yaml, the configuration cannot run there, or Kubeflow would refuse
            the spec.
    """
    if output.suffix != ".yaml":
        raise GraftError(f"{output}: the name must end in .yaml; Kubeflow reads spec 2.1 from YAML only")
    given = {name: value for name, value in (("image", image), ("pipeline_root", pipeline_root)) if value is not None}
    config = settling.settle_known(config, "a compilation")
    options = sections.section(config, "kubeflow", KubeflowOptions).model_copy(update=given)
    refusals.check(config, options)
    spec = _written_by_tfx(config, options)
    spec["defaultPipelineRoot"] = options.pipeline_root
    name_for_argo(spec)
    names = {stage.name: _hyphens(stage.name) for stage in stages.enabled(config)}
    found = list(stages.enabled(config))
    for place, stage in enumerate(found):
        tasks.dress(spec, stage, names, found[:place], options)
    pods = {f"{stage}_executor": options.task(stage) for stage in names}
    launching = {f"{stage}_executor" for stage in names if options.pod(stage).workers > 1}
    if options.report:
        last_tasks.add_report(spec, config, options, names)
    if options.notify is not None:
        last_tasks.add_notify(spec, options)
    # The small tasks at the end need the secrets and volumes, and no node of their own.
    executors = spec["deploymentSpec"]["executors"]
    documents = [
        spec,
        platform.platform_spec({label: pods.get(label, PodOptions()) for label in executors}, options, launching),
    ]
    check_spec(spec, documents[1] or None)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(output, yaml.safe_dump_all([document for document in documents if document], sort_keys=True).encode())


def _written_by_tfx(config: Config, options: KubeflowOptions) -> Json:
    taught = getattr(config.transfer, "teacher", None)
    transfer = {**config.transfer.model_dump(), "teacher_sha256": parameters.mark(parameters.TEACHER)} if taught else {}
    keys = Keys(
        fingerprint=parameters.mark(parameters.DATA),
        code=parameters.mark("code"),
        backbone=parameters.mark("backbone"),
        transfer=transfer,
        schema_file=config.data.schema_file,
        run_key=parameters.mark("run_key"),
        served=None,
        store_id="",
        pointer="",
        checkpoint_dir=f"{config.root}/{config.name}/checkpoints",
    )
    pipeline = build_pipeline(config, keys, options.pipeline_root, None, LOCAL_BEAM_ARGS)
    pipeline.enable_cache = False
    # TFX takes small letters, digits and '-' here; the model keeps its name.
    pipeline.pipeline_info.pipeline_name = re.sub(r"[^a-z0-9-]", "-", config.name.lower())
    with tempfile.TemporaryDirectory() as folder:
        runner = kubeflow_v2_dag_runner.KubeflowV2DagRunner(
            config=kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
                default_image=options.image, use_pipeline_spec_2_1=True
            ),
            output_dir=folder,
            output_filename="pipeline.yaml",
        )
        runner.run(pipeline, write_out=True)
        spec: Json = yaml.safe_load(pathlib.Path(folder, "pipeline.yaml").read_text(encoding="utf-8"))
    for executor in spec["deploymentSpec"]["executors"].values():
        executor["container"]["command"] = list(ENTRYPOINT)
    return spec


def name_for_argo(spec: Json) -> None:
    """Renames tasks and components in place: stage names hold `_`, names of Argo tasks and templates may not."""
    dag = spec["root"]["dag"]
    dag["tasks"] = {_hyphens(name): task for name, task in dag["tasks"].items()}
    spec["components"] = {_hyphens(name): component for name, component in spec["components"].items()}
    for name, task in dag["tasks"].items():
        task["taskInfo"]["name"] = name
        task["componentRef"]["name"] = _hyphens(task["componentRef"]["name"])
        if "dependentTasks" in task:
            task["dependentTasks"] = [_hyphens(upstream) for upstream in task["dependentTasks"]]
        for artifact in task.get("inputs", {}).get("artifacts", {}).values():
            artifact["taskOutputArtifact"]["producerTask"] = _hyphens(artifact["taskOutputArtifact"]["producerTask"])


def _hyphens(name: str) -> str:
    return name.replace("_", "-")
