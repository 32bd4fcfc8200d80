"""The solver of linear heads: at the optimum, whatever the scale, in slices, with weights, along a path."""

import time
import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from graft.models import linear
from graft.models.convex import Softmax
from graft.models.errors import GraftError
from graft.models.linear import Examples, Solver, measure, refit
from graft.models.options import HeadOptions


def make_examples(n: int, width: int = 40, classes: int = 4, seed: int = 0, weights: bool = False) -> Examples:
    """Skewed, correlated, positive features of very different scales, as ReLU networks give, and noisy labels."""
    rng = np.random.default_rng(seed)
    world = np.random.default_rng(1)
    scales = 10 ** world.uniform(-2, 1, width)
    mixed = rng.normal(size=(n, width)) + rng.normal(size=(n, 5)) @ world.normal(size=(5, width))
    features = np.maximum(mixed, 0) * scales
    labels = (features / scales @ world.normal(size=(width, classes)) * 0.4 + rng.gumbel(size=(n, classes))).argmax(1)
    return Examples(features.astype(np.float32), labels, rng.uniform(0.2, 3, n) if weights else None)


def accuracy(outputs: np.ndarray, targets: np.ndarray) -> dict[str, np.ndarray]:
    return {"accuracy": outputs.argmax(axis=1) == targets}


def solve_path(train: Examples, held_out: Examples, classes: int, l2: float | None = None, progress=None):
    return linear.solve(train, held_out, Softmax(classes), HeadOptions(l2=l2), progress, accuracy)


def objective(model: linear.Linear, examples: Examples, l2: float) -> float:
    """What is minimised, in float64."""
    logits = examples.features.astype(np.float64) @ model.kernel + model.bias
    losses = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(logits)), examples.targets]
    return float(np.average(losses, weights=examples.weights) + l2 * np.sum(np.float64(model.kernel) ** 2))


def scikit(examples: Examples, l2: float) -> linear.Linear:
    """The same problem by scikit-learn."""
    total = len(examples.targets) if examples.weights is None else examples.weights.sum()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LogisticRegression(C=1 / (2 * l2 * total), tol=1e-8, max_iter=20_000)
        model.fit(examples.features.astype(np.float64), examples.targets, examples.weights)
    return linear.Linear(model.coef_.T, model.intercept_)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "l2"), [(30, 1.0), (30, 1e-2), (300, 1.0), (300, 1e-2), (300, 1e-4)], ids=lambda value: f"{value:g}"
)
@pytest.mark.parametrize("weights", [False, True], ids=["unweighted", "weighted"])
def test_the_optimum_is_that_of_scikit_learn(n, weights, l2):
    examples = make_examples(n, weights=weights)
    model, _, converged = Solver(examples, Softmax(4)).solve(l2)
    assert converged
    assert objective(model, examples, l2) <= objective(scikit(examples, l2), examples, l2) + 1e-5


def test_smoothed_labels_are_a_mixture_of_one_hot_ones():
    """CE is linear in the label: smoothing equals every example once for each class, weighted by its label."""
    examples = make_examples(60)
    smoothed, _, _ = Solver(examples, Softmax(4, 0.2)).solve(1e-3)
    shares = 0.8 * np.eye(4)[examples.targets] + 0.05
    every = Examples(np.repeat(examples.features, 4, axis=0), np.tile(np.arange(4), 60), shares.ravel())
    spelled_out, _, _ = Solver(every, Softmax(4)).solve(1e-3)
    np.testing.assert_allclose(smoothed.kernel, spelled_out.kernel, atol=2e-3)


def test_the_scale_and_the_place_of_the_features_do_not_matter():
    examples = make_examples(200)
    held_out = make_examples(100, seed=2)
    moved = [Examples(1e4 * (e.features + 3), e.targets) for e in (examples, held_out)]
    plain, far = solve_path(examples, held_out, 4), solve_path(*moved, 4)
    assert plain.chosen == far.chosen
    losses = [path.steps[path.chosen].figures["val_loss"] for path in (plain, far)]
    assert losses[1] == pytest.approx(losses[0], abs=1e-3)


def test_the_path_goes_from_the_prior_to_its_lowest_eval_loss_and_little_further():
    train, held_out = make_examples(120), make_examples(400, seed=2)
    told = []
    path = solve_path(train, held_out, 4, progress=lambda done, step: told.append((done, step.l2)))
    losses = [step.figures["val_loss"] for step in path.steps]
    prior = np.bincount(train.targets, minlength=4) / len(train.targets)
    entropy = -float(np.log(prior)[held_out.targets].mean())
    assert losses[0] == pytest.approx(entropy, abs=0.05)
    assert path.chosen == int(np.argmin(losses))
    assert 0 < path.chosen < len(losses) - 1 == path.chosen + 2
    assert [l2 for _, l2 in told] == sorted((step.l2 for step in path.steps), reverse=True)
    assert measure(path.model, held_out, Softmax(4), accuracy)["loss"] == pytest.approx(min(losses), abs=1e-6)
    assert all(step.converged for step in path.steps)


def test_shuffled_labels_learn_nothing():
    train, held_out = make_examples(200), make_examples(400, seed=2)
    shuffled = Examples(train.features, np.random.default_rng(0).permutation(train.targets))
    path = solve_path(shuffled, held_out, 4)
    share = np.bincount(held_out.targets).max() / len(held_out.targets)
    assert path.steps[path.chosen].figures["val_accuracy"] < share + 0.05
    real = solve_path(train, held_out, 4)
    assert real.steps[real.chosen].figures["val_accuracy"] > share + 0.1


def test_one_strength_is_taken_as_it_is():
    path = solve_path(make_examples(60), make_examples(60, seed=2), 4, l2=0.01)
    assert [step.l2 for step in path.steps] == [0.01]


def test_memory_mapped_features_are_read_in_slices(tmp_path, monkeypatch):
    examples = make_examples(500)
    whole, _, _ = Solver(examples, Softmax(4)).solve(1e-3)
    np.save(tmp_path / "features.npy", examples.features)
    monkeypatch.setattr(linear, "_SLICE_BYTES", 4 * 40 * 64)
    mapped = Examples(np.load(tmp_path / "features.npy", mmap_mode="r"), examples.targets)
    assert max(len(features) for features, _, _ in mapped.slices()) == 64
    sliced, _, _ = Solver(mapped, Softmax(4)).solve(1e-3)
    assert objective(sliced, examples, 1e-3) == pytest.approx(objective(whole, examples, 1e-3), abs=1e-6)


def test_refit_learns_from_both_sets_at_the_same_c(monkeypatch):
    train, held_out = make_examples(150), make_examples(50, seed=2)
    both = Examples(
        np.concatenate([train.features, held_out.features]), np.concatenate([train.targets, held_out.targets])
    )
    monkeypatch.setattr(linear, "_SLICE_BYTES", 4 * 40 * 64)
    model = refit(train, held_out, Softmax(4), 1e-2)
    expected = scikit(both, 1e-2 * 150 / 200)
    assert objective(model, both, 1e-2 * 150 / 200) <= objective(expected, both, 1e-2 * 150 / 200) + 1e-5


def test_features_that_are_no_numbers_are_refused():
    examples = make_examples(30)
    examples.features[7, 3] = np.nan
    with pytest.raises(GraftError, match="features of the train split are not finite numbers"):
        solve_path(examples, make_examples(30), 4)
    with pytest.raises(GraftError, match="features of the eval split are not finite numbers"):
        solve_path(make_examples(30), examples, 4)


def test_features_without_any_variance_give_the_prior():
    path = solve_path(*(Examples(np.ones((n, 5), np.float32), np.arange(n) % 3) for n in (30, 12)), 3)
    assert path.steps[path.chosen].figures["val_loss"] == pytest.approx(np.log(3), abs=1e-3)


@pytest.mark.slow
def test_no_slower_than_scikit_learn_on_the_same_path():
    train, held_out = make_examples(1500, width=256), make_examples(300, width=256, seed=2)
    path, ours = timed(lambda: solve_path(train, held_out, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, theirs = timed(
            lambda: [
                LogisticRegression(C=1 / (2 * step.l2 * 1500), max_iter=1000).fit(train.features, train.targets)
                for step in path.steps
            ]
        )
    assert ours < 1.5 * theirs


def timed(work):
    start = time.perf_counter()
    return work(), time.perf_counter() - start
