"""The solved head beside scikit-learn's logistic regression, on features of real backbones, over random splits.

    python -m benchmarks.heads [--splits 8] [--images 3000] [--data FOLDER] [--json]

Three sets: TrashNet (360 photos) and the first `--images` of Fashion-MNIST behind an ImageNet MobileNetV2, and noisy
canvases of the digits 5 to 9, 20 labels a class, behind a network of 0 to 4. Each split is drawn anew; the
photos go through the backbone once. Both choose among the same strengths by the loss on the same eval split, and are
then also fitted on train and eval together. The seconds are those of the sweep over the strengths, one after the other.
"""

import argparse
import json
import os
import pathlib
import sys
import time
import warnings
from collections.abc import Iterator

import numpy as np

from benchmarks import spread

TOP = pathlib.Path(__file__).parents[1]
EVAL, TEST = 0.15, 0.15
Split = dict[str, tuple[np.ndarray, np.ndarray]]


def photo_splits(config_path: pathlib.Path, most: int, splits: int) -> Iterator[Split]:
    """Features and labels by split, for the data and the backbone of a configuration."""
    from graft.components.ingest.spans import open_sources
    from graft.models.backbone import configured_backbone
    from graft.models.features import extract_features
    from graft.models.inputs import make_input
    from graft.pipeline import config as configs

    config = configs.load(config_path)
    items = (item for _, source in open_sources(config.request()) for chunk in source.chunks() for item in chunk.read())
    taken = [item for item, _ in zip(items, range(most), strict=False)]
    names = sorted({item.about.value for item in taken})
    labels = np.array([names.index(item.about.value) for item in taken])
    backbone = configured_backbone(config.backbone, make_input(config.input))
    features = extract_features(backbone, (item.content for item in taken))
    for seed in range(splits):
        order = np.random.default_rng(seed).permutation(len(labels))
        held_out = [int(TEST * len(labels)), int((TEST + EVAL) * len(labels))]
        parts = dict(zip(("test", "eval", "train"), np.split(order, held_out), strict=True))
        yield {name: (features[rows], labels[rows]) for name, rows in parts.items()}


def demo_splits(splits: int) -> Iterator[Split]:
    """Features and labels by split, of noisy canvases behind a network of the digits 0 to 4."""
    from graft.pipeline.demo import data, source

    train, held_out = data.source_images(data.CANVAS_SIDE, 15, 0)
    network, _ = source.train_source(train, held_out, 500, 0)
    for seed in range(splits):
        images = data.target_images(data.CANVAS_SIDE, 20, seed)
        yield {
            name: (network.predict(np.repeat(part.pixels[..., None], 3, axis=3), verbose=0), part.labels - 5)
            for name, part in images.items()
        }


def measure(split: Split) -> dict[str, float]:
    """Test accuracies and seconds of both on one split."""
    from sklearn.linear_model import LogisticRegression

    from graft.models import linear
    from graft.models.convex import Softmax
    from graft.models.options import HeadOptions

    train, held_out, test = (linear.Examples(*split[name]) for name in ("train", "eval", "test"))
    classes = int(max(labels.max() for _, labels in split.values())) + 1
    count, both = len(train.targets), len(train.targets) + len(held_out.targets)
    loss = Softmax(classes)
    start = time.perf_counter()
    path = linear.solve(train, held_out, loss, HeadOptions())
    ours = time.perf_counter() - start
    chosen = path.steps[path.chosen]
    again = linear.refit(train, held_out, loss, chosen.l2)

    start = time.perf_counter()
    rivals = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for step in path.steps:
            rival = LogisticRegression(C=1 / (2 * step.l2 * count), max_iter=1000)
            rival.fit(train.features, train.targets)
            rows = rival.predict_log_proba(held_out.features)
            rivals.append((-rows[np.arange(len(rows)), held_out.targets].mean(), rival))
        theirs = time.perf_counter() - start
        best = min(rivals, key=lambda pair: pair[0])[1]
        joined = [np.concatenate(pair) for pair in zip(split["train"], split["eval"], strict=True)]
        refitted = LogisticRegression(C=best.C, max_iter=1000).fit(*joined)
    return {
        "solved": _accuracy(path.model, test),
        "scikit_learn": float((best.predict(test.features) == test.targets).mean()),
        "solved_refit": _accuracy(again, test),
        "scikit_learn_refit": float((refitted.predict(test.features) == test.targets).mean()),
        "seconds": ours,
        "scikit_learn_seconds": theirs,
        "test_images": len(test.targets),
        "train_images": count,
        "all_images": both + len(test.targets),
    }


def _accuracy(model, examples) -> float:
    outputs = examples.features @ model.kernel + model.bias
    return float((outputs.argmax(axis=1) == examples.targets).mean())


def summary(rows: list[dict[str, float]]) -> dict:
    """Accuracies as min, median, max over splits; the mean difference in points with its standard error; the ratio."""
    result: dict = {key: rows[0][key] for key in ("all_images", "train_images", "test_images")} | {"splits": len(rows)}
    for name in ("solved", "scikit_learn", "solved_refit", "scikit_learn_refit"):
        result[name] = spread([row[name] for row in rows])
    for name, first, second in (
        ("points", "solved", "scikit_learn"),
        ("points_refit", "solved_refit", "scikit_learn_refit"),
        ("points_by_refit", "solved_refit", "solved"),
    ):
        differences = 100 * np.array([row[first] - row[second] for row in rows])
        error = differences.std(ddof=1) / np.sqrt(len(rows)) if len(rows) > 1 else float("nan")
        result[name] = {"mean": round(float(differences.mean()), 2), "standard_error": round(float(error), 2)}
    result["ratio"] = spread([row["scikit_learn_seconds"] / row["seconds"] for row in rows])
    return result


def main(arguments: list[str] | None = None) -> int:
    """Prints the figures; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=8)
    parser.add_argument("--images", type=int, default=3000, help="of Fashion-MNIST")
    parser.add_argument("--data", type=pathlib.Path, default=os.environ.get("GRAFT_DATA"), help="the data folder")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of a table")
    options = parser.parse_args(arguments)
    if options.splits < 2:
        print("--splits must be at least 2", file=sys.stderr)
        return 1
    sets = {"demo": lambda: demo_splits(options.splits)}
    if options.data and (options.data / "trashnet").is_dir():
        os.environ["GRAFT_DATA"] = str(options.data)
        for name, most in (("trashnet", sys.maxsize), ("fashion_mnist", options.images)):
            sets[name] = lambda name=name, most=most: photo_splits(  # type: ignore[misc]
                TOP / "configs" / f"{name}.yaml", most, options.splits
            )
    else:
        print("no data folder (--data or GRAFT_DATA): the noisy canvases only", file=sys.stderr)
    result = {name: summary([measure(split) for split in draw()]) for name, draw in sets.items()}
    if options.json:
        print(json.dumps({"cores": len(os.sched_getaffinity(0)), "sets": result}))
        return 0
    for name, figures in result.items():
        print(f"{name}: {figures['splits']} splits of {figures['all_images']} images, {figures['test_images']} in test")
        print(f"  {'':22}{'min':>9}{'median':>9}{'max':>9}")
        for key in ("solved", "scikit_learn", "solved_refit", "scikit_learn_refit"):
            print(f"  {key:22}" + "".join(f"{figures[key][which]:9.4f}" for which in ("min", "median", "max")))
        print(
            f"  {'times faster':22}" + "".join(f"{figures['ratio'][which]:9.2f}" for which in ("min", "median", "max"))
        )
        for key, words in (
            ("points", "solved less scikit-learn"),
            ("points_refit", "the same, refitted"),
            ("points_by_refit", "gained by refitting"),
        ):
            print(f"  {words}: {figures[key]['mean']:+.2f} points, standard error {figures[key]['standard_error']:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
