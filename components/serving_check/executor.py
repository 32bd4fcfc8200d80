"""Executor of `serving_check`."""

import itertools
import json
import pathlib
import statistics
import time

import numpy as np
from tfx.utils import path_utils

from graft.components import gates
from graft.components.executor import Artifacts, BaseExecutor
from graft.components.parameters import BaseParameters
from graft.components.predict import predictions
from graft.models import progress
from graft.models.examples import INPUT, JUDGED, read_examples, split_files
from graft.models.gates import at_most
from graft.models.inputs import exported_input
from graft.models.targets import exported_target
from graft.serving.candidate import candidate_server
from graft.serving.client import Client


class Parameters(BaseParameters):
    """Parameters of `ServingCheck`.

    Attributes:
        model_name: name it is served under.
        requests: how many examples of the test split are sent.
        tolerance: largest difference of a probability from the in-process one.
        latency_ms: ceiling on the median time of a request, milliseconds; None for none.
        trust: whether the model may do more than compute, as its backbone may.
    """

    model_name: str
    requests: int
    tolerance: float
    latency_ms: float | None
    trust: bool


class Executor(BaseExecutor):
    """Starts the server (a real `tensorflow_model_server` when on the PATH), asks it, compares, times."""

    PARAMETERS = Parameters

    def run(self, inputs: Artifacts, outputs: Artifacts, given: Parameters) -> None:
        """Checks the candidate; a closed gate leaves blessed = 0.

        Raises:
            GateClosed: the quality gate did not bless the model.
        """
        gates.require_open("quality_gate", inputs.artifact("model_blessing"))
        model_path = path_utils.serving_model_path(inputs.uri("model"))
        files = split_files(inputs.uri("examples"), "test")
        rows = itertools.islice(read_examples(files, (INPUT,), JUDGED), given.requests)
        contents = [row[INPUT] for row in rows]
        input, target = exported_input(model_path), exported_target(model_path)
        kept = predictions.load(inputs.uri("predictions"))
        expected = kept.answers[: len(contents)]

        with (
            candidate_server(given.model_name, model_path, given.trust) as server,
            Client(server.grpc_address, given.model_name, deadline_s=60) as client,
        ):
            answers, seconds = [], []
            for done, content in enumerate(contents, 1):
                start = time.perf_counter()
                answer = client.predict({input.signature_name: np.array([content], object)})
                seconds.append(time.perf_counter() - start)
                answers.append(answer[target.answer_name][0])
                progress.report("serving_check", done, len(contents), "requests")
            # In as many requests as the server's limit on messages asks for.
            batch = client.predict_arrays(contents)[target.answer_name]
            kind = server.kind
        # NumPy's max, unlike Python's, never loses a NaN.
        difference = float(np.max([target.distance(np.array(found), expected) for found in (answers, batch)]))

        asked = f"{len(contents)} test {input.unit} over gRPC ({kind})"
        detail = f"largest difference of {target.answer_name}, {asked} against in process"
        verdict = [at_most("serving_parity", difference, given.tolerance, detail)]
        median_ms = statistics.median(seconds) * 1e3
        if given.latency_ms is not None:
            verdict.append(at_most("latency_ms", median_ms, given.latency_ms, f"median of {len(seconds)} requests"))
        blessing = outputs.artifact("blessing")
        gates.bless(blessing, verdict)
        latency = {"median": median_ms, "min": min(seconds) * 1e3, "max": max(seconds) * 1e3}
        result = {"server": kind, "requests": len(contents), "latency_ms": latency, "difference": difference}
        (pathlib.Path(blessing.uri) / "serving.json").write_text(json.dumps(result), encoding="utf-8")
