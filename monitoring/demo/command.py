"""`graft demo drift`: its arguments, and its run under an end in order."""

import argparse
import pathlib

from graft.models.errors import GraftError
from graft.monitoring.demo.course import Course

_DEFAULT = Course()


def add_to(demo: argparse.ArgumentParser) -> None:
    """Adds the story to `graft demo`, which goes on without one. Options that both have may stand before or after."""
    text = "show a shift that is found, retrained on and pushed, day by simulated day"
    seeds = demo.get_default("seeds")
    stories = demo.add_subparsers(title="stories", metavar="[STORY]")
    drift = stories.add_parser("drift", help=text, description=text[0].upper() + text[1:] + ".")
    absent = argparse.SUPPRESS  # what stands before `drift` holds
    drift.add_argument("--json", action="store_true", default=absent, help="print one JSON object on stdout")
    drift.add_argument("-v", "--verbose", action="store_true", default=absent, help="show what TFX and TensorFlow log")
    drift.add_argument("--root", default=absent, help="folder to work in (default: runs/demo)")
    drift.add_argument(
        "--seed", type=int, default=_DEFAULT.seed, help=f"of digits and backbone (default: {_DEFAULT.seed})"
    )
    drift.add_argument(
        "--rows", type=int, default=_DEFAULT.rows, help=f"pictures a simulated day (default: {_DEFAULT.rows})"
    )
    days = (_DEFAULT.usual, _DEFAULT.drift, _DEFAULT.after)
    drift.add_argument(
        "--days",
        type=int,
        nargs=3,
        default=days,
        metavar=("USUAL", "DRIFT", "AFTER"),
        help="days of usual pictures, of changed ones until the retraining, and after it (default: 3 3 3)",
    )
    drift.set_defaults(command=run, allowed_seeds=seeds)


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status, see docs/monitoring.md."""
    if args.seeds != args.allowed_seeds:
        raise GraftError("--seeds was given; it is allowed with `graft demo` alone, and `graft demo drift` has --seed")
    usual, drift, after = args.days
    course = Course(usual, drift, after, args.rows, args.seed)
    from graft.monitoring.demo import story
    from graft.pipeline.ending import Ending

    with Ending(args.json, args.process) as end:
        return story.demo(pathlib.Path(args.root), course, args.json, end)
