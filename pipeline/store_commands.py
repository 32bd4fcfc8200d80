"""`graft models`: looks at a model store and moves its pointers."""

import argparse
from typing import Any

from graft.components.baseline import METRICS
from graft.models.errors import GraftError
from graft.pipeline import result_file
from graft.pipeline.output import answer, table
from graft.serving.pointer import PointerError
from graft.serving.store import ModelStore, open_store


def run(args: argparse.Namespace) -> int:
    """Runs one verb; returns 1 if `verify` found a fault, else 0."""
    store = open_store(args.store)
    if args.verb == "verify":
        return _verify(args, store)
    if args.verb == "list":
        return _list(args, store)
    if args.verb == "unpin":
        pointer = store.unpin(args.model)
    elif args.verb == "pin":
        pointer = store.pin(args.model, args.version)
    else:
        pointer = store.rollback(args.model, args.version)
    pinned = "pinned: pushes do not move it until `graft models unpin`" if pointer.pinned else "pushes move it again"
    moved = {"model": args.model, "version": pointer.version, "pinned": pointer.pinned}
    answer(args, moved, f"{args.model}: version {pointer.version} is served; {pinned}")
    return 0


def _verify(args: argparse.Namespace, store: ModelStore) -> int:
    names = [args.model] if args.model else store.models()
    faults = [fault for name in names for fault in store.verify(name, args.version)]
    foreign = [] if args.model else store.foreign()
    if not args.model and not store.config_follows():
        faults.append("models.config: does not say what the pointers say; any change of the store writes it anew")
    unfinished = store.unfinished()
    lines = faults or [f"{', '.join(names) or 'no model'}: every file is as its manifest says"]
    notes = [f"note: {line}" for line in (*foreign, *unfinished)]
    value = {"faults": faults, "foreign": foreign}
    if not store.is_local:  # in a folder the next push removes what a dead one left, without a wait
        value["unfinished"] = unfinished
    answer(args, value, *lines, *notes)
    return 1 if faults else 0


def _list(args: argparse.Namespace, store: ModelStore) -> int:
    rows = [row for name in ([args.model] if args.model else store.models()) for row in _rows(store, name)]
    foreign = [] if args.model else store.foreign()
    value = [dict(zip(("model", "version", "time", "metrics", "state"), row, strict=True)) for row in rows]
    told = [(*row[:3], result_file.headline(row[3]) or "-", row[4]) for row in rows]
    shown = table(told, ("model", "version", "pushed", "on its test split", "state"))
    answer(args, {"models": value, "foreign": foreign}, *shown, *(f"note: {line}" for line in foreign))
    return 0


def _rows(store: ModelStore, name: str) -> list[tuple[Any, ...]]:
    """A row for each version. A damaged pointer or manifest is told of there and hides no other row."""
    try:
        pointer = store.current(name)
    except PointerError:
        served, words = store.served(name), "served, for CURRENT is damaged"  # the store logs in what way
    else:
        if pointer is None:
            raise GraftError(f"{store.address}: no model {name}; there are: {', '.join(store.models()) or 'none'}")
        served, words = pointer.version, "served, pinned" if pointer.pinned else "served"
    rows = []
    for version in store.versions(name):
        states = [words] if version == served else []
        metrics: dict[str, float] = {}
        try:
            manifest = store.manifest(name, version)
        except GraftError:
            time = "?"
            states.append("manifest damaged")
        else:
            time = manifest["time"]
            metrics = result_file.numbers((manifest.get("metadata") or {}).get(METRICS))
        rows.append((name, version, time, metrics, ", ".join(states)))
    return rows
