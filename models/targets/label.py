"""One label of k."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from graft.models import gap
from graft.models.errors import GraftError
from graft.models.gates import Gate
from graft.models.page import Block, Card, Section, Tile
from graft.models.run_warning import RunWarning
from graft.models.targets import calibration, classes, decisions, doubts, label_page, skill
from graft.models.targets.base import Evaluation, Figures, Value, answers_gate, finite, known, probabilities, share
from graft.models.targets.base import Target as AnyTarget
from graft.models.targets.class_weights import class_weights
from graft.models.targets.columns import index_text

if TYPE_CHECKING:
    import tensorflow as tf

    from graft.models import linear
    from graft.models.options import HeadOptions

Fraction = Annotated[float, Field(ge=0, le=1)]


class Options(BaseModel):
    """One class of several: the head gives a probability for each."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    PARSES: ClassVar = frozenset({"column", "class_names"})

    kind: Literal["label"] = "label"
    column: str = Field(
        default="label",
        description="Holds the class, in sources with columns: a name, or an integer that indexes `class_names`.",
    )
    class_names: tuple[str, ...] | None = Field(
        default=None,
        description="The classes allowed, in the order that integer labels index. Null: whatever is found.",
    )
    class_weights: Literal["none", "balanced"] | dict[str, float] = Field(
        default="none",
        description="`balanced` weighs a class by n / (classes * n of the class); or a weight by class name.",
    )
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=1.0, description="Share of the label given to all classes.")

    @field_validator("class_names")
    @classmethod
    def _distinct_classes(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return classes.check_class_names(names)


class Gates(BaseModel):
    """Floors and ceilings on the figures of one label."""

    model_config = ConfigDict(extra="forbid")

    accuracy: Fraction | None = Field(None, description="Least test accuracy.")
    macro_f1: Fraction | None = Field(None, description="Least unweighted mean of the classes' F1.")
    precision: Fraction | dict[str, Fraction] | None = Field(
        None, description="Least precision of every class, or a mapping from class to floor."
    )
    recall: Fraction | dict[str, Fraction] | None = Field(
        None, description="Least recall of every class, or a mapping from class to floor."
    )
    calibration_error: Fraction | None = Field(
        None,
        description="Largest expected calibration error (15 equal-width bins, Guo et al. ICML 2017), beyond chance.",
    )
    baseline_tolerance: Fraction | None = Field(
        0.02,
        description="Accuracy the candidate may lose against the served model, on the test examples of the classes "
        "both know; a loss that may be luck (5 % false alarms) is none. Null: no gate.",
    )
    classes: Literal["same", "grow", "any"] = Field(
        "same",
        description="How the list of classes may differ from the served model's: not, by new ones, or in any way.",
    )


class SliceGates(BaseModel):
    """Floors that must hold in every slice of a column."""

    model_config = ConfigDict(extra="forbid")

    accuracy: Fraction | None = Field(None, description="Least accuracy in each slice.")
    macro_f1: Fraction | None = Field(None, description="Least macro F1 in each slice.")


def shown(outputs: Mapping[str, Any]) -> dict[str, str] | None:
    """For `models.targets.shown`; None for an answer of another kind."""
    if not {"label", "probabilities"} <= outputs.keys():
        return None
    label = outputs["label"]
    return {"label": label, "probability": f"{outputs['probabilities'][label]:.4f}"}


class Target(classes.Classes):
    """The class with the largest logit; facts: `class_weights`, by class, where the settings ask for any."""

    kind = "label"
    headline = "accuracy"
    higher_is_better = True
    answer_name = "probabilities"
    answer_words = "probabilities"
    score_name = "accuracy"
    gap_name = "error rate"
    score_range = 1.0
    one_value = True
    from_names = True
    softens = True
    metrics = ("accuracy", "macro_f1", "calibration_error", "examples")
    floors = ("accuracy", "macro_f1", "precision", "recall")
    part_score_name = "recall"
    slice_columns = {"accuracy": True, "macro_f1": True}
    words = {"loss": "loss (cross-entropy, nats)", "accuracy": "accuracy (share of examples)"}

    options: Options

    # Ingestion.

    def parse(self, row: Mapping[str, Any], class_names: Sequence[str] | None = None) -> Value:
        """One class: a name, or an integer that indexes the names."""
        names = self.options.class_names or class_names
        return (self.allowed(index_text(row.get(self.options.column), names)),)

    def named(self, limits: Mapping[str, Any]) -> Mapping[str, Collection[str]]:
        """Classes of floors and of weights."""
        weights = self.options.class_weights
        return {**super().named(limits), **({"target.class_weights": weights} if isinstance(weights, dict) else {})}

    # Learning.

    @property
    def spec(self) -> "tf.TensorSpec":
        """int64 [None], indices of classes."""
        import tensorflow as tf

        return tf.TensorSpec([None], tf.int64)

    def encode(self, values: Sequence[Value], where: str = "") -> np.ndarray:
        """int64 [n], indices of classes."""
        return np.array(self.index((str(value[0]) for value in values), where), np.int64)

    def check(self, encoded: np.ndarray, where: str) -> None:
        """One integer an example, from 0 to k - 1."""
        if encoded.ndim != 1 or not np.issubdtype(encoded.dtype, np.integer):
            raise GraftError(
                f"{where}: labels must be one class index an example, integers [n]; received {encoded.dtype} "
                f"{list(encoded.shape)}" + (" (one-hot? take argmax)" if encoded.ndim == 2 else "")
            )
        if len(encoded) and (encoded.min() < 0 or encoded.max() >= self.units):
            raise GraftError(
                f"{where}: labels run from {encoded.min()} to {encoded.max()}, but there are {self.units} classes "
                f"(allowed: 0 to {self.units - 1})"
            )

    def fitted(self, encoded: np.ndarray) -> Self:
        """With the weight of each class in the loss."""
        if self.options.class_weights == "none":
            return self
        return self.with_facts(class_weights=class_weights(self.options.class_weights, encoded, self.names).tolist())

    @property
    def class_weights(self) -> np.ndarray:
        """float32 [k]."""
        return np.asarray(self.facts.get("class_weights", np.ones(self.units)), np.float32)

    def losses(self, encoded: "tf.Tensor", outputs: "tf.Tensor", training: bool) -> "tf.Tensor":
        """Cross-entropy; in training with smoothed labels and times the weight of the class."""
        import tensorflow as tf

        smoothing = self.options.label_smoothing if training else 0.0
        wanted = tf.one_hot(encoded, self.units) * (1 - smoothing) + smoothing / self.units
        losses = tf.nn.softmax_cross_entropy_with_logits(wanted, outputs)
        return losses * tf.gather(tf.constant(self.class_weights), encoded) if training else losses

    def divergence(
        self, outputs: "tf.Tensor", model: AnyTarget, others: "tf.Tensor", temperature: float
    ) -> "tf.Tensor":
        """Kullback-Leibler divergence from the other model's softened probabilities to these, nats."""
        import tensorflow as tf

        ours, theirs = (tf.nn.log_softmax(logits / temperature) for logits in (outputs, others))
        return tf.reduce_sum(tf.exp(theirs) * (theirs - ours), axis=1)

    def progress(self, encoded: "tf.Tensor", outputs: "tf.Tensor") -> "Mapping[str, tf.Tensor]":
        """Whether the largest logit is at the label."""
        import tensorflow as tf

        return {"accuracy": tf.cast(tf.equal(tf.argmax(outputs, 1), encoded), tf.float32)}

    def solve(
        self,
        train: "linear.Examples",
        evaluate: "linear.Examples",
        options: "HeadOptions",
        report: "Callable[[int, linear.Step], None]",
    ) -> "linear.Path":
        """Multinomial logistic regression."""
        from graft.models import convex, linear

        def figures(outputs: np.ndarray, targets: np.ndarray) -> dict[str, np.ndarray]:
            return {"accuracy": outputs.argmax(axis=1) == targets}

        train, evaluate = (examples.weighed(self.class_weights[examples.targets]) for examples in (train, evaluate))
        loss = convex.Softmax(self.units, self.options.label_smoothing)
        return linear.solve(train, evaluate, loss, options, report, figures)

    # Answering.

    def answer(self, outputs: "tf.Tensor") -> "dict[str, tf.Tensor]":
        """Logits [n, k] -> `classes`, `probabilities`, `scores` [n, k] and `label` [n], the most probable class."""
        import tensorflow as tf

        return {
            "classes": self.tiled_names(tf.shape(outputs)[0]),
            "probabilities": tf.nn.softmax(outputs),
            "scores": outputs,
            "label": tf.gather(tf.constant([name.encode() for name in self.names]), tf.argmax(outputs, axis=1)),
        }

    # Measuring.

    def scores(self, encoded: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """1.0 where the most probable class is the true one, else 0.0."""
        return (most_probable(answers) == encoded).astype(np.float64)

    def figures(self, encoded: np.ndarray, answers: np.ndarray) -> Figures:
        """Accuracy, macro F1, per-class table, confusion matrix (rows are true classes) and calibration.

        An answer whose probabilities are not finite numbers is wrong; `invalid` counts them. `unmeasured` are the
        classes without examples.
        """
        from sklearn import metrics as sk

        predicted = most_probable(answers)
        ids = np.arange(self.units)
        precision, recall, f1, support = sk.precision_recall_fscore_support(
            encoded, predicted, labels=ids, zero_division=0
        )
        # As scikit-learn's macro average: a class that is only predicted counts, with an F1 of 0.
        present = (support > 0) | np.isin(ids, predicted)
        calibrated = calibration.reliability(answers.max(axis=1), answers.argmax(axis=1) == encoded)
        rows = zip(self.names, precision, recall, f1, support, strict=True)
        return {
            "examples": len(encoded),
            "invalid": int((predicted < 0).sum()),
            "unmeasured": [name for name, count in zip(self.names, support, strict=True) if not count],
            "accuracy": (right := float((predicted == encoded).mean())),
            "accuracy_interval": list(label_page.wilson(right, len(encoded))) if len(encoded) else None,
            "macro_f1": float(f1[present].mean()) if present.any() else 0.0,
            "calibration_error": calibrated["error"],
            "calibration_bias": calibrated["bias"],
            "calibration_interval": calibrated["interval"],
            "reliability": calibrated["bins"],
            "per_class": {
                name: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
                for name, p, r, f, s in rows
            },
            "confusion": _confusion(encoded, predicted, ids),
        }

    def weighed(self, encoded: np.ndarray, answers: np.ndarray, weights: np.ndarray) -> Mapping[str, np.ndarray]:
        """Accuracy and macro F1."""
        predicted, ids = most_probable(answers), np.arange(self.units)
        macro, _ = decisions.weighed_f1(encoded[:, None] == ids, predicted[:, None] == ids, weights)
        return {"accuracy": share(predicted == encoded, weights), "macro_f1": macro}

    def part_scores(self, encoded: np.ndarray, answers: np.ndarray) -> Mapping[str, np.ndarray]:
        """Whether an example of the class was given that class."""
        right = self.scores(encoded, answers)
        return {name: np.where(encoded == place, right, np.nan) for place, name in enumerate(self.names)}

    def narrowed(self, names: Sequence[str]) -> Self:
        """Which of some classes is the most probable."""
        return type(self)(self.options, names)

    def truth_among(self, names: Sequence[str], encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The examples of these classes."""
        names = list(names)
        places = np.array([names.index(name) if name in names else -1 for name in self.names])[encoded]
        return places >= 0, places

    def compare(self, encoded: np.ndarray, answers: np.ndarray, rival: AnyTarget, rival_answers: np.ndarray) -> Figures:
        """See `Target.compare`; names that the rival never knew would all count as its errors.

        So both are asked about the examples of shared classes only, and which of the shared classes they find most
        probable. `accuracy` is over the whole test split, where a class that the rival does not know is an error;
        `shared` is the number of classes that both know; for the rest see `Classes.class_changes`.
        """
        shared = self.shared_with(rival)
        truth = np.array([rival.names.index(name) if name in rival.names else -1 for name in self.names])[encoded]
        found: Figures = {
            "accuracy": float(((most_probable(rival_answers) == truth) & (truth >= 0)).mean()),
            **self.class_changes(rival),
            "shared": len(shared),
        }
        rows = truth >= 0
        if not rows.any():
            return found | gap.unmeasured() | {"statement": "knows no class of the test split"}
        labels = np.array([shared.index(name) if name in shared else -1 for name in self.names])[encoded[rows]]

        def right(target: AnyTarget, given: np.ndarray) -> np.ndarray:
            columns = np.array([target.names.index(name) for name in shared])
            return most_probable(given[np.ix_(rows, columns)]) == labels

        measured = gap.compared(right(rival, rival_answers), right(self, answers), self.score_range)
        return (
            found
            | measured
            | {
                "statement": f"is right on {measured['rival']:.4f} of {measured['examples']} test examples of the "
                f"{len(shared)} classes both know, this model on {measured['candidate']:.4f}; the fall is "
                f"{gap.told(measured)}"
            }
        )

    def rules(self, figures: Figures, limits: Mapping[str, Any], served: Figures | None = None) -> list[Gate]:
        """Floors over all and by class, calibration, and the list of classes."""
        return [
            answers_gate(figures, "test examples without finite probabilities"),
            *classes.floors(figures, limits, ("accuracy", "macro_f1")),
            *classes.per_class_gates(figures, limits),
            *classes.calibration_gates(figures, limits, f"{figures['examples']} examples"),
            *classes.classes_gates(served, limits),
        ]

    def proposed(self, strata: Mapping[str, int], examples: int, tested: int) -> dict[str, Any]:
        """Accuracy above the share of the most common class, and a recall of every class that can be measured."""
        share = max(strata.values(), default=0) / max(examples, 1)
        return {"accuracy": skill.above_chance(share, tested), **skill.recall_floors(strata, examples, tested)}

    def warnings(self, figures: Figures, unit: str) -> list[RunWarning]:
        """A class that is never found, and an accuracy that one answer for all would reach."""
        table = figures["per_class"]
        common = max(table, key=lambda name: table[name]["support"])
        share = table[common]["support"] / max(figures["examples"], 1)
        return [
            *skill.never_found(table, unit),
            *skill.no_better("accuracy", figures["accuracy"], share, f"always answering {common}"),
        ]

    # Looking at labels.

    def doubts(self, encoded: np.ndarray, answers: np.ndarray, learned: np.ndarray) -> doubts.Doubts:
        """See `doubts.of_class`."""
        return doubts.of_class(self.names, encoded, answers, learned)

    def label_texts(self, encoded: np.ndarray) -> list[str]:
        """The class."""
        return [self.names[place] for place in encoded.tolist()]

    # For TFMA.

    def evaluation(self) -> Evaluation:
        """Accuracy and counts; not SparseCategoricalAccuracy: the same figure, without the seconds of its tracing."""
        return Evaluation("label", "prediction", (("ExampleCount", {}), ("ExactMatch", {"name": "accuracy"})))

    def evaluated(self, encoded: np.ndarray, answers: np.ndarray) -> Mapping[str, Sequence[Any]]:
        """The true and the most probable class by name (empty where there is none), and the probabilities."""
        return {
            "label": [[self.names[i]] for i in encoded],
            "prediction": [[self.names[i] if i >= 0 else ""] for i in most_probable(answers)],
            "probabilities": answers.tolist(),
        }

    # Watching.

    watched = {"predicted": None, "confidence": "probability", "margin": "probability"}
    certainty = "confidence"

    def signals(self, answers: np.ndarray) -> dict[str, list]:
        """The most probable class, its probability, and by how much it is above the next one."""
        valid = finite(answers)
        ranked = np.sort(np.where(valid[:, None], answers, 0.0).astype(np.float64), axis=1)
        best = most_probable(answers).tolist()
        return {
            "predicted": [self.names[place] if place >= 0 else None for place in best],
            "confidence": known(probabilities(ranked[:, -1]), valid),
            "margin": known(probabilities(ranked[:, -1] - ranked[:, -2]), valid),
        }

    # For people: see `models.targets.label_page`.

    def tiles(self, figures: Figures) -> list[Tile]:
        """Accuracy with its interval, macro F1, calibration error."""
        return label_page.tiles(figures)

    def sections(self, figures: Figures, unit: str) -> list[Section]:
        """By class, the confusion matrix, calibration."""
        return label_page.sections(figures, unit)

    def worst(self, encoded: np.ndarray, answers: np.ndarray, unit: str) -> Section:
        """The most confident wrong answers."""
        return label_page.worst(self.names, encoded, most_probable(answers), answers, unit)

    def rivals(self, figures: Figures, limits: Mapping[str, Any], unit: str) -> list[Block]:
        """Accuracies on all examples and on the classes both know."""
        return label_page.rivals(figures, limits, unit)

    def card(self, figures: Figures, unit: str) -> Card:
        """Figures, tables and limits."""
        return label_page.card(figures, unit)

    def told(self, figures: Figures) -> str:
        """The accuracy."""
        return f"accuracy {figures['accuracy']:.4f}"


def most_probable(probabilities: np.ndarray) -> np.ndarray:
    """int [n], the class with the largest of the probabilities or logits [n, k]; -1 where one is no finite number."""
    return np.where(finite(probabilities), np.nan_to_num(probabilities).argmax(axis=1), -1)


def _confusion(labels: np.ndarray, predicted: np.ndarray, ids: np.ndarray) -> list[list[int]]:
    """Counts by true and predicted class; answers that are none are in no column."""
    from sklearn import metrics as sk

    if not np.isin(labels, ids).any():
        return np.zeros((len(ids), len(ids)), int).tolist()
    return sk.confusion_matrix(labels, predicted, labels=ids).tolist()
