"""What aligning methods share: weight 0, refused settings, backbones that move, and the choice of the weight."""

import numpy as np
import pytest
from shifted import accuracy, inverted, mixed, scaled, shifted_task
from test_loop import assert_equal_weights, fit, without_seconds
from two_domains import write_domains

from graft.models import targets
from graft.models.errors import GraftError
from graft.models.inputs import make_input
from graft.models.inputs import parse_options as input_options
from graft.models.options import HeadOptions
from graft.models.transfer import METHODS, adapts, check_options, parse_options, reads_inputs
from graft.models.transfer.reverse import reverse_score

HEAD = {"hidden": [16], "dropout": 0.0}
ALL = pytest.mark.parametrize("method", ["deep_coral", "mk_mmd", "dann"])


@pytest.fixture(scope="module")
def domains(training_input, tmp_path_factory):
    return write_domains(training_input, tmp_path_factory.mktemp("adapting_domains"))


@ALL
@pytest.mark.slow
def test_weight_0_is_training_on_the_source_alone(method):
    aligned, _ = shifted_task({"method": method, "weight": 0.0, "most_of_one": 1.0}, mixed, HEAD, epochs=8)
    alone, _ = shifted_task({"method": "frozen"}, mixed, HEAD, epochs=8)
    histories = [fit(aligned), fit(alone)]
    for kernels in zip(aligned.head.get_weights(), alone.head.get_weights(), strict=True):
        np.testing.assert_array_equal(*kernels)
    for with_target, without in zip(*map(without_seconds, histories), strict=True):
        assert {key: with_target[key] for key in without} == without


@pytest.mark.slow
@ALL
def test_shuffled_labels_of_the_source_stop_the_run(method):
    task, _ = shifted_task({"method": method}, mixed, HEAD, shuffled=True, epochs=3)
    with pytest.raises(GraftError, match=rf"transfer.method '{method}' collapsed: on eval examples of the source"):
        fit(task)


@pytest.mark.slow
def test_an_alignment_that_is_too_strong_stops_the_run():
    task, _ = shifted_task({"method": "deep_coral", "weight": 1000.0}, scaled, HEAD)
    with pytest.raises(GraftError, match=r"collapsed: .* a smaller transfer\.weight aligns less"):
        fit(task)


@ALL
@pytest.mark.parametrize(
    ("transfer", "head", "message"),
    [
        ({}, {}, "head.hidden: method '.*' aligns what the head's last hidden layer makes .* received none. Give"),
        ({"unfreeze": 0.5, "weight": "auto"}, {}, "transfer.weight: received 'auto'; with transfer.unfreeze above 0"),
        ({"unfreeze": 1.0, "weight": [0, 1]}, {}, r"transfer.weight: received \(0.0, 1.0\)"),
        ({"weight": -1}, HEAD, "weight"),
        ({"weight": [0.1, 0.1]}, HEAD, "at least 2 weights to choose from, each once"),
        ({"weight": float("inf")}, HEAD, "must be 0 or more"),
        ({"most_of_one": 0}, HEAD, "most_of_one"),
    ],
)
def test_settings_that_cannot_be(method, transfer, head, message):
    with pytest.raises((GraftError, ValueError), match=message):
        options = parse_options({"method": method, **transfer})
        image = make_input(input_options({}))
        check_options(options, HeadOptions.model_validate(head), image, targets.parse_options({}))


@ALL
def test_a_linear_head_does_on_a_backbone_that_moves(method):
    options = parse_options({"method": method, "unfreeze": 0.5})
    check_options(options, HeadOptions(), make_input(input_options({})), targets.parse_options({}))
    assert reads_inputs(options) and adapts(options) and not reads_inputs(parse_options({"method": method}))


@pytest.mark.slow
def test_without_two_domains_it_is_refused(training_input):
    with pytest.raises(
        GraftError, match=r"transfer.method: 'mk_mmd' learns from labelled .* received 0 and 0 of the source in train"
    ):
        training_input.task({"method": "mk_mmd"}, head=HEAD)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["deep_coral", "mk_mmd"])  # dann: where it is killed
def test_a_backbone_that_moves_is_moved_by_the_target_too(method, training_input, domains):
    """The target's examples have no label here: only the alignment can tell two runs apart."""
    weight = {"deep_coral": 1e4, "mk_mmd": 3.0}[method]
    settings = {"method": method, "unfreeze": 1.0, "epochs": 1, "learning_rate": 1e-3, "most_of_one": 1.0}
    moved = [
        training_input.task(settings | {"weight": value}, features=domains, augment={"flip": True})
        for value in (weight, 0.0)
    ]
    plain = training_input.task({"method": "frozen"}, features=domains)
    for task in moved:
        assert len(task.train) == 30 and len(task.unlabelled) == 12 and len(task.eval) == len(task.unlabelled_eval) == 9
        history = fit(task)
        assert [row["phase"] for row in history.epochs][-1] == method
    kernels = [task.backbone.trainable_variables[0].numpy() for task in moved]
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-4
    with pytest.raises(AssertionError):
        assert_equal_weights(moved[1], plain)


@pytest.mark.slow
def test_labels_of_the_target_are_never_looked_at(training_input, domains, tmp_path):
    other = write_domains(training_input, tmp_path)
    for split in ("train", "eval"):
        folder = other / f"Split-{split}"
        labels, rows = np.load(folder / "labels.npy"), np.load(folder / "domains.npy") == b"target"
        labels[rows] = -1
        np.save(folder / "labels.npy", labels)
    method = {"method": "mk_mmd", "weight": 0.1, "most_of_one": 1.0}
    tasks = [
        training_input.task(method, head=HEAD, features=features, epochs=40, patience=40)
        for features in (domains, other)
    ]
    histories = [without_seconds(fit(task)) for task in tasks]
    assert histories[0] == histories[1]
    assert_equal_weights(*tasks)


@pytest.mark.slow
def test_the_weight_is_chosen_without_a_label_of_the_target():
    method = {"method": "mk_mmd", "weight": [0.0, 1.0, 1e4]}
    task, test = shifted_task(method, scaled, HEAD, epochs=40)
    history = fit(task)
    weight, *others = history.findings
    assert (weight.name, weight.value) == ("weight", 1.0)
    assert weight.words.startswith("Of the weights 0: 0.") and ", 10000: " in weight.words
    assert [one.name for one in others] == ["domain distance", "domain distance after"]
    fixed, _ = shifted_task(method | {"weight": 1.0}, scaled, HEAD, epochs=40)
    fit(fixed)
    for kernels in zip(task.head.get_weights(), fixed.head.get_weights(), strict=True):
        np.testing.assert_array_equal(*kernels)
    assert accuracy(task, test) > 0.8


@pytest.mark.slow
def test_where_every_weight_collapses_the_run_stops():
    task, _ = shifted_task({"method": "mk_mmd", "weight": [0.0, 1.0]}, mixed, HEAD, shuffled=True, epochs=2)
    with pytest.raises(
        GraftError, match=r"transfer.weight: none of 0, 1 gave a model by reverse validation; the first: "
    ):
        fit(task)


@pytest.mark.slow
def test_the_way_back_is_found_only_where_the_way_there_was():
    scores = {}
    for move in (lambda features: features, scaled, inverted):
        task, _ = shifted_task({"method": "deep_coral", "weight": 0.0, "most_of_one": 1.0}, move, HEAD, epochs=30)
        before = task.head.get_weights()
        scores[move.__name__] = reverse_score(task, METHODS.module("frozen").fit)
        assert all((old == new).all() for old, new in zip(before, task.head.get_weights(), strict=True))
    assert scores["<lambda>"] > 0.97 > scores["scaled"] + 0.2
