"""Reading Examples: classes, order by seed and epoch, augmentation, bad labels."""

import numpy as np
import pytest
import tensorflow as tf
from training_input import IMAGE_SIZE, make_example, make_image

from graft.models.datasets import ArraySplit, ImageSplit, check_labels, find_shards, read_classes, read_encoded
from graft.models.errors import GraftError
from graft.models.options import AugmentOptions

OFF = AugmentOptions()


@pytest.fixture
def images(training_input):
    classes = read_classes(training_input.transform)
    return ImageSplit(training_input.patterns("train"), classes, IMAGE_SIZE, (-1.0, 1.0), batch_size=8)


def labels_of(batches):
    return [label for _, labels in batches for label in np.asarray(labels).tolist()]


def test_classes_come_from_the_vocabulary(training_input):
    assert sorted(read_classes(training_input.transform)) == ["blue", "green", "red"]


@pytest.mark.parametrize(
    ("vocabulary", "message"),
    [(None, "no label vocabulary"), ("cat\n", "found 1 class"), ("cat\ndog\ncat\n", "listed twice")],
    ids=["absent", "one class", "twice"],
)
def test_unusable_vocabulary_is_refused(tmp_path, vocabulary, message):
    assets = tmp_path / "transform_fn" / "assets"
    assets.mkdir(parents=True)
    if vocabulary is not None:
        (assets / "label").write_text(vocabulary)
    with pytest.raises(GraftError, match=message):
        read_classes(tmp_path)


def test_ordered_batches_follow_the_files(images, training_input):
    batches = list(images.ordered())
    assert [len(labels) for _, labels in batches] == [8, 8, 8, 8, 8, 2]
    assert labels_of(batches) == training_input.labels["train"].tolist()
    pixels = batches[0][0].numpy()
    assert pixels.shape == (8, *IMAGE_SIZE, 3)
    assert -1 <= pixels.min() < pixels.max() <= 1


def test_epochs_are_shuffled_by_seed_and_epoch_alone(images):
    both = [labels_of(epoch) for epoch in images.shuffled(0, 2, 3, OFF)]
    (second,) = [labels_of(epoch) for epoch in images.shuffled(1, 2, 3, OFF)]
    (other,) = [labels_of(epoch) for epoch in images.shuffled(1, 2, 4, OFF)]
    assert both[1] == second
    assert both[0] != both[1]
    assert other != second
    assert sorted(both[0]) == sorted(labels_of(images.ordered()))


@pytest.mark.slow
def test_augmentation_repeats_with_the_seed_and_never_touches_ordered_batches(images):
    def first(augment):
        return next(next(images.shuffled(0, 1, 3, augment)))[0].numpy()

    plain, changed, again = first(OFF), first(AugmentOptions(color=0.5)), first(AugmentOptions(color=0.5))
    np.testing.assert_array_equal(changed, again)
    assert np.abs(changed - plain).max() > 0.01
    before = next(images.ordered())[0].numpy()
    np.testing.assert_array_equal(before, next(images.ordered())[0].numpy())


def test_label_that_is_no_class_names_the_file(tmp_path):
    path = tmp_path / "data_tfrecord-00000-of-00001"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(make_example(make_image("red", np.random.default_rng(0)), "purple", "odd one.png"))
    with pytest.raises(GraftError, match=r"odd one\.png: label 'purple' is not one of the classes red, green"):
        ImageSplit([str(path)], ["red", "green"], IMAGE_SIZE, (0, 1), 8)


def test_no_file_matches(tmp_path):
    with pytest.raises(GraftError, match="no TFRecord file matches"):
        find_shards([str(tmp_path / "*")])


def test_read_encoded_is_in_order_and_limited(training_input):
    assert read_encoded(training_input.patterns("eval"), 3) == training_input.images["eval"][:3]
    assert len(read_encoded(training_input.patterns("eval"))) == 18


def test_arrays_give_every_row_once_an_epoch():
    features = np.arange(20, dtype=np.float32).reshape(10, 2)
    split = ArraySplit(features, np.arange(10), batch_size=4)
    split._rows = 4  # as if the features were large
    first, second = (np.concatenate([labels for _, labels in epoch]) for epoch in split.shuffled(0, 2, 5, OFF))
    (again,) = (np.concatenate([labels for _, labels in epoch]) for epoch in split.shuffled(1, 2, 5, OFF))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first.tolist() != second.tolist()
    np.testing.assert_array_equal(second, again)
    chunks = list(split.ordered())
    assert [len(labels) for _, labels in chunks] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate([rows for rows, _ in chunks]), features)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.eye(3)[[0, 1]], "one-hot"),
        (np.array([0.0, 1.0]), "integers"),
        (np.array(["red", "blue"]), "integers"),
        (np.array([0, 3]), "0 to 3, but there are 3 classes"),
        (np.array([-1, 0]), "-1 to 0"),
    ],
    ids=["one-hot", "float", "names", "too large", "negative"],
)
def test_labels_in_another_form_are_refused(labels, message):
    with pytest.raises(GraftError, match=message):
        check_labels(labels, 3, "split 'train'")
    check_labels(np.array([0, 2]), 3, "split 'train'")
