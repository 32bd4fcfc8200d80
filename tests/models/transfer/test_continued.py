"""Killed in the middle and continued, a training of any method ends as one that was left alone.

`test_trainer.py` kills the process itself, and `test_loop.py` raises; here the folder of checkpoints is copied in the
middle of the whole training, at an epoch of each phase that matters: what a process that died there would have left.
"""

import dataclasses

import pytest
from test_loop import assert_equal_weights, fit, fit_and_leave, without_seconds
from two_domains import write_domains

from graft.models.checkpoint import Checkpoint
from graft.models.transfer import METHODS

pytestmark = pytest.mark.slow

MOVES = {"epochs": 2, "head_epochs": 1, "learning_rate": 1e-3}
MIXES = {"unfreeze": 1.0, "epochs": 2, "learning_rate": 1e-3}
HIDDEN = {"solver": "adam", "hidden": [8], "dropout": 0.2}
EVERY_SETTING = {
    **MOVES,
    "optimizer": "adamw",
    "clip": 0.5,
    "schedule": "cosine",
    "warmup": 0.25,
    "layer_decay": 0.5,
    "head_multiplier": 3.0,
    "gradual": True,
    "mixup": 0.3,
}
"""Of those that move the backbone, but for what excludes each other."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A training.

    Attributes:
        transfer: the section, less its method.
        stop_after: the epoch that it does not survive; where the backbone moves, it had moved before.
        train: keys of `train`, and `augment`.
        domains: examples of two domains.
        named: figures by which an epoch shows that the method was at work.
        anew: it takes seconds and writes no checkpoint.
    """

    transfer: dict
    stop_after: int = 3
    head: dict | None = None
    train: dict = dataclasses.field(default_factory=dict)
    domains: bool = False
    named: frozenset[str] = frozenset()
    anew: bool = False


FLIPPED = {"augment": {"flip": True}}
FEW = {"epochs": 3, "patience": 9}
SHORT = {"epochs": 1}
CASES = {
    "frozen": [Case({}, train=FEW)],
    "fine_tune": [Case(EVERY_SETTING, 4, train=FLIPPED)],
    "l2_sp": [Case({**MOVES, "weight": 5.0, "head_weight": 0.1}, train=FLIPPED)],
    "delta": [Case({**MOVES, "weight": 1.0}, train=FLIPPED, named=frozenset({"feature_distance"}))],
    "bss": [Case({**MOVES, "weight": 1e-2}, train=FLIPPED, named=frozenset({"weakest_directions"}))],
    "prune": [Case({**MOVES, "sparsity": 0.75, "ramp_epochs": 1, "every": 2}, named=frozenset({"sparsity"}))],
    "joint": [Case({**MIXES, "weight": 0.5}, domains=True, train=SHORT, named=frozenset({"source_loss"}))],
    "coral": [Case({}, train=FEW, domains=True)],
    "standardise": [Case({}, train={**FEW, "learning_rate": 0.3}, domains=True)],
    "deep_coral": [Case({"most_of_one": 1.0}, head=HIDDEN, train=FEW, domains=True)],
    "mk_mmd": [Case({"most_of_one": 1.0}, head=HIDDEN, train=FEW, domains=True)],
    "dann": [
        Case({"weight": 0.1, "most_of_one": 1.0}, head=HIDDEN, train=FEW, domains=True),
        Case({**MIXES, "weight": 0.1, "most_of_one": 1.0}, head=HIDDEN, train=SHORT, domains=True),
    ],
    "instance_weighting": [Case({**MIXES, "weight": 0.5}, train=SHORT, domains=True)],
    "tradaboost": [Case({"learners": 3}, head={"solver": "lbfgs"}, domains=True, anew=True)],
}
ELSEWHERE = {"distil", "select"}
"""These have tests of their own: over a projection, and within and between candidates."""


@pytest.fixture(scope="module")
def make(training_input, tmp_path_factory):
    """Makes the task of a case."""
    domains = write_domains(training_input, tmp_path_factory.mktemp("domains"))

    def make(method: str, case: Case):
        features = domains if case.domains else None
        return training_input.task({"method": method, **case.transfer}, head=case.head, features=features, **case.train)

    return make


def test_each_method_has_its_case():
    assert set(CASES) | ELSEWHERE == set(METHODS)


@pytest.mark.parametrize(
    ("method", "case"), [pytest.param(name, case, id=name) for name, cases in CASES.items() for case in cases]
)
def test_it_ends_as_an_uninterrupted_training(make, tmp_path, method, case):
    whole = make(method, case)
    # A vote counts its learners.
    history = fit_and_leave(whole, tmp_path, [case.stop_after], ("epochs", "learners"))
    assert not case.named or case.named < history.epochs[-1].keys()
    continued = make(method, case)
    resumed = fit(continued, Checkpoint(tmp_path / str(case.stop_after), "t"))
    # The process dies before it can write the epoch that it has just done.
    assert resumed.resumed_at == (None if case.anew else case.stop_after - 1)
    assert_equal_weights(whole, continued)
    assert without_seconds(resumed) == without_seconds(history)
    assert resumed.findings == history.findings
