"""Addresses of the pages. Names from outside are quoted whole, so none of them adds a step to a path."""

import urllib.parse

STYLE = "/style.css"


def quoted(name: str) -> str:
    """A name as one step of a path; names of files that are not UTF-8 too."""
    return urllib.parse.quote(name, safe="", errors="surrogateescape")


def steps(path: str) -> list[str]:
    """The names that a path was made of."""
    return [urllib.parse.unquote(step, errors="surrogateescape") for step in path.removeprefix("/").split("/")]


def pipeline(name: str, before: str | None = None) -> str:
    """Of the list of a pipeline's runs."""
    return f"/runs/{quoted(name)}" + (f"?before={quoted(before)}" if before is not None else "")


def run(name: str, run_id: str) -> str:
    """Of one run."""
    return f"{pipeline(name)}/{quoted(run_id)}"


def model(store: int, name: str, before: int | None = None) -> str:
    """Of the versions of a model; `store` counts the stores from 0."""
    return f"/models/{store}/{quoted(name)}" + (f"?before={before}" if before is not None else "")


def drift(name: str, before: int | None = None) -> str:
    """Of what the monitor of a pipeline found."""
    return f"/drift/{quoted(name)}" + (f"?before={before}" if before is not None else "")
