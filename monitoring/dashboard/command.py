"""`graft dashboard`: a local page over runs, model stores and what the monitor found, until it is asked to end."""

import argparse
import ipaddress
import logging
import pathlib
import threading

from graft.models.errors import GraftError
from graft.monitoring.dashboard.places import Places
from graft.monitoring.dashboard.server import Server
from graft.monitoring.ending import asked_to_end
from graft.pipeline.output import answer

DEFAULT_ROOT = "runs"
_STORE = "store"

logger = logging.getLogger(__name__)


def run(args: argparse.Namespace) -> int:
    """Serves the page until SIGTERM or SIGINT. Raises GraftError: a folder is not there, or the port is taken."""
    logging.getLogger("graft.monitoring").setLevel(logging.INFO)
    places = _asked(args)
    places.check()
    with asked_to_end() as ended, _opened(args, places) as server:
        if not is_loopback(args.host):
            logger.warning("--host %s: whoever reaches this address reads runs, models and drift", args.host)
        threading.Thread(target=server.serve_forever, args=(0.1,), name="dashboard", daemon=True).start()
        answer(args, {"dashboard": server.address}, f"ready: {server.address}")
        ended.wait()
        server.shutdown()
    return 0


def _opened(args: argparse.Namespace, places: Places) -> Server:
    try:
        return Server(args.host, args.port, places)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise GraftError(f"--port {args.port} on {args.host} cannot be opened: {reason}; give another") from error


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _asked(args: argparse.Namespace) -> Places:
    if args.config is not None:
        return _of_config(args)
    root = args.root or pathlib.Path(DEFAULT_ROOT)
    stores = args.store or ([str(root / _STORE)] if (root / _STORE).is_dir() else [])
    return Places(root, tuple(stores), args.log)


def _of_config(args: argparse.Namespace) -> Places:
    """Raises GraftError: the configuration is not sound, or places are given twice."""
    from graft.monitoring.options import MonitoringOptions
    from graft.pipeline import config as configs
    from graft.pipeline.sections import section

    given = [f"--{name}" for name in ("root", "store", "log") if getattr(args, name)]
    if given:
        raise GraftError(f"{', '.join(given)}: given beside {args.config}, which names the places; leave one out")
    config = configs.load(args.config)
    options = section(config, "monitoring", MonitoringOptions)
    log, drift = options.request_log.folder, options.drift.folder
    return Places(
        pathlib.Path(config.root),
        (config.store,),
        pathlib.Path(log) if log else None,
        {config.name: pathlib.Path(drift)} if drift else {},
    )
