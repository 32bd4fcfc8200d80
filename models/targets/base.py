"""What a target is: how it is parsed, learned, answered, measured, gated and reported.

No gate, report or export code names a target; it asks this interface. Targets know nothing of inputs and methods.

A target never changes. What it learns from data (the weights of classes, the scale of numbers, thresholds) are its
`facts`: `fitted` and `tuned` give a target that has them, and `description` holds all that makes it again.
"""

import abc
import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from pydantic import BaseModel

from graft.models.errors import GraftError
from graft.models.gates import Gate, at_most
from graft.models.run_warning import RunWarning

if TYPE_CHECKING:
    import tensorflow as tf

    from graft.models import linear, page
    from graft.models.options import HeadOptions
    from graft.models.targets.doubts import Doubts

Value = tuple[str, ...] | tuple[float, ...]
"""What ingestion keeps of one example in the feature `label`: one class, several classes, or numbers."""

Figures = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Finding:
    """What a target says of the counts of an ingestion.

    Attributes:
        problem: why nothing can be learned from it, a sentence without its full stop; None if it can.
        other_split: whether another split of the data may help.
        warning: what cannot be measured; None if all can.
    """

    problem: str | None = None
    other_split: bool = False
    warning: str | None = None


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What TFMA reads and computes, without TFMA's types.

    Attributes:
        label_key: the feature with the truth.
        prediction_key: the feature with the answer.
        metrics: (class name, settings) of each of TFMA's metrics.
    """

    label_key: str
    prediction_key: str
    metrics: tuple[tuple[str, Mapping[str, Any]], ...]


class Target(abc.ABC):
    """One kind of target with its settings. Making one, and what ingestion calls, import no TensorFlow.

    Args:
        options: its settings.
        names: of classes or numbers, in the order of the outputs; empty before they are known.
        facts: what was learned from data, JSON types.

    Attributes:
        kind: its name in the registry.
        headline: name of the figure that stands for the whole, for instance `accuracy`.
        higher_is_better: the direction of `headline`.
        answer_name: the output of `serving_default` that is compared and measured: `probabilities`, `values`.
        answer_words: what `answer_name` holds, for people.
        score_name: what the mean of `scores` is, for people: `accuracy`.
        gap_name: what a rival's mean score less that of a model is, for people: `error rate`.
        score_range: the largest difference between two scores of one example; None: there is no largest.
        metrics: figures that results and lineage list, the headline first.
        floors: keys of the module's `Gates` that hold a model's own figures against a limit; a run without any of them
            proves nothing of its quality.
        part_score_name: what the mean of one of `part_scores` is, for people: `recall`; empty where there are none.
        slice_columns: figures of a slice, which `SliceGates` may limit, and whether higher is better.
        has_vocabulary: whether Transform makes its names, of the classes that the data holds.
        one_value: whether an example has one value, a class.
        tunes: whether `tuned` learns anything of the trained model's answers.
        softens: whether the outputs are logits, which a temperature softens.
        REASONS: codes of `Refused`, each with one line for people.
        stratum: what one of `strata` is called: `class`; empty where examples are not told apart.
        from_names: whether the name of a folder, or a number that indexes names, can be the target.
        words: names of losses and figures, with their unit, for the axes of plots.
    """

    kind: ClassVar[str]
    headline: ClassVar[str]
    higher_is_better: ClassVar[bool]
    answer_name: ClassVar[str]
    answer_words: ClassVar[str]
    score_name: ClassVar[str]
    gap_name: ClassVar[str]
    score_range: ClassVar[float | None]
    has_vocabulary: ClassVar[bool]
    one_value: ClassVar[bool]
    tunes: ClassVar[bool] = False
    softens: ClassVar[bool] = False
    REASONS: ClassVar[Mapping[str, str]]
    from_names: ClassVar[bool]
    stratum: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]]
    floors: ClassVar[tuple[str, ...]]
    part_score_name: ClassVar[str] = ""
    slice_columns: ClassVar[Mapping[str, bool]]
    words: ClassVar[Mapping[str, str]]

    def __init__(self, options: BaseModel, names: Sequence[str] = (), facts: Mapping[str, Any] | None = None):
        self.options = options
        self.names = tuple(names)
        self.facts = dict(facts or {})

    def description(self) -> dict[str, Any]:
        """All that makes this target again, as JSON types; see `models.targets.restore`."""
        return {"options": self.options.model_dump(mode="json"), "names": list(self.names), "facts": self.facts}

    def with_facts(self, **facts: Any) -> Self:
        """The same target that knows more."""
        return type(self)(self.options, self.names, {**self.facts, **facts})

    # Ingestion.

    @abc.abstractmethod
    def parse(self, row: Mapping[str, Any], class_names: Sequence[str] | None = None) -> Value:
        """Reads the target's columns of a source's row.

        Args:
            row: values by column.
            class_names: names that the source itself brings, which integers index.

        Raises:
            Refused: there is no target in it that may be used (`models.inputs.base`).
        """

    @property
    @abc.abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The columns that `parse` reads."""

    @property
    @abc.abstractmethod
    def column_keys(self) -> tuple[str, ...]:
        """The key of the configuration that names each of the columns."""

    @abc.abstractmethod
    def strata(self, value: Value) -> Sequence[str]:
        """Names under which an example is counted: its classes; one empty name for numbers."""

    @abc.abstractmethod
    def check_counts(self, counts: Mapping[str, Mapping[str, int]], unit: str) -> Finding:
        """Whether it can be learned and measured.

        Args:
            counts: split -> stratum -> number of examples.
            unit: what several examples are called.
        """

    def named(self, limits: Mapping[str, Any]) -> Mapping[str, Collection[str]]:
        """Names of classes that the settings and `limits` (of `gates`) mention, by key of the configuration.

        Raises:
            GraftError: a name that the settings alone rule out.
        """
        return {}

    # Learning.

    @abc.abstractmethod
    def read_names(self, transform_graph_path: str | Path) -> Self:
        """This target with the names of its outputs, of the output of Transform or of its settings.

        Raises:
            GraftError: there are none, or they are of no use.
        """

    @property
    def units(self) -> int:
        """Outputs of the head."""
        return len(self.names)

    @property
    @abc.abstractmethod
    def spec(self) -> "tf.TensorSpec":
        """Of a batch of encoded targets, with a leading None."""

    @abc.abstractmethod
    def encode(self, values: Sequence[Value], where: str = "") -> np.ndarray:
        """Encoded targets, one row an example: int64 [n] for one label, float32 [n, k] else.

        Raises:
            GraftError: a value is none of this target; `where` stands in front of the message.
        """

    @abc.abstractmethod
    def check(self, encoded: np.ndarray, where: str) -> None:
        """Checks that encoded targets have the form that the loss expects.

        Raises:
            GraftError: they have not; `where` stands in front of the message.
        """

    def fitted(self, encoded: np.ndarray) -> Self:
        """This target with the facts that the training split teaches before anything is trained.

        Raises:
            GraftError: the settings do not fit the data.
        """
        return self

    def tuned(self, encoded: np.ndarray, answers: np.ndarray) -> Self:
        """This target with the facts that the trained model's answers on the eval split teach."""
        return self

    def scored_like(self, other: Self) -> Self:
        """This target, whose `scores` are in the unit of another's: two that were fitted on other examples compare."""
        return self

    @abc.abstractmethod
    def losses(self, encoded: "tf.Tensor", outputs: "tf.Tensor", training: bool) -> "tf.Tensor":
        """Loss of each example, float32 [n]; in training with class weights and label smoothing."""

    def divergence(self, outputs: "tf.Tensor", model: "Target", others: "tf.Tensor", temperature: float) -> "tf.Tensor":
        """How far outputs are from those of another model for the same examples, float32 [n]; 0 where they agree.

        Args:
            outputs: of the head, float32 [n, units].
            model: the target of the other model, of the same kind and names; its facts may be others.
            others: the outputs of its head.
            temperature: what logits are divided by, 1 where the target does not soften.

        Raises:
            GraftError: this kind of target has no such measure.
        """
        raise GraftError(f"target.kind: outputs of kind {self.kind!r} cannot be learned from another model's")

    @abc.abstractmethod
    def progress(self, encoded: "tf.Tensor", outputs: "tf.Tensor") -> "Mapping[str, tf.Tensor]":
        """Figures of each example whose mean is shown epoch by epoch: name -> float32 [n]."""

    @abc.abstractmethod
    def solve(
        self,
        train: "linear.Examples",
        evaluate: "linear.Examples",
        options: "HeadOptions",
        report: "Callable[[int, linear.Step], None]",
    ) -> "linear.Path":
        """The optimum of a linear head on features, along a path of L2 strengths.

        Args:
            train: to learn from; their targets as `encode` gives them.
            evaluate: to choose the strength on.
            options: `l2` and `refit`.
            report: called with the number of strengths done and the last of them.

        Raises:
            GraftError: a feature is no finite number.
        """

    # Answering.

    @abc.abstractmethod
    def answer(self, outputs: "tf.Tensor") -> "dict[str, tf.Tensor]":
        """What `serving_default` returns for the head's outputs, by name, `answer_name` among them; n may be 0."""

    def measured(self, outputs: Any) -> np.ndarray:
        """What `answer_name` holds for outputs [n, units] in memory."""
        return np.asarray(self.answer(outputs)[self.answer_name])

    # Measuring: NumPy only. `answers` is what `answer_name` holds, one row an example.

    @abc.abstractmethod
    def distance(self, answers: np.ndarray, others: np.ndarray) -> float:
        """The largest difference of two computations of one answer, in the unit that tolerances are in."""

    @abc.abstractmethod
    def scores(self, encoded: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """A score of each example, float [n], the higher the better: what paired comparisons work on."""

    @abc.abstractmethod
    def figures(self, encoded: np.ndarray, answers: np.ndarray) -> Figures:
        """All figures of a test split as JSON types, `examples`, `invalid` and `headline` among them."""

    @abc.abstractmethod
    def compare(self, encoded: np.ndarray, answers: np.ndarray, rival: "Target", rival_answers: np.ndarray) -> Figures:
        """How much worse this target's answers are than a rival's, on the same examples.

        Args:
            encoded: the truth, encoded by this target.
            answers: of the candidate.
            rival: the target of another model, of the same kind; its names and facts may be others.
            rival_answers: of the rival, row by row.

        Returns:
            JSON types: `headline` of the rival over all examples under its name; `examples` that could be compared;
            mean scores of `candidate` and `rival`, `gap` (the fall), `interval` and `beyond_luck` as of `models.gap`;
            `statement`, a sentence. Without examples to compare the numbers are None.
        """

    def weighed(self, encoded: np.ndarray, answers: np.ndarray, weights: np.ndarray) -> Mapping[str, np.ndarray]:
        """Figures of examples that count more or less: how a figure hangs on each example gives its interval.

        Args:
            encoded: the truth.
            answers: to the same examples.
            weights: float [draws, n], from 0.

        Returns:
            float [draws] by name, at weights of 1 as `figures` has it; NaN where there is none. Where there is a
            `score_range`, each lies between 0 and that.
        """
        return {self.score_name: share(self.scores(encoded, answers), weights)}

    def part_scores(self, encoded: np.ndarray, answers: np.ndarray) -> Mapping[str, np.ndarray]:
        """A score of each example by name of a class or number, float [n]; NaN where the example says nothing of it."""
        return {}

    def narrowed(self, names: Sequence[str]) -> Self:
        """This target, as far as its answers are measured, if it knew some of its names only.

        Raises:
            GraftError: this kind of target is measured as a whole.
        """
        if tuple(names) != self.names:
            raise GraftError(f"target.kind: outputs of kind {self.kind!r} are measured all together")
        return self

    def truth_among(self, names: Sequence[str], encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of which examples some of the names tell the truth, bool [n], and that truth as `narrowed` encodes it."""
        return np.ones(len(encoded), bool), encoded

    def answers_among(self, names: Sequence[str], answers: np.ndarray) -> np.ndarray:
        """The answers of `narrowed`."""
        return answers[:, [self.names.index(name) for name in names]]

    @abc.abstractmethod
    def rules(self, figures: Figures, limits: Mapping[str, Any], served: Figures | None = None) -> list[Gate]:
        """The gates that this target's own limits ask for.

        Args:
            figures: of `figures`.
            limits: settings of the module's `Gates`.
            served: of `compare` with the served model, and its `version`; None where nothing is served.
        """

    @abc.abstractmethod
    def proposed(self, strata: Mapping[str, int], examples: int, tested: int) -> dict[str, Any]:
        """Limits for the module's `Gates` to begin with: what a model without skill reaches, and a margin.

        Args:
            strata: examples by stratum, over all splits.
            examples: their number, over all splits.
            tested: those in the test split.
        """

    def warnings(self, figures: Figures, unit: str) -> list[RunWarning]:
        """What is wrong with a model's figures, whatever the limits are; `unit` is what several examples are called."""
        return []

    # Looking at labels: NumPy only.

    @abc.abstractmethod
    def doubts(self, encoded: np.ndarray, answers: np.ndarray, learned: np.ndarray) -> "Doubts":
        """Which labels are in doubt.

        Args:
            encoded: the labels, one row an example.
            answers: by models that have not learned from the example.
            learned: bool [n], the examples that may say what is usual; the others are only held against it.
        """

    @abc.abstractmethod
    def label_texts(self, encoded: np.ndarray) -> list[str]:
        """Labels for people, one an example."""

    def contradict(self, encoded: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Whether two labels of what should be one example say different things, bool [m], row by row."""
        return (encoded != others).reshape(len(encoded), -1).any(axis=1)

    # For TFMA.

    @abc.abstractmethod
    def evaluation(self) -> Evaluation:
        """What TFMA shall compute."""

    @abc.abstractmethod
    def evaluated(self, encoded: np.ndarray, answers: np.ndarray) -> Mapping[str, Sequence[Any]]:
        """Features for TFMA: name -> for each example its texts (list of str) or numbers (list of float)."""

    # Watching: NumPy only. No truth is known of what is served.

    @property
    def watched(self) -> Mapping[str, str | None]:
        """The signals of answers by name: the unit of a number (may be empty), None for a category."""
        return {}

    def signals(self, answers: np.ndarray) -> dict[str, list]:
        """The values of `watched`, one an answer; None where an answer is no finite number.

        Args:
            answers: what `answer_name` holds, one row an example.
        """
        return {}

    certainty: ClassVar[str | None] = None
    """The signal that goes with the score of an example, from which quality is estimated without labels."""

    # For people: data that a report draws.

    @abc.abstractmethod
    def told(self, figures: Figures) -> str:
        """The figures in a few words, for the line of a stage."""

    @abc.abstractmethod
    def tiles(self, figures: Figures) -> "list[page.Tile]":
        """The figures that stand at the top of a report."""

    @abc.abstractmethod
    def sections(self, figures: Figures, unit: str) -> "list[page.Section]":
        """What is to be seen of the figures; `unit` is what several examples are called."""

    @abc.abstractmethod
    def worst(self, encoded: np.ndarray, answers: np.ndarray, unit: str) -> "page.Section":
        """The examples that were answered worst."""

    @abc.abstractmethod
    def rivals(self, figures: Figures, limits: Mapping[str, Any], unit: str) -> "list[page.Block]":
        """The comparison with the served model.

        Args:
            figures: as the quality gate writes them, with a `baseline`.
            limits: section `gates` of the configuration.
            unit: what several examples are called.
        """

    @abc.abstractmethod
    def card(self, figures: Figures, unit: str) -> "page.Card":
        """The words and figures of a model card."""


def share(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighed means of values [n], a row of weights [draws, n] each; NaN where nothing weighs."""
    total = weights.sum(axis=1)
    return np.where(total > 0, weights @ values.astype(np.float64), np.nan) / np.where(total > 0, total, 1.0)


def finite(answers: np.ndarray) -> np.ndarray:
    """bool [n], whether all numbers of an answer are finite."""
    return np.isfinite(answers).all(axis=1)


def known(values: np.ndarray, valid: np.ndarray) -> list:
    """Values [n] as Python has them, None where one is not valid."""
    return [value if is_valid else None for value, is_valid in zip(values.tolist(), valid.tolist(), strict=True)]


def probabilities(values: np.ndarray) -> np.ndarray:
    """Probabilities as they are watched, to five decimals.

    Another batch or engine answers 1 - 6e-8 in place of 1. Where a model is that sure of most examples, bins by the
    reference's quantiles would take that for drift.
    """
    return values.round(5)


def answers_gate(figures: Figures, what: str) -> Gate:
    """Every test example gets numbers; checked whatever the limits are."""
    return at_most("invalid_answers", figures["invalid"], 0, what)
