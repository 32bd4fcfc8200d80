"""`graft config schema` and `check`: a schema for editors, and whether files are sound configurations."""

import argparse
import pathlib
from collections.abc import Callable
from typing import Any

from graft.pipeline.output import answer

EXIT_FAULT = 1
SCHEMA_FILE = "graft.schema.json"
"""Name of the schema beside configurations."""


def add_commands(commands: Any, add: Callable) -> None:
    """Adds `config schema` and `config check` to the command line (see `pipeline.cli`)."""
    group = commands.add_parser("config", help="check configurations, write their JSON Schema for editors")
    verbs = group.add_subparsers(title="commands", required=True, metavar="COMMAND")
    check = add("check", _check, "check the keys and values of configurations; data and backbone are not read", verbs)
    check.add_argument("files", nargs="+", metavar="FILE", help="YAML files of pipelines")
    schema = add("schema", _schema, "print the JSON Schema of a configuration, for editors", verbs)
    schema.add_argument("-o", "--output", type=pathlib.Path, metavar="FILE", help="write it to a file")


def _schema(args: argparse.Namespace) -> int:
    from graft.pipeline import config_schema

    made = config_schema.config_schema()
    if args.output is None:
        answer(args, made, *config_schema.as_text(made).splitlines())
    else:
        write_schema(args.output, made)
        answer(args, {"schema": str(args.output)}, f"wrote {args.output}")
    return 0


def write_schema(path: pathlib.Path, made: dict[str, Any] | None = None) -> None:
    """Writes the schema, whole or not at all. Args: made: the schema, where it is there already."""
    from graft.models.durable import write_atomic
    from graft.pipeline import config_schema

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, config_schema.as_text(made or config_schema.config_schema()).encode())


def _check(args: argparse.Namespace) -> int:
    found = [checked(file) for file in args.files]
    lines: list[str] = []
    for one in found:
        unset = f" ({', '.join(one['unset'])} not set here)" if one["unset"] else ""
        lines += one["faults"] or [f"{one['file']}: sound{unset}"]
    answer(args, {"files": found}, *lines)
    return EXIT_FAULT if any(one["faults"] for one in found) else 0


def checked(file: str) -> dict[str, Any]:
    """What is wrong with a configuration, by its keys and values alone.

    A variable of the environment that is not set is no fault of the file: it stays as it is written.

    Returns:
        `file`, `faults` (a line each) and `unset`, the names of such variables.
    """
    from graft.pipeline import config as configs

    unset: set[str] = set()
    faults: tuple[str, ...] = ()
    try:
        configs.parse(configs.expand(configs.read(file), file, unset=unset), file)
    except configs.ConfigError as error:
        faults = error.lines
    return {"file": file, "faults": list(faults), "unset": sorted(unset)}
