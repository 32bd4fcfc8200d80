"""Executor of `quality_gate`: figures of candidate and baseline, gates."""

import itertools
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from google.protobuf import wrappers_pb2  # noqa: F401 - which the messages of TFMA 0.52 lack
from tfx.utils import path_utils

from graft.components import gates
from graft.components.baseline import BEST, COMPARED, METRICS, compared_with, find_baseline
from graft.components.executor import Artifacts, BaseExecutor
from graft.components.parameters import BaseParameters
from graft.components.predict import predictions
from graft.components.quality_gate import rules
from graft.models import deferred, gap
from graft.models.errors import GraftError
from graft.models.examples import split_files
from graft.models.inputs import exported_input
from graft.models.stored import reading
from graft.models.targets import exported_target
from graft.models.tfrecord_file import TooLong, read_records
from graft.serving.store import open_store

with deferred.parts_alone("tensorflow_model_analysis"):  # the whole takes four seconds
    from tensorflow_model_analysis.proto import metrics_for_slice_pb2

_LONGEST = 1 << 26
"""Of the messages that TFMA writes, bytes."""


class Parameters(BaseParameters):
    """Parameters of `QualityGate`.

    Attributes:
        gates: the limits, section `gates` of the config.
        model_name: name in the store.
        store: address of the model store, whose served version is the baseline.
        run_key: identity of what goes into the candidate, see `components.baseline`.
        served: the baseline as the caller saw it, so that another one is no cache hit.
        trust: whether the served model, too, may do more than compute.
    """

    gates: dict[str, Any]
    model_name: str
    store: str
    run_key: str
    served: dict[str, Any] | None
    trust: bool


class Executor(BaseExecutor):
    """Writes `figures.json` and `gates.json`, and sets `blessed` on the blessing."""

    PARAMETERS = Parameters

    def run(self, inputs: Artifacts, outputs: Artifacts, given: Parameters) -> None:
        """Judges the candidate; a closed gate leaves blessed = 0.

        Raises:
            GraftError: the served model does more than compute, and the run does not trust it.
        """
        output = outputs.path("quality")
        output.mkdir(parents=True, exist_ok=True)
        model_path = path_utils.serving_model_path(inputs.uri("model"))
        candidate = predictions.load(inputs.uri("predictions"))
        target = candidate.target
        figures: dict[str, Any] = {
            "target": target.description(),
            "candidate": target.figures(candidate.encoded, candidate.answers),
            "domain": candidate.domain,
            "examples_per_second": candidate.examples_per_second,
            "model_size_mb": sum(p.stat().st_size for p in pathlib.Path(model_path).rglob("*") if p.is_file()) / 1e6,
            "slices": {},
            "baseline": None,
            "best": None,
        }
        figures["tfma"], tfma_slices = read_evaluation(inputs.uri("evaluation"))
        for (column, value), row in sorted(tfma_slices.items()):
            inside = np.array(candidate.slices[column]) == value
            found = target.figures(candidate.encoded[inside], candidate.answers[inside])
            figures["slices"].setdefault(column, {})[value] = {
                "examples": int(row["example_count"]),
                **{name: row.get(name, found[name]) for name in target.slice_columns},
            }

        store = open_store(given.store)
        baseline = find_baseline(store, given.model_name, given.run_key)
        files = split_files(inputs.uri("examples"), "test")

        def compared(version: dict[str, Any]) -> dict[str, Any]:
            if not store.is_local:
                version = {**version, "path": str(store.version_path(given.model_name, version["version"]))}
            return _rival(candidate, model_path, version, files, given.trust)

        if baseline:
            figures["baseline"] = compared(baseline)
            best = baseline["best"] or baseline
            figures["best"] = figures["baseline"] if best is baseline else compared(best)
        if inputs.has("comparison"):
            comparison = inputs.path("comparison") / "comparison.json"
            figures["negative_transfer"] = json.loads(comparison.read_text(encoding="utf-8"))

        verdict = rules.judge(target, figures, given.gates)
        (output / "figures.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
        gates.write_gates(str(output), verdict)
        blessing = outputs.artifact("blessing")
        gates.bless(blessing, verdict)
        blessing.set_int_custom_property(BEST, still_best(figures["best"]))
        blessing.set_string_custom_property(COMPARED, compared_with(baseline))
        metrics = {name: figures["candidate"][name] for name in target.metrics}
        blessing.set_string_custom_property(METRICS, json.dumps(metrics))


def _rival(
    candidate: predictions.Predictions, model_path: str, version: dict[str, Any], files: list[str], trusted: bool
) -> dict[str, Any]:
    from graft.models.saved_model_check import require_allowed  # imports TensorFlow

    if not trusted:  # whoever can write to the store would run a program here
        require_allowed(
            pathlib.Path(version["path"]),
            f"the served model {version['path']}",
            "to compare with it, set backbone.trust: true, if you trust who can write to the store",
        )
    inputs = [exported_input(path).kind for path in (version["path"], model_path)]
    kinds = [exported_target(version["path"]).kind, candidate.target.kind]
    for word, (theirs, ours) in (("takes", inputs), ("answers", kinds)):
        if theirs != ours:
            statement = f"{word} {theirs}, this model {word} {ours}: they cannot be compared"
            return {"version": version["version"], "comparable": False, **gap.unmeasured(), "statement": statement}
    rival, answers = predictions.answer(version["path"], files, "quality_gate")
    compared = candidate.target.compare(candidate.encoded, candidate.answers, rival, answers)
    return {"version": version["version"], "comparable": True, **compared}


def still_best(best: dict[str, Any] | None) -> int:
    """The best version so far if it scores higher than the candidate on what both can answer, else 0.

    Args:
        best: figures of `Target.compare` and `version`; None where nothing was served before.
    """
    if best is None or not best["examples"]:
        return 0
    return best["version"] if best["gap"] > 0 else 0


def read_evaluation(uri: str) -> tuple[dict[str, float], dict[tuple[str, str], dict[str, float]]]:
    """TFMA's scalar metrics: the overall ones, and those of each (column, value) slice.

    Its messages are read plainly: `tfma.load_eval_result` imports TensorFlow and Beam.

    Raises:
        GraftError: nothing is there, or it is damaged.
    """
    overall: dict[str, float] = {}
    slices: dict[tuple[str, str], dict[str, float]] = {}
    files = sorted(pathlib.Path(uri).glob("metrics*.tfrecord"))
    if not files:
        raise GraftError(f"{uri}: holds no metrics*.tfrecord; the evaluate stage writes them")
    for found in itertools.chain.from_iterable(_messages(file) for file in files):
        scalars = {
            pair.key.name: pair.value.double_value.value
            for pair in found.metric_keys_and_values
            if pair.value.HasField("double_value")
            and not (pair.key.output_name or pair.key.HasField("sub_key") or pair.key.HasField("aggregation_type"))
        }
        if not found.slice_key.single_slice_keys:
            overall = scalars
        else:
            part = found.slice_key.single_slice_keys[0]
            slices[(part.column, _text(part))] = scalars
    return overall, slices


def _messages(file: pathlib.Path) -> Iterator[metrics_for_slice_pb2.MetricsForSlice]:
    with reading(file, "evaluate"):
        for record in read_records(file, _LONGEST):
            if isinstance(record, TooLong):
                raise GraftError(f"{file}: a record of {record.length} bytes; at most {_LONGEST} are read")
            yield metrics_for_slice_pb2.MetricsForSlice.FromString(record)


def _text(part: metrics_for_slice_pb2.SingleSliceKey) -> str:
    value = getattr(part, part.WhichOneof("kind"))
    return value.decode() if isinstance(value, bytes) else str(value)
