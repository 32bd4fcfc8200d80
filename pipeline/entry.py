"""Where the command `graft` begins: the whole, or the client of a server where the pipeline's packages are absent.

The client alone takes grpcio and NumPy, and knows `graft predict --server`; every other command is refused in one line.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from graft.models import installation
from graft.models.errors import GraftError
from graft.models.text import say

_ABOUT = (
    "The client of a server of Graft: `predict --server` alone. The other commands (run, serve, models, ...) need the "
    "pipeline's packages, which are not installed here; docs/install.md says how to install them."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; see `pipeline.cli.main`."""
    if not installation.missing():
        from graft.pipeline.cli import main as whole

        return whole(argv)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        return _of_a_client(list(sys.argv[1:] if argv is None else argv))
    except GraftError as error:
        say(*(f"graft: {line}" for line in error.lines), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        say("graft: interrupted by SIGINT; run the same command again", file=sys.stderr)
        return 130


def _of_a_client(words: list[str]) -> int:
    """Raises GraftError."""
    from graft.pipeline import predict_command, versions

    if words and not words[0].startswith("-") and words[0] != "predict":
        installation.require(f"`{words[0]}`")
    if words == ["--version"]:
        say(*(f"{name} {version}" for name, version in versions.installed().items()))
        return 0
    parser = argparse.ArgumentParser(prog="graft", description=_ABOUT)
    parser.add_argument("--version", action="store_true", help="print what is installed, and exit")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, command: Callable, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        added.add_argument("--json", action="store_true", help="print one JSON object on stdout")
        added.set_defaults(command=command)
        return added

    predict_command.add_commands(commands, add)
    commands.choices["predict"].set_defaults(format=None, view=predict_command.Unshown)
    args = parser.parse_args(words)
    if args.server is None:
        installation.require("`predict` without --server")
    if args.format == "table":
        installation.require("`predict --format table`")
    if args.model is None:
        raise GraftError("--model is missing; name the model of the server")
    args.format = args.format or ("table" if args.json else "jsonl")
    return args.command(args)


if __name__ == "__main__":
    sys.exit(main())
