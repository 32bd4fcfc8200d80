"""Distillation: a student learns what a teacher makes of the examples, beside their labels.

    minimise  (1 - weight) * CE(y, s) + weight * T^2 * KL(softmax(t / T) to softmax(s / T))
              + features * |P f_s - f_t|^2 / d_t + distances * RKD_D(f_s, f_t) + angles * RKD_A(f_s, f_t)

s and t are the outputs of student and teacher, f_s and f_t their feature vectors, T the temperature. The soft gradients
shrink as 1 / T^2; the factor T^2 keeps their size, so the weight means the same at any T. Several labels are softened
each by itself, with a sigmoid in place of softmax. For numbers the second part is the squared distance from the
teacher's answer in standard deviations; there is nothing to soften. P is the identity where the feature vectors are as
wide as each other, else a linear map that is trained beside the student and not kept. RKD_D and RKD_A compare the
distances of pairs and the angles of triples in a batch (`models.relations`).

Reference settings: T 2 to 5 and a weight of .5 to .9 (Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural
Network", NIPS 2014 workshop, arXiv 1503.02531); distances 25, angles 50 (Park, Kim, Lu and Cho, "Relational Knowledge
Distillation", CVPR 2019, from memory of the paper). Features: Romero et al., "FitNets", ICLR 2015. With few labels a
high T helps; where labels are plenty T makes no difference.

The teacher is a model that Graft exported, of the same names in the same order; its network, sizes and value range may
be others. It looks at the very batch that the student sees, changed at random as that is, in the same step, and never
moves. Where inputs come unchanged it is asked once an example instead, before the training. Its weights are in memory
beside the student's.

With `frozen` the student's backbone stays and the head is trained on cached features; else the head is fitted to the
labels first, and backbone and head then learn from labels and teacher. Examples without labels teach too: the second
and the other parts are then means over the labelled and the unlabelled examples, as many of each in a step. What is
judged on eval is the loss of the labels.

Weight 0 and no other part is `fine_tune` bit for bit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, cast

from pydantic import BaseModel, Field

from graft.models.errors import GraftError
from graft.models.transfer.moving import MovingOptions

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from graft.models.history import Finding, History
    from graft.models.inputs.base import Input
    from graft.models.objectives import Seen
    from graft.models.options import HeadOptions
    from graft.models.phase import Data, Group, Outcome, Phase
    from graft.models.solved_head import SolvedHead
    from graft.models.task import Split, Task
    from graft.models.teacher import Teacher

REFITS = False
UNLABELLED = True

_TEMPERATURE = 4.0
HELD_BYTES = 512 * 2**20
"""What a teacher says is held in memory up to this size, and else asked for again in each epoch."""


class Options(MovingOptions):
    """Who teaches and what, and how freely the student's backbone moves."""

    method: Literal["distil"] = "distil"
    teacher: str | None = Field(
        default=None,
        description="Who teaches: the folder of an exported model, or of a model in a store, `STORE/MODEL` for the "
        "version that is served when the run begins, `STORE/MODEL/VERSION` for that one; a store on S3 as s3://... "
        "Must be given.",
    )
    teacher_sha256: str | None = Field(
        default=None, pattern="^[0-9a-f]{64}$", description="Hash that the teacher's files must have; null: any."
    )
    teacher_trust: bool = Field(default=False, description="Run a teacher that does more than compute.")
    weight: float = Field(
        default=0.5, ge=0.0, le=1.0, description="Of the teacher's answers; the labels weigh what is left of 1."
    )
    temperature: float | None = Field(
        default=None,
        ge=1.0,
        description="What the logits of both are divided by; null: 4. Numbers have none.",
    )
    features: float = Field(default=0.0, ge=0.0, description="Weight of the distance of the feature vectors.")
    distances: float = Field(
        default=0.0, ge=0.0, description="Weight of the distances between the examples of a batch; 25 in the paper."
    )
    angles: float = Field(
        default=0.0, ge=0.0, description="Weight of the angles between the examples of a batch; 50 in the paper."
    )
    frozen: bool = Field(
        default=False, description="Leave the student's backbone as it is and train the head on cached features."
    )


def reads_inputs(options: Options) -> bool:
    """Where the backbone moves."""
    return not options.frozen


def check(options: Options, head: HeadOptions, input: Input, target: BaseModel) -> None:
    """Refuses what has no meaning together.

    Raises:
        GraftError: no teacher; a temperature for numbers; with `frozen` a setting of what moves, a part that looks at
            features, or a head that must be solved.
    """
    from graft.models.targets import make_target

    if not options.teacher:
        raise GraftError("transfer.teacher: method 'distil' needs one; give the folder of a model that Graft exported")
    if options.temperature is not None and not make_target(target).softens:
        raise GraftError(
            f"transfer.temperature: received {options.temperature:g}; target.kind {target.kind!r} has no "  # type: ignore[attr-defined]
            "probabilities to soften; leave it out"
        )
    if not options.frozen:
        return
    moving = {
        name: field.get_default(call_default_factory=True)
        for name, field in MovingOptions.model_fields.items()
        if name != "method"
    }
    without = {**moving, "features": 0.0, "distances": 0.0, "angles": 0.0}
    given = [name for name, default in without.items() if getattr(options, name) != default]
    if given:
        raise GraftError(
            f"transfer.{given[0]}: received {getattr(options, given[0])}; with transfer.frozen the features stay as "
            "they are and only the head learns; leave out one of the two"
        )
    if head.solver == "lbfgs":
        raise GraftError(
            "head.solver: received lbfgs; with transfer.frozen the head is trained, for a teacher's answers are no "
            "labels; leave it out or choose adam"
        )


def STEPS(options: Options) -> bool:
    """Without pairs and triples of a batch, of which a share of it has fewer."""
    return not (options.distances or options.angles)


def fit(task: Task) -> History:
    """Trains the student; it ends with the best eval weights.

    Raises:
        GraftError: the teacher is none that can teach this student, see `models.teacher`.
    """
    from graft.models import loop, still
    from graft.models.standard_phases import trained_head_phase
    from graft.models.teacher import Teacher
    from graft.models.transfer import moving

    options = cast(Options, task.options)
    takes = task.backbone.takes
    with task.strategy.scope():
        teacher = Teacher(options.teacher, takes, task.target, options.teacher_sha256, options.teacher_trust)
        lesson = Lesson(task, teacher)
    splits = [task.train] if task.unlabelled is None else [task.train, task.unlabelled]
    if options.frozen or (still.comes_unchanged(task) and _bytes(splits, teacher) <= HELD_BYTES):
        told = [dataclasses.replace(split, more={**split.more, **teacher.known(task, split)}) for split in splits]
        task = dataclasses.replace(task, train=told[0], unlabelled=told[1] if len(told) > 1 else None)
    data = task.arrays if options.frozen else task.inputs
    streams: dict[str, Data] = {} if task.unlabelled is None else {"unlabelled": data(task.unlabelled, labelled=False)}
    phases: list[Phase | SolvedHead]
    if options.frozen:
        phases = [trained_head_phase(task, task.training.epochs, streams, [lesson])]
    else:
        phases = moving.phases(task, options, streams=streams, terms=[lesson])
    history = loop.run(task, phases)
    history.findings.append(_found(teacher, task))
    return history


class Lesson:
    """What the teacher adds to the loss: `soft_loss`, `feature_distance`, `relation_distances`, `relation_angles`.

    Args:
        task: of the method; its options are an `Options`.
        teacher: as loaded for it.
    """

    def __init__(self, task: Task, teacher: Teacher):
        from graft.models import still

        self._target, self._teacher = task.target, teacher
        self._options = cast(Options, task.options)
        self._ask = still.looking(teacher)
        self._temperature = (self._options.temperature or _TEMPERATURE) if task.target.softens else 1.0
        self.groups: Sequence[Group] = ()
        self.state: Sequence[keras.Variable] = ()
        self._projection: keras.layers.Dense | None = None
        if self._options.features and teacher.width != task.backbone.feature_dim:
            self._project(task)

    def __call__(self, seen: Mapping[str, Seen]) -> Outcome:
        from graft.models import relations
        from graft.models.phase import Outcome

        options = self._options
        # With no stream beside them the labelled examples alone.
        pairs = [(one, *self._told(one)) for one in seen.values()]
        soft = (
            _weighed(one, self._target.divergence(one.outputs, self._teacher.target, outputs, self._temperature))
            for one, _, outputs in pairs
        )
        outcome = Outcome(
            {"soft_loss": _mean(soft)}, weights={"soft_loss": options.weight * self._temperature * self._temperature}
        )
        if options.weight:
            outcome.weights["loss"] = 1 - options.weight
        if options.features:
            apart = (_weighed(one, self._apart(one.features, features)) for one, features, _ in pairs)
            outcome.losses["feature_distance"] = _mean(apart)
            outcome.weights["feature_distance"] = options.features
        for name, weight, measure in (
            ("relation_distances", options.distances, relations.distances),
            ("relation_angles", options.angles, relations.angles),
        ):
            if weight:
                outcome.losses[name] = _mean(measure(one.features, features) for one, features, _ in pairs)
                outcome.weights[name] = weight
        return outcome

    def _told(self, one: Seen) -> tuple[tf.Tensor, tf.Tensor]:
        """The teacher's features and outputs for a batch."""
        from graft.models import teacher

        if teacher.OUTPUTS in one.batch:
            return one.batch[teacher.FEATURES], one.batch[teacher.OUTPUTS]
        return self._ask(one.batch["inputs"])

    def _apart(self, features: tf.Tensor, theirs: tf.Tensor) -> tf.Tensor:
        import tensorflow as tf

        if self._projection is not None:
            features = self._projection(features)
        return tf.reduce_mean(tf.math.squared_difference(features, theirs), axis=1)

    def _project(self, task: Task) -> None:
        import keras

        from graft.models.phase import Group

        projection = keras.layers.Dense(
            self._teacher.width,
            kernel_initializer=keras.initializers.GlorotUniform(seed=task.training.seed),
            dtype="float32",
            name="projection",
        )
        projection.build((None, task.backbone.feature_dim))
        self._projection, self.state = projection, projection.trainable_variables
        self.groups = [Group(self.state, task.training.learning_rate)]


def _weighed(one: Seen, losses: tf.Tensor) -> tf.Tensor:
    """As the loss of the labels is: by the weight of each example, where they have some."""
    return losses * one.batch["weights"] if "weights" in one.batch else losses


def _mean(parts: Iterable[tf.Tensor]) -> tf.Tensor:
    """Over streams, which have as many examples each."""
    first, *others = parts
    return sum(others, first) / (1 + len(others)) if others else first


def _bytes(splits: Sequence[Split], teacher: Teacher) -> int:
    return sum(len(split) for split in splits) * 4 * (teacher.width + teacher.target.units)


def _found(teacher: Teacher, task: Task) -> Finding:
    from graft.models.history import Finding

    also = (
        "" if task.unlabelled is None else f" and of {len(task.unlabelled)} {task.backbone.takes.unit} without labels"
    )
    return Finding(
        "teacher",
        teacher.identity[:12],
        f"The teacher (sha256 {teacher.identity}) was asked for its answers to the {len(task.train)} training "
        f"{task.backbone.takes.unit}{also}.",
    )
