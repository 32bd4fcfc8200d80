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

from graft.kubeflow import handover
from graft.kubeflow.check import check_spec
from graft.kubeflow.options import DEFAULT_ROOT
from graft.models.durable import write_atomic
from graft.models.errors import GraftError
from graft.pipeline.config import Config
from graft.pipeline.graph import build_pipeline
from graft.pipeline.stages.base import Keys

ENTRYPOINT = ("python", "-m", "graft.kubeflow.entrypoint")
"""In place of TFX's own, see `kubeflow.handover`."""

_BEAM_ARGS = ("--runner=FnApiRunner", "--direct_running_mode=in_memory")


def compile_pipeline(config: Config, output: pathlib.Path, image: str, pipeline_root: str = DEFAULT_ROOT) -> None:
    """Writes the spec of the graph that `graft run` runs.

    What `graft run` looks up on this machine (fingerprint of the data, served baseline) is not known at compile time:
    the components get empty values and look at their inputs anew in every run, with Kubeflow's cache off.

    Args:
        config: the pipeline; its paths are those inside the cluster.
        output: file to write, `.yaml`.
        image: container image that holds Graft.
        pipeline_root: default root of the artifacts, an address in an object store that Kubeflow's launcher knows.

    Raises:
        GraftError: the file name does not end in .yaml, the root is no such address, or Kubeflow would refuse the spec.
    """
    if output.suffix != ".yaml":
        raise GraftError(f"{output}: the name must end in .yaml; Kubeflow reads spec 2.1 from YAML only")
    if not re.match(rf"({'|'.join(handover.STORES)})://[^/]", pipeline_root):
        raise GraftError(
            f"kubeflow.pipeline_root: received {pipeline_root}; allowed: an address of a store that the launcher "
            f"knows, {', '.join(f'{scheme}://BUCKET/...' for scheme in handover.STORES)}"
        )
    keys = Keys(
        fingerprint="",
        code="",
        backbone="",
        schema_file=config.data.schema_file,
        run_key="",
        served=None,
        store_id="",
        pointer="",
        checkpoint_dir=f"{config.root}/{config.name}/checkpoints",
    )
    pipeline = build_pipeline(config, keys, pipeline_root, None, _BEAM_ARGS)
    pipeline.enable_cache = False
    # TFX takes small letters, digits and '-' here; the model keeps its name.
    pipeline.pipeline_info.pipeline_name = re.sub(r"[^a-z0-9-]", "-", config.name.lower())
    with tempfile.TemporaryDirectory() as folder:
        runner = kubeflow_v2_dag_runner.KubeflowV2DagRunner(
            config=kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(default_image=image, use_pipeline_spec_2_1=True),
            output_dir=folder,
            output_filename="pipeline.yaml",
        )
        runner.run(pipeline, write_out=True)
        spec = yaml.safe_load(pathlib.Path(folder, "pipeline.yaml").read_text(encoding="utf-8"))
    spec["defaultPipelineRoot"] = pipeline_root
    for executor in spec["deploymentSpec"]["executors"].values():
        executor["container"]["command"] = list(ENTRYPOINT)
    name_for_argo(spec)
    check_spec(spec)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(output, yaml.safe_dump(spec, sort_keys=True).encode())


def name_for_argo(spec: dict[str, Any]) -> None:
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
