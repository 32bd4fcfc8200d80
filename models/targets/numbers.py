"""One or several numbers."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from graft.models import gap
from graft.models.errors import GraftError
from graft.models.gates import Gate, within
from graft.models.inputs.base import Refused
from graft.models.page import Block, Card, Section, Tile
from graft.models.run_warning import RunWarning
from graft.models.targets import doubts, numbers_page, residuals, skill
from graft.models.targets.base import Evaluation, Figures, Finding, Value, answers_gate, finite, known
from graft.models.targets.base import Target as AnyTarget
from graft.models.targets.columns import one_text

if TYPE_CHECKING:
    import tensorflow as tf

    from graft.models import linear
    from graft.models.options import HeadOptions

Ceiling = Annotated[float, Field(gt=0)]
Floor = Annotated[float, Field(le=1)]

_LARGEST = float(np.finfo(np.float32).max)
_WORST = 10.0
"""Standard deviations by which an answer counts as wrong that is no number."""


class Options(BaseModel):
    """Regression: the head gives a number for each column."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    PARSES: ClassVar = frozenset({"columns"})

    kind: Literal["numbers"] = "numbers"
    columns: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        min_length=1, description="Columns that hold the numbers, each a finite number; they are kept in 32 bits."
    )

    @field_validator("columns")
    @classmethod
    def _distinct_columns(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(columns)) != len(columns):
            raise ValueError(f"{list(columns)} must hold each name once")
        return columns


class Gates(BaseModel):
    """Floors and ceilings on the figures of numbers: one on the mean over the columns, or by column."""

    model_config = ConfigDict(extra="forbid")

    mean_absolute_error: Ceiling | dict[str, Ceiling] | None = Field(
        None, description="Largest mean absolute error, or a mapping from column to ceiling."
    )
    root_mean_squared_error: Ceiling | dict[str, Ceiling] | None = Field(
        None, description="Largest root of the mean squared error, or a mapping from column to ceiling."
    )
    r2: Floor | dict[str, Floor] | None = Field(
        None, description="Least coefficient of determination, or a mapping from column to floor."
    )
    baseline_tolerance: float | None = Field(
        0.02,
        ge=0,
        description="Mean absolute error that the candidate may add to the served model's, in standard deviations of "
        "the numbers in the training split; a rise that may be luck (5 % false alarms) is none. Null: no gate.",
    )


class SliceGates(BaseModel):
    """Floors and ceilings that must hold in every slice of a column."""

    model_config = ConfigDict(extra="forbid")

    mean_absolute_error: float | None = Field(None, gt=0, description="Largest mean absolute error in each slice.")
    root_mean_squared_error: float | None = Field(
        None, gt=0, description="Largest root of the mean squared error in each slice."
    )


def shown(outputs: Mapping[str, Any]) -> dict[str, str] | None:
    """For `models.targets.shown`; None for an answer of another kind."""
    values = outputs.get("values")
    return {name: f"{value:.6g}" for name, value in values.items()} if isinstance(values, dict) else None


class Target(AnyTarget):
    """A number for each column. The head learns them less their mean, by their standard deviation.

    Facts: `mean` and `std` of each column in the training split.
    """

    kind = "numbers"
    headline = "mean_absolute_error"
    higher_is_better = False
    answer_name = "values"
    answer_words = "numbers, in standard deviations"
    score_name = "mean absolute error, below 0, in standard deviations"
    gap_name = "mean absolute error, in standard deviations"
    score_range = None
    has_vocabulary = False
    one_value = False
    from_names = False
    REASONS = {
        "unknown_label": "a column of target.columns holds nothing",
        "bad_label": "a column of target.columns holds no finite number",
    }
    metrics: ClassVar[tuple[str, ...]] = (*residuals.NAMES, "examples")
    part_score_name = "absolute error"
    stratum = ""
    floors = residuals.NAMES
    slice_columns = {"mean_absolute_error": False, "root_mean_squared_error": False}
    words = {
        "loss": "loss (mean squared error, in squares of the standard deviation)",
        "mean_absolute_error": "mean absolute error (in units of the data)",
    }

    options: Options

    # Ingestion.

    @property
    def columns(self) -> tuple[str, ...]:
        """One for each number."""
        return self.options.columns

    @property
    def column_keys(self) -> tuple[str, ...]:
        """Places in one list."""
        return tuple(f"target.columns[{place}]" for place in range(len(self.options.columns)))

    def parse(self, row: Mapping[str, Any], class_names: Sequence[str] | None = None) -> Value:
        """A finite number from each column."""
        return tuple(_number(name, row.get(name)) for name in self.options.columns)

    def named(self, limits: Mapping[str, Any]) -> Mapping[str, Collection[str]]:
        """No classes; limits by column name columns."""
        for key in residuals.NAMES:
            limit = limits.get(key)
            for name in limit if isinstance(limit, dict) else ():
                if name not in self.columns:
                    raise GraftError(
                        f"gates.{key}: {name!r} is no column of target.columns ({', '.join(self.columns)})"
                    )
        return {}

    def strata(self, value: Value) -> Sequence[str]:
        """Numbers are all of one kind."""
        return ("",)

    def check_counts(self, counts: Mapping[str, Mapping[str, int]], unit: str) -> Finding:
        """Any number of examples can be learned from; whether they differ is seen when they are read."""
        return Finding()

    # Learning.

    def read_names(self, transform_graph_path: str | Path) -> Self:
        """The columns of the settings."""
        return type(self)(self.options, self.options.columns, self.facts)

    @property
    def spec(self) -> "tf.TensorSpec":
        """float32 [None, k], in the user's units."""
        import tensorflow as tf

        return tf.TensorSpec([None, self.units], tf.float32)

    def encode(self, values: Sequence[Value], where: str = "") -> np.ndarray:
        """float32 [n, k], in the user's units."""
        for value in values:
            if len(value) != self.units or isinstance(value[0], str):
                raise GraftError(f"{where}received {value}; allowed: {self.units} numbers ({', '.join(self.names)})")
        return np.array(values, np.float32).reshape(len(values), self.units)

    def check(self, encoded: np.ndarray, where: str) -> None:
        """Rows of k finite numbers."""
        if encoded.ndim != 2 or encoded.shape[1] != self.units or not np.issubdtype(encoded.dtype, np.floating):
            raise GraftError(
                f"{where}: targets must be rows of {self.units} numbers; received {encoded.dtype} {list(encoded.shape)}"
            )
        if not np.isfinite(encoded).all():
            raise GraftError(f"{where}: targets must be finite numbers; received others too")

    def fitted(self, encoded: np.ndarray) -> Self:
        """With mean and standard deviation of each column."""
        mean, std = encoded.mean(axis=0, dtype=np.float64), encoded.std(axis=0, dtype=np.float64)
        for name, middle, spread in zip(self.names, mean, std, strict=True):
            # What is left of one number again and again is its rounding.
            if not spread > 1e-6 * abs(middle) * np.finfo(np.float32).eps:
                raise GraftError(
                    f"target: column {name!r} is {middle:g} in every example of the training split; "
                    "there is nothing to learn"
                )
        return self.with_facts(mean=mean.tolist(), std=std.tolist())

    def scored_like(self, other: Self) -> Self:
        """With the standard deviations of the other."""
        return self.with_facts(std=other.facts["std"])

    @property
    def mean(self) -> np.ndarray:
        """float32 [k]."""
        return np.asarray(self.facts.get("mean", np.zeros(self.units)), np.float32)

    @property
    def std(self) -> np.ndarray:
        """float32 [k]."""
        return np.asarray(self.facts.get("std", np.ones(self.units)), np.float32)

    def losses(self, encoded: "tf.Tensor", outputs: "tf.Tensor", training: bool) -> "tf.Tensor":
        """Squared error in squares of the standard deviation, the mean over the columns."""
        import tensorflow as tf

        wanted = (tf.convert_to_tensor(encoded) - self.mean) / self.std
        return tf.reduce_mean(tf.math.squared_difference(outputs, wanted), axis=1)

    def divergence(
        self, outputs: "tf.Tensor", model: AnyTarget, others: "tf.Tensor", temperature: float
    ) -> "tf.Tensor":
        """Squared distance in squares of this target's standard deviation, the mean over the columns."""
        import tensorflow as tf

        assert isinstance(model, Target)
        wanted = (others * model.std + model.mean - self.mean) / self.std
        return tf.reduce_mean(tf.math.squared_difference(outputs, wanted), axis=1)

    def progress(self, encoded: "tf.Tensor", outputs: "tf.Tensor") -> "Mapping[str, tf.Tensor]":
        """Absolute error, the mean over the columns."""
        import tensorflow as tf

        return {"mean_absolute_error": tf.reduce_mean(tf.abs(self.answer(outputs)["values"] - encoded), axis=1)}

    def solve(
        self,
        train: "linear.Examples",
        evaluate: "linear.Examples",
        options: "HeadOptions",
        report: "Callable[[int, linear.Step], None]",
    ) -> "linear.Path":
        """Ridge regression."""
        from dataclasses import replace

        from graft.models import convex, linear

        def figures(outputs: np.ndarray, targets: np.ndarray) -> dict[str, np.ndarray]:
            return {"mean_absolute_error": (np.abs(outputs - targets) * self.std).mean(axis=1)}

        def scaled(examples: "linear.Examples") -> "linear.Examples":
            return replace(examples, targets=(examples.targets - self.mean) / self.std)

        return linear.solve(scaled(train), scaled(evaluate), convex.Squares(self.units), options, report, figures)

    # Answering.

    def answer(self, outputs: "tf.Tensor") -> "dict[str, tf.Tensor]":
        """Standardised numbers [n, k] -> `values` in the user's units and `columns`, their names, both [n, k]."""
        import tensorflow as tf

        names = tf.constant([name.encode() for name in self.names])
        return {
            "values": outputs * tf.constant(self.std) + tf.constant(self.mean),
            "columns": tf.tile(names[None], [tf.shape(outputs)[0], 1]),
        }

    # Measuring.

    def distance(self, answers: np.ndarray, others: np.ndarray) -> float:
        """The largest difference of a number beyond the rounding of 32 bits, in standard deviations."""
        rounding = 2 * np.spacing(np.maximum(np.abs(answers), np.abs(others)).astype(np.float32))
        return float(np.max(np.maximum(np.abs(answers - others) - rounding, 0.0) / self.std, initial=0.0))

    def scores(self, encoded: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """Absolute error in standard deviations, below 0, the mean over the columns."""
        valid = finite(answers)
        errors = np.abs(np.where(valid[:, None], answers, 0.0) - encoded.astype(np.float64)) / self.std
        return -np.where(valid, errors.mean(axis=1), _WORST)

    def figures(self, encoded: np.ndarray, answers: np.ndarray) -> Figures:
        """Mean absolute error, root of the mean squared error and R2, by column and as means over the columns.

        Each has its 95 % interval (percentile bootstrap over examples). Answers that are no finite numbers are in no
        figure but `invalid`. R2 is None where the numbers of the split are all the same.
        """
        valid = finite(answers)
        truth, given = encoded[valid].astype(np.float64), answers[valid].astype(np.float64)
        found, drawn = residuals.measured(truth, given, np.ones((1, len(truth)))), residuals.bootstrap(truth, given)
        return {
            "examples": len(encoded),
            "invalid": int((~valid).sum()),
            **residuals.figures(found.mean(axis=(1, 2)), drawn.mean(axis=2)),
            "per_column": {
                column: {
                    **residuals.figures(found[:, 0, i], drawn[:, :, i]),
                    "bias": residuals.known((given[:, i] - truth[:, i]).mean()) if len(truth) else None,
                    "std": float(self.std[i]),
                    "by_size": residuals.by_size(truth[:, i], given[:, i]),
                    "points": residuals.points(truth[:, i], given[:, i]),
                }
                for i, column in enumerate(self.names)
            },
        }

    def weighed(self, encoded: np.ndarray, answers: np.ndarray, weights: np.ndarray) -> Mapping[str, np.ndarray]:
        """Mean absolute error, root of the mean squared error and R2, means over the columns."""
        valid = finite(answers)
        truth, given = encoded[valid].astype(np.float64), answers[valid].astype(np.float64)
        found = residuals.measured(truth, given, weights[:, valid]).mean(axis=2)
        return dict(zip(residuals.NAMES, found, strict=True))

    def part_scores(self, encoded: np.ndarray, answers: np.ndarray) -> Mapping[str, np.ndarray]:
        """The absolute error of each number, in its own unit; the lower, the better."""
        errors = np.abs(answers.astype(np.float64) - encoded)
        errors[~finite(answers)] = np.nan
        return {name: errors[:, place] for place, name in enumerate(self.names)}

    def narrowed(self, names: Sequence[str]) -> Self:
        """Some of the columns."""
        places = [self.names.index(name) for name in names]
        facts = {"mean": self.mean[places].tolist(), "std": self.std[places].tolist()}
        return type(self)(self.options, names, facts)

    def truth_among(self, names: Sequence[str], encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Every example has all columns."""
        return np.ones(len(encoded), bool), encoded[:, [self.names.index(name) for name in names]]

    def compare(self, encoded: np.ndarray, answers: np.ndarray, rival: AnyTarget, rival_answers: np.ndarray) -> Figures:
        """See `Target.compare`; on the columns both know, in this target's standard deviations.

        `mean_absolute_error` of the rival is over these columns, in their own units; `shared` is their number.
        """
        shared = [name for name in self.names if name in rival.names]
        if not shared:
            nothing = {"mean_absolute_error": None, "shared": 0, "statement": "knows no column of this model"}
            return gap.unmeasured() | nothing
        both = self.narrowed(shared)
        _, truth = self.truth_among(shared, encoded)
        given, rival_given = self.answers_among(shared, answers), rival.answers_among(shared, rival_answers)
        measured = gap.compared(both.scores(truth, rival_given), both.scores(truth, given), self.score_range)
        return {
            "mean_absolute_error": both.figures(truth, rival_given)["mean_absolute_error"],
            "shared": len(shared),
            **measured,
            "statement": f"is off by {-measured['rival']:.4f} standard deviations in the mean of "
            f"{measured['examples']} test examples, this model by {-measured['candidate']:.4f}; the rise is "
            f"{gap.told(measured)}",
        }

    def rules(self, figures: Figures, limits: Mapping[str, Any], served: Figures | None = None) -> list[Gate]:
        """Ceilings on the errors, a floor on R2: on the mean over the columns, or by column."""
        gates = [answers_gate(figures, "test examples without finite numbers")]
        for name, higher in (("mean_absolute_error", False), ("root_mean_squared_error", False), ("r2", True)):
            limit = limits.get(name)
            if limit is None:
                continue
            for column, wanted in limit.items() if isinstance(limit, dict) else ((None, limit),):
                label = name if column is None else f"{name}[{column}]"
                found = figures if column is None else figures["per_column"].get(column)
                if found is None:
                    detail = f"no such column; columns: {', '.join(figures['per_column'])}"
                    gates.append(Gate(label, None, wanted, False, detail))
                    continue
                gates.append(within(label, found[name], wanted, higher, _told_interval(found[f"{name}_interval"])))
        return gates

    def proposed(self, strata: Mapping[str, int], examples: int, tested: int) -> dict[str, Any]:
        """R2 above 0, which always answering the mean reaches."""
        return {"r2": skill.above_chance(0.0, tested)}

    def warnings(self, figures: Figures, unit: str) -> list[RunWarning]:
        """A column whose mean would be as good an answer."""
        found = []
        for name, row in figures["per_column"].items():
            if row["r2"] is not None:
                found += skill.no_better(f"r2 of {name}", row["r2"], 0.0, "always answering the mean")
        return found

    # Looking at labels.

    def doubts(self, encoded: np.ndarray, answers: np.ndarray, learned: np.ndarray) -> doubts.Doubts:
        """See `doubts.of_numbers`."""
        return doubts.of_numbers(self.names, encoded, answers, learned)

    def label_texts(self, encoded: np.ndarray) -> list[str]:
        """Each number with its name."""
        return [
            ", ".join(f"{name} {value:.6g}" for name, value in zip(self.names, row, strict=True)) for row in encoded
        ]

    def contradict(self, encoded: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Whether they are more than a standard deviation of the training split apart."""
        return (np.abs(encoded.astype(np.float64) - others) > self.std).any(axis=1)

    # For TFMA.

    def evaluation(self) -> Evaluation:
        """Counts and errors, over all columns together."""
        errors = (("MeanAbsoluteError", {"name": "mean_absolute_error"}), ("MeanSquaredError", {"name": "mse"}))
        return Evaluation("label", "prediction", (("ExampleCount", {}), *errors))

    def evaluated(self, encoded: np.ndarray, answers: np.ndarray) -> Mapping[str, Sequence[Any]]:
        """True and answered numbers; what is no number is 0."""
        return {"label": encoded.tolist(), "prediction": np.where(np.isfinite(answers), answers, 0).tolist()}

    # Watching. Nothing in the numbers tells how right they are: quality is known with labels only.

    @property
    def watched(self) -> Mapping[str, str | None]:
        """Each number, in the user's units."""
        return {f"value {name}": "" for name in self.names}

    def signals(self, answers: np.ndarray) -> dict[str, list]:
        """Each number."""
        valid = finite(answers)
        return {f"value {name}": known(answers[:, place], valid) for place, name in enumerate(self.names)}

    # For people.

    def told(self, figures: Figures) -> str:
        """Mean absolute error and R2."""
        words = {"mean_absolute_error": "mean absolute error", "r2": "R2"}
        measured = {text: figures[name] for name, text in words.items() if figures[name] is not None}
        return ", ".join(f"{text} {value:.4g}" for text, value in measured.items()) or "no finite number"

    def tiles(self, figures: Figures) -> list[Tile]:
        """See `numbers_page`."""
        return numbers_page.tiles(figures)

    def sections(self, figures: Figures, unit: str) -> list[Section]:
        """See `numbers_page`."""
        return numbers_page.sections(figures, unit)

    def worst(self, encoded: np.ndarray, answers: np.ndarray, unit: str) -> Section:
        """See `numbers_page`."""
        return numbers_page.worst(self.names, encoded, answers, self.scores(encoded, answers), unit)

    def rivals(self, figures: Figures, limits: Mapping[str, Any], unit: str) -> list[Block]:
        """See `numbers_page`."""
        return numbers_page.rivals(figures, limits, unit)

    def card(self, figures: Figures, unit: str) -> Card:
        """See `numbers_page`."""
        return numbers_page.card(figures, unit)


def _number(column: str, cell: Any) -> float:
    """The number in a cell. Raises `Refused`."""
    text = one_text(cell).strip()
    if not text:
        raise Refused("unknown_label", f"column {column!r} holds no number")
    try:
        value = float(text)
    except ValueError:
        raise Refused("bad_label", f"column {column!r} holds {text[:100]!r}; allowed: a finite number") from None
    if not abs(value) <= _LARGEST:  # NaN too
        raise Refused("bad_label", f"column {column!r} holds {text[:100]}; allowed: a number of at most {_LARGEST:.1e}")
    return value


def _told_interval(interval: list[float] | None) -> str:
    return f"95 % interval {interval[0]:.6g} to {interval[1]:.6g}" if interval else "not measured"
