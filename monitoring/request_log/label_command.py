"""`graft label`: takes labels that came late, from files or from a folder that is watched."""

import argparse
import dataclasses
import difflib
import logging
import os
import pathlib
import stat

from graft.models.errors import GraftError
from graft.models.text import say
from graft.monitoring.ending import asked_to_end
from graft.monitoring.request_log.label_files import SUFFIXES
from graft.monitoring.request_log.labels import Added, LabelStore
from graft.monitoring.request_log.reader import Reading
from graft.pipeline.output import answer

EXIT_REFUSED = 1

logger = logging.getLogger(__name__)


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status: 1 if a row was refused."""
    columns = tuple(dict.fromkeys(args.column or ["label"]))
    with LabelStore(pathlib.Path(args.log)) as store:
        if args.watch is not None:
            return _watch(args, store, columns)
        reading = Reading()
        store.index(reading)
        _check_model(args.model, store.models())
        found = {str(path): store.add(args.model, path, columns) for path in args.file}
    value = {"model": args.model, "files": {name: dataclasses.asdict(one) for name, one in found.items()}}
    value["log"] = dataclasses.asdict(reading)
    answer(args, value, *(_line(name, one) for name, one in found.items()))
    if not args.json:
        say(*reading.faults, *(fault for one in found.values() for fault in one.faults))
    return 0 if all(one.sound for one in found.values()) else EXIT_REFUSED


def _check_model(model: str, known: list[str]) -> None:
    """A slip of the pen would put labels where nobody looks. Raises GraftError."""
    if known and model not in known:
        near = difflib.get_close_matches(model, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        there = ", ".join(known)
        raise GraftError(f"--model: no request of {model!r} is in the log; {hint}there are requests of {there}")


def _line(name: str, added: Added) -> str:
    return (
        f"{name}: {added.rows} rows: {added.added} new labels, {added.repeated} known, {added.conflicting} "
        f"conflicting, {added.faulty} faulty; {added.matched} match a logged request, {added.unknown} do not"
    )


def _watch(args: argparse.Namespace, store: LabelStore, columns: tuple[str, ...]) -> int:
    """Takes files until SIGTERM or SIGINT."""
    folder: pathlib.Path = args.watch
    if not folder.is_dir():
        raise GraftError(f"--watch: {folder}: no such folder")
    if args.poll <= 0:
        raise GraftError(f"--poll is {args.poll}; it must be more than 0")
    logger.setLevel(logging.INFO)
    store.index(Reading())
    _check_model(args.model, store.models())
    total, refused = Added(), 0
    seen: dict[pathlib.Path, tuple[int, int]] = {}
    with asked_to_end() as ended:
        while True:
            now = _states(folder)
            # What changed since the last look may still be written.
            due = [path for path, state in now.items() if seen.get(path) == state]
            for path in due:
                if ended.is_set() or store.is_taken(args.model, path, *now[path]):
                    continue
                try:
                    _note(take(args.model, path, columns, store), path, total)
                except GraftError as error:
                    refused += 1
                    logger.error("%s", error)
                store.take(args.model, path, *now[path])
            seen = now
            if ended.wait(args.poll):
                break
    value = {"model": args.model, "refused_files": refused, **dataclasses.asdict(total)}
    answer(args, value, _line(str(folder), total))
    return 0


def take(model: str, path: pathlib.Path, columns: tuple[str, ...], store: LabelStore) -> Added:
    """Raises GraftError: the file cannot be read as labels."""
    reading = Reading()
    store.index(reading)
    for fault in reading.faults:
        logger.warning("%s", fault)
    return store.add(model, path, columns)


def _note(added: Added, path: pathlib.Path, total: Added) -> None:
    """Logs what became of a file and adds it to `total`."""
    logger.info("%s", _line(str(path), added))
    for fault in added.faults:
        logger.warning("%s", fault)
        total.tell(fault)
    for field in dataclasses.fields(Added):
        if field.type == "int" or field.type is int:
            setattr(total, field.name, getattr(total, field.name) + getattr(added, field.name))


def _states(folder: pathlib.Path) -> dict[pathlib.Path, tuple[int, int]]:
    """Size and time of change of the folder's files of labels; none if it cannot be read, which is logged."""
    found = {}
    try:
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if not entry.name.startswith(".") and entry.name.endswith(SUFFIXES):
                status = entry.stat()
                if stat.S_ISREG(status.st_mode):
                    found[pathlib.Path(entry.path)] = (status.st_size, status.st_mtime_ns)
    except OSError as error:
        logger.error("%s: %s", folder, error.strerror)
    return found
