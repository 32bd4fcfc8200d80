"""`graft completion SHELL`: a script that completes commands, options, files and folders, written by shtab."""

import argparse
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

from graft.models.text import say

SHELLS = ("bash", "zsh", "tcsh")
_FOLDERS = {"root", "folder", "store", "log", "data", "watch"}
_FILES = {"config", "file", "files", "first", "second", "backbone", "zoo", "secrets"}


def add_command(commands: Any, add: Callable, parser: Callable[[], argparse.ArgumentParser]) -> None:
    """Adds `completion` to the command line (see `pipeline.cli`). Args: parser: makes the whole one."""

    def write(args: argparse.Namespace) -> int:
        say(*script(parser(), args.shell).splitlines())
        return 0

    text = "print a script that completes commands, options, files and folders in a shell"
    add("completion", write, text, commands).add_argument("shell", choices=SHELLS, help="for which shell")


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for a shell. Args: parser: of the whole command line, which is marked on the way."""
    import shtab  # imported here: `graft --help` does without

    for action in _arguments(parser):
        kind = _kind(action)
        if kind and not hasattr(action, "complete"):
            action.complete = {"file": shtab.FILE, "folder": shtab.DIRECTORY}[kind]  # type: ignore[attr-defined]
    return shtab.complete(parser, shell)


def _arguments(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Those of a command and of all below it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _arguments(command)
        else:
            yield action


def _kind(action: argparse.Action) -> str | None:
    """Whether an argument is a folder or a file, by its metavar, name and type: "file", "folder" or None."""
    if action.nargs == 0 or action.choices:
        return None
    if action.metavar == "FOLDER" or action.dest in _FOLDERS:
        return "folder"
    is_file = action.type is pathlib.Path or action.dest in _FILES or "FILE" in str(action.metavar)
    return "file" if is_file else None
