"""The session's training input; its parts are made by `training_input.py`."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from training_input import (
    CLASSES,
    IMAGE_SIZE,
    INPUT,
    SIZES,
    TrainingInput,
    make_example,
    make_image,
    make_network,
    write_transform,
)


@pytest.fixture(scope="session")
def training_input(tmp_path_factory: pytest.TempPathFactory) -> TrainingInput:
    """Three classes that the mean colour tells apart, 42 + 18 + 18 images."""

    from graft.models.backbone import load_backbone
    from graft.models.features import write_backbone
    from graft.models.inputs import KINDS, make_input
    from graft.models.inputs.image.decoding import preprocess
    from graft.models.publish import publish_backbone

    root = tmp_path_factory.mktemp("training_input")
    network = make_network()
    image = make_input(KINDS.options("image").model_validate(INPUT))
    network.save(root / "backbone.keras")
    publish_backbone(network, root / "hub_backbone", image.spec)
    rng = np.random.default_rng(7)
    images, names = {}, {}
    for split, size in SIZES.items():
        names[split] = [CLASSES[i % 3] for i in range(size)]
        images[split] = [make_image(label, rng) for label in names[split]]
        folder = root / "examples" / f"Split-{split}"
        folder.mkdir(parents=True)
        for shard in range(2):
            with tf.io.TFRecordWriter(str(folder / f"data_tfrecord-{shard:05d}-of-00002")) as writer:
                half = range(shard * size // 2, (shard + 1) * size // 2)
                for i in half:
                    writer.write(make_example(images[split][i], names[split][i], f"{split}/{i}.png"))
    write_transform(root)
    classes = (root / "transform" / "transform_fn" / "assets" / "label").read_text().split()
    labels = {}
    for split in SIZES:
        folder = root / "features" / f"Split-{split}"
        folder.mkdir(parents=True)
        labels[split] = np.array([classes.index(name) for name in names[split]], np.int64)
        pixels = preprocess(tf.constant(images[split]), IMAGE_SIZE, (-1.0, 1.0))
        np.save(folder / "features.npy", network(pixels, training=False).numpy())
        np.save(folder / "labels.npy", labels[split])
        digests = [hashlib.sha256(image).hexdigest().encode() for image in images[split]]
        np.save(folder / "sha256.npy", np.array(digests, "S64"))
    (root / "features" / "names.json").write_text(json.dumps(classes))
    shutil.copytree(root / "features", root / "hub_features")
    for features, handle in (("features", "backbone.keras"), ("hub_features", "hub_backbone")):
        write_backbone(root / features, load_backbone(str(root / handle), image))
    return TrainingInput(root, root / "backbone.keras", root / "hub_backbone", root / "transform", images, labels)


@pytest.fixture(scope="session")
def taught(training_input, tmp_path_factory):
    """An exported model that has learned the three classes: a head on the published backbone."""
    from graft.models.export import export_model
    from graft.models.transfer import METHODS

    task = training_input.task({"method": "frozen"}, head={"solver": "lbfgs"})
    METHODS.module("frozen").fit(task)
    folder = tmp_path_factory.mktemp("teacher") / "model"
    contents = training_input.images["eval"][:2]
    export_model(task.backbone, task.head, task.target, training_input.transform, folder, contents)
    return folder
