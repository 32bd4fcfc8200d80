"""`graft curve`: how good each method is with few labels, beside what no transfer gives."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graft.models.errors import GraftError, one_line
from graft.pipeline.output import answer, until_a_gate

if TYPE_CHECKING:
    from graft.models.references import Comparison
    from graft.models.task import Split
    from graft.pipeline.config import Config
    from graft.pipeline.ending import Ending
    from graft.pipeline.progress_view import ProgressView

_LABELS = ("1", "5", "10", "20", "50", "all")
_REFERENCES = ("raw", "scratch")
_MOST_SEEDS = 100


def add_commands(commands: Any, add: Callable) -> None:
    """Adds `curve` to the command line (see `pipeline.cli`)."""
    curve = add("curve", _curve, "draw how good transfer methods are with few labels, and without transfer")
    curve.add_argument("config", help="YAML file of the pipeline")
    curve.add_argument("--methods", nargs="+", metavar="NAME", help="(default: that of the file)")
    curve.add_argument(
        "--labels",
        nargs="+",
        default=list(_LABELS),
        metavar="N",
        help="labels a class, or percent of the examples for other targets; all (default: 1 5 10 20 50 all)",
    )
    curve.add_argument("--seeds", type=int, default=3, metavar="N", help="draws of labels (default: 3)")
    curve.add_argument(
        "--references",
        nargs="+",
        default=list(_REFERENCES),
        metavar="NAME",
        help="raw: a linear head without backbone, scratch: the same network untrained; none (default: both)",
    )
    curve.add_argument("--steps", type=int, default=100, help="steps that a training takes at the least (default: 100)")
    curve.add_argument(
        "--choose", default="same", metavar="HOW", help="same: choose by as few labels of eval; all (default: same)"
    )
    curve.add_argument(
        "--option", action="append", default=[], metavar="METHOD.KEY=VALUE", help="a setting of one of the methods"
    )
    curve.add_argument("--test", action="store_true", help="judge on the test split, which is opened by this")
    curve.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of the file")
    curve.add_argument("--wait", action="store_true", help="wait for another run of this pipeline")


def _curve(args: argparse.Namespace) -> int:
    return until_a_gate(args, _until)


def _until(args: argparse.Namespace, end: "Ending") -> int:
    from graft.components.ingest.fingerprint import fingerprint
    from graft.pipeline import config as configs
    from graft.pipeline import curve_page, settling
    from graft.pipeline.progress_view import ProgressView

    config = configs.load(args.config, args.set)
    labels = [_number(text) for text in args.labels]
    chosen = [] if args.references == ["none"] else args.references
    if not 1 <= args.seeds <= _MOST_SEEDS:
        raise GraftError(f"--seeds: received {args.seeds}; allowed: 1 to {_MOST_SEEDS}")
    methods = contestants(config, args.methods or [config.transfer.method], args.option)
    with ProgressView() as view:
        view.preparing(f"{config.name}: loading TFX and TensorFlow")
        found = draw(config, methods, labels, args.seeds, chosen, view, args.steps, args.choose, args.test, args.wait)
    # Where a run looks for it, whose input is settled; the verdict is kept by now.
    place = curve_page.folder(settling.settle(config, judge=False).config, fingerprint(config.request()))
    data, drawn = curve_page.save(found, place)
    files = {"data": str(data), "plot": str(drawn)}
    end.over(0)
    answer(args, {**found, "files": files}, *curve_page.lines(found), f"wrote {data} and {drawn}")
    return 0


def draw(
    config: "Config",
    methods: Mapping[str, Mapping[str, Any]],
    labels: Sequence[int | None],
    seeds: int,
    chosen_references: Sequence[str],
    view: "ProgressView",
    steps: int = 100,
    choose: str = "same",
    test: bool = False,
    wait: bool = False,
) -> dict[str, Any]:
    """Computes the features as a run would, and measures the curve.

    Args:
        config: the pipeline.
        methods: sections `transfer` by name.
        labels: see `models.curve.measure`.
        seeds: how many, from `train.seed` on.
        chosen_references: see `models.curve.measure`.
        view: shows progress.
        steps: see `models.curve.measure`.
        choose: see `models.curve.measure`.
        test: judge on the test split; else on one half of eval, and choose by the other.
        wait: wait for another run of this pipeline instead of refusing.

    Returns:
        as of `models.curve.measure`, with `judged`, the split, and `transfer`, the settings by method.

    Raises:
        GraftError: bad data or settings.
    """
    from graft.models import curve, progress
    from graft.pipeline import settling
    from graft.pipeline.partial import Step, run_until

    curve.check(methods, labels, list(range(seeds)), chosen_references, steps, choose)
    config = settling.settle(config, view.preparing, judge=False).config
    sink = progress.set_sink(view.report)
    try:
        outputs = run_until(config, "features", view, backbone=True, wait=wait)
        with Step(curve.STAGE, view) as step:
            comparison = _comparison(config, outputs, test)
            first = config.train.seed
            found = curve.measure(
                comparison, methods, labels, range(first, first + seeds), chosen_references, steps, choose
            )
            step.result = f"{len(found['points'])} points of {len(methods)} methods"
    finally:
        progress.set_sink(sink)
    return {
        **found,
        "judged": "test" if test else "eval",
        "transfer": {name: dict(one) for name, one in methods.items()},
    }


def contestants(config: "Config", names: Sequence[str], options: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """The section `transfer` of each method.

    The configured method keeps its settings. Where it moves the backbone, others that do so too get those that all
    moving methods share; the rest are defaults.

    Args:
        config: the pipeline.
        names: of `models.transfer.METHODS`.
        options: `METHOD.KEY=VALUE`, the value as YAML.

    Raises:
        GraftError: an unknown method, one that stands twice, a setting it does not have, or one that cannot be used
            with this head, input or target.
    """
    import pydantic

    from graft.models import inputs
    from graft.models.transfer import METHODS, check_options, moving
    from graft.pipeline.config_faults import explain

    found: dict[str, dict[str, Any]] = {}
    own = config.transfer
    shared = own.model_dump(mode="json", include=set(moving.MovingOptions.model_fields) - {"method"})
    for name in names:
        kind = METHODS.options(name)
        if name in found:
            raise GraftError(f"--methods: {name!r} stands twice; allowed: each once")
        if name == own.method:
            found[name] = own.model_dump(mode="json")
        elif isinstance(own, moving.MovingOptions) and issubclass(kind, moving.MovingOptions):
            found[name] = {**shared, "method": name}
        else:
            found[name] = {"method": name}
    for option in options:
        _set(found, option)
    for name, given in found.items():
        kind = METHODS.options(name)
        try:
            settings = kind.model_validate(given)
            input = inputs.make_input(config.input)
            check_options(settings, config.head, input, config.target)  # type: ignore[arg-type]
        except pydantic.ValidationError as error:
            raise GraftError(*(f"--methods {name}: {fault}" for fault in explain(error, kind, given))) from None
        except GraftError as error:
            raise GraftError(*(f"--methods {name}: {line}" for line in error.lines)) from None
        found[name] = settings.model_dump(mode="json")
    return found


def _set(found: dict[str, dict[str, Any]], option: str) -> None:
    from graft.pipeline import config_yaml

    key, equals, value = option.partition("=")
    method, dot, name = key.partition(".")
    if not (equals and dot and name) or method not in found:
        raise GraftError(
            f"--option {option!r}: must be METHOD.KEY=VALUE with one of the methods ({', '.join(found)}), for instance "
            f"{next(iter(found))}.epochs=5"
        )
    try:
        found[method][name] = config_yaml.parse(value)
    except Exception as error:  # of YAML, or a date that is none
        raise GraftError(f"--option {option!r}: the value is not valid YAML: {one_line(error, None)}") from None


def _number(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise GraftError(f"--labels: received {text!r}; allowed: whole numbers from 1, or all")
    return int(text)


def _comparison(config: "Config", outputs: Mapping[str, Mapping[str, Any]], test: bool) -> "Comparison":
    """The task: features of train and eval from the artifact; judged on half of eval, or on test."""
    from graft.models import curve
    from graft.models.examples import TARGET_DOMAIN, split_files
    from graft.models.features import check_same_backbone
    from graft.models.inputs import make_input
    from graft.models.references import Comparison
    from graft.models.registry import only
    from graft.models.settings import Settings
    from graft.models.shared_backbone import shared_backbone
    from graft.models.targets import load_target
    from graft.models.task import check_same_names, load_split

    features = outputs["features"]["features"].uri
    examples = outputs["ingest"]["examples"].uri
    settings = Settings(
        input=only(config.input, config.input.TRAINS),
        target=config.target,
        backbone=config.backbone,
        head=config.head,
        train=config.train,
        features_path=features,
    )
    input, target = make_input(settings.input), load_target(config.target, outputs["transform"]["transform_graph"].uri)
    check_same_names(features, target)
    train, evaluate = (load_split(features, name, split_files(examples, name)) for name in ("train", "eval"))
    check_same_backbone(
        features, shared_backbone(config.backbone, make_input(only(config.input, config.input.PREPARES)))
    )
    if test:
        judged = _test_split(settings, input, target, split_files(examples, "test"))
    else:
        evaluate, judged = curve.halves(evaluate.of(TARGET_DOMAIN), target)
    return Comparison(settings, input, target, train, evaluate, judged)


def _test_split(settings: Any, input: Any, target: Any, files: list[str]) -> "Split":
    """The examples of the test split that judge, with features computed now."""
    import numpy as np

    from graft.models import examples
    from graft.models.features import extract_features
    from graft.models.shared_backbone import shared_backbone
    from graft.models.task import Split

    rows = list(examples.read_examples(files, (examples.INPUT, examples.LABEL, examples.DIGEST, examples.DOMAIN)))
    kept = [at for at, row in enumerate(rows) if (row[examples.DOMAIN] or b"target").decode() == examples.TARGET_DOMAIN]
    if not kept:
        raise GraftError("split 'test' has no labelled examples of the target domain to judge on")
    features = extract_features(shared_backbone(settings.backbone, input), [rows[at][examples.INPUT] for at in kept])
    targets = target.encode([rows[at][examples.LABEL] for at in kept], "split 'test': ")
    digests = np.array([rows[at][examples.DIGEST] for at in kept], "S64")
    return Split(features, targets, tuple(files), digests=digests, rows=np.array(kept))
