"""What the container of a stage runs: one executor, on what Kubeflow's launcher hands over.

    python -m graft.kubeflow.entrypoint --executor_class_path CLASS --json_serialized_invocation_args JSON
        --json_serialized_inputs_spec_args JSON [Beam options]

The options are those of TFX's own entrypoint, which cannot be used: see `kubeflow.handover`. Only what the executor
needs is imported. How it ends is said by `kubeflow.pod`. With `--defer_closed_gates` a model that a gate did not bless
is no error: the outputs are empty and marked.
"""

import argparse
import contextlib
import datetime
import importlib
import json
import pathlib
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from graft.components import gates
from graft.kubeflow import handover, parameters, pod

ABSENT = ("apache_beam.io.aws.s3filesystem", "apache_beam.io.gcp.gcsfilesystem")
"""What Beam does without where it is not there, and takes half a second to import: a task's files are local."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the executor; returns the exit code."""
    parser = argparse.ArgumentParser(prog="graft.kubeflow.entrypoint", allow_abbrev=False)
    parser.add_argument("--executor_class_path", required=True)
    parser.add_argument("--json_serialized_invocation_args", required=True, type=json.loads)
    parser.add_argument("--json_serialized_inputs_spec_args", default={}, type=json.loads)
    parser.add_argument("--defer_closed_gates", action="store_true")
    given, beam_options = parser.parse_known_args(arguments)

    def work() -> None:
        began, started = datetime.datetime.now(datetime.UTC), time.perf_counter()
        task = handover.mended(given.json_serialized_invocation_args, given.json_serialized_inputs_spec_args)
        try:
            outputs = execute(given.executor_class_path, task, beam_options)
        except gates.GateClosed:
            if not given.defer_closed_gates:
                raise
            for held in (one for found in task["outputs"].values() for one in found):
                handover.keep_empty_folders(pathlib.Path(held["uri"]))
            outputs = {
                name: [(held["uri"], {handover.CLOSED: 1}) for held in found] for name, found in task["outputs"].items()
            }
        times = handover.times(began, time.perf_counter() - started)
        pod.write_output(task["output_file"], handover.told(outputs, times))

    return pod.run(work, _stage(given.executor_class_path))


def execute(
    executor_class_path: str, task: Mapping[str, Any], beam_options: Sequence[str]
) -> dict[str, list[tuple[str, Mapping[str, Any]]]]:
    """Runs an executor of TFX or Graft.

    Args:
        executor_class_path: `package.module.Class`.
        task: what `handover.mended` gave.
        beam_options: for executors that run Beam.

    Returns:
        by name of the output: local path and properties of each artifact.

    Raises:
        GateClosed: an earlier stage has a closed gate.
    """
    for name, found in task["inputs"].items():
        for held in found:
            handover.check_whole(name, held)
    for stage, held in task["verdicts"].items():
        handover.check_whole(stage, held)
        gates.check(stage, gates.read_gates(held["uri"]))
    for name in ABSENT:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # how Python marks what cannot be imported
    with _without_tensorflow():
        from tfx.dsl.components.base import base_executor
        from tfx.types import standard_artifacts  # noqa: F401
    executor_class = imported(executor_class_path)
    inputs, outputs = (
        {name: [_artifact(one) for one in found] for name, found in task[side].items()}
        for side in ("inputs", "outputs")
    )
    root = pathlib.Path(task["output_file"]).parent
    common = {
        "unique_id": root.name,
        "tmp_dir": str(root / ".temp"),
        "pipeline_run_id": task["run"].get(parameters.RUN),
    }
    # Importing it imports Beam: an executor that runs Beam has done so.
    runs_beam = sys.modules.get("tfx.dsl.components.base.base_beam_executor")
    if runs_beam and issubclass(executor_class, runs_beam.BaseBeamExecutor):
        context = runs_beam.BaseBeamExecutor.Context(beam_pipeline_args=list(beam_options), **common)
    else:
        context = base_executor.BaseExecutor.Context(extra_flags=list(beam_options), **common)
    for found in outputs.values():
        for artifact in found:
            pathlib.Path(artifact.uri).mkdir(parents=True, exist_ok=True)
    executor_class(context).Do(inputs, outputs, dict(task["parameters"]))
    for found in outputs.values():
        for artifact in found:
            handover.keep_empty_folders(pathlib.Path(artifact.uri))
    return {
        name: [(artifact.uri, _properties(artifact) | handover.identity(artifact.uri)) for artifact in found]
        for name, found in outputs.items()
    }


@contextlib.contextmanager
def _without_tensorflow() -> Iterator[None]:
    """Hides TensorFlow, which takes seconds to import: TFX wants it for remote files, and a task's files are local.

    TFX does without where there is none. Executors that compute with it import it all the same.
    """
    if "tensorflow" in sys.modules:
        yield
        return
    sys.modules["tensorflow"] = None  # type: ignore[assignment]  # how Python marks what cannot be imported
    try:
        yield
    finally:
        del sys.modules["tensorflow"]


def imported(path: str) -> Any:
    """The class at `package.module.Class`."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _artifact(held: Mapping[str, Any]) -> Any:
    """An artifact of TFX from its type, path and metadata."""
    from tfx.types import standard_artifacts

    name = handover.title(held["type"])
    package, _, short = name.rpartition(".")
    artifact = getattr(standard_artifacts, short)() if package == "tfx" else imported(name)()
    artifact.uri = held["uri"]
    for key, value in held["metadata"].items():
        kind = type(artifact).PROPERTIES.get(key) if type(artifact).PROPERTIES else None
        if kind is not None:
            # Numbers of JSON come as fractions.
            setattr(artifact, key, int(value) if kind.type.name == "INT" else value)
        elif isinstance(value, str):
            artifact.set_string_custom_property(key, value)
        elif isinstance(value, (int, float)) and float(value).is_integer():
            artifact.set_int_custom_property(key, int(value))
        elif isinstance(value, float):
            artifact.set_float_custom_property(key, value)
        else:
            artifact.set_json_value_custom_property(key, value)
    return artifact


def _properties(artifact: Any) -> dict[str, Any]:
    """Properties and custom properties as JSON types."""
    held = artifact.mlmd_artifact
    found: dict[str, Any] = {}
    for values in (held.properties, held.custom_properties):
        for key, value in values.items():
            kind = value.WhichOneof("value")
            if kind in ("int_value", "double_value", "string_value"):
                found[key] = getattr(value, kind)
            elif kind == "struct_value":
                from google.protobuf import json_format

                found[key] = json_format.MessageToDict(value.struct_value)
    return found


def _stage(executor_class_path: str) -> str:
    """The stage of one of Graft's own executors, `graft.components.STAGE.executor.Executor`; else the class."""
    parts = executor_class_path.split(".")
    return parts[2] if parts[:2] == ["graft", "components"] else parts[-3] if len(parts) > 2 else executor_class_path


if __name__ == "__main__":
    sys.exit(main())
