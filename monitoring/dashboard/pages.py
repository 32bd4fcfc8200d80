"""From an address to a page. Names in it are looked up among those that were listed, and open nothing themselves."""

import dataclasses
import datetime
import http
import pathlib
import urllib.parse
from typing import Any

import jinja2
from markupsafe import Markup

from graft.models.errors import GraftError
from graft.models.text import printable
from graft.monitoring.dashboard import links, log_view
from graft.monitoring.dashboard.drift_view import DriftView
from graft.monitoring.dashboard.places import Places
from graft.monitoring.dashboard.run_view import RunView
from graft.monitoring.dashboard.store_view import StoreView

_TEMPLATES = pathlib.Path(__file__).parent / "templates"
_HTML, _CSS, _TEXT = "text/html; charset=utf-8", "text/css; charset=utf-8", "text/plain; charset=utf-8"


@dataclasses.dataclass(frozen=True)
class Page:
    """What is sent."""

    status: http.HTTPStatus
    media_type: str
    content: bytes

    @classmethod
    def plain(cls, status: http.HTTPStatus, text: str) -> "Page":
        """A line of text."""
        return cls(status, _TEXT, f"{text}\n".encode())


class Pages:
    """All pages over some places.

    Args:
        places: what is shown.
    """

    def __init__(self, places: Places):
        self._places = places
        self._runs = RunView(places.root)
        self._stores = StoreView(places.stores)
        self._drift = DriftView(places.root, places.drift)
        self._style = (_TEMPLATES / "dashboard.css").read_bytes()
        self._environment = _environment()

    def page(self, target: str) -> Page:
        """The page of a request.

        Args:
            target: path and query as they came.
        """
        try:
            split = urllib.parse.urlsplit(target)
            if split.path == links.STYLE:
                return Page(http.HTTPStatus.OK, _CSS, self._style)
            query = dict(urllib.parse.parse_qsl(split.query, errors="surrogateescape", max_num_fields=4))
            found = self._found(links.steps(split.path), query.get("before"))
        except GraftError as error:
            return self._shown(http.HTTPStatus.INTERNAL_SERVER_ERROR, "fault", {"fault": str(error)})
        except ValueError:  # of an address that is none, or a query with too many fields
            found = None
        if found is None:
            return self._shown(http.HTTPStatus.NOT_FOUND, "fault", {"fault": "There is no such page."})
        return self._shown(http.HTTPStatus.OK, *found)

    def _found(self, steps: list[str], before: str | None) -> tuple[str, dict[str, Any]] | None:
        """Name of the template and what it shows; None: there is no such page."""
        match steps:
            case [""]:
                return "overview", self._overview()
            case ["runs", pipeline]:
                listing = self._runs.listing(pipeline, before)
                return None if listing is None else ("runs", {"pipeline": pipeline, "listing": listing})
            case ["runs", pipeline, run]:
                detail = self._runs.detail(pipeline, run)
                return None if detail is None else ("run", {"pipeline": pipeline, "detail": detail})
            case ["models", store, name]:
                model = self._stores.model(store, name, before)
                if model is None:
                    return None
                ids = {name: self._runs.ids(name) for name in {version.pipeline for version in model.versions}}
                return "model", {"model": model, "ids": ids}
            case ["drift", pipeline]:
                shown = self._drift.windows(pipeline, before)
                return None if shown is None else ("drift", {"pipeline": pipeline, "shown": shown})
        return None

    def _overview(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"places": self._places, "stores": self._stores.stores(), "runs_fault": ""}
        shown["watched"] = self._drift.watched()
        shown["log"] = None if self._places.log is None else log_view.look(self._places.log)
        try:
            shown["pipelines"] = self._runs.pipelines()
        except GraftError as error:
            shown |= {"pipelines": [], "runs_fault": str(error)}
        return shown

    def _shown(self, status: http.HTTPStatus, template: str, context: dict[str, Any]) -> Page:
        text = self._environment.get_template(f"{template}.html.j2").render(context | {"now": _now()})
        return Page(status, _HTML, text.encode())


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else printable(str(value)),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(time=_time, iso=_iso, took=_took, general=_general, size=_size)
    environment.globals["links"] = {
        name: getattr(links, name) for name in ("pipeline", "run", "model", "drift")
    } | {"style": links.STYLE}  # fmt: skip
    return environment


def _now() -> float:
    return datetime.datetime.now(datetime.UTC).timestamp()


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return "?"


def _iso(text: str) -> str:
    """A time as manifests have it, to the second and in UTC."""
    try:
        return datetime.datetime.fromisoformat(text).astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError):
        return text or "-"


def _took(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _general(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.2f} GB"
