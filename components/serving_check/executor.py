"""Executor of `serving_check`."""

import itertools
import json
import pathlib
import statistics
import time
from typing import Any

import numpy as np
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from graft.components import gates
from graft.components.predict import predictions
from graft.models import progress
from graft.models.examples import INPUT, read_examples, split_files
from graft.models.gates import at_most
from graft.serving.candidate import candidate_server
from graft.serving.client import Client


class Executor(base_executor.BaseExecutor):
    """Starts the server (a real `tensorflow_model_server` when on the PATH), asks it, compares, times."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Checks the candidate; a closed gate leaves blessed = 0.

        Raises:
            GateClosed: the quality gate did not bless the model.
        """
        gates.require_open("quality_gate", artifact_utils.get_single_instance(input_dict["model_blessing"]))
        options = json.loads(exec_properties["options"])
        model_path = path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["model"]))
        files = split_files(artifact_utils.get_single_uri(input_dict["examples"]), "test")
        rows = itertools.islice(read_examples(files, (INPUT,)), options["examples"])
        images = [row[INPUT] for row in rows]
        kept = predictions.load(artifact_utils.get_single_uri(input_dict["predictions"]))
        expected = kept.answers[: len(images)]

        name = exec_properties["model_name"]
        trusted = bool(exec_properties["trust"])
        with (
            candidate_server(name, model_path, trusted) as server,
            Client(server.grpc_address, name, deadline_s=60) as client,
        ):
            answers, seconds = [], []
            for done, image in enumerate(images, 1):
                start = time.perf_counter()
                answers.append(client.predict({"image_bytes": np.array([image], object)})["probabilities"][0])
                seconds.append(time.perf_counter() - start)
                progress.report("serving_check", done, len(images), "requests")
            # In as many requests as the server's limit on messages asks for.
            batch = [[*prediction.probabilities.values()] for prediction in client.predict_images(images)]
            kind = server.kind
        # NumPy's max, unlike Python's, never loses a NaN.
        difference = float(np.max(np.abs(np.array([answers, batch]) - expected)))

        detail = f"largest difference of a probability, {len(images)} test images over gRPC ({kind}) against in process"
        verdict = [at_most("serving_parity", difference, options["tolerance"], detail)]
        median_ms = statistics.median(seconds) * 1e3
        if options["latency_ms"] is not None:
            verdict.append(
                at_most("latency_ms", median_ms, options["latency_ms"], f"median of {len(seconds)} requests")
            )
        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        gates.bless(blessing, verdict)
        latency = {"median": median_ms, "min": min(seconds) * 1e3, "max": max(seconds) * 1e3}
        result = {"server": kind, "requests": len(images), "latency_ms": latency, "difference": difference}
        (pathlib.Path(blessing.uri) / "serving.json").write_text(json.dumps(result), encoding="utf-8")
