"""Is transferring better than not transferring? The same target task, learned with and without the source.

The negative-transfer gap is NTG = err(with source) - err(without source), same algorithm and same budget; above 0
the source hurts (Wang et al., "Characterizing and Avoiding Negative Transfer", CVPR 2019, section 3).

"Without the source" is the same head on the input's plain form, a linear head on the same, and the same network from
scratch. A linear head is solved to its optimum, as it is on features. What is trained may take as many optimizer steps
as the transferred model may, at the same batch size, and is not stopped early: only its best eval weights count. So the
references are as strong as the budget allows.
"""

import dataclasses
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from graft.models import gap, loop, progress
from graft.models.backbone import Backbone, scratch_backbone
from graft.models.datasets import InputSplit
from graft.models.errors import GraftError
from graft.models.features import check_same_backbone
from graft.models.heads import build_head
from graft.models.history import History
from graft.models.inputs import make_input
from graft.models.inputs.base import Input
from graft.models.options import HeadOptions, TrainOptions
from graft.models.outputs import head_outputs, network_outputs, trained_outputs, tuned_target
from graft.models.settings import Settings
from graft.models.shared_backbone import shared_backbone
from graft.models.standard_phases import backbone_phase
from graft.models.targets import load_target
from graft.models.targets.base import Target
from graft.models.task import Split, Task, check_same_names, inputs, load_split
from graft.models.trainer import build_task, make_deterministic
from graft.models.transfer import METHODS, adapts, frozen, parse_options, reads_inputs

log = logging.getLogger(__name__)

REFERENCES = ("raw", "scratch")
STAGE = "negative_transfer"


@dataclasses.dataclass
class Comparison:
    """The target task, as every contestant gets it.

    Attributes:
        settings: backbone, head, method and training of the transferred model.
        input: what the data is made of.
        target: what is predicted, with its names.
        train: what is learned from; the references see its examples of the target domain only, or where the method
            adapts the labelled ones of the source domain.
        eval: what picks the best weights.
        test: what the scores are measured on, of the domain that judges; opened for nothing else.
        unit: a fitted target in whose unit scores are told, see `Target.scored_like`; None: each training's own.
    """

    settings: Settings
    input: Input
    target: Target
    train: Split
    eval: Split
    test: Split
    unit: Target | None = None
    _opened: list[tuple[Split, InputSplit]] = dataclasses.field(default_factory=list, repr=False)

    @classmethod
    def from_config(
        cls, custom_config: dict[str, Any], transform_graph_path: str | Path, files: dict[str, Sequence[str]]
    ) -> "Comparison":
        """Opens the same inputs as the Trainer had.

        Args:
            custom_config: as for `models.trainer.run_fn`, `features_path` included.
            transform_graph_path: output folder of Transform.
            files: glob patterns of the Examples for `train`, `eval` and `test`.
        """
        settings = Settings.model_validate(custom_config)
        target = load_target(settings.target, transform_graph_path)
        check_same_names(settings.features_path, target)
        splits = {name: load_split(settings.features_path, name, files[name]) for name in ("train", "eval", "test")}
        splits["test"] = splits["test"].judged
        return cls(settings, make_input(settings.input), target, splits["train"], splits["eval"], splits["test"])

    @property
    def adapts(self) -> bool:
        """Whether the method learns from a source domain only."""
        return adapts(parse_options(self.settings.transfer))

    def test_inputs(self) -> InputSplit:
        """The test split's examples as the backbone expects them, opened once for all trainings and draws of labels."""
        if not self._opened or self._opened[0][0] is not self.test:
            self._opened[:] = [(self.test, inputs(self.test, self.input, self.settings.train.batch_size))]
        return self._opened[0][1]

    def training(self, seed: int) -> TrainOptions:
        """The training settings with another seed."""
        return self.settings.train.model_copy(update={"seed": seed})

    def reference_task(
        self, seed: int, epochs: int, options: HeadOptions, backbone: Backbone | None, plain: dict[str, np.ndarray]
    ) -> Task:
        """The task of a reference: the labelled examples of one domain, the full budget, no early stop.

        Args:
            seed: of head and shuffling.
            epochs: how many it may take.
            options: of the head.
            backbone: under the head; None where it works on `plain`.
            plain: by split what takes the place of features; empty where it has a backbone.
        """
        train, eval = self.train.learned(self.adapts), self.eval.learned(self.adapts)
        if plain:
            train, eval = (
                dataclasses.replace(split, features=plain[name]) for name, split in (("train", train), ("eval", eval))
            )
        target = self.target.fitted(train.targets)
        head = build_head(target.units, train.features.shape[1], options, seed)
        training = self.training(seed).model_copy(update={"epochs": epochs, "patience": epochs})
        return Task(target, backbone, head, train, eval, frozen.Options(), training, stage=STAGE, head_options=options)


@dataclasses.dataclass
class Outcome:
    """One contestant under one seed.

    Attributes:
        scores: float [n], the target's score of each test example, in the order of the test features.
        history: of its training; None for one that is no training of the transferred model's kind.
        seeded: whether another seed would make another outcome; a head that is solved has one optimum.
    """

    scores: np.ndarray
    history: History | None = None
    seeded: bool = True


def transferred(comparison: Comparison, seed: int, backbone: Backbone | None = None) -> Outcome:
    """Trains the transferred model anew under a seed.

    Args:
        comparison: the task.
        seed: of head, shuffling and augmentation.
        backbone: one to share between seeds, for methods that leave it as it is.
    """
    settings = comparison.settings.model_copy(update={"train": comparison.training(seed)})
    task = build_task(
        settings, comparison.input, comparison.target, comparison.train, comparison.eval, backbone=backbone
    )
    task.stage = STAGE
    history = METHODS.module(task.options.method).fit(task)
    scores = _scores(comparison, task, lambda split: trained_outputs(task, split), comparison.test)
    return Outcome(scores, history, seeded=reads_inputs(task.options) or not history.path)


def raw_input_head(
    comparison: Comparison, plain: dict[str, np.ndarray], seed: int, epochs: int, options: HeadOptions | None = None
) -> Outcome:
    """The same head, fed with the input's plain form instead of features.

    Args:
        comparison: the task.
        plain: `plain_form` of each split.
        seed: of head and shuffling.
        epochs: how many it may take.
        options: of the head; those of the transferred model where None.
    """
    options = options or comparison.settings.head
    task = comparison.reference_task(seed, epochs, options, None, plain)
    history = frozen.fit(task)
    test = dataclasses.replace(comparison.test, features=plain["test"])
    scores = _scores(comparison, task, lambda split: head_outputs(task.head, task.arrays(split).ordered()), test)
    return Outcome(scores, history, seeded=not options.solved)


def raw_linear_head(comparison: Comparison, plain: dict[str, np.ndarray]) -> Outcome:
    """A linear head on the same plain form, solved to its optimum, its strength chosen on eval."""
    return dataclasses.replace(raw_input_head(comparison, plain, 0, 1, HeadOptions()), history=None)


def from_scratch(
    comparison: Comparison, seed: int, epochs: int, published: Backbone, monitor: tuple[str, bool] = ("val_loss", True)
) -> Outcome:
    """The same network with weights drawn anew, all of it trained, batch normalisation in training mode.

    Args:
        comparison: the task.
        seed: of the weights, shuffling and augmentation.
        epochs: how many it may take.
        published: the pre-trained backbone, for its architecture.
        monitor: the figure whose best epoch's weights count, and whether lower is better.
    """
    backbone = scratch_backbone(published, seed)
    backbone.unfreeze(1.0)
    # On features that move there is no optimum to solve for.
    options = comparison.settings.head.model_copy(update={"solver": "adam", "refit": False})
    task = comparison.reference_task(seed, epochs, options, backbone, {})
    phase = backbone_phase(task, epochs, task.training.learning_rate, "scratch", batch_norm_training=True)
    phase.monitor, phase.lower_is_better = monitor
    history = loop.run(task, [phase])

    def outputs(split: Split) -> np.ndarray:
        opened = comparison.test_inputs() if split is comparison.test else task.inputs(split)
        return network_outputs(backbone, task.head, opened.ordered())

    return Outcome(_scores(comparison, task, outputs, comparison.test), history)


def plain_form(comparison: Comparison) -> dict[str, np.ndarray]:
    """The splits in the input's plain form, of the domain that is learned from or judged on.

    Returns:
        float32 [n, d] by split, rows in the order of the features.
    """
    splits = {"train": comparison.train, "eval": comparison.eval, "test": comparison.test}
    batch = comparison.settings.train.batch_size
    contents = {
        name: inputs(split if name == "test" else split.learned(comparison.adapts), comparison.input, batch).contents()
        for name, split in splits.items()
    }
    return comparison.input.plain(contents, STAGE)


def negative_transfer(
    comparison: Comparison, seeds: Sequence[int], references: Sequence[str] = REFERENCES
) -> dict[str, Any]:
    """Trains the transferred model and the references under each seed and compares them.

    Args:
        comparison: the task.
        seeds: one training of each kind for each.
        references: `raw` (the head, and a linear one, on the input's plain form), `scratch` (the network; costly for
            large inputs), or both.

    Returns:
        JSON types: `seeds`; `test_examples`; `epochs`, the most a contestant may take; `steps` by contestant and seed;
        `score`, what the target's mean score is; `scores` by contestant (`transferred`, `raw_head`, `scratch`;
        `raw_linear_head` where the head is another model) and seed; `gap` by reference, each with `per_seed`, `min`,
        `median`, `max`, `mean` and `interval` (over seeds and test examples, see `models.gap`; all hold together);
        `beyond_luck`, the largest gap that is distinguishable from 0, else at most 0; `best_reference`, the one with
        the highest mean score; `statement`, a sentence.

    Raises:
        GraftError: an unknown reference, or none; too few seeds.
    """
    if not references or not set(references) <= set(REFERENCES):
        raise GraftError(f"negative_transfer.references: received {list(references)}; allowed: some of {REFERENCES}")
    if len(seeds) < gap.LEAST_SEEDS:
        raise GraftError(
            f"negative_transfer.seeds: received {len(seeds)}; allowed: at least {gap.LEAST_SEEDS}, for fewer "
            "trainings say next to nothing of the luck of training"
        )
    published = shared_backbone(comparison.settings.backbone, comparison.input)
    check_same_backbone(comparison.settings.features_path, published)
    shared = None if reads_inputs(parse_options(comparison.settings.transfer)) else published
    plain = plain_form(comparison) if "raw" in references else {}
    outcomes: dict[str, list[Outcome]] = {}
    total = len(seeds) * (1 + len(references))
    done = 0
    for seed in seeds:
        make_deterministic(seed)
        _add(outcomes, "transferred", transferred, comparison, seed, shared)
        epochs = outcomes["transferred"][-1].history.max_epochs
        if "raw" in references:
            _add(outcomes, "raw_head", raw_input_head, comparison, plain, seed, epochs)
            if not comparison.settings.head.solved:
                _add(outcomes, "raw_linear_head", raw_linear_head, comparison, plain)
        if "scratch" in references:
            _add(outcomes, "scratch", from_scratch, comparison, seed, epochs, published)
        done += 1 + len(references)
        progress.report(STAGE, done, total, "trainings")
    return _summary(comparison, outcomes, list(seeds), epochs)


def _add(outcomes: dict[str, list[Outcome]], name: str, train: Callable[..., Outcome], *arguments: Any) -> None:
    """Adds a contestant's outcome; one that no seed changes is trained once."""
    known = outcomes.setdefault(name, [])
    known.append(known[0] if known and not known[0].seeded else train(*arguments))


def _summary(
    comparison: Comparison, outcomes: dict[str, list[Outcome]], seeds: list[int], epochs: int
) -> dict[str, Any]:
    target, unit = comparison.target, comparison.input.unit
    scores = {name: np.stack([outcome.scores for outcome in found]) for name, found in outcomes.items()}
    model = scores.pop("transferred")
    gaps = {name: gap.measure(rows, model, len(scores), target.score_range) for name, rows in scores.items()}
    best = max(gaps, key=lambda name: gaps[name].mean)
    worst = max(gaps, key=lambda name: gaps[name].beyond_luck)
    beyond_luck = gaps[worst].beyond_luck
    if beyond_luck > 0:
        verdict, named = "worse than", worst
    else:
        verdict = "better than" if all(g.high < 0 for g in gaps.values()) else "not distinguishable from"
        named = best
    told = gaps[named]
    over_all = f" over all {len(gaps)} references" if len(gaps) > 1 else ""
    return {
        "seeds": seeds,
        "test_examples": model.shape[1],
        "epochs": epochs,
        "steps": {name: [o.history.steps if o.history else None for o in found] for name, found in outcomes.items()},
        "score": target.score_name,
        "scores": {name: rows.mean(axis=1).tolist() for name, rows in {"transferred": model, **scores}.items()},
        "gap": {name: _described(found) for name, found in gaps.items()},
        "beyond_luck": beyond_luck,
        "best_reference": best,
        "statement": (
            f"Transferring is {verdict} not transferring: the gap to {named} is {told.mean:+.3f} in "
            f"{target.gap_name} (interval {told.low:+.3f} to {told.high:+.3f} over {len(seeds)} seeds and "
            f"{model.shape[1]} test {unit}, {gap.FALSE_ALARMS:.0%} false alarms at most{over_all}); "
            "above 0 the source hurts."
        ),
    }


def _described(found: gap.Gap) -> dict[str, Any]:
    return {
        "per_seed": list(found.per_seed),
        "min": min(found.per_seed),
        "median": float(np.median(found.per_seed)),
        "max": max(found.per_seed),
        "mean": found.mean,
        "interval": [found.low, found.high],
    }


def _scores(comparison: Comparison, task: Task, outputs: Callable[[Split], np.ndarray], test: Split) -> np.ndarray:
    """What the target makes of a trained contestant's outputs, tuned on eval as the exported model is."""
    target = tuned_target(task, outputs)
    judge = target if comparison.unit is None else target.scored_like(comparison.unit)
    return judge.scores(test.targets, target.measured(outputs(test)))
