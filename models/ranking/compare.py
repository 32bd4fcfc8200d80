"""Several candidates on one sample: a pass and all scores of each, and what came of it."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from graft.models import ranking
from graft.models.errors import GraftError, one_line
from graft.models.inputs.base import Input
from graft.models.options import BackboneOptions
from graft.models.ranking import passes
from graft.models.ranking.drawing import Drawn
from graft.models.ranking.sample import Sample


@dataclasses.dataclass
class Found:
    """What was found of a candidate.

    Attributes:
        features: width of its feature vector; None where it failed.
        scores: by name.
        why_not: for each score that was not taken, why.
        seconds: of loading, the pass and each score, by name; `pass` holds the loading too.
        error: why it was not scored at all; None where it was.
    """

    features: int | None = None
    scores: dict[str, float] = dataclasses.field(default_factory=dict)
    why_not: dict[str, str] = dataclasses.field(default_factory=dict)
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON types."""
        return dataclasses.asdict(self)


def measure(
    options: BackboneOptions,
    input: Input,
    drawn: Drawn,
    contents: Sequence[bytes],
    scores: Sequence[str],
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> Found:
    """Takes all scores of one candidate; its faults are told, not raised.

    Args:
        options: which network.
        input: what it is fed.
        drawn: the sample.
        contents: of the sample, row by row.
        scores: names of `models.ranking.SCORES`.
        seed: of scores that draw.
        progress: called with the number of examples of each batch that is done.
    """
    found = Found()
    began = time.perf_counter()
    try:
        features, probabilities = passes.run(options, input, contents, progress)
        sample = Sample(features, drawn.targets, drawn.form, probabilities, seed)
    except (GraftError, tf.errors.OpError) as error:  # a graph of somebody else fails in whatever way
        found.error = one_line(error, 500)
        return found
    finally:
        found.seconds["pass"] = time.perf_counter() - began
    found.features = features.shape[1]
    for name in scores:
        reason = ranking.why_not(name, sample)
        if reason is not None:
            found.why_not[name] = reason
            continue
        began = time.perf_counter()
        try:
            found.scores[name] = ranking.measure(name, sample)
        except GraftError as error:
            found.why_not[name] = one_line(error, 500)
        found.seconds[name] = time.perf_counter() - began
    if not found.scores:
        reasons = dict.fromkeys(f"{name}: {reason}" for name, reason in found.why_not.items())
        found.error = f"no score could be taken ({'; '.join(reasons)})"
    return found


def titles(names: Sequence[str]) -> Mapping[str, str]:
    """What scores are called in tables, in their order."""
    return {name: ranking.SCORES.module(name).TITLE for name in names}
