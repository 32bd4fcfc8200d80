"""The command: measures experiments and writes the table."""

import argparse
import os
import pathlib
import sys

from benchmarks import methods
from benchmarks.methods import table
from benchmarks.methods.form import measure

TOP = pathlib.Path(__file__).parents[2]


def main(arguments: list[str] | None = None) -> int:
    """Measures, stores and prints; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.methods", description=methods.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="methods, or parts of experiments' names")
    parser.add_argument("--seeds", type=int, default=3, help="at least 3")
    parser.add_argument("--json", type=pathlib.Path, default=TOP / methods.MEASURED, help="file of the rows")
    parser.add_argument("--table", type=pathlib.Path, help="write the table of all stored rows there")
    parser.add_argument("--list", action="store_true", help="name the experiments and end")
    parser.add_argument("--stored", action="store_true", help="measure nothing: the table from the stored rows")
    options = parser.parse_args(arguments)
    if options.seeds < 3:
        print(f"--seeds: received {options.seeds}; allowed: 3 or more, for fewer say nothing of luck", file=sys.stderr)
        return 1
    chosen = [] if options.stored else methods.experiments()
    for name in options.only or []:
        if not any(_named(name, experiment) for experiment in chosen) and not options.stored:
            known = ", ".join(sorted({experiment.method for experiment in chosen}))
            print(f"--only: received {name!r}; allowed: {known}, or a part of what --list prints", file=sys.stderr)
            return 1
    if options.only:
        chosen = [one for one in chosen if any(_named(name, one) for name in options.only)]
    for experiment in chosen:
        if options.list:
            print(experiment.key)
        elif experiment.needs_data and not os.environ.get("GRAFT_DATA"):
            print(f"{experiment.key}: left out; it needs the data folder (GRAFT_DATA)", file=sys.stderr)
        else:
            row = measure(experiment, range(options.seeds), lambda line: print(line, file=sys.stderr, flush=True))
            table.store(options.json, row)
            print(f"{experiment.key}: {row['verdict']} ({row['total_seconds']:.0f} s)", flush=True)
    if options.table:
        stored = options.json.absolute()
        source = stored.relative_to(TOP).as_posix() if stored.is_relative_to(TOP) else stored.name
        options.table.write_text(table.markdown(table.load(options.json), source), encoding="utf-8")
    return 0


def _named(name: str, experiment: methods.Experiment) -> bool:
    return name == experiment.method or name.lower() in experiment.name.lower()


if __name__ == "__main__":
    sys.exit(main())
