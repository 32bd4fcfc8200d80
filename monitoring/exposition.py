"""Prometheus' text format 0.0.4, and the page on which all of this server's figures stand.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Callable, Iterable, Mapping

from graft.serving.observers import Page

PATH = "/monitoring/prometheus/metrics"
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def page(text: Callable[[], str], needed: bool = True) -> Mapping[str, Page]:
    """What an observer adds to the page; its series must have names that no other has.

    Args:
        text: makes it.
        needed: as for `serving.observers.Page`.
    """
    return {PATH: Page(MEDIA_TYPE, lambda: text().encode(), shared=True, needed=needed)}


def head(name: str, kind: str, text: str = "") -> list[str]:
    """The lines before the samples of one metric: `kind` is `counter`, `gauge` or `histogram`."""
    return [*([f"# HELP {name} {text}"] if text else []), f"# TYPE {name} {kind}"]


def line(name: str, labels: Iterable[tuple[str, str]], value: float) -> str:
    """One sample."""
    written = ",".join(f'{label}="{text.translate(_ESCAPES)}"' for label, text in labels)
    return f"{name}{{{written}}} {value!r}" if written else f"{name} {value!r}"
