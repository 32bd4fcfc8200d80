"""L2-SP: its limits, what it is a sum over, and that a killed run is drawn to the published weights too."""

import numpy as np
import pytest
from test_loop import fit

from graft.models.transfer import l2_sp

pytestmark = pytest.mark.slow


def drawn(weight: float, **more) -> dict:
    return {"method": "l2_sp", "weight": weight, "epochs": 2, "head_epochs": 2, "learning_rate": 1e-2, **more}


@pytest.mark.parametrize("kind", ["backbone", "hub_backbone"])
def test_weight_0_is_fine_tuning_bit_for_bit(is_fine_tuning, kind):
    is_fine_tuning({"method": "l2_sp", "weight": 0.0}, {"distance"}, kind)


def test_a_large_weight_returns_the_source(training_input):
    shares = []
    for weight in (0.0, 1e6):
        task = training_input.task(drawn(weight, learning_rate=1e-3))
        task.training = task.training.model_copy(update={"min_delta": -1e9})  # the last weights, not the best
        start = [variable.numpy() for unit in task.backbone.units for variable in unit]
        history = fit(task)
        now = [variable.numpy() for unit in task.backbone.units for variable in unit]
        apart = np.sqrt(sum(np.sum((a - b) ** 2) for a, b in zip(now, start, strict=True)))
        shares.append(float(apart / np.sqrt(sum(np.sum(a**2) for a in start))))
        [finding] = history.findings
        assert finding.value == pytest.approx(shares[-1], rel=1e-4)
        assert f"(weight {weight:g})" in finding.words
    # Adam's steps are as long as its rate even where it only circles the optimum.
    assert shares[1] < 0.2 * shares[0]


def test_the_distance_is_a_sum_over_what_moves(training_input):
    task = training_input.task(drawn(2.0, unfreeze=0.5))
    term = l2_sp.StartingPoint(task)
    task.backbone.unfreeze(0.5)
    frozen = {id(v) for unit in task.backbone.units for v in unit} - {id(v) for v in task.backbone.trainable_variables}
    assert frozen and task.backbone.trainable_variables
    expected = 0.0
    for place, variable in enumerate(task.backbone.variables):
        step = np.full(variable.shape, 0.1 * (place + 1), np.float32)
        variable.assign(variable.numpy() + step)
        if any(variable is one for one in task.backbone.trainable_variables):
            expected += float(np.sum(step.astype(np.float64) ** 2))
    outcome = term({})
    assert float(outcome.losses["distance"]) == pytest.approx(expected, rel=1e-4)
    assert outcome.weights == {"distance": 1.0}, "half of the weight"


@pytest.mark.parametrize("head", [{"solver": "lbfgs"}, {"hidden": [4], "l2": 0.01}], ids=["solved", "hidden"])
def test_the_head_has_a_weight_of_its_own_while_the_backbone_moves(training_input, head):
    task = training_input.task(drawn(0.1, head_weight=0.5, epochs=1), head=head)
    fit(task)
    kernels = [layer.kernel.numpy() for layer in task.head.layers if hasattr(layer, "kernel")]
    norm = sum(float(np.sum(kernel.astype(np.float64) ** 2)) for kernel in kernels)
    assert float(sum(task.head.losses)) == pytest.approx(0.25 * norm, rel=1e-4)
