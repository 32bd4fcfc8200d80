"""Small real data for every kind of input and target, in one CSV each."""

import csv
import pathlib

import numpy as np
from PIL import Image
from workshop import SIDE

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
