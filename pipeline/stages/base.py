"""What a stage is to the pipeline: how it is wired, read, gated, traced and shown. A stage's room is a subclass.

A room is imported wherever a run is looked at, so it imports TFX, TensorFlow and its component in the methods that need
them. What an artifact holds is read here only as far as one of these methods tells it.
"""

import abc
import dataclasses
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel

from graft.components import gates
from graft.models import page
from graft.models.errors import GraftError
from graft.models.inputs import make_input
from graft.models.registry import only
from graft.models.run_warning import RunWarning
from graft.models.targets import make_target
from graft.pipeline.config import Config
from graft.pipeline.metadata import Artifact, Execution
from graft.pipeline.result import RunResult

if TYPE_CHECKING:
    from tfx.dsl.components.base.base_component import BaseComponent
    from tfx.types import BaseChannel

    from graft.models.inputs.base import Input
    from graft.models.targets.base import Target

Outputs = Mapping[str, Artifact]
"""A finished stage's artifacts by output name."""

Row = tuple[str, str]
"""What lineage says, for people: a name, empty where it is the one above, and what there is to say."""

GONE = "no longer on disk"

TRANSFERRED, NOT_TRANSFERRED, HELPS, SURE, FATE = QUESTIONS = (
    "What transferred",
    "What did not",
    "Whether it helps",
    "How sure that is",
    "What became of it",
)
"""What `graft explain` answers of a run, in order."""

Told = tuple[str, str]
"""One of `QUESTIONS`, and a sentence that answers it."""


class Absent(Exception):
    """A part of a report has nothing to show; the message says why."""


@dataclasses.dataclass(frozen=True)
class Ran:
    """A run that is over, for its report.

    Attributes:
        config: of the pipeline.
        result: how it went.
        outputs: artifacts of the finished stages, by stage and output name.
        lineage: what went into it, as of `pipeline.lineage.describe_run`; empty if that is not known.
    """

    config: Config
    result: RunResult
    outputs: Mapping[str, Outputs]
    lineage: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def uri(self, stage: str, name: str) -> str:
        """Where an artifact lies.

        Raises:
            Absent: the stage was not reached.
        """
        if stage not in self.outputs:
            raise Absent(f"Not reached: the run ended before the end of stage {stage}.")
        return self.outputs[stage][name].uri

    def json(self, stage: str, name: str, file: str) -> Any:
        """A JSON file of an artifact. Raises as `uri`."""
        return json.loads(pathlib.Path(self.uri(stage, name), file).read_text(encoding="utf-8"))

    @property
    def input(self) -> "Input":
        """What the examples are."""
        return make_input(self.config.input)

    @property
    def target(self) -> "Target":
        """What is predicted; without names."""
        return make_target(self.config.target)


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of the report.

    Attributes:
        name: its address in the page.
        title: its heading.
        build: gives what it shows, or sections that stand in its place; may raise `Absent`.
    """

    name: str
    title: str
    build: Callable[[Ran], Sequence[page.Block | page.Section]]


THE_MODEL, DATA, FIGURES, LIMITS, COMPARISONS, SERVING = CARD_HEADINGS = (
    "The model",
    "Data",
    "Figures on the test split",
    "Limits",
    "Comparisons",
    "Serving",
)
"""Headings of the model card, in their order."""

Entry = tuple[str, str | page.Text | page.Table]
"""What a stage adds to the card: below which heading, and a line of its list, a paragraph or a table."""


@dataclasses.dataclass(frozen=True)
class Keys:
    """What decides, beside the configuration, whether a stage may be taken from the cache.

    Attributes:
        fingerprint: of the data's files.
        code: version of Graft's code.
        backbone: identity of what the handle names (sha256 of a local one).
        schema_file: curated schema to import, None to infer one.
        run_key: identity of all that goes into the model.
        served: the baseline as it was before the run, None without one; the gate itself looks again.
        store_id: identity of the model store.
        pointer: state of the store's pointer before the run.
        checkpoint_dir: where an unfinished training is kept.
        transfer: settings of the transfer method, with the hash of what else it reads; empty: as the configuration has
            them.
    """

    fingerprint: str
    code: str
    backbone: str
    schema_file: str | None
    run_key: str
    served: dict[str, Any] | None
    store_id: str
    pointer: str
    checkpoint_dir: str
    transfer: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Wiring:
    """What a stage may be wired to.

    Attributes:
        config: of the pipeline.
        keys: of the run.
        before: the components of the stages before, by name; one that is not enabled is absent.
    """

    config: Config
    keys: Keys
    before: Mapping[str, "BaseComponent"]

    @property
    def entering(self) -> BaseModel:
        """The input's settings as far as they decide what may enter: what is not used is no part of a cache key."""
        return only(self.config.input, self.config.input.ENTERS)

    @property
    def prepared(self) -> BaseModel:
        """The input's settings as far as they decide what the backbone is fed."""
        return only(self.config.input, self.config.input.PREPARES)

    @property
    def trained(self) -> BaseModel:
        """The input's settings as far as they decide what the backbone is trained on."""
        return only(self.config.input, self.config.input.TRAINS)

    @property
    def parsed(self) -> BaseModel:
        """The target's settings as far as they decide what is read from the data."""
        return only(self.config.target, self.config.target.PARSES)

    def output(self, stage: str, name: str) -> "BaseChannel":
        """An output of a stage before."""
        return self.before[stage].outputs[name]


class Stage(abc.ABC):
    """A stage of the pipeline.

    Attributes:
        name: the component's id, also of its configuration section, its lines and its part of the report.
        gate: name of the output that holds the verdict of its gates, `gates.json`; a closed one ends the run. None for
            a stage without gates.
        needs: the keys of the configuration that its need of memory hangs on, in words; empty where none is known.
        shown: names of the outputs that the methods below read, one at the least: where a run's artifacts lie
            elsewhere, as on Kubeflow, these are brought to its report, which has the stage's time from them.
        accelerated: whether it computes with a network, and so may have GPUs.
        distributed: whether several processes can share its work.
        looks_up: whether it looks into the model store, which no cache key of Kubeflow knows.
        accepts_blessed_only: whether it refuses a model that an earlier gate did not bless, and nothing but such stages
            follows.
    """

    name: ClassVar[str]
    gate: ClassVar[str | None] = None
    needs: ClassVar[str] = ""
    shown: ClassVar[tuple[str, ...]] = ()
    accelerated: ClassVar[bool] = False
    distributed: ClassVar[bool] = False
    looks_up: ClassVar[bool] = False
    accepts_blessed_only: ClassVar[bool] = False

    def enabled(self, config: Config) -> bool:
        """Whether it is part of this pipeline at all."""
        return True

    @abc.abstractmethod
    def wire(self, wiring: Wiring) -> "BaseComponent":
        """Its component; the id is set by the caller."""

    def line(self, result: RunResult, outputs: Outputs) -> str:
        """A few words on what came out, for the table of a run; figures for others go into `result`."""
        return ""

    def describe(self, execution: Execution | None) -> dict[str, Any]:
        """What it adds to the lineage of a model.

        Args:
            execution: the one that did the work; None where the stage was not reached.

        Returns:
            JSON types by name; every name is there, with None where nothing is known.
        """
        return {}

    def judged(self, execution: Execution | None) -> dict[str, Any]:
        """What it measured of a model, for the lineage of a pushed version; as of `describe`."""
        return {}

    def rows(self, lineage: Mapping[str, Any]) -> Sequence[Row]:
        """The same for people, out of all that was described; of a pushed version also judged, with its `config`."""
        return ()

    def explain(self, execution: Execution | None) -> Sequence[Told]:
        """What it has to say of what transferred, for people.

        Args:
            execution: the one that did the work; None where the stage was not reached or is no part of the pipeline.
        """
        return ()

    def parts(self) -> Sequence[Part]:
        """What it adds to the report, in order."""
        return ()

    def tiles(self, ran: Ran) -> Sequence[page.Tile]:
        """Figures for the top of the report; none where it was not reached. May raise `Absent`."""
        return ()

    def card(self, ran: Ran) -> Sequence[Entry]:
        """What it adds to the model card. May raise `Absent`."""
        return ()

    def warnings(self, ran: Ran) -> Sequence[RunWarning]:
        """What a person should know of what it did, though nothing stops for it; asked once it ended.

        The outputs of the stages so far are those of `ran`. May raise `Absent`.
        """
        return ()

    def gates(self, outputs: Outputs) -> list[gates.Gate]:
        """Its gates, with what was measured; none where it has none."""
        return gates.read_gates(outputs[self.gate].uri) if self.gate else []


def warned(stage: Stage, ran: Ran) -> list[RunWarning]:
    """Its warnings; none where what it looks at is not there."""
    try:
        return list(stage.warnings(ran))
    except Absent:
        return []


def opened(checked: Sequence[gates.Gate]) -> str:
    """How many gates are open, for a line."""
    return f"{sum(gate.passed for gate in checked)} of {len(checked)} gates passed"


def read_json(outputs: Outputs, name: str, file: str) -> Any:
    """A JSON file of an artifact."""
    return json.loads(pathlib.Path(outputs[name].uri, file).read_text(encoding="utf-8"))


def read_kept(execution: Execution | None, name: str, file: str) -> Any:
    """A JSON file of an earlier run's artifact; None if the stage was not reached or the artifact was deleted since.

    Raises:
        GraftError: it is there and cannot be read.
    """
    if execution is None or name not in execution.outputs:
        return None
    path = pathlib.Path(execution.outputs[name].uri, file)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise GraftError(f"{path}: cannot be read: {error}; artifacts must stay as the run wrote them") from None


def inline(values: Mapping[str, Any]) -> str:
    """A mapping on one line."""
    return ", ".join(f"{k} {round(v, 4) if isinstance(v, float) else v}" for k, v in values.items())
