"""Small real data for every kind of input and target, in one CSV each, and what a pipeline's model answers to it.

`materials` is a fixture of the session, which conftest.py makes known.
"""

import csv
import dataclasses
import pathlib
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_inputs import publish_text_encoder
from workshop import SIDE, write_backbone

from graft.serving.client import Client
from graft.serving.server import EmbeddedServer

PATCHES = {"red": (200, 60, 60), "green": (60, 190, 70), "blue": (60, 80, 200)}
"""Name of a patch -> its mean colour; a picture holds any of them, side by side."""

WORDS = {
    "sport": ("goal", "match", "coach", "league", "striker", "referee"),
    "food": ("soup", "onion", "bake", "pepper", "dinner", "salad"),
    "weather": ("rain", "storm", "sunny", "cloud", "wind", "frost"),
}
FILLERS = ("the", "a", "today", "with", "much", "some", "very", "again")


def write_pictures(folder: pathlib.Path, count: int = 150) -> pathlib.Path:
    """Pictures with up to three patches; columns path, label, labels, light, count, place.

    `label` is the largest patch, `labels` all of them, `light` the mean brightness, `count` their number; `place` is
    `lab` or `field`, where all pictures of the lab are darker. One in eight has another label and other labels than it
    shows, so that nobody is always right.
    """
    rng = np.random.default_rng(7)
    folder.mkdir(parents=True)
    with (folder / "pictures.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "labels", "light", "count", "place"))
        for number in range(count):
            there = [name for name in PATCHES if rng.random() < 0.5] or [str(rng.choice(list(PATCHES)))]
            largest, patches = str(rng.choice(there)), len(there)
            place = "lab" if number % 3 else "field"
            shade = rng.normal(0, 20) - 25 * (place == "lab")
            pixels = np.full((SIDE, SIDE, 3), 40.0)
            for column, name in enumerate(there):
                size = SIDE - 2 if name == largest else SIDE // 3
                width = SIDE // len(there)
                pixels[:size, column * width : (column + 1) * width] = np.array(PATCHES[name]) + shade
            pixels = (pixels + rng.normal(0, 15, pixels.shape)).clip(0, 255).astype(np.uint8)
            if number % 8 == 7:
                largest = str(rng.choice(list(PATCHES)))
                there = [name for name in PATCHES if name not in there] or [largest]
            name = f"{number:03d}.png"
            Image.fromarray(pixels).save(folder / name)
            writer.writerow((name, largest, "|".join(there), f"{pixels.mean():.4f}", patches, place))
    return folder / "pictures.csv"


def write_sentences(folder: pathlib.Path, count: int = 120) -> pathlib.Path:
    """Sentences of three subjects, one in eight with a wrong label; columns text and label.

    Some hold commas, quotes, line breaks and other scripts.
    """
    rng = np.random.default_rng(8)
    folder.mkdir(parents=True)
    with (folder / "sentences.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        for number in range(count):
            label = list(WORDS)[number % len(WORDS)]
            told = str(rng.choice(list(WORDS))) if number % 8 == 7 else label
            words = [*rng.choice(WORDS[label], 3), *rng.choice(FILLERS, 4)]
            rng.shuffle(words)
            ending = (".", ', "indeed"', "\naoût", " - 明日")[number % 4]
            writer.writerow((f"{' '.join(map(str, words))} {number}{ending}", told))
    return folder / "sentences.csv"


@dataclasses.dataclass(frozen=True)
class Material:
    """Data and backbone of one kind of input."""

    data: dict[str, Any]
    input: dict[str, Any]
    backbone: pathlib.Path
    contents: list[bytes]
    name: str


@pytest.fixture(scope="session")
def materials(tmp_path_factory) -> dict[str, Material]:
    """Data and backbone by kind of input."""
    folder = tmp_path_factory.mktemp("matrix")
    pictures = write_pictures(folder / "pictures")
    sentences = write_sentences(folder / "sentences")
    publish_text_encoder(folder / "encoder")
    shares = {"split": {"eval": 0.25, "test": 0.25}}
    return {
        "image": Material(
            {"source": "csv", "path": str(pictures), **shares},
            {"kind": "image", "image_size": [SIDE, SIDE], "value_range": [0, 1]},
            write_backbone(folder / "backbone"),
            [path.read_bytes() for path in sorted(pictures.parent.glob("*.png"))[:5]],
            "image_bytes",
        ),
        "text": Material(
            {"source": "csv", "path": str(sentences), **shares},
            {"kind": "text"},
            folder / "encoder",
            [b"a goal in the match", "août, 明日, rain".encode(), b"onion soup"],
            "text",
        ),
    }


def assert_served(root: pathlib.Path, store: pathlib.Path, material: Material) -> None:
    """What a server of the store answers is what the newest export answers in this process.

    Args:
        root: of the runs, which are called `case`.
        store: where the last run was pushed to.
        material: what is asked.
    """
    expected = in_process(root, material)
    with (
        EmbeddedServer(store) as server,
        Client(server.grpc_address, "case") as client,
    ):
        contents = np.array(material.contents, dtype=object)
        answered = client.predict({material.name: contents})
    assert set(answered) == set(expected)
    for name, values in expected.items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(answered[name], values, rtol=1e-4, atol=1e-5)
        else:
            assert answered[name].tolist() == values.tolist(), name


def in_process(root: pathlib.Path, material: Material) -> dict[str, np.ndarray]:
    """What the newest export answers without a server."""
    import tensorflow as tf

    model = newest(root, "train", "model") / "Format-Serving"
    signature = tf.saved_model.load(str(model)).signatures["serving_default"]
    found = signature(**{material.name: tf.constant(material.contents)})
    return {name: value.numpy() for name, value in found.items()}


def newest(root: pathlib.Path, stage: str, key: str) -> pathlib.Path:
    """Folder of the artifact that a stage made last."""
    return max((root / "case" / "artifacts" / stage / key).iterdir(), key=lambda path: int(path.name))
