"""`graft monitor`: one pass over the request log, or one every so often."""

import argparse
import dataclasses
import datetime
import logging
import pathlib
import time

from graft.models.durable import write_atomic
from graft.models.errors import GraftError
from graft.monitoring.drift import results, series
from graft.monitoring.drift.monitor import Monitor, Pass, Place
from graft.monitoring.drift.options import DriftOptions
from graft.monitoring.ending import asked_to_end
from graft.pipeline.output import answer, table

EXIT_DRIFT = 1

logger = logging.getLogger(__name__)


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status: 1 if a window that it judged drifted, as a service 0."""
    place, options = asked(args)
    with Monitor(place, options) as monitor:
        if args.every is not None:
            return _serve(args, monitor, place)
        found = monitor.look()
        _put_series(args, place, series.Health(place.model, time.time(), False, found.totals, found.waiting_labels))
    windows = [window for window in found.windows if args.version in (None, window.version)]
    drifted = any(window.drifted for window in windows)
    answer(args, _value(place, found, windows, drifted), *_lines(found, windows))
    return EXIT_DRIFT if drifted else 0


def asked(args: argparse.Namespace) -> tuple[Place, DriftOptions]:
    """Raises GraftError: the configuration is not sound, or names no log."""
    from graft.monitoring.options import MonitoringOptions
    from graft.pipeline import config as configs
    from graft.pipeline.sections import section

    config = configs.load(args.config)
    wanted = section(config, "monitoring", MonitoringOptions)
    if wanted.request_log.folder is None:
        raise GraftError(f"{args.config}: monitoring.request_log.folder is null; give the folder of the log to watch")
    folder = pathlib.Path(wanted.drift.folder) if wanted.drift.folder else config.run_root / "drift"
    log = pathlib.Path(wanted.request_log.folder)
    if folder.resolve() == log.resolve():
        raise GraftError(f"{args.config}: monitoring.drift.folder is the folder of the log, {log}; it needs its own")
    return Place(config.name, config.store, log, folder, wanted.request_log.rotate_seconds), wanted.drift


def _serve(args: argparse.Namespace, monitor: Monitor, place: Place) -> int:
    """Makes passes until SIGTERM or SIGINT; one that fails is logged, and the next tries again."""
    logging.getLogger("graft.monitoring").setLevel(logging.INFO)
    health = series.Health(place.model)
    told: set[str] = set()
    with asked_to_end() as ended:
        while True:
            try:
                found = monitor.look(ended)
            except GraftError as error:
                health = dataclasses.replace(health, failing=True)
                logger.error("%s", error)
            else:
                health = series.Health(place.model, time.time(), False, found.totals, found.waiting_labels)
                faults = [*found.faults, *(f"not watched: {reason}" for _, reason in found.unknown.values())]
                faults += _unwatched(found.windows)
                for fault in faults:
                    if fault not in told:
                        logger.warning("%s", fault)
                told = set(faults)
                windows = [window for window in found.windows if args.version in (None, window.version)]
                for window in windows:
                    answer(args, window.model_dump(mode="json"), *table([_row(window)]))
            _put_series(args, place, health)
            if ended.wait(args.every):
                return 0


def _put_series(args: argparse.Namespace, place: Place, health: series.Health) -> None:
    if args.textfile is None:
        return
    windows = (w for w in results.read(place.folder) if args.version in (None, w.version))
    try:
        write_atomic(args.textfile, series.text(windows, health).encode())
    except OSError as error:
        raise GraftError(f"--textfile {args.textfile}: {error.strerror}; its folder must be writable") from error


def _value(place: Place, found: Pass, windows: list[results.Window], drifted: bool) -> dict:
    return {
        "status": "drift" if drifted else "no_drift",
        "model": place.model,
        "results": str(place.folder / results.NAME),
        "windows": [window.model_dump(mode="json") for window in windows],
        "open": found.open,
        "totals": found.totals,
        "unknown_versions": {v: {"requests": count, "reason": why} for v, (count, why) in found.unknown.items()},
        "waiting_labels": found.waiting_labels,
        "log": {key: value for key, value in dataclasses.asdict(found.log).items() if key != "faults"},
        "faults": found.faults,
    }


def _lines(found: Pass, windows: list[results.Window]) -> list[str]:
    lines = table([_row(window) for window in windows], _HEADER) if windows else ["no window is full"]
    waiting = ", ".join(f"version {version}: {size}" for version, size in found.open.items() if size)
    lines.append(
        f"examples in open windows: {waiting or 'none'}; labels that wait for their request: {found.waiting_labels}"
    )
    lines += _unwatched(windows)
    for version, (count, reason) in found.unknown.items():
        lines.append(f"{count} requests to version {version} are not watched: {reason}")
    told = {name: count for name, count in found.totals.items() if name not in ("files", "records", "requests")}
    lines.append("so far: " + ", ".join(f"{name} {count}" for name, count in {**_base(found), **told}.items()))
    return [*lines, *found.faults]


def _unwatched(windows: list[results.Window]) -> list[str]:
    """Why feature vectors were not compared, each reason once."""
    reasons = {window.vectors.unwatched: window for window in windows if window.vectors and window.vectors.unwatched}
    return [f"feature vectors are not watched (version {w.version}): {why}" for why, w in reasons.items()]


def _base(found: Pass) -> dict[str, int]:
    return {name: found.totals.get(name, 0) for name in ("files", "records", "requests")}


_HEADER = ("version", "window", "of", "until", "rows", "AUC", "drift", "what moved")


def _row(window: results.Window) -> tuple:
    end = datetime.datetime.fromtimestamp(window.end, datetime.UTC).strftime("%Y-%m-%d %H:%M")
    moved = ", ".join(
        dict.fromkeys(
            f"{test.signal} {test.effect:.2f} ({test.against}, p {test.p_value:.1g})" for test in window.alarms
        )
    )
    return (
        window.version,
        window.number,
        window.kind,
        end,
        window.rows,
        f"{window.vectors.auc.mean:.2f}" if window.vectors and window.vectors.auc else "-",
        "yes" if window.drifted else "moved" if window.changed else "no",
        moved,
    )
