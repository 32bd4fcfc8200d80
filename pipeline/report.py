"""The report of a run, one HTML file, and the card of its model."""

import dataclasses
import functools
import logging
import pathlib
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jinja2
import markupsafe
import yaml

from graft.models import page
from graft.models.durable import write_atomic
from graft.models.errors import GraftError
from graft.models.text import markdown, printable
from graft.pipeline import curve_page, plots, stages
from graft.pipeline.config import Config
from graft.pipeline.lineage import describe_run, lineage_rows
from graft.pipeline.metadata import Artifact, Execution, Metadata
from graft.pipeline.result import RunResult
from graft.pipeline.result_file import REPORT_FILE
from graft.pipeline.stages.base import CARD_HEADINGS, SERVING, THE_MODEL, Absent, Entry, Ran

log = logging.getLogger(__name__)

CARD_FILE = "model_card.md"
_TEMPLATES = pathlib.Path(__file__).parent / "templates"
_MOST_NAMES = 30
"""A matrix of more names is a picture, not a table."""
_BESIDE = (curve_page.PART,)
"""Parts that no stage brings; what has nothing to show is left out."""
_HASH = re.compile(r"\b[0-9a-f]{64}\b")


@dataclasses.dataclass(frozen=True)
class Section:
    """A section as it is shown.

    Attributes:
        name: its address in the page.
        title: its heading.
        blocks: what it shows.
        absent: why it shows nothing; empty if it shows something.
        body: the blocks as HTML, once they are drawn.
    """

    name: str
    title: str
    blocks: Sequence[page.Block] = ()
    absent: str = ""
    body: str = ""


def write_report(
    config: Config,
    result: RunResult,
    outputs: Mapping[str, Mapping[str, Artifact]],
    folder: pathlib.Path,
    why_plain: str | None = None,
    work: Sequence[Execution] | None = None,
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
        work: the executions behind the stages; None: as the metadata store of the pipeline has them.

    Returns:
        path of the report; None if it could not be written.
    """
    path = folder / REPORT_FILE
    refusal = None if why_plain is None else f"Not shown: {why_plain}."
    try:
        html = _environment(html=True)
        lineage = _guarded("lineage", lambda: _described(config, result, outputs, work), refusal)
        ran = Ran(config, result, outputs, {} if isinstance(lineage, str) else lineage)
        context = {
            "config": config,
            "config_yaml": {"yaml": _yaml(config)},
            "result": result,
            "sections": [_drawn(section, html) for section in build_sections(ran, refusal)],
            "tiles": [] if refusal else list(_tiles(ran)),
            "lineage": lineage if isinstance(lineage, str) else _lineage(lineage),
        }
        _write(path, html.get_template("report.html.j2").render(context))
        context |= _card(ran, refusal)
        if context["card"]:
            _write(folder / CARD_FILE, _environment(html=False).get_template("model_card.md.j2").render(context))
    except Exception as error:  # see above
        log.error("%s: the report could not be written: %s", path, error, exc_info=log.isEnabledFor(logging.INFO))
        return None
    return path


def build_sections(ran: Ran, refusal: str | None = None) -> Iterator[Section]:
    """What the stages show, in their order; of a part that cannot be shown, why."""
    for part in (*(part for stage in stages.STAGES for part in stage.parts()), *_BESIDE):
        built = _guarded(part.name, functools.partial(part.build, ran), refusal)
        if part in _BESIDE and (refusal or not built):
            continue
        if isinstance(built, str):
            yield Section(part.name, part.title, absent=built)
            continue
        own = [block for block in built if not isinstance(block, page.Section)]
        if own or not built:
            yield Section(part.name, part.title, own)
        for section in built:
            if isinstance(section, page.Section):
                yield Section(section.name, section.title, section.blocks)


def _drawn(section: Section, html: jinja2.Environment) -> Section:
    """The section with its blocks as HTML, or why they cannot be shown."""

    def draw() -> markupsafe.Markup:
        blocks = html.get_template("blocks.html.j2").make_module({"most_names": _MOST_NAMES})
        return markupsafe.Markup("\n").join(
            blocks.show(block, section.title)  # type: ignore[attr-defined]
            for block in section.blocks
        )

    drawn = _guarded(section.name, draw)
    # Markup is a str, too: what is no Markup is a reason.
    if isinstance(drawn, markupsafe.Markup):
        return dataclasses.replace(section, body=drawn)
    return dataclasses.replace(section, absent=drawn)


def _guarded(name: str, build: Callable[[], Any], refusal: str | None = None) -> Any:
    """What is built, or why there is none."""
    if refusal is not None:
        return refusal
    try:
        return build()
    except Absent as absent:
        return str(absent)
    except GraftError as error:
        return f"Cannot be shown: {error}"
    except Exception as error:  # a deleted or broken artifact costs one part, not the report
        log.warning("report: part %s cannot be shown", name, exc_info=True)
        return f"Cannot be shown: {type(error).__name__}: {error}"


def _tiles(ran: Ran) -> Iterator[page.Tile]:
    for stage in stages.STAGES:
        found = _guarded(f"tiles of {stage.name}", functools.partial(stage.tiles, ran))
        yield from () if isinstance(found, str) else found


def _card(ran: Ran, refusal: str | None) -> dict[str, Any]:
    """`card`: entries by heading, empty where no model was trained; `serving`: how the model is asked."""
    entries: dict[str, list[Any]] = {heading: [] for heading in CARD_HEADINGS}
    reasons: list[str] = []
    for stage in stages.STAGES:
        found: Sequence[Entry] | str = _guarded(f"card of {stage.name}", functools.partial(stage.card, ran), refusal)
        if isinstance(found, str):
            reasons.append(found)
            continue
        for heading, entry in found:
            entries[heading].append(entry)
    serving = entries.pop(SERVING)
    if not entries[THE_MODEL]:
        return {"card": [], "serving": []}
    entries[THE_MODEL].append(f"Run: {ran.result.run_id}")
    for held in entries.values():
        if not held:
            held.extend(page.Text(reason) for reason in dict.fromkeys(reasons))
        held.sort(key=lambda entry: not isinstance(entry, page.Text))  # paragraphs before lists and tables
    return {"card": list(entries.items()), "serving": serving}


def _described(
    config: Config, result: RunResult, outputs: Mapping[str, Any], work: Sequence[Execution] | None
) -> dict[str, Any]:
    if not outputs:
        raise Absent("Not reached: the run ended before its first stage did.")
    return describe_run(Metadata(config.run_root).work(result.run_id) if work is None else list(work))


def _lineage(described: dict[str, Any]) -> dict[str, Any]:
    """`rows`: a title and its lines; `stages` as of `describe_run`."""
    rows: list[tuple[str, list[str]]] = []
    for title, line in lineage_rows(described):
        if title or not rows:
            rows.append((title, [line]))
        else:
            rows[-1][1].append(line)
    return {"rows": rows, "stages": described["stages"]}


def _yaml(config: Config) -> str:
    """Every key, defaults too."""
    content = config.model_dump(mode="json", by_alias=True)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)


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
        kind=lambda block: type(block).__name__,
        cell=_cell,
        zip=lambda one, other: list(zip(one, other, strict=True)),
        draw=plots.draw,
        matrix=plots.matrix,
        hashes=_hashes,
    )
    return environment


def _cell(value: page.Cell, digits: int) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}" if digits < 0 else f"{value:.{digits}f}"
    return str(value)


def _hashes(text: str) -> markupsafe.Markup:
    """Text in which what is a sha256 stands out."""
    escaped = str(markupsafe.escape(text))
    return markupsafe.Markup(_HASH.sub(r"<code>\g<0></code>", escaped))


def _write(path: pathlib.Path, text: str) -> None:
    """Whole or not at all. Names that are not UTF-8 come as lone surrogates and are written escaped."""
    write_atomic(path, text.encode(errors="backslashreplace"))
