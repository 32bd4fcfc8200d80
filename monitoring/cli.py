"""What this layer adds to the command line."""

import argparse
import logging
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from graft.models.errors import GraftError
from graft.monitoring.demo import command as demo_command
from graft.monitoring.duration import duration

if TYPE_CHECKING:
    from graft.monitoring.access_log import AccessLog
    from graft.monitoring.request_log.observer import RequestLog
    from graft.monitoring.tracing import Traces


def add_commands(commands: argparse._SubParsersAction, add: Callable) -> None:
    """Adds observers to `graft serve`, and this layer's commands; `add` is `pipeline.cli`'s own."""
    serve = commands.choices["serve"]
    serve.add_argument(
        "--metrics",
        action="append_const",
        dest="observe",
        const="metrics",
        help="count requests for Prometheus, at /monitoring/prometheus/metrics on the REST port",
    )
    serve.add_argument(
        "--request-log",
        action="append",
        dest="observe",
        type=RequestLogPlace,
        metavar="FOLDER|CONFIG",
        help="log requests into this folder, or as section monitoring.request_log of this .yaml file says",
    )
    serve.add_argument(
        "--access-log",
        action="append",
        dest="observe",
        type=AccessLogPlace,
        metavar="FILE|-",
        help="write a line of JSON for each request into this file, or on stdout",
    )
    serve.add_argument(
        "--traces",
        action="append",
        dest="observe",
        type=TracesPlace,
        metavar="URL",
        help="send OpenTelemetry traces to this collector, http://HOST:4318",
    )
    _add_metrics(add)
    _add_dashboard(add)
    label = add("label", _label, "join labels that came late to logged requests, by request id")
    label.add_argument("--model", required=True, help="name of the model that answered the requests")
    source = label.add_mutually_exclusive_group(required=True)
    source.add_argument("--file", type=pathlib.Path, nargs="+", metavar="FILE", help="CSV or JSONL files of labels")
    source.add_argument("--watch", type=pathlib.Path, metavar="FOLDER", help="take each such file that is put there")
    label.add_argument(
        "--column", action="append", metavar="NAME", help="column of the label; may be repeated (default: label)"
    )
    label.add_argument("--log", default="runs/requests", help="folder of the request log (default: runs/requests)")
    label.add_argument("--poll", type=float, default=10.0, help="seconds between two looks at --watch (default: 10)")

    monitor = add("monitor", _monitor, "judge what a served model was asked and answered against its reference")
    monitor.add_argument(
        "report", nargs="?", choices=("report",), help="judge nothing, write what was found as one HTML page"
    )
    monitor.add_argument("config", help="YAML file of the pipeline that pushed the model")
    monitor.add_argument("--every", type=duration, metavar="TIME", help="go on, with a pass every 90s, 10m, 1h or 1d")
    monitor.add_argument("--version", type=int, help="tell of the windows of this version only")
    monitor.add_argument("--textfile", type=pathlib.Path, metavar="PATH", help="write series for Prometheus there")
    monitor.add_argument(
        "-o",
        "--output",
        type=pathlib.Path,
        metavar="PATH",
        help="of report (default: drift_report.html beside results)",
    )
    _add_retrain(add)
    demo_command.add_to(commands.choices["demo"])


def _monitor(args: argparse.Namespace) -> int:
    for name in ("every", "textfile") if args.report else ("output",):
        if getattr(args, name) is not None:
            allowed = "`graft monitor CONFIG`, which makes a pass" if args.report else "`graft monitor report CONFIG`"
            raise GraftError(f"--{name} was given; it is allowed with {allowed}")
    if args.report:
        from graft.monitoring.report import command as report_command

        return report_command.run(args)
    from graft.monitoring.drift import command

    return command.run(args)


def _add_retrain(add: Callable) -> None:
    retrain = add("retrain", _retrain, "train the model anew on labelled requests, if drift or new labels ask for it")
    retrain.add_argument("config", help="YAML file of the pipeline")
    what = retrain.add_mutually_exclusive_group()
    what.add_argument("--dry-run", action="store_true", help="say what would be done, do nothing")
    what.add_argument("--pause", metavar="REASON", help="let none start until --resume")
    what.add_argument("--resume", action="store_true", help="end the pause")
    what.add_argument("--every", type=duration, metavar="TIME", help="go on, with a look every 10m, 1h or 1d")
    retrain.add_argument(
        "--kubeflow", action="store_true", help="submit the run to Kubeflow in place of running it here"
    )
    retrain.add_argument("--force", action="store_true", help="ask for one; cool-down and triggers do not count")
    retrain.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key")


def _retrain(args: argparse.Namespace) -> int:
    from graft.monitoring.retrain import command

    return command.run(args)


def _add_metrics(add: Callable) -> None:
    metrics = add("metrics", _metrics, "series of runs, model store and labels for Prometheus")
    metrics.add_argument("--root", type=pathlib.Path, default=pathlib.Path("runs"), help="of the runs (default: runs)")
    metrics.add_argument("--store", metavar="STORE", help="a model store too: a folder or s3://BUCKET/PREFIX")
    metrics.add_argument("--log", type=pathlib.Path, metavar="FOLDER", help="labels of this request log too")
    metrics.add_argument(
        "--expect-every", type=duration, metavar="TIME", help="a run of each pipeline is expected in 24h, 7d, ..."
    )
    metrics.add_argument("--every", type=duration, metavar="TIME", help="collect again each 60s, 5m, ...")
    metrics.add_argument("--textfile", type=pathlib.Path, metavar="PATH", help="write this file (for node_exporter)")
    metrics.add_argument("--port", type=int, help="serve /metrics on this port; 0: a free one")
    metrics.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")


def _add_dashboard(add: Callable) -> None:
    page = add("dashboard", _dashboard, "serve a read-only page over runs, model stores and what the monitor found")
    page.add_argument("config", nargs="?", help="YAML file of a pipeline, which names all places")
    page.add_argument("--root", type=pathlib.Path, help="of the runs (default: runs)")
    page.add_argument(
        "--store", action="append", metavar="STORE", help="a folder or s3://BUCKET/PREFIX (default: ROOT/store)"
    )
    page.add_argument("--log", type=pathlib.Path, metavar="FOLDER", help="a request log")
    page.add_argument("--port", type=int, default=8080, help="0: a free one (default: 8080)")
    page.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")


def _dashboard(args: argparse.Namespace) -> int:
    from graft.monitoring.dashboard import command

    return command.run(args)


def _metrics(args: argparse.Namespace) -> int:
    from graft.monitoring import metrics_command

    return metrics_command.run(args)


def _label(args: argparse.Namespace) -> int:
    from graft.monitoring.request_log import label_command

    return label_command.run(args)


class RequestLogPlace:
    """Makes a request log when the server starts: what is wrong with it is then told like any other error.

    Args:
        text: a folder, or a pipeline's configuration (`.yaml`, `.yml`).
    """

    def __init__(self, text: str):
        self._path = pathlib.Path(text)

    def __call__(self) -> "RequestLog":
        """Raises GraftError: the configuration is not sound or names no folder, or the log cannot be made."""
        from graft.monitoring.request_log.observer import RequestLog
        from graft.monitoring.request_log.options import Options

        logging.getLogger("graft.monitoring").setLevel(logging.INFO)

        if self._path.suffix not in (".yaml", ".yml"):
            return RequestLog(Options(folder=str(self._path)))
        from graft.monitoring.options import MonitoringOptions
        from graft.pipeline import config as configs
        from graft.pipeline.sections import section

        options = section(configs.load(str(self._path)), "monitoring", MonitoringOptions).request_log
        if options.folder is None:
            raise GraftError(f"{self._path}: monitoring.request_log.folder is null; give the folder of the log")
        return RequestLog(options)


class AccessLogPlace:
    """Makes an access log when the server starts.

    Args:
        text: a file, or `-`.
    """

    def __init__(self, text: str):
        self._place = text

    def __call__(self) -> "AccessLog":
        """Raises GraftError: it cannot be written to."""
        from graft.monitoring.access_log import AccessLog

        logging.getLogger("graft.monitoring").setLevel(logging.INFO)
        return AccessLog(self._place)


class TracesPlace:
    """Makes the traces' observer when the server starts.

    Args:
        text: address of a collector.
    """

    def __init__(self, text: str):
        self._address = text

    def __call__(self) -> "Traces":
        """Raises GraftError: the address is none, or OpenTelemetry is not installed."""
        from graft.monitoring.tracing import Traces, exporter_to

        logging.getLogger("graft.monitoring").setLevel(logging.INFO)
        return Traces(exporter_to(self._address))
