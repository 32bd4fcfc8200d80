"""The report of a run, one HTML file, and the card of its model."""

import logging
import pathlib
import shlex
from typing import Any

import jinja2

from graft.models.durable import write_atomic
from graft.models.errors import GraftError
from graft.models.text import markdown, printable
from graft.pipeline import report_parts
from graft.pipeline.config import Config
from graft.pipeline.metadata import Artifact
from graft.pipeline.result import RunResult

log = logging.getLogger(__name__)

REPORT_FILE, CARD_FILE = "report.html", "model_card.md"
_TEMPLATES = pathlib.Path(__file__).parent / "templates"


def write_report(
    config: Config,
    result: RunResult,
    outputs: dict[str, dict[str, Artifact]],
    folder: pathlib.Path,
    why_plain: str | None = None,
) -> pathlib.Path | None:
    """Writes `report.html` and, if a model was trained, `model_card.md`.

    A part whose stage was not reached, or whose artifacts cannot be read, says so. Nothing is raised: the report must
    neither fail a run that passed nor hide why a run failed; what went wrong is logged.

    Args:
        config: of the pipeline.
        result: how the run went.
        outputs: artifacts of the finished stages.
        folder: of the run.
        why_plain: why no artifact may be read: there is no memory or no thread for TensorFlow, which might abort.

    Returns:
        path of the report; None if it could not be written.
    """
    path = folder / REPORT_FILE
    try:
        plain = {builder.__name__: f"Not shown: {why_plain}." for builder in report_parts.BUILDERS}
        part = build_parts(config, result, outputs) if why_plain is None else plain
        context = {"config": config, "result": result, "part": part}
        _write(path, _environment(html=True).get_template("report.html.j2").render(context))
        if "train" in outputs:
            _write(folder / CARD_FILE, _environment(html=False).get_template("model_card.md.j2").render(context))
    except Exception as error:  # see above
        log.error("%s: the report could not be written: %s", path, error, exc_info=log.isEnabledFor(logging.INFO))
        return None
    return path


def build_parts(config: Config, result: RunResult, outputs: dict[str, dict[str, Artifact]]) -> dict[str, Any]:
    """The parts by name; a string says why there is none."""
    parts: dict[str, Any] = {}
    for builder in report_parts.BUILDERS:
        name = builder.__name__
        try:
            parts[name] = builder(config, result, outputs)
        except report_parts.Absent as absent:
            parts[name] = str(absent)
        except GraftError as error:
            parts[name] = f"Cannot be shown: {error}"
        except Exception as error:  # a deleted or broken artifact costs one part, not the report
            log.warning("report: part %s cannot be shown", name, exc_info=True)
            parts[name] = f"Cannot be shown: {type(error).__name__}: {error}"
    return parts


def _environment(html: bool) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=html,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        printable=lambda text: printable(str(text)),
        markdown=lambda text: markdown(str(text)),
        quote=lambda text: printable(shlex.quote(str(text))),
        figure=lambda value, digits=3: "-" if value is None else f"{value:.{digits}f}",
        general=lambda value: "-" if value is None else f"{value:.6g}",
        signed=lambda value: f"{value:+.3f}",
        percent=lambda value: f"{100 * value:.0f} %",
    )
    return environment


def _write(path: pathlib.Path, text: str) -> None:
    """Whole or not at all. Names that are not UTF-8 come as lone surrogates and are written escaped."""
    write_atomic(path, text.encode(errors="backslashreplace"))
