"""How far domains lie apart, mapped features, and when a model counts as collapsed."""

import dataclasses

import numpy as np
import pytest

from graft.models.adaptation import Mapped, distance_findings, proxy_a_distance, pseudo_labels, sample
from graft.models.arrays import ArraySplit, Picked


def test_the_distance_is_0_for_one_domain_and_2_for_two():
    rng = np.random.default_rng(0)
    domains = rng.normal(size=(2, 400, 5))
    assert proxy_a_distance(*domains) < 0.3
    assert proxy_a_distance(domains[0], domains[1] + 6) == 2
    assert 0.8 < proxy_a_distance(domains[0], domains[1] + [1.5, 0, 0, 0, 0]) < 1.6


def test_the_sizes_of_the_domains_say_nothing():
    rng = np.random.default_rng(0)
    many, few = rng.normal(size=(1000, 5)), rng.normal(size=(60, 5))
    assert proxy_a_distance(many, few) < 0.5 and proxy_a_distance(many, few + 6) == 2


def test_mapped_features_are_read_like_an_array():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(30, 3)).astype(np.float32)
    matrix, before, after = rng.normal(size=(3, 3)), rng.normal(size=3), rng.normal(size=3)
    mapped = Mapped(Picked(features, np.arange(10, 30)), before, matrix, after)
    wanted = (features[10:] - before) @ matrix + after
    assert (mapped.shape, mapped.ndim, mapped.dtype, len(mapped)) == ((20, 3), 2, np.float32, 20)
    np.testing.assert_allclose(mapped[:], wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(mapped[[4, 7]], wanted[[4, 7]], rtol=1e-5, atol=1e-6)
    diagonal = Mapped(features, before, np.array([2.0, 3.0, 4.0]), after)
    np.testing.assert_allclose(diagonal[3:5], (features[3:5] - before) * [2, 3, 4] + after, rtol=1e-5, atol=1e-6)
    (chunk,) = ArraySplit(mapped, {}, 8).ordered()
    np.testing.assert_array_equal(chunk["inputs"], mapped[:])
    assert sample(mapped).shape == (20, 3)


def test_findings_say_what_the_figures_mean():
    first, second = distance_findings(1.5, 0.25, "the head's last layer")
    assert (first.value, second.value) == (1.5, 0.25) and "0: a linear classifier cannot tell" in first.words
    assert second.words == (
        "The proxy A-distance of the domains is 0.25 after adaptation (the head's last layer), 1.50 before."
    )
    assert len(distance_findings(1.5, None, "")) == 1


@pytest.mark.parametrize(
    ("kind", "outputs", "wanted"),
    [
        ({"kind": "label"}, [[0.1, 2.0], [3.0, 1.0]], [1, 0]),
        ({"kind": "labels"}, [[-1.0, 2.0], [3.0, 1.0]], [[0, 1], [1, 1]]),
        ({"kind": "numbers", "columns": ["a", "b"]}, [[0.0, 1.0], [2.0, 3.0]], [[10, 22], [14, 26]]),
    ],
)
def test_answers_become_labels_of_the_targets_form(kind, outputs, wanted):
    from graft.models import targets

    target = targets.make_target(targets.parse_options(kind), ("a", "b"))
    if kind["kind"] == "numbers":
        target = target.fitted(np.array([[8, 18], [12, 22]], np.float32))
        center, spread = np.array([10.0, 20.0]), np.array([2.0, 2.0])
        wanted = np.array(outputs) * spread + center
    task = dataclasses.make_dataclass("Task", ["target"])(target)
    found = pseudo_labels(task, np.array(outputs, np.float32))
    assert found.dtype == target.encode([]).dtype
    np.testing.assert_allclose(found, wanted)
