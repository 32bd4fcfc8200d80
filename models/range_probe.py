"""Which of several inputs suits a backbone best, told by a linear head on some training examples.

A head is solved to its optimum on the features that the backbone gives for each input, and judged on examples that it
did not learn from: cross-validation in five parts, the strength of L2 chosen on a sixth of the work, the part next to
the one that is judged. Inputs are compared example by example, by the loss, which tells more of a few hundred examples
than right and wrong do.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from graft.models import gap, linear
from graft.models.backbone import Backbone
from graft.models.errors import GraftError
from graft.models.features import extract_features
from graft.models.inputs.base import Input
from graft.models.options import HeadOptions
from graft.models.probe import find_fault
from graft.models.targets.base import Target, Value

_PARTS = 5
_PROBES = 8
_HEAD = HeadOptions(refit=False)


@dataclasses.dataclass(frozen=True)
class Example:
    """A labelled training example.

    Attributes:
        part: which part of the cross-validation holds it, from 0 to 4; those that belong together share it.
        value: its label.
        content: as stored.
    """

    part: int
    value: Value
    content: bytes


@dataclasses.dataclass(frozen=True)
class Judged:
    """One input.

    Attributes:
        input: which.
        fault: why the backbone does not take it; None if it does.
        scores: of the examples, [n], as of `Target.scores`; None with a fault.
        losses: likewise.
    """

    input: Input
    fault: str | None
    scores: np.ndarray | None = None
    losses: np.ndarray | None = None

    def worse_than(self, other: "Judged") -> bool:
        """Whether this one's losses are higher than another's by more than luck."""
        assert self.losses is not None and other.losses is not None
        return gap.measure(-other.losses[None], -self.losses[None], largest=None).low > 0


def judge(backbone: Backbone, inputs: Sequence[Input], examples: Sequence[Example], target: Target) -> list[Judged]:
    """Judges each input.

    Args:
        backbone: for any of them; left as it is.
        inputs: to compare.
        examples: at least one in each part, in an order that does not matter to people.
        target: as the settings describe it.

    Raises:
        GraftError: the labels are none of the target.
    """
    target = _named(target, [example.value for example in examples])
    encoded = target.encode([example.value for example in examples], "input: ")
    target = target.fitted(encoded)
    parts = np.array([example.part for example in examples])
    contents = [example.content for example in examples]
    return [_judged(_taking(backbone, input), contents, encoded, parts, target) for input in inputs]


def best(found: Sequence[Judged]) -> Judged | None:
    """The first that is no worse, by more than luck, than the one of the lowest mean loss; None if each has a fault."""
    sound = [one for one in found if one.losses is not None]
    if not sound:
        return None
    lowest = min(sound, key=lambda one: float(one.losses.mean()))  # type: ignore[union-attr]
    return next(one for one in sound if one is lowest or not one.worse_than(lowest))


def _named(target: Target, values: Sequence[Value]) -> Target:
    if not target.has_vocabulary:
        return target.read_names("")  # which are in its settings
    names = sorted({name for value in values for name in target.strata(value)})
    return type(target)(target.options, names)


def _taking(backbone: Backbone, input: Input) -> Backbone:
    taking = Backbone(
        backbone.body,
        backbone.handle,
        backbone.identity,
        input,
        backbone.feature_dim,
        feature_layer=backbone.feature_layer,
        kept=backbone.kept,
    )
    taking.lend()
    return taking


def _judged(
    backbone: Backbone, contents: Sequence[bytes], encoded: np.ndarray, parts: np.ndarray, target: Target
) -> Judged:
    input = backbone.takes
    fault = find_fault(backbone.body, input.probes(contents[:_PROBES]), input)
    if fault is not None:
        return Judged(input, fault)
    features = extract_features(backbone, contents)
    if not np.isfinite(features).all():
        return Judged(input, "gives features that are not finite")
    outputs = np.zeros((len(encoded), target.units), np.float32)
    for part in range(_PARTS):
        judged, choosing = parts == part, parts == (part + 1) % _PARTS
        learning = ~(judged | choosing)
        train, evaluate = (linear.Examples(features[rows], encoded[rows]) for rows in (learning, choosing))
        try:
            model = target.solve(train, evaluate, _HEAD, lambda done, step: None).model
        except GraftError as error:
            return Judged(input, str(error))
        outputs[judged] = features[judged] @ model.kernel + model.bias
    answers = target.answer(tf.constant(outputs))[target.answer_name].numpy()
    losses = target.losses(tf.constant(encoded), tf.constant(outputs), False).numpy()
    return Judged(input, None, np.asarray(target.scores(encoded, answers), np.float64), np.asarray(losses, np.float64))
