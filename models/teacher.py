"""A model that was exported before and now teaches another: loaded, compared with who learns, and asked."""

import pathlib
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from graft.models import inputs, progress, targets
from graft.models.errors import GraftError, one_line
from graft.models.hashing import backbone_hash
from graft.models.inputs.base import Input
from graft.models.targets.base import Target

if TYPE_CHECKING:
    import tensorflow as tf

    from graft.models.task import Split, Task

KEY = "transfer.teacher"
OUTPUTS, FEATURES = "teacher_outputs", "teacher_features"
"""Columns of what a teacher says of examples that reach it unchanged."""


class Teacher:
    """An exported model (see `models.export`) that only looks.

    Args:
        folder: of the SavedModel.
        input: what the student is fed with.
        target: what the student learns.
        sha256: hash that the folder must have; None: any.
        trust: whether the model may do more than compute.

    Attributes:
        identity: sha256 of its files.
        width: of its feature vector.
        target: what it answers.

    Raises:
        GraftError: it is no model that can teach this student, has another hash, or does more than compute.
    """

    def __init__(self, folder: str, input: Input, target: Target, sha256: str | None = None, trust: bool = False):
        import tensorflow as tf

        from graft.models.saved_model_check import require_allowed

        path = pathlib.Path(folder)
        require_pupil(path, input, target.kind, target.names)
        self.identity = identity(path)
        if sha256 is not None and sha256 != self.identity:
            raise GraftError(f"{KEY}: {path} has sha256 {self.identity}; transfer.teacher_sha256 is {sha256}")
        if not trust:
            require_allowed(path, f"{KEY}: {path}", "set transfer.teacher_trust: true only if you trust who made it")
        try:
            self._model = tf.saved_model.load(str(path))  # owns the variables
        except Exception as error:  # TensorFlow's loader raises whatever comes of a damaged file
            raise GraftError(f"{KEY}: {path} cannot be read as a SavedModel: {one_line(error)}") from error
        if not hasattr(self._model, "network"):
            raise GraftError(
                f"{KEY}: {path} was exported by an older Graft; its network cannot be shown examples that were changed "
                "at random. Train it again"
            )
        self.target = targets.exported_target(path)
        self._takes, self._given = inputs.exported_input(path), input
        [trace] = self._model.network.concrete_functions
        self.width = int(trace.structured_outputs[0].shape[1])

    def __call__(self, prepared: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
        """Its features float32 [n, width] and outputs float32 [n, units] for a batch as the student takes it."""
        return self._model.network(self._takes.converted(prepared, self._given))

    def known(self, task: "Task", split: "Split") -> dict[str, np.ndarray]:
        """What it says of each example of a split, unchanged, as columns for `Split.more`: one pass."""
        import tensorflow as tf

        data = task.inputs(split)
        answer = tf.function(self, input_signature=[data.spec["inputs"]], autograph=False)
        features, outputs, done = [], [], 0
        for batch in data.ordered():
            found = answer(batch["inputs"])
            features.append(found[0].numpy())
            outputs.append(found[1].numpy())
            done += len(outputs[-1])
            progress.report(task.stage, done, data.count, self._given.unit)
        return {FEATURES: np.concatenate(features), OUTPUTS: np.concatenate(outputs)}


def identity(folder: pathlib.Path) -> str:
    """sha256 in hex of a model's files."""
    return backbone_hash(folder)


def require_pupil(folder: pathlib.Path, input: Input, kind: str, names: Collection[str], ordered: bool = True) -> None:
    """Refuses a model that cannot teach a student; reads its description only.

    Args:
        folder: of the exported model.
        input: what the student is fed with.
        kind: of the student's target.
        names: of the student's target; empty where they are not known yet.
        ordered: whether their order is known too.

    Raises:
        GraftError: it is no exported model, or takes or answers something else than the student.
    """
    if not (folder / "saved_model.pb").is_file():
        raise GraftError(f"{KEY}: {folder} is no SavedModel; allowed: the folder of a model that Graft exported")
    theirs, takes = targets.exported_target(folder), inputs.exported_input(folder)
    if takes.kind != input.kind:
        raise GraftError(f"{KEY}: {folder} takes {takes.unit}, the student {input.unit}; they must take the same")
    if theirs.kind != kind:
        raise GraftError(f"{KEY}: {folder} answers target.kind {theirs.kind!r}, the student learns {kind!r}")
    same = list(theirs.names) == list(names) if ordered else set(theirs.names) == set(names)
    if names and not same:
        raise GraftError(
            f"{KEY}: {folder} knows {', '.join(theirs.names)}; the student learns {', '.join(names)}. Both must have "
            "the same names in the same order"
        )
