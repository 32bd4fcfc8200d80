"""Several labels of k."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from graft.models import gap
from graft.models.errors import GraftError
from graft.models.gates import Gate
from graft.models.inputs.base import Refused
from graft.models.natural import natural_key
from graft.models.page import Block, Card, Section, Tile
from graft.models.run_warning import RunWarning
from graft.models.targets import calibration, classes, decisions, doubts, labels_page, skill
from graft.models.targets.base import Evaluation, Figures, Value, answers_gate, finite, known, probabilities, share
from graft.models.targets.base import Target as AnyTarget
from graft.models.targets.columns import MAX_TEXT, index_text, one_text

if TYPE_CHECKING:
    import tensorflow as tf

    from graft.models import linear
    from graft.models.options import HeadOptions

Fraction = Annotated[float, Field(ge=0, le=1)]

_WATCHED = 20
"""Classes whose share is watched one by one: each costs every other one some power to be noticed."""


class Options(BaseModel):
    """Any number of the classes at once: the head gives a probability for each by itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    PARSES: ClassVar = frozenset({"column", "separator", "class_names"})

    kind: Literal["labels"] = "labels"
    column: str = Field(
        default="labels", description="Holds the classes: a list of names, or one text with `separator` between them."
    )
    separator: str = Field(
        default="|", min_length=1, description="Stands between the names of a text; spaces around a name do not count."
    )
    class_names: tuple[str, ...] | None = Field(
        default=None, description="The classes allowed, in the order of the outputs. Null: whatever is found."
    )

    @field_validator("class_names")
    @classmethod
    def _distinct_classes(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return classes.check_class_names(names)


class Gates(BaseModel):
    """Floors and ceilings on the figures of several labels."""

    model_config = ConfigDict(extra="forbid")

    mean_average_precision: Fraction | None = Field(None, description="Least mean over classes of average precision.")
    micro_f1: Fraction | None = Field(None, description="Least F1 over all decisions together.")
    macro_f1: Fraction | None = Field(None, description="Least unweighted mean of the classes' F1.")
    precision: Fraction | dict[str, Fraction] | None = Field(
        None, description="Least precision of every class at its threshold, or a mapping from class to floor."
    )
    recall: Fraction | dict[str, Fraction] | None = Field(
        None, description="Least recall of every class at its threshold, or a mapping from class to floor."
    )
    calibration_error: Fraction | None = Field(
        None, description="Largest expected calibration error over all decisions (15 equal-width bins), beyond chance."
    )
    baseline_tolerance: Fraction | None = Field(
        0.02,
        description="Mean F1 of an example that the candidate may lose against the served model, on the classes both "
        "know; a loss that may be luck (5 % false alarms) is none. Null: no gate.",
    )
    classes: Literal["same", "grow", "any"] = Field(
        "same",
        description="How the list of classes may differ from the served model's: not, by new ones, or in any way.",
    )


class SliceGates(BaseModel):
    """Floors that must hold in every slice of a column."""

    model_config = ConfigDict(extra="forbid")

    micro_f1: Fraction | None = Field(None, description="Least F1 over all decisions together, in each slice.")
    macro_f1: Fraction | None = Field(None, description="Least macro F1 in each slice.")


def shown(outputs: Mapping[str, Any]) -> dict[str, str] | None:
    """For `models.targets.shown`; None for an answer of another kind."""
    if not {"predicted", "probabilities"} <= outputs.keys():
        return None
    chosen = [name for name, is_chosen in outputs["predicted"].items() if is_chosen]
    return {"labels": ", ".join(f"{name} {outputs['probabilities'][name]:.4f}" for name in chosen)}


class Target(classes.Classes):
    """A probability for each class by itself, and a decision by its threshold.

    Facts: `thresholds`, by class, chosen on eval; 0.5 before that.
    """

    kind = "labels"
    headline = "mean_average_precision"
    higher_is_better = True
    answer_name = "probabilities"
    answer_words = "probabilities"
    score_name = "mean F1 of an example"
    gap_name = "lost mean F1 of an example"
    score_range = 1.0
    one_value = False
    from_names = False
    tunes = True
    softens = True
    metrics = ("mean_average_precision", "micro_f1", "macro_f1", "calibration_error", "examples")
    floors = ("mean_average_precision", "micro_f1", "macro_f1", "precision", "recall")
    part_score_name = "recall"
    slice_columns = {"micro_f1": True, "macro_f1": True}
    words = {"loss": "loss (mean binary cross-entropy, nats)", "example_f1": "mean F1 of an example"}

    options: Options

    # Ingestion.

    def parse(self, row: Mapping[str, Any], class_names: Sequence[str] | None = None) -> Value:
        """The classes of a list, or between the separators of a text; each once, in natural order; () for none."""
        cell = row.get(self.options.column)
        if cell is None:
            raise Refused("unknown_label", f"column {self.options.column!r} holds nothing; an empty text is no class")
        known = self.options.class_names or class_names
        if isinstance(cell, list | tuple):
            names = [index_text(value, known).strip() for value in cell]
            if not all(names):
                raise Refused("bad_label", f"column {self.options.column!r} holds {str(cell)[:100]}; allowed: names")
        else:
            text = one_text(cell)
            if not text and cell not in ("", b""):
                column, held = self.options.column, str(cell)[:100]
                raise Refused("bad_label", f"column {column!r} holds {held!r}; allowed: names, {MAX_TEXT} bytes in all")
            parts = [part.strip() for part in text.split(self.options.separator)]
            names = [index_text(part, known) for part in parts if part]
        return tuple(sorted({self.allowed(name) for name in names}, key=natural_key))

    # Learning.

    @property
    def spec(self) -> "tf.TensorSpec":
        """float32 [None, k], 1 for each class of the example."""
        import tensorflow as tf

        return tf.TensorSpec([None, self.units], tf.float32)

    def encode(self, values: Sequence[Value], where: str = "") -> np.ndarray:
        """float32 [n, k], 1 for each class of the example."""
        encoded = np.zeros((len(values), self.units), np.float32)
        for row, value in enumerate(values):
            encoded[row, self.index(map(str, value), where)] = 1
        return encoded

    def check(self, encoded: np.ndarray, where: str) -> None:
        """Rows of k zeros and ones."""
        if encoded.ndim != 2 or encoded.shape[1] != self.units:
            raise GraftError(
                f"{where}: labels must be rows of {self.units} zeros and ones; received {encoded.dtype} "
                f"{list(encoded.shape)}"
            )
        if not np.isin(encoded, (0, 1)).all():
            raise GraftError(f"{where}: labels must be zeros and ones; received others too")

    def losses(self, encoded: "tf.Tensor", outputs: "tf.Tensor", training: bool) -> "tf.Tensor":
        """Binary cross-entropy, the mean over the classes, as Keras has it."""
        import keras

        return keras.losses.BinaryCrossentropy(from_logits=True, reduction=None)(encoded, outputs)

    def divergence(
        self, outputs: "tf.Tensor", model: AnyTarget, others: "tf.Tensor", temperature: float
    ) -> "tf.Tensor":
        """Kullback-Leibler divergence between two answers to one class, softened, nats; the mean over the classes."""
        import tensorflow as tf

        ours, theirs = outputs / temperature, others / temperature
        odds = tf.nn.sigmoid(theirs) * (theirs - ours) + tf.nn.softplus(ours) - tf.nn.softplus(theirs)
        return tf.reduce_mean(odds, axis=1)

    def progress(self, encoded: "tf.Tensor", outputs: "tf.Tensor") -> "Mapping[str, tf.Tensor]":
        """F1 of each example's classes at probabilities of 0.5."""
        import tensorflow as tf

        found = tf.cast(outputs >= 0, tf.float32)
        both = tf.reduce_sum(found * encoded, axis=1)
        either = tf.reduce_sum(found, axis=1) + tf.reduce_sum(encoded, axis=1)
        return {"example_f1": tf.where(either > 0, tf.math.divide_no_nan(2 * both, either), 1.0)}

    def solve(
        self,
        train: "linear.Examples",
        evaluate: "linear.Examples",
        options: "HeadOptions",
        report: "Callable[[int, linear.Step], None]",
    ) -> "linear.Path":
        """A logistic regression for each class, all with one strength."""
        from graft.models import convex, linear

        def figures(outputs: np.ndarray, targets: np.ndarray) -> dict[str, np.ndarray]:
            return {"example_f1": decisions.example_f1(targets > 0, outputs >= 0)}

        return linear.solve(train, evaluate, convex.Sigmoid(self.units), options, report, figures)

    @property
    def thresholds(self) -> np.ndarray:
        """float32 [k]."""
        return np.asarray(self.facts.get("thresholds", [decisions.THRESHOLD] * self.units), np.float32)

    def tuned(self, encoded: np.ndarray, answers: np.ndarray) -> Self:
        """With the threshold of each class that gives the highest F1 on these examples."""
        columns = zip(encoded.T > 0, np.nan_to_num(answers).T, strict=True)
        return self.with_facts(thresholds=[decisions.best_threshold(truth, given) for truth, given in columns])

    # Answering.

    def answer(self, outputs: "tf.Tensor") -> "dict[str, tf.Tensor]":
        """Logits [n, k] -> `classes`, `probabilities`, `scores` and `predicted` (bool: at its threshold), all [n, k].

        `predicted` and not a list of names: each example has another number of them, and tensors have no such form.
        """
        import tensorflow as tf

        probabilities = tf.nn.sigmoid(outputs)
        return {
            "classes": self.tiled_names(tf.shape(outputs)[0]),
            "probabilities": probabilities,
            "scores": outputs,
            "predicted": probabilities >= tf.constant(self.thresholds),
        }

    # Measuring.

    def scores(self, encoded: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """F1 of each example's classes; 1 where there are none and none is found, 0 for an answer without numbers."""
        return np.where(finite(answers), decisions.example_f1(encoded > 0, answers >= self.thresholds), 0.0)

    def figures(self, encoded: np.ndarray, answers: np.ndarray) -> Figures:
        """Mean average precision, micro and macro F1, per-class table, calibration and precision-recall curve.

        An answer whose probabilities are not finite numbers is wrong on every class; `invalid` counts them.
        `unmeasured` are the classes that no example has: they count in no mean.
        """
        truth, given, found, valid = self._sound(encoded, answers)
        hits, support = (truth & found).sum(axis=0), truth.sum(axis=0)
        precision, recall, f1 = decisions.shares(hits, found.sum(axis=0), support)
        average = [decisions.average_precision(truth[:, i], given[:, i]) for i in range(self.units)]
        present = support > 0
        micro = decisions.shares(hits.sum(), found.sum(), support.sum())
        rows = np.repeat(np.arange(len(truth)), self.units)
        calibrated = calibration.reliability(answers.ravel(), truth.ravel(), examples=rows)
        table = zip(self.names, average, precision, recall, f1, support, self.thresholds, strict=True)
        return {
            "examples": len(truth),
            "invalid": int((~valid).sum()),
            "unmeasured": [name for name, there in zip(self.names, present, strict=True) if not there],
            "mean_average_precision": float(np.mean([a for a in average if a is not None])) if present.any() else 0.0,
            "micro_precision": float(micro[0]),
            "micro_recall": float(micro[1]),
            "micro_f1": float(micro[2]),
            # A class that is only predicted counts, with an F1 of 0.
            "macro_f1": float(f1[present | found.any(axis=0)].mean()) if (present | found.any(axis=0)).any() else 0.0,
            "example_f1": float(self.scores(encoded, answers).mean()),
            "all_right": float((truth == found).all(axis=1).mean()),
            "labels_per_example": float(truth.sum(axis=1).mean()),
            "calibration_error": calibrated["error"],
            "calibration_bias": calibrated["bias"],
            "calibration_interval": calibrated["interval"],
            "reliability": calibrated["bins"],
            "per_class": {
                name: {
                    "average_precision": a,
                    "precision": float(p),
                    "recall": float(r),
                    "f1": float(f),
                    "support": int(s),
                    "threshold": float(t),
                }
                for name, a, p, r, f, s, t in table
            },
            "curve": decisions.precision_recall(truth.ravel(), given.ravel()),
        }

    def _sound(self, encoded: np.ndarray, answers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Truth, probabilities and decisions [n, k], an answer that is none wrong on every class; which are [n]."""
        truth, valid = encoded > 0, finite(answers)
        given = np.where(valid[:, None], answers, np.float32(~truth))
        return truth, given, np.where(valid[:, None], answers >= self.thresholds, ~truth), valid

    def weighed(self, encoded: np.ndarray, answers: np.ndarray, weights: np.ndarray) -> Mapping[str, np.ndarray]:
        """Mean average precision, micro and macro F1, mean F1 of an example."""
        truth, given, found, _ = self._sound(encoded, answers)
        macro, micro = decisions.weighed_f1(truth, found, weights)
        present = np.flatnonzero(truth.any(axis=0))
        average = [decisions.weighed_average_precision(truth[:, i], given[:, i], weights) for i in present]
        return {
            "mean_average_precision": np.mean(average, axis=0) if average else np.zeros(len(weights)),
            "micro_f1": micro,
            "macro_f1": macro,
            "example_f1": share(self.scores(encoded, answers), weights),
        }

    def part_scores(self, encoded: np.ndarray, answers: np.ndarray) -> Mapping[str, np.ndarray]:
        """Whether the label of an example that has it was found."""
        truth, _, found, _ = self._sound(encoded, answers)
        return {name: np.where(truth[:, i], found[:, i], np.nan) for i, name in enumerate(self.names)}

    def narrowed(self, names: Sequence[str]) -> Self:
        """Each class at its own threshold."""
        places = [self.names.index(name) for name in names]
        return type(self)(self.options, names, {"thresholds": self.thresholds[places].tolist()})

    def truth_among(self, names: Sequence[str], encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Every example, for it may have none."""
        return np.ones(len(encoded), bool), encoded[:, [self.names.index(name) for name in names]]

    def compare(self, encoded: np.ndarray, answers: np.ndarray, rival: AnyTarget, rival_answers: np.ndarray) -> Figures:
        """See `Target.compare`; on the classes both know, each at its own thresholds. `shared` is their number.

        `mean_average_precision` of the rival is over these classes too. For the rest see `Classes.class_changes`.
        """
        shared = self.shared_with(rival)
        changes = {**self.class_changes(rival), "shared": len(shared)}
        if not shared:
            nothing = {"mean_average_precision": None, "statement": "knows no class of this model"}
            return changes | gap.unmeasured() | nothing

        _, truth = self.truth_among(shared, encoded)
        ours, theirs = self.narrowed(shared), rival.narrowed(shared)
        given, rival_given = self.answers_among(shared, answers), rival.answers_among(shared, rival_answers)
        measured = gap.compared(theirs.scores(truth, rival_given), ours.scores(truth, given), self.score_range)
        return {
            "mean_average_precision": theirs.figures(truth, rival_given)["mean_average_precision"],
            **changes,
            **measured,
            "statement": f"has a mean F1 of {measured['rival']:.4f} an example on {measured['examples']} test examples "
            f"and the {len(shared)} classes both know, this model {measured['candidate']:.4f}; the fall is "
            f"{gap.told(measured)}",
        }

    def rules(self, figures: Figures, limits: Mapping[str, Any], served: Figures | None = None) -> list[Gate]:
        """Floors over all and by class, calibration, and the list of classes."""
        return [
            answers_gate(figures, "test examples without finite probabilities"),
            *classes.floors(figures, limits, ("mean_average_precision", "micro_f1", "macro_f1")),
            *classes.per_class_gates(figures, limits),
            *classes.calibration_gates(figures, limits, f"{figures['examples']} examples of {self.units} classes"),
            *classes.classes_gates(served, limits),
        ]

    def proposed(self, strata: Mapping[str, int], examples: int, tested: int) -> dict[str, Any]:
        """Mean average precision above that of an order by chance, and a recall of every class that can be measured.

        By chance the average precision of a class is its share of the examples.
        """
        shares = [count / max(examples, 1) for name, count in strata.items() if name]
        floor = skill.above_chance(sum(shares) / max(len(shares), 1), tested)
        return {"mean_average_precision": floor, **skill.recall_floors(strata, examples, tested)}

    def warnings(self, figures: Figures, unit: str) -> list[RunWarning]:
        """A class that is never found, and a mean average precision that an order by chance would reach."""
        supports = [row["support"] for row in figures["per_class"].values() if row["support"]]
        chance = sum(supports) / max(len(supports) * figures["examples"], 1)
        name = "mean_average_precision"
        return [
            *skill.never_found(figures["per_class"], unit),
            *skill.no_better(name, figures[name], chance, "an order by chance"),
        ]

    # Looking at labels.

    def doubts(self, encoded: np.ndarray, answers: np.ndarray, learned: np.ndarray) -> doubts.Doubts:
        """See `doubts.of_classes`."""
        return doubts.of_classes(self.names, encoded, answers, learned)

    def label_texts(self, encoded: np.ndarray) -> list[str]:
        """The classes with commas between them."""
        return [", ".join(self.names[place] for place in np.flatnonzero(row > 0)) or "none" for row in encoded]

    # For TFMA.

    def evaluation(self) -> Evaluation:
        """Counts, the area under the precision-recall curve of all decisions, the means of truth and answers."""
        area = ("AUCPrecisionRecall", {"name": "auc_precision_recall"})
        means = (("MeanLabel", {"name": "mean_label"}), ("MeanPrediction", {"name": "mean_prediction"}))
        return Evaluation("label", "prediction", (("ExampleCount", {}), area, *means))

    def evaluated(self, encoded: np.ndarray, answers: np.ndarray) -> Mapping[str, Sequence[Any]]:
        """Zeros and ones, and probabilities, by class; what is no number is 0."""
        return {"label": encoded.tolist(), "prediction": np.where(np.isfinite(answers), answers, 0).tolist()}

    # Watching.

    certainty = "certainty"

    @property
    def watched(self) -> Mapping[str, str | None]:
        """Number of classes found, how decided the probabilities are, and each of the first classes."""
        return {"labels": "classes", "certainty": "probability"} | {
            f"label {name}": None for name in self._watched_names
        }

    @property
    def _watched_names(self) -> tuple[str, ...]:
        return self.names[:_WATCHED]

    def signals(self, answers: np.ndarray) -> dict[str, list]:
        """`certainty` is the mean probability of what was decided, over the classes; `label NAME` is yes or no."""
        valid = finite(answers)
        given = np.where(valid[:, None], answers, 0.0).astype(np.float64)
        found = answers >= self.thresholds
        words = {True: "yes", False: "no", None: None}
        return {
            "labels": known(found.sum(axis=1), valid),
            "certainty": known(probabilities(np.where(found, given, 1 - given).mean(axis=1)), valid),
            **{
                f"label {name}": [words[value] for value in known(found[:, place], valid)]
                for place, name in enumerate(self._watched_names)
            },
        }

    # For people.

    def told(self, figures: Figures) -> str:
        """Mean average precision and micro F1."""
        return f"mean average precision {figures['mean_average_precision']:.4f}, micro F1 {figures['micro_f1']:.4f}"

    def tiles(self, figures: Figures) -> list[Tile]:
        """See `labels_page`."""
        return labels_page.tiles(figures)

    def sections(self, figures: Figures, unit: str) -> list[Section]:
        """See `labels_page`."""
        return labels_page.sections(figures, unit)

    def worst(self, encoded: np.ndarray, answers: np.ndarray, unit: str) -> Section:
        """See `labels_page`."""
        found = answers >= self.thresholds
        return labels_page.worst(self.names, encoded > 0, found, self.scores(encoded, answers), answers, unit)

    def rivals(self, figures: Figures, limits: Mapping[str, Any], unit: str) -> list[Block]:
        """See `labels_page`."""
        return labels_page.rivals(figures, limits, unit)

    def card(self, figures: Figures, unit: str) -> Card:
        """See `labels_page`."""
        return labels_page.card(figures, unit)
