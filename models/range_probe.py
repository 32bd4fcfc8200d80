"""Which of several inputs suits a backbone best, told by a linear head on some training examples.

Inputs whose features show that they cannot be meant are out first (`models.probe`). Where more than one is left, a head
is solved to its optimum on the features that the backbone gives for each of them, and judged on examples that it did
not learn from: cross-validation in five parts, the strength of L2 chosen on the part next to the one that is judged.
Inputs are compared example by example, by the loss, which tells more of a few hundred examples than right and wrong do.

It begins with few examples and takes more only while they do not decide. Each is decoded once. The bounds are those of
O'Brien and Fleming for looks one after the other (Biometrics 35, 1979): strict at first, and close to those of a single
look at the end.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from graft.models import linear
from graft.models.backbone import Backbone
from graft.models.errors import GraftError
from graft.models.frozen import FrozenRunner
from graft.models.gap import FALSE_ALARMS
from graft.models.inputs.base import Input
from graft.models.inputs.preparing import preparer
from graft.models.options import HeadOptions
from graft.models.probe import find_fault
from graft.models.targets.base import Target, Value

LOOKS = (60, 120, 200)
"""Numbers of examples after which the inputs are compared."""
_PARTS = 5
_WIDER = 1.04
"""The constant of O'Brien and Fleming for three looks over that for one, 1.710 / 1.645; less for smaller tails."""
_ENOUGH = 0.5
"""Standard errors at the last look, more before it, by which the one that would be taken anyway is ahead at the end."""
_PROBES, _BATCH = 8, 4
_HEAD = HeadOptions(refit=True)


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
        scores: of the examples that it was judged on, [n], as of `Target.scores`; None with a fault, or where it was
            the only one without.
        losses: likewise.
    """

    input: Input
    fault: str | None = None
    scores: np.ndarray | None = None
    losses: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of all inputs.

    Attributes:
        judged: each of them, in their order.
        worse: those without a fault that lost, by more than luck, against the one of the lowest loss.
        best: the first without a fault that is not among these, or where `given` is, the one of the lowest loss; None
            if all have a fault.
        examples: the most that any was judged on.
    """

    judged: list[Judged]
    worse: list[Input]
    best: Input | None
    examples: int


def judge(
    backbone: Backbone,
    inputs: Sequence[Input],
    examples: Sequence[Example],
    target: Target,
    given: Input | None = None,
) -> Outcome:
    """Judges each input.

    Whoever is worse at one look takes no part in the next; it ends when the one that would be taken is ahead. Of
    equally good inputs the first is called worse in at most 5 % of the cases (Bonferroni, over the others).

    Args:
        backbone: for any of them; left as it is.
        inputs: to compare, the most usual first; the first of them is what contents are prepared for.
        examples: as many as there may be looked at, in an order that says nothing; each part has one in the first look.
        target: as the settings describe it.
        given: one of the inputs, about which alone is asked.

    Raises:
        GraftError: the labels are none of the target.
    """
    examples = examples[: LOOKS[-1]]
    target = _named(target, [example.value for example in examples])
    encoded = target.encode([example.value for example in examples], "input: ")
    target = target.fitted(encoded)
    parts = np.array([example.part for example in examples])
    contents = [example.content for example in examples]
    found = {input: Judged(input, fault) for input, fault in _faults(backbone, inputs, contents[:_PROBES])}
    left, worse, done = [input for input in inputs if found[input].fault is None], list[Input](), 0
    best = left[0] if left else None
    rivals = max(1, len(left) - 1)
    with _Vectors(backbone, inputs[0]) as vectors:
        for look in sorted({min(look, len(examples)) for look in LOOKS}):
            if len(left) < 2:
                break
            vectors.extend(left, contents[done:look])
            done = look
            for input in left:
                found[input] = _judged(input, vectors.of(input), encoded[:look], parts[:look], target)
            left = [input for input in left if found[input].fault is None]
            if not left:
                return Outcome([found[input] for input in inputs], worse, None, done)
            lowest = min(left, key=lambda input: float(_losses(found[input]).mean()))
            share = look / len(examples)
            reached, enough = bound(share, look, rivals), _ENOUGH / math.sqrt(share)
            lost = [input for input in left if ahead(_losses(found[lowest]), _losses(found[input])) > reached]
            worse += lost
            left = [input for input in left if input not in lost]
            best = lowest if given in lost else left[0]
            taken = given if given in left else left[0]
            if given in lost or all(
                ahead(_losses(found[taken]), _losses(found[input])) > enough for input in left if input is not taken
            ):
                break
    return Outcome([found[input] for input in inputs], worse, best, done)


def bound(share: float, examples: int, rivals: int) -> float:
    """How far ahead, in standard errors, one must be to count at a look.

    Args:
        share: of the examples that there may be looked at in all.
        examples: of this look.
        rivals: number of comparisons.
    """
    import scipy.stats

    return _WIDER * float(scipy.stats.t.ppf(1 - FALSE_ALARMS / rivals, examples - 1)) / math.sqrt(share)


def ahead(losses: np.ndarray, others: np.ndarray) -> float:
    """How much lower losses are than others of the same examples, [n] both, in standard errors of the difference."""
    difference = others - losses
    error = float(difference.std(ddof=1)) / math.sqrt(len(difference))
    return float(difference.mean()) / error if error > 0 else 0.0


def _losses(judged: Judged) -> np.ndarray:
    assert judged.losses is not None
    return judged.losses


def _named(target: Target, values: Sequence[Value]) -> Target:
    if not target.has_vocabulary:
        return target.read_names("")  # which are in its settings
    names = sorted({name for value in values for name in target.strata(value)})
    return type(target)(target.options, names)


def _faults(
    backbone: Backbone, inputs: Sequence[Input], contents: Sequence[bytes]
) -> Iterator[tuple[Input, str | None]]:
    prepared = inputs[0].probes(contents)
    for input in inputs:
        yield input, find_fault(backbone.body, input.converted(prepared, inputs[0]), input)


class _Vectors:
    """Feature vectors by input, of contents that are prepared once for all of them."""

    def __init__(self, backbone: Backbone, prepares: Input):
        self._backbone, self._prepares = backbone, prepares
        self._prepare = preparer(prepares)
        self._runner: FrozenRunner | None = None
        self._found: dict[Input, list[np.ndarray]] = {}

    def __enter__(self) -> "_Vectors":
        return self

    def __exit__(self, *error: object) -> None:
        if self._runner is not None:
            self._runner.close()

    def of(self, input: Input) -> np.ndarray:
        """All so far, [n, d]."""
        return np.concatenate(self._found[input])

    def extend(self, inputs: Sequence[Input], contents: Sequence[bytes]) -> None:
        """Adds the vectors of more contents."""
        if self._runner is None:
            self._runner = _frozen(self._backbone, self._prepares)

        def batches() -> Iterator[dict[str, np.ndarray]]:
            for start in range(0, len(contents), _BATCH):
                prepared = self._prepare(tf.constant(list(contents[start : start + _BATCH])))
                for input in inputs:
                    yield {"prepared": input.converted(prepared, self._prepares).numpy()}

        for place, result in enumerate(self._runner.map(batches())):
            self._found.setdefault(inputs[place % len(inputs)], []).append(result["output"])


def _frozen(backbone: Backbone, input: Input) -> FrozenRunner:
    spec = tf.TensorSpec(input.spec.shape, input.spec.dtype, name="prepared")

    @tf.function(input_signature=[spec], autograph=False)
    def features(prepared):
        return backbone(prepared, training=False)

    return FrozenRunner(features.get_concrete_function())


def _judged(input: Input, features: np.ndarray, encoded: np.ndarray, parts: np.ndarray, target: Target) -> Judged:
    if not np.isfinite(features).all():
        return Judged(input, "gives features that are not finite")
    outputs = np.zeros((len(encoded), target.units), np.float32)
    for part in range(_PARTS):
        judged, choosing = parts == part, parts == (part + 1) % _PARTS
        train, evaluate = (linear.Examples(features[rows], encoded[rows]) for rows in (~(judged | choosing), choosing))
        try:
            model = target.solve(train, evaluate, _HEAD, _silent).model
        except GraftError as error:
            return Judged(input, str(error))
        outputs[judged] = features[judged] @ model.kernel + model.bias
    answers = target.answer(tf.constant(outputs))[target.answer_name].numpy()
    losses = target.losses(tf.constant(encoded), tf.constant(outputs), False).numpy()
    scores = target.scores(encoded, answers)
    return Judged(input, None, np.asarray(scores, np.float64), np.asarray(losses, np.float64))


_silent: Callable[[int, linear.Step], None] = lambda done, step: None  # noqa: E731
