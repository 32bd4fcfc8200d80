"""Settles what of the section `input` is auto, before a graph is built: all that follows sees a plain setting.

Order of the evidence: what the configuration says; what the backbone is known to take; a comparison on training
examples (`models.range_probe`), whose verdict the pipeline's folder keeps by backbone, data and settings. A setting
given by hand is compared too, where nothing is known of the backbone, and named where it does worse.
"""

import dataclasses
import json
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

from graft.components.ingest.fingerprint import fingerprint
from graft.components.ingest.preflight import check_source
from graft.components.ingest.rehearsal import Rehearsal, Sampled, rehearse
from graft.models.durable import write_atomic
from graft.models.errors import GraftError
from graft.models.hashing import hash_json
from graft.models.inputs import make_input
from graft.models.inputs.base import Input, Known
from graft.models.run_warning import RunWarning
from graft.models.targets import make_target
from graft.pipeline import prepare
from graft.pipeline.config import Config

FOLDER = "settled_input"
WORSE, UNLIKE, UNPROVEN = "input_worse", "input_unlike", "input_unproven"
_VERSION = 2
_FEWEST, _PARTS = 40, 5


@dataclasses.dataclass(frozen=True)
class Settlement:
    """What became of the section `input`.

    Attributes:
        config: with a settled input.
        how: `given`, `table`, `metadata`, `probe` or `default`.
        text: what was chosen and why, for people; empty where nothing was to be chosen.
        warnings: of what was chosen or given.
        measured: what each setting scored, JSON types by its words; empty without a comparison.
    """

    config: Config
    how: str = "given"
    text: str = ""
    warnings: tuple[RunWarning, ...] = ()
    measured: dict[str, Any] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any] | None:
        """JSON types; None where there was nothing to choose and nothing was compared."""
        if not self.text and not self.measured:
            return None
        return {"how": self.how, "fed": make_input(self.config.input).fed, "text": self.text, "scores": self.measured}


def settle_known(config: Config, command: str) -> Config:
    """Settles by what is known alone, for places that see neither data nor backbone.

    Raises:
        GraftError: that is not enough.
    """
    input = make_input(config.input)
    if not input.unsettled:
        return config
    known = input.known(config.backbone.handle)
    if known is None:
        raise GraftError(
            f"input.{input.SETTLES}: auto needs a look at data and backbone {config.backbone.handle!r}, which "
            f"{command} does not take; give what `graft run CONFIG --dry-run` names, such as "
            f"input.{input.alternatives[0].fed}"
        )
    return _with(config, known.input)


def settle(
    config: Config,
    tell: Callable[[str], None] = lambda _: None,
    remember: bool = True,
    judge: bool = True,
    rehearsed: Rehearsal | None = None,
) -> Settlement:
    """Settles the input of a pipeline.

    Args:
        config: as it was read.
        tell: is told what takes long.
        remember: whether the pipeline's folder, which is made, keeps a verdict.
        judge: whether a setting that was given is compared with others, if that was not done before.
        rehearsed: of the same data and with its sample, if that is there; else it is made where it is needed.

    Raises:
        GraftError: bad data or backbone, as the run would find it.
    """
    input = make_input(config.input)
    if not input.alternatives:
        return Settlement(config)
    known = input.known(config.backbone.handle)
    if input.unsettled and known is not None:
        return Settlement(_with(config, known.input), known.how, f"{known.input.fed}: {known.reason}")
    if not input.unsettled and (known is not None or input.unjudged):
        return Settlement(config, warnings=() if known is None or input.unjudged else _unlike(input, known))
    verdict = _verdict(config, input, tell, remember, judge, rehearsed)
    return _given(config, input, verdict) if not input.unsettled else _chosen(config, input, verdict)


def tell_of_tensorflow(config: Config, tell: Callable[[str], None]) -> None:
    """Says that it will be imported, which takes seconds; nothing where it is there."""
    if "tensorflow" not in sys.modules:
        tell(f"{config.name}: loading TensorFlow")


def _unlike(input: Input, known: Known) -> tuple[RunWarning, ...]:
    """A wrong one of a network of the table is refused, and is not warned of."""
    if known.how == "table" or known.input.fed == input.fed:
        return ()
    text = f"input.{input.fed} is not what the backbone is for, {known.input.fed}: {known.reason}"
    return (RunWarning(UNLIKE, text, grave=True),)


def _with(config: Config, input: Input) -> Config:
    return config.model_copy(update={"input": input.options})


def _chosen(config: Config, input: Input, verdict: dict[str, Any] | None) -> Settlement:
    assert verdict is not None
    chosen = next(one for one in input.alternatives if one.fed == verdict["best"])
    if verdict["scores"]:
        text = f"{chosen.fed}: {_told(verdict, input.unit)}"
        return Settlement(_with(config, chosen), "probe", text, (), verdict["scores"])
    text = f"{chosen.fed}: the most usual one; {verdict['why']}"
    advice = f"give input.{input.SETTLES} as the backbone's publisher says"
    return Settlement(_with(config, chosen), "default", text, (RunWarning(UNPROVEN, f"{text}; {advice}", True),))


def _given(config: Config, input: Input, verdict: dict[str, Any] | None) -> Settlement:
    scores = {} if verdict is None else verdict["scores"]
    if verdict is None or input.fed not in verdict["worse"]:
        return Settlement(config, measured=scores)
    text = f"input.{input.fed} does worse than {verdict['best']}: {_told(verdict, input.unit)}"
    return Settlement(config, warnings=(RunWarning(WORSE, text, grave=True),), measured=scores)


def _told(verdict: dict[str, Any], unit: str) -> str:
    scores = verdict["scores"].items()
    name = verdict["score_name"]
    measured = [f"{one['loss']:.3f} ({name} {one['score']:.3f}) with {fed}" for fed, one in scores if one["examples"]]
    out = [fed for fed, one in scores if one["fault"] is not None]
    refused = f"{' and '.join(out)} {'do' if len(out) > 1 else 'does'} not fit the backbone" if out else ""
    if not measured:
        return f"of the usual ones {refused}"
    less = "" if len({one["examples"] for _, one in scores if one["examples"]}) == 1 else "up to "
    told = f"cross-validated loss on {less}{verdict['examples']} training {unit} {', '.join(measured)}"
    return f"{told}; {refused}" if out else told


def _verdict(
    config: Config,
    input: Input,
    tell: Callable[[str], None],
    remember: bool,
    judge: bool,
    rehearsed: Rehearsal | None,
) -> dict[str, Any] | None:
    """`best`, `worse`, `scores`, `examples`, `score_name`, `why` as JSON types; None where none is to be had."""
    others = input.alternatives
    inputs = others if input.unsettled or input in others else [*others, input]
    given = None if input.unsettled else input
    place = _places(config, inputs)
    path = place(given)
    if path.is_file():
        return _read(path)
    if given is not None and place(None).is_file():  # of all of them, which says more
        verdict = _read(place(None))
        if given.fed == verdict["best"] or given.fed in verdict["worse"]:
            return verdict
    if not judge and not input.unsettled:
        return None
    if rehearsed is None:
        tell_of_tensorflow(config, tell)
    try:
        found = _sample(config, rehearsed)
    except GraftError:
        if input.unsettled:
            raise
        return None  # the run will say so, at its own stage
    verdict = _compare(config, inputs, given, found, tell)
    if remember:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps(verdict, indent=1).encode())
    return verdict


def _places(config: Config, inputs: Sequence[Input]) -> Callable[[Input | None], pathlib.Path]:
    """Where verdicts are kept, about all inputs or about one that was given; by backbone, data and settings."""
    settings = inputs[0].options.model_dump(mode="json", exclude={str(inputs[0].SETTLES)})
    sections = [section.model_dump(mode="json") for section in (config.backbone, config.data, config.target)]
    content = [prepare.backbone_identity(config.backbone), fingerprint(config.request()), *sections, settings]
    content += [_VERSION, [one.fed for one in inputs]]
    folder = config.run_root.absolute() / FOLDER
    return lambda given: folder / f"{hash_json([*content, None if given is None else given.fed])}.json"


def _read(path: pathlib.Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _sample(config: Config, rehearsed: Rehearsal | None) -> list[Sampled] | None:
    """Some training examples; None where there are too many to go through."""
    if rehearsed is not None:
        return list(rehearsed.train)
    request = config.request()
    return list(rehearse(request, sample=True, unpack=False).train) if check_source(request).complete else None


def _compare(
    config: Config,
    inputs: Sequence[Input],
    given: Input | None,
    found: list[Sampled] | None,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    unit = inputs[0].unit
    nothing = {"best": inputs[0].fed, "worse": [], "scores": {}, "examples": 0, "score_name": "", "why": ""}
    if found is None:
        return nothing | {"why": f"there are too many {unit} to go through for a comparison"}
    if len(found) < _FEWEST:
        return nothing | {"why": f"{len(found)} training {unit} are too few for a comparison ({_FEWEST})"}
    parts, target = _parts(found), make_target(config.target)
    if len(set(parts[:_FEWEST])) < _PARTS:
        return nothing | {"why": f"the training {unit} are of too few groups for a comparison"}
    if target.has_vocabulary and len({name for one in found for name in target.strata(one.value)}) < 2:
        return nothing | {"why": f"the training {unit} are of one class"}
    tell(f"{config.name}: comparing values of input.{inputs[0].SETTLES} on training {unit}")
    # Imported here: a verdict that is kept needs no TensorFlow.
    from graft.models import range_probe
    from graft.models.shared_backbone import shared_backbone

    examples = [range_probe.Example(part, one.value, one.content) for part, one in zip(parts, found, strict=True)]
    outcome = range_probe.judge(shared_backbone(config.backbone, given or inputs[0]), inputs, examples, target, given)
    if outcome.best is None:
        faults = [f"with {one.input.fed} {one.fault}" for one in outcome.judged]
        raise GraftError(f"backbone {config.backbone.handle!r} " + "; ".join(faults))
    return nothing | {
        "best": outcome.best.fed,
        "worse": [one.fed for one in outcome.worse],
        "examples": outcome.examples,
        "score_name": target.score_name,
        "scores": {
            one.input.fed: {
                "examples": 0 if one.scores is None else len(one.scores),
                "score": None if one.scores is None else float(one.scores.mean()),
                "loss": None if one.losses is None else float(one.losses.mean()),
                "fault": one.fault,
            }
            for one in outcome.judged
        },
    }


def _parts(found: Sequence[Sampled]) -> list[int]:
    """The part of the cross-validation of each: units take turns, in the order of the digests."""
    parts: dict[bytes, int] = {}
    return [parts.setdefault(one.unit, len(parts) % _PARTS) for one in found]
