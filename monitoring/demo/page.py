"""The story of `graft demo drift` as one HTML file that needs nothing else."""

import base64
import pathlib
from collections.abc import Mapping
from typing import Any

import jinja2

from graft.monitoring.demo import verdict

_TEMPLATES = pathlib.Path(__file__).parent / "templates"


def render(value: Mapping[str, Any], plot: bytes) -> str:
    """The page.

    Args:
        value: of `story`.
        plot: PNG.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("drift.html.j2").render(
        value=value,
        lines=verdict.sentences(value),
        plot=base64.b64encode(plot).decode("ascii"),
        alarms=verdict.alarms,
    )
