"""`import graft`: what the commands do, for programs and notebooks. Quiet, and errors are exceptions.

A run is the one that `graft run` makes: the same folders, cache, gates and report.
"""

import contextlib
import copy
import html
import logging
import os
import pathlib
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import absl.logging

from graft.models.errors import GraftError
from graft.models.gates import Gate
from graft.models.run_warning import RunWarning
from graft.pipeline import config as configs
from graft.pipeline.config import Config
from graft.pipeline.output import EXIT_ERROR
from graft.serving.loaded import LoadedModel, load

if TYPE_CHECKING:
    from graft.pipeline.result import RunResult

__all__ = ["Run", "load", "run"]

_HEAD = re.compile(r"^(.*?)<nav.*?</nav>(.*?<section id=\"gates\">.*?</section>)", re.DOTALL)


class Run:
    """How a run went; in a notebook it shows the head of its report.

    Attributes:
        config: as it ran.
        result: all that is known, as `run.json` has it.
    """

    def __init__(self, config: Config, result: "RunResult"):
        self.config, self.result = config, result

    @property
    def run_id(self) -> str:
        """Its name, as `graft runs` lists it."""
        return self.result.run_id

    @property
    def status(self) -> str:
        """`passed` or `gate_closed`."""
        return self.result.status

    @property
    def passed(self) -> bool:
        """Whether every gate was open."""
        return self.result.status == "passed"

    @property
    def reason(self) -> str:
        """Why it stopped, empty if it did not."""
        return self.result.reason

    @property
    def metrics(self) -> dict[str, Any]:
        """Of the candidate on the test split, and of the model it was compared with."""
        return self.result.metrics

    @property
    def gates(self) -> list[Gate]:
        """Every gate that was checked."""
        return self.result.gates

    @property
    def warnings(self) -> list[RunWarning]:
        """What nothing stopped, but a person should know: the want of a quality gate, a class that is never found."""
        return self.result.warnings

    @property
    def version(self) -> int | None:
        """The pushed version, None without one."""
        return self.result.model_version

    @property
    def report(self) -> pathlib.Path | None:
        """The HTML report, None where it could not be written."""
        return pathlib.Path(self.result.report) if self.result.report else None

    def model(self) -> LoadedModel:
        """The pushed model, loaded in this process. Raises GraftError where the run pushed none."""
        if self.version is None:
            raise GraftError(f"run {self.run_id} of {self.config.name} pushed no model: {self.reason}")
        return load(self.config.store, self.config.name, self.version, self.config.backbone.trust)

    def __repr__(self) -> str:
        pushed = "nothing pushed" if self.version is None else f"version {self.version} in {self.config.store}"
        why = f", {self.reason}" if self.reason else ""
        if self.passed and self.result.ungated:
            why = " without a quality gate"
        return f"<run {self.run_id} of {self.config.name}: {self.status}{why}; {pushed}>"

    def _repr_html_(self) -> str:
        """The head of the report and its gates, in a frame of its own: its style stays within."""
        found = _HEAD.match(self.report.read_text(encoding="utf-8")) if self.report else None
        if found is None:
            return f"<pre>{html.escape(repr(self))}</pre>"
        page = html.escape("".join(found.groups()) + "</main></body></html>")
        style = "width: 100%; height: 32em; border: 0"
        return f'<iframe sandbox="" title="{html.escape(repr(self))}" srcdoc="{page}" style="{style}"></iframe>'


def run(
    config: "str | os.PathLike[str] | Mapping[str, Any] | Config",
    overrides: Sequence[str] = (),
    *,
    from_stage: str | None = None,
    wait: bool = False,
    quiet: bool = True,
) -> Run:
    """Runs a pipeline: from data to a gated, pushed model.

    Args:
        config: a YAML file, or what would stand in one; paths are relative to the working directory.
        overrides: `KEY=VALUE`, as `--set` takes them; with a file or a mapping only.
        from_stage: this stage and those after it run even if the cache has them.
        wait: wait for another run of this pipeline instead of refusing.
        quiet: whether progress is left out, on standard error.

    Returns:
        how it went; a closed gate is a result.

    Raises:
        GraftError: config, data or backbone cannot be used, or a stage failed for a reason that the user can mend.
        Exception: as a stage raised it.
    """
    found = _config(config, overrides)
    with _hushed():
        from graft.pipeline import run as running
        from graft.pipeline.progress_view import ProgressView, Silent

        with Silent() if quiet else ProgressView() as view:
            result = running.run(found, view, from_stage=from_stage, wait=wait)
    if result.failure is not None:
        if result.exit_code == EXIT_ERROR:
            raise GraftError(result.reason) from result.failure
        raise result.failure
    return Run(found, result)


def _config(given: Any, overrides: Sequence[str]) -> Config:
    if isinstance(given, Config):
        if overrides:
            raise GraftError(f"overrides: received {list(overrides)} with a Config; change the Config itself")
        return given
    if isinstance(given, Mapping):
        raw = configs.override(copy.deepcopy(dict(given)), overrides)
        return configs.parse(configs.expand(raw, "config"), "config")
    return configs.load(given, list(overrides))


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Without what TFX, Beam and TensorFlow have to say on the way; the caller's own settings come back."""
    os.environ["TF_USE_LEGACY_KERAS"] = "0"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    loggers = [logging.getLogger(name) for name in (None, "tensorflow")]
    before, verbosity = [logger.level for logger in loggers], absl.logging.get_verbosity()
    nobody = logging.NullHandler()
    logging.root.addHandler(nobody)  # else the first warning of Beam's would set logging up, for good
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    absl.logging.set_verbosity(absl.logging.FATAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.root.removeHandler(nobody)
        absl.logging.set_verbosity(verbosity)
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
