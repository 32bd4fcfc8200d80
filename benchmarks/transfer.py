"""Frozen transfer on trashnet: Graft's features and train stages beside the Keras script a user would write.

    GRAFT_DATA=... python -m benchmarks.transfer [--epochs 20] [--repeats 3] [--plain-epochs 2] [--full] [--json]

Both learn from the same images: the splits that `ingest` made, 20 epochs without early stopping, head and optimizer
alike, validation after each epoch, the same MobileNetV2. Graft's seconds are those of the stages `features` and `train`
(export included) of `graft run`, which runs again from `features` for each repeat. The plain script is
`image_dataset_from_directory`, the frozen `.keras` backbone with its normalisation, a Dense head and `fit`; one repeat
is one process. It costs the same every epoch, so by default `--plain-epochs` epochs after the first (which also traces)
are timed and scaled to `--epochs`; its accuracy is then not known. `--full` runs all of its epochs. Needs the
development data.
"""

import argparse
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks import spread

TOP = pathlib.Path(__file__).parents[1]
IMAGE_SIZE, BATCH_SIZE, LEARNING_RATE, DROPOUT, L2 = 224, 32, 1e-3, 0.2, 1e-4
STAGES = ("features", "train")


def graft_run(config: pathlib.Path, epochs: int, root: pathlib.Path, *arguments: str) -> dict:
    """What `graft run --json` prints.

    Raises:
        RuntimeError: the run fails.
    """
    settings = {
        "gates": "{}",
        "root": str(root / "runs"),
        "store": str(root / "store"),
        "train.epochs": epochs,
        "train.patience": epochs,
        "train.batch_size": BATCH_SIZE,
        "train.learning_rate": LEARNING_RATE,
        "head.dropout": DROPOUT,
        "head.l2": L2,
    }
    overrides = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "graft.pipeline.cli", "run", str(config), "--json", *overrides, *arguments]
    return last_object(command)


def last_object(command: list[str]) -> dict:
    """The JSON object on the last line that a command prints.

    Raises:
        RuntimeError: it fails; the message ends with the last of its standard error.
    """
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "0", "TF_CPP_MIN_LOG_LEVEL": "3"}
    ended = subprocess.run(command, cwd=TOP, env=environment, capture_output=True, text=True)
    if ended.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit status {ended.returncode}: {ended.stderr[-2000:]}")
    return json.loads(ended.stdout.strip().splitlines()[-1])


def write_splits(examples: pathlib.Path, folder: pathlib.Path) -> dict[str, int]:
    """Unpacks the Examples of `ingest` into class folders a split; returns the images by split."""
    import tensorflow as tf

    counts = {}
    for split in ("train", "eval", "test"):
        paths = sorted(str(path) for path in (examples / f"Split-{split}").glob("*"))
        counts[split] = 0
        for record in tf.data.TFRecordDataset(paths).as_numpy_iterator():
            features = tf.train.Example.FromString(record).features.feature
            target = folder / split / features["label"].bytes_list.value[0].decode()
            target.mkdir(parents=True, exist_ok=True)
            (target / f"{counts[split]:05d}.jpg").write_bytes(features["image"].bytes_list.value[0])
            counts[split] += 1
    return counts


def plain_script(images: pathlib.Path, backbone: pathlib.Path, epochs: int) -> dict:
    """The script a user would write.

    Returns:
        seconds: of each epoch, validation included; the first traces too. setup_seconds: all before the first.
        accuracy: on the test split.
    """
    start = time.perf_counter()
    import keras

    keras.utils.set_random_seed(0)
    splits = {
        split: keras.utils.image_dataset_from_directory(
            images / split,
            image_size=(IMAGE_SIZE, IMAGE_SIZE),
            batch_size=BATCH_SIZE,
            shuffle=split == "train",
            verbose=False,
        )
        for split in ("train", "eval", "test")
    }
    network = keras.models.load_model(backbone, compile=False)
    network.trainable = False
    inputs = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 3))
    mean, deviation = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    normalized = keras.layers.Rescaling(
        [1 / (255 * one) for one in deviation], [-one / other for one, other in zip(mean, deviation, strict=True)]
    )(inputs)
    features = keras.layers.GlobalAveragePooling2D()(network(normalized, training=False))
    classes = len(splits["train"].class_names)
    regularizer = keras.regularizers.L2(L2)
    dropped = keras.layers.Dropout(DROPOUT)(features)
    model = keras.Model(
        inputs, keras.layers.Dense(classes, activation="softmax", kernel_regularizer=regularizer)(dropped)
    )
    model.compile(keras.optimizers.Adam(LEARNING_RATE), "sparse_categorical_crossentropy", metrics=["accuracy"])
    marks = [time.perf_counter()]
    model.fit(
        splits["train"],
        validation_data=splits["eval"],
        epochs=epochs,
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: marks.append(time.perf_counter()))],
    )
    seconds = [after - before for before, after in itertools.pairwise(marks)]
    _, accuracy = model.evaluate(splits["test"], verbose=0)
    return {"seconds": seconds, "setup_seconds": marks[0] - start, "accuracy": accuracy}


def scaled_seconds(epoch_seconds: list[float], epochs: int) -> float:
    """Seconds of `epochs` epochs of which the first few were timed: the first as it was, the others as their median.

    Raises:
        ValueError: fewer than two epochs were timed.
    """
    if len(epoch_seconds) < 2:
        raise ValueError(f"{len(epoch_seconds)} epochs timed; at least 2 are needed, because the first traces too")
    if len(epoch_seconds) >= epochs:
        return sum(epoch_seconds[:epochs])
    return epoch_seconds[0] + (epochs - 1) * statistics.median(epoch_seconds[1:])


def measure(data: pathlib.Path, epochs: int, repeats: int, plain_repeats: int, plain_epochs: int, full: bool) -> dict:
    """Seconds of both and their ratio (plain / Graft: above 1 is faster), each as min, median, max."""
    backbone = data / "backbones" / "mobilenet_v2_1.00_224_imagenet_notop.keras"
    config = TOP / "configs" / "trashnet.yaml"
    os.environ["GRAFT_DATA"] = str(data)
    timed = epochs if full else 1 + plain_epochs
    graft: list[dict] = []
    plain: list[dict] = []
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        for repeat in range(repeats):
            graft.append(graft_run(config, epochs, root, *(["--from", "features"] if repeat else [])))
            if repeat == 0:
                (examples,) = (root / "runs").glob("*/artifacts/ingest/examples/*")
                counts = write_splits(examples, root / "images")
            if repeat < plain_repeats:
                script = [sys.executable, "-m", "benchmarks.transfer", "--plain-script", str(root / "images")]
                plain.append(last_object([*script, str(backbone), str(timed)]))
    return {
        "epochs": epochs,
        "images": counts,
        "cores": len(os.sched_getaffinity(0)),
        "repeats": repeats,
        "plain_repeats": len(plain),
        "plain_epochs_timed": timed,
        **summary(graft, plain, epochs),
    }


def summary(graft: list[dict], plain: list[dict], epochs: int) -> dict:
    """The figures of runs and scripts; repeat i of the one is compared with repeat i of the other, or the last.

    Args:
        graft: what `graft run --json` printed.
        plain: what `plain_script` returned; its accuracy counts only if it ran all epochs.
        epochs: epochs that the plain script is scaled to.
    """
    stages = [{stage["name"]: stage["seconds"] for stage in run["stages"]} for run in graft]
    ours = [sum(one[name] for name in STAGES) for one in stages]
    theirs = [scaled_seconds(one["seconds"], epochs) for one in plain]
    ratios = [theirs[min(index, len(theirs) - 1)] / own for index, own in enumerate(ours)]
    full = all(len(one["seconds"]) >= epochs for one in plain)
    return {
        "graft_seconds": spread(ours),
        **{f"graft_{name}_seconds": spread([one[name] for one in stages]) for name in STAGES},
        "plain_seconds": spread(theirs),
        "ratio": spread(ratios),
        "graft_accuracy": spread([run["metrics"]["accuracy"] for run in graft]),
        "plain_accuracy": spread([one["accuracy"] for one in plain]) if full else None,
    }


def main(arguments: list[str] | None = None) -> int:
    """Prints the figures; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("GRAFT_DATA"), help="the data folder; default $GRAFT_DATA")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3, help="of Graft's stages")
    parser.add_argument("--plain-repeats", type=int, default=1, help="of the plain script, each beside one of Graft's")
    parser.add_argument("--plain-epochs", type=int, default=2, help="timed after the first, then scaled to --epochs")
    parser.add_argument("--full", action="store_true", help="all epochs of the plain script; tells its accuracy")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of a table")
    parser.add_argument("--plain-script", nargs=3, metavar=("IMAGES", "BACKBONE", "EPOCHS"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.plain_script:
        images, backbone, epochs = options.plain_script
        print(json.dumps(plain_script(pathlib.Path(images), pathlib.Path(backbone), int(epochs))))
        return 0
    if not options.data or not (pathlib.Path(options.data) / "trashnet").is_dir():
        print("benchmarks.transfer needs the data folder: set GRAFT_DATA or give --data", file=sys.stderr)
        return 1
    if min(options.repeats, options.plain_repeats, options.plain_epochs, options.epochs - 1) < 1:
        print("--repeats, --plain-repeats and --plain-epochs must be at least 1, --epochs at least 2", file=sys.stderr)
        return 1
    result = measure(
        pathlib.Path(options.data).absolute(),
        options.epochs,
        options.repeats,
        options.plain_repeats,
        options.plain_epochs,
        options.full,
    )
    if options.json:
        print(json.dumps(result))
        return 0
    counts = ", ".join(f"{count} {split}" for split, count in result["images"].items())
    timed = result["plain_epochs_timed"]
    how = "all run" if timed >= result["epochs"] else f"the plain script's scaled from {timed}"
    print(f"{counts}; {result['epochs']} epochs, {how}; {result['cores']} cores")
    print(f"{'':24}{'min':>9}{'median':>9}{'max':>9}")
    for key, values in result.items():
        if isinstance(values, dict) and "median" in values:
            print(f"{key:24}" + "".join(f"{values[name]:9.3f}" for name in ("min", "median", "max")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
