"""The training input with two domains: a features artifact that says of each example where it is from."""

import pathlib
import shutil

import numpy as np
from training_input import TrainingInput

TARGET_ROWS = {"train": 12, "eval": 9}
"""Examples of the target domain in each split, the first ones; the others are of the source domain."""


def write_domains(training_input: TrainingInput, folder: pathlib.Path, kind: str = "features") -> pathlib.Path:
    """Copies a features artifact (`features` or `hub_features`) and adds `domains.npy` to its splits."""
    features = folder / "two_domains"
    shutil.copytree(getattr(training_input, kind), features)
    for split, count in TARGET_ROWS.items():
        rows = len(np.load(features / f"Split-{split}" / "labels.npy"))
        domains = np.array([b"target"] * count + [b"source"] * (rows - count), "S6")
        np.save(features / f"Split-{split}" / "domains.npy", domains)
    return features
