"""Executor of `predict`."""

import itertools
import pathlib
from collections.abc import Iterator

from tfx.types import artifact_utils
from tfx.utils import path_utils

from graft.components.executor import Artifacts, BaseExecutor
from graft.components.parameters import BaseParameters
from graft.components.predict.predictions import predict
from graft.models.examples import DIGEST, INPUT, JUDGED, read_examples, split_files
from graft.models.hashing import hash_folder
from graft.models.inputs import exported_input
from graft.models.settings import InputOptions
from graft.models.signals.collect import Collector
from graft.models.signals.reference import FILE

PROBES = 8
"""Examples of eval whose vectors say whether the network is the one that cached features are of."""


class Parameters(BaseParameters):
    """Parameters of `BulkPredictor`.

    Attributes:
        input: the settings that decide what may enter; what else there is of the input, the model says.
        slices: the columns to keep for slicing.
    """

    input: InputOptions
    slices: tuple[str, ...] = ()


class Executor(BaseExecutor):
    """Writes the predictions as arrays and as tf.Examples, the feature vectors, and the reference of a push."""

    PARAMETERS = Parameters

    def run(self, inputs: Artifacts, outputs: Artifacts, given: Parameters) -> None:
        """Predicts.

        Raises:
            GraftError: the target of a test example is none that the model can answer.
        """
        model_path = path_utils.serving_model_path(inputs.uri("model"))
        examples = inputs.uri("examples")
        output = outputs.artifact("predictions")
        output.split_names = artifact_utils.encode_split_names(["test"])
        takes = exported_input(model_path)
        takes = type(takes)(
            takes.options.model_copy(update={key: getattr(given.input, key) for key in takes.options.ENTERS})
        )
        seen = Collector(takes, takes.learned(_training(examples)) if takes.LEARNS else {})
        found = predict(model_path, split_files(examples, "test"), "predict", given.slices, seen, _probes(examples))
        found.save(output.uri)
        # The test split: eval has chosen thresholds and when training ends, so a model is more certain there.
        made_by = {"split": "test", "model": hash_folder(pathlib.Path(model_path))}
        seen.reference(found.target, found.encoded, found.answers, made_by).save(pathlib.Path(output.uri, FILE))


def _probes(examples: str) -> dict[bytes, bytes]:
    """Digests and contents of the first few examples of eval."""
    rows = read_examples(split_files(examples, "eval"), (DIGEST, INPUT), domain=JUDGED)
    return {row[DIGEST]: row[INPUT] for row in itertools.islice(rows, PROBES)}


def _training(examples: str) -> Iterator[bytes]:
    """Contents of the training split, in the order of their digests."""
    return (row[INPUT] for row in read_examples(split_files(examples, "train"), (INPUT,), domain=JUDGED))
