"""Reading Examples: order by seed and epoch, augmentation, columns that stay with their contents."""

import numpy as np
import pytest
import tensorflow as tf
from small_inputs import pictures, texts
from training_input import IMAGE_SIZE

from graft.models import datasets
from graft.models.datasets import InputSplit, find_shards, read_contents
from graft.models.errors import GraftError
from graft.models.examples import build, read_serialized
from graft.models.inputs.image import AugmentOptions


@pytest.fixture
def make_split(training_input):
    """make_split(**changes) -> the training split as an `InputSplit`, its labels as a column."""

    def made(options=None, **changes):
        arguments = {
            "patterns": training_input.patterns("train"),
            "input": pictures(IMAGE_SIZE, (-1.0, 1.0), **(options or {})),
            "columns": {"targets": training_input.labels["train"]},
            "batch_size": 8,
        }
        return InputSplit(**{**arguments, **changes})

    return made


def targets_of(batches):
    return [target for batch in batches for target in np.asarray(batch["targets"]).tolist()]


@pytest.mark.slow
def test_ordered_batches_follow_the_files(make_split, training_input):
    split = make_split()
    for _ in range(2):
        batches = list(split.ordered())
        assert [len(batch["targets"]) for batch in batches] == [8, 8, 8, 8, 8, 2]
        assert targets_of(batches) == training_input.labels["train"].tolist()
    pixels = batches[0]["inputs"].numpy()
    assert pixels.shape == (8, *IMAGE_SIZE, 3)
    assert -1 <= pixels.min() < pixels.max() <= 1
    for name, spec in split.spec.items():
        assert spec.is_compatible_with(batches[0][name])


@pytest.mark.slow
def test_epochs_are_shuffled_by_seed_and_epoch_alone(make_split):
    split = make_split()
    both = [targets_of(epoch) for epoch in split.shuffled(0, 2, 3)]
    (second,) = [targets_of(epoch) for epoch in split.shuffled(1, 2, 3)]
    (other,) = [targets_of(epoch) for epoch in split.shuffled(1, 2, 4)]
    assert both[1] == second
    assert both[0] != both[1]
    assert other != second
    assert sorted(both[0]) == sorted(targets_of(split.ordered()))


@pytest.mark.slow
def test_columns_stay_with_their_contents(make_split, training_input):
    """Whatever the order: an image, its label and its weight are those of one Example."""
    weights = np.linspace(0, 1, 42, dtype=np.float32)
    split = make_split(columns={"targets": training_input.labels["train"], "weights": weights})
    known = np.concatenate([batch["inputs"] for batch in split.ordered()])
    (epoch,) = split.shuffled(0, 1, 5)
    for batch in epoch:
        for image, target, weight in zip(batch["inputs"], batch["targets"], batch["weights"], strict=True):
            [row] = np.flatnonzero((known == image.numpy()).all(axis=(1, 2, 3)))
            assert (target, weight) == (training_input.labels["train"][row], weights[row])


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"rows": np.array([0, 5, 6, 20, 21, 22, 40])}], ids=["all", "some"])
@pytest.mark.parametrize(
    "augment", [AugmentOptions(), AugmentOptions(flip=True, color=0.5)], ids=["plain", "augmented"]
)
def test_what_is_held_is_what_would_be_read_again(make_split, training_input, monkeypatch, changes, augment):
    if changes:
        changes = changes | {"columns": {"targets": training_input.labels["train"][changes["rows"]]}}
    reads = []
    monkeypatch.setattr(datasets, "read_serialized", lambda path: reads.append(path) or read_serialized(path))
    found = []
    for most in (2**20, 0):
        monkeypatch.setattr(datasets, "_HELD_BYTES", most)
        split = make_split(options={"augment": augment}, **changes)
        reads.clear()
        batches = [batch for _ in range(2) for batch in split.ordered()]
        batches += [batch for epoch in split.shuffled(1, 4, 3) for batch in epoch]
        found.append((batches, len(reads)))
    (held, none_read), (read, some_read) = found
    assert none_read == 0 < some_read and len(held) == len(read)
    for one, other in zip(held, read, strict=True):
        for name in ("inputs", "targets"):
            np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.slow
def test_only_the_chosen_rows_are_used(make_split, training_input):
    rows = np.array([0, 5, 6, 20, 21, 22, 40])
    labels = training_input.labels["train"][rows]
    split = make_split(rows=rows, columns={"targets": labels}, batch_size=4)
    assert split.count == 7
    assert [len(batch["targets"]) for batch in split.ordered()] == [4, 3]
    assert targets_of(split.ordered()) == labels.tolist()
    for epoch in split.shuffled(0, 2, 1):
        assert sorted(targets_of(epoch)) == sorted(labels.tolist())
    assert list(split.contents()) == [training_input.images["train"][row] for row in rows]


@pytest.mark.slow
def test_contents_may_be_read_again_and_again(make_split, training_input):
    contents = make_split().contents()
    assert len(contents) == 42
    assert list(contents) == list(contents) == training_input.images["train"]


@pytest.mark.slow
def test_augmentation_repeats_with_the_seed_and_never_touches_ordered_batches(make_split):
    def first(**changes):
        return next(next(make_split(**changes).shuffled(0, 1, 3)))["inputs"].numpy()

    colours = {"options": {"augment": AugmentOptions(color=0.5)}}
    plain, changed, again, off = first(), first(**colours), first(**colours), first(**colours, augment=False)
    np.testing.assert_array_equal(changed, again)
    np.testing.assert_array_equal(plain, off)
    assert np.abs(changed - plain).max() > 0.01
    ordered = next(make_split().ordered())["inputs"].numpy()
    np.testing.assert_array_equal(ordered, next(make_split(**colours).ordered())["inputs"].numpy())


def test_examples_of_other_features_are_refused(make_split, training_input):
    digests = np.load(training_input.features / "Split-train" / "sha256.npy")
    make_split(digests=digests)
    with pytest.raises(GraftError, match="not those that the features were made of; compute them again"):
        make_split(digests=np.roll(digests, 1))
    with pytest.raises(GraftError, match="42 Examples in all, but the features hold 41 rows of targets"):
        make_split(columns={"targets": np.zeros(41)})
    with pytest.raises(GraftError, match="42 Examples in all, but the features have a row 42"):
        make_split(columns={"targets": np.zeros(1)}, rows=np.array([42]))


def test_texts_are_an_input_like_another(tmp_path):
    contents = [f"text {number}".encode() for number in range(10)]
    with tf.io.TFRecordWriter(str(tmp_path / "data_tfrecord-00000-of-00001")) as writer:
        for content in contents:
            writer.write(build(content, ("a",), "f", b"\0" * 32, {}))
    split = InputSplit([str(tmp_path / "*")], texts(), {"targets": np.arange(10)}, 4)
    assert [one for batch in split.ordered() for one in batch["inputs"].numpy().tolist()] == contents
    (epoch,) = split.shuffled(0, 1, 0)
    batches = list(epoch)
    assert [len(batch["inputs"]) for batch in batches] == [4, 4, 2]
    for batch in batches:
        assert batch["inputs"].numpy().tolist() == [contents[target] for target in batch["targets"]]


def test_no_file_matches(tmp_path):
    with pytest.raises(GraftError, match="no TFRecord file matches"):
        find_shards([str(tmp_path / "*")])


def test_contents_are_read_in_order_and_limited(training_input):
    assert read_contents(training_input.patterns("eval"), 3) == training_input.images["eval"][:3]
    assert len(read_contents(training_input.patterns("eval"), 100)) == 18
