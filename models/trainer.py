"""The user code of TFX's Trainer: trains by the configured transfer method and exports the result.

It is named by import path, `run_fn='graft.models.trainer.run_fn'`, and knows nothing of TFX: `fn_args` is anything
with the attributes below.
"""

import logging
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from pydantic import ValidationError

from graft.models import strategy as strategies
from graft.models.backbone import Backbone, configured_backbone
from graft.models.checkpoint import Checkpoint
from graft.models.datasets import read_contents
from graft.models.errors import GraftError
from graft.models.examples import JUDGED, SOURCE_DOMAIN
from graft.models.export import export_model
from graft.models.features import check_same_backbone
from graft.models.fn_args import TENSORBOARD, FnArgs
from graft.models.hashing import hash_file
from graft.models.heads import build_head
from graft.models.inputs import make_input
from graft.models.inputs.base import Input
from graft.models.outputs import trained_outputs, tuned_target
from graft.models.settings import Settings
from graft.models.shared_backbone import own_backbone, shared_backbone
from graft.models.targets import load_target
from graft.models.targets.base import Target
from graft.models.task import Split, Task, check_same_names, load_split
from graft.models.transfer import METHODS, adapts, check_options, parse_options, reads_inputs

log = logging.getLogger(__name__)

_COMPARED = 4


def run_fn(fn_args: FnArgs, strategy: tf.distribute.Strategy | None = None) -> None:
    """Trains and exports; a run that was killed continues from its last checkpoint.

    Of several workers all train and the chief exports.

    Args:
        fn_args: what to train, and where the results go.
        strategy: over which devices; by default `models.strategy.choose` says.

    Raises:
        GraftError: the settings, the data or the backbone do not fit together, or the loss diverged.
    """
    try:
        settings = Settings.model_validate(fn_args.custom_config)
    except ValidationError as error:
        raise GraftError(f"custom_config of the train stage: {error}") from error
    strategy = strategy or strategies.choose()
    leads = strategies.leads(strategy)
    log.info("train: %d replicas", strategy.num_replicas_in_sync)
    run_dir = Path(fn_args.model_run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    input, target = make_input(settings.input), load_target(settings.target, fn_args.transform_graph_path)
    check_same_names(settings.features_path, target)
    make_deterministic(settings.train.seed)
    task = build_task(
        settings,
        input,
        target,
        train=load_split(settings.features_path, "train", fn_args.train_files),
        eval=load_split(settings.features_path, "eval", fn_args.eval_files),
        strategy=strategy,
    )
    check_same_backbone(settings.features_path, task.backbone)
    if settings.checkpoint_dir:
        task.checkpoint = Checkpoint(settings.checkpoint_dir, _identity(settings, task))
    task.log_dir = run_dir / TENSORBOARD if leads else None
    options = task.options
    history = METHODS.module(options.method).fit(task)
    if not leads:
        return
    history.write(run_dir / "history.json", options.method)
    target = tuned_target(task, lambda split: trained_outputs(task, split))
    task.head.save(run_dir / "head.keras")
    backbone, head = _off_strategy(task, settings)
    contents = read_contents(fn_args.eval_files, _COMPARED, JUDGED)
    export_model(
        backbone,
        head,
        target,
        fn_args.transform_graph_path,
        fn_args.serving_model_dir,
        contents,
        contents if settings.export.warmup == "examples" else None,
        settings.model_name,
    )
    if task.checkpoint:
        task.checkpoint.remove()


def build_task(
    settings: Settings,
    input: Input,
    target: Target,
    train: Split,
    eval: Split,
    strategy: tf.distribute.Strategy | None = None,
    backbone: Backbone | None = None,
) -> Task:
    """Loads the backbone frozen unless one is given, builds the head, fits the target, and checks that all fits.

    Args:
        settings: of backbone, head, method and training.
        input: what the backbone is fed with.
        target: what is predicted, with its names.
        train: what is learned from; its examples of the source domain, if any, become the task's `source`. Where the
            method adapts, they become its `train` and those of the target domain its `unlabelled`.
        eval: its examples of the target domain choose the weights, or those of the source domain where it adapts.
        strategy: where variables live.
        backbone: one that is loaded already.

    Raises:
        GraftError: see `check_options`, `load_backbone`, `Task`.
    """
    try:
        options = parse_options(settings.transfer)
    except ValidationError as error:
        raise GraftError(f"transfer: {error}") from error
    check_options(options, settings.head, input, settings.target)
    blind = adapts(options)
    unlabelled, unlabelled_eval = train.unlabelled(blind), eval.unlabelled(blind)
    source = None if blind else train.of(SOURCE_DOMAIN)
    train, eval = train.learned(blind), eval.learned(blind)
    if blind and (unlabelled is None or not len(train) or not len(eval)):
        raise GraftError(
            f"transfer.method: {options.method!r} learns from labelled examples of a source domain and from a target "
            f"domain without labels; received {len(train)} and {len(eval)} of the source in train and eval, "
            f"{len(unlabelled) if unlabelled else 0} of the target in train. Name the domains with data.target or "
            "data.domain, or choose another method"
        )
    target.check(train.targets, "split 'train'")
    target = target.fitted(train.targets)
    strategy = strategy or tf.distribute.get_strategy()
    with strategy.scope():
        backbone = backbone or (own_backbone if reads_inputs(options) else shared_backbone)(settings.backbone, input)
        head = build_head(target.units, backbone.feature_dim, settings.head, settings.train.seed)
    return Task(
        target,
        backbone,
        head,
        train,
        eval,
        options,
        settings.train,
        source if source is not None and len(source) else None,
        unlabelled,
        unlabelled_eval,
        strategy=strategy,
        head_options=settings.head,
    )


def make_deterministic(seed: int) -> None:
    """Seeds Python, NumPy and TensorFlow; on a GPU also picks deterministic kernels, which CPU kernels are already."""
    keras.utils.set_random_seed(seed)
    if tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()


def _identity(settings: Settings, task: Task) -> dict[str, Any]:
    """What decides the outcome of the training, for the checkpoint's name; paths do not."""
    config = settings.model_dump(mode="json", exclude={"checkpoint_dir", "features_path", "export"})
    config["backbone"]["handle"] = task.backbone.identity
    config["train"].pop("checkpoint_seconds")
    if config["transfer"].get("teacher_sha256"):
        config["transfer"].pop("teacher")
    data = {}
    for name in ("train", "eval"):
        folder = Path(settings.features_path) / f"Split-{name}"
        files = (folder / f"{file}.npy" for file in ("labels", "sha256", "domains", "weights"))
        data[name] = {file.name: hash_file(file) for file in files if file.exists()}
    target = task.target.description()
    return {"config": config, "target": target, "data": data, "replicas": task.strategy.num_replicas_in_sync}


def _off_strategy(task: Task, settings: Settings) -> tuple[Backbone, keras.Model]:
    """The trained parts with plain variables: mirrored ones are copied into a fresh backbone and head."""
    if task.strategy.num_replicas_in_sync == 1:
        return task.backbone, task.head
    backbone = configured_backbone(settings.backbone, task.backbone.takes)
    head = keras.models.clone_model(task.head)  # which a method may have put in the place of the one that it was given
    for plain, mirrored in ((backbone, task.backbone), (head, task.head)):
        for target, source in zip(plain.variables, mirrored.variables, strict=True):
            target.assign(source.numpy())
    return backbone, head
