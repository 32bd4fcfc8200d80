"""Settles what of the section `input` is auto, before a graph is built: all that follows sees a plain setting.

Order of the evidence: what the configuration says; what the backbone is known to take; a comparison on training
examples (`models.range_probe`), whose verdict the pipeline's folder keeps by backbone, data and settings. A setting
given by hand is compared too, where nothing is known of the backbone, and named where it does worse.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

from graft.components.ingest.fingerprint import fingerprint
from graft.components.ingest.preflight import check_source
from graft.components.ingest.rehearsal import Sampled, rehearse
from graft.models.durable import write_atomic
from graft.models.errors import GraftError
from graft.models.hashing import hash_json
from graft.models.inputs import make_input
from graft.models.inputs.base import Input
from graft.models.run_warning import RunWarning
from graft.models.targets import make_target
from graft.pipeline import prepare
from graft.pipeline.config import Config

FOLDER = "settled_input"
WORSE, UNPROVEN = "input_worse", "input_unproven"
_VERSION = 1
_MOST, _FEWEST, _PARTS = 240, 40, 5
_SETS = frozenset({"value_range"})


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
            f"input.value_range: auto needs a look at data and backbone {config.backbone.handle!r}, which {command} "
            "does not take; give the range that `graft run CONFIG --dry-run` names, such as [0, 1]"
        )
    return _with(config, known.input)


def settle(
    config: Config, tell: Callable[[str], None] = lambda _: None, remember: bool = True, judge: bool = True
) -> Settlement:
    """Settles the input of a pipeline.

    Args:
        config: as it was read.
        tell: is told what takes long.
        remember: whether the pipeline's folder, which is made, keeps a verdict.
        judge: whether a setting that was given is compared with others, if that was not done before.

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
        return Settlement(config)  # a wrong one of a known network is refused, or nobody wants a judgement
    verdict = _verdict(config, input, tell, remember, judge)
    return _given(config, input, verdict) if not input.unsettled else _chosen(config, input, verdict)


def _with(config: Config, input: Input) -> Config:
    return config.model_copy(update={"input": input.options})


def _chosen(config: Config, input: Input, verdict: dict[str, Any] | None) -> Settlement:
    assert verdict is not None
    chosen = next(one for one in input.alternatives if one.fed == verdict["best"])
    if verdict["scores"]:
        text = f"{chosen.fed}: chosen on {verdict['examples']} training {input.unit}, {_told(verdict)}"
        return Settlement(_with(config, chosen), "probe", text, (), verdict["scores"])
    text = f"{chosen.fed}: the most usual one; {verdict['why']}"
    advice = "give input.value_range as the backbone's publisher says"
    return Settlement(_with(config, chosen), "default", text, (RunWarning(UNPROVEN, f"{text}; {advice}", True),))


def _given(config: Config, input: Input, verdict: dict[str, Any] | None) -> Settlement:
    scores = {} if verdict is None else verdict["scores"]
    if verdict is None or input.fed not in verdict["worse"]:
        return Settlement(config, measured=scores)
    text = (
        f"input.{input.fed} does worse than {verdict['best']} on {verdict['examples']} training {input.unit}: "
        f"{_told(verdict)}"
    )
    return Settlement(config, warnings=(RunWarning(WORSE, text, grave=True),), measured=scores)


def _told(verdict: dict[str, Any]) -> str:
    return f"cross-validated {verdict['score_name']} " + ", ".join(
        f"{one['score']:.3f} with {fed}"
        if one["fault"] is None
        else f"none with {fed}, which the backbone does not take"
        for fed, one in verdict["scores"].items()
    )


def _verdict(
    config: Config, input: Input, tell: Callable[[str], None], remember: bool, judge: bool
) -> dict[str, Any] | None:
    """`best`, `worse`, `scores`, `examples`, `score_name`, `why` as JSON types; None where none is to be had."""
    others = input.alternatives
    inputs = others if input.unsettled or input in others else [*others, input]
    settings = input.options.model_dump(mode="json", exclude=set(_SETS))
    key = hash_json(
        [
            _VERSION,
            prepare.backbone_identity(config.backbone),
            config.backbone.model_dump(mode="json"),
            fingerprint(config.request()),
            config.data.model_dump(mode="json"),
            config.target.model_dump(mode="json"),
            settings,
            [one.fed for one in inputs],
        ]
    )
    path = config.run_root.absolute() / FOLDER / f"{key}.json"
    if path.is_file():
        return dict(json.loads(path.read_text(encoding="utf-8")))
    if not judge and not input.unsettled:
        return None
    try:
        found = _sample(config)
    except GraftError:
        if input.unsettled:
            raise
        return None  # the run will say so, at its own stage
    verdict = _compare(config, inputs, found, tell)
    if remember:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps(verdict, indent=1).encode())
    return verdict


def _sample(config: Config) -> list[Sampled] | None:
    """Some training examples; None where there are too many to go through."""
    request = config.request()
    if not check_source(request).complete:
        return None
    return list(rehearse(request, sample=True).train)[:_MOST]


def _compare(
    config: Config, inputs: Sequence[Input], found: list[Sampled] | None, tell: Callable[[str], None]
) -> dict[str, Any]:
    unit = inputs[0].unit
    nothing = {"best": inputs[0].fed, "worse": [], "scores": {}, "examples": 0, "score_name": "", "why": ""}
    if found is None:
        return nothing | {"why": f"there are too many {unit} to go through for a comparison"}
    if len(found) < _FEWEST:
        return nothing | {"why": f"{len(found)} training {unit} are too few for a comparison ({_FEWEST})"}
    tell(f"{config.name}: comparing value ranges on {len(found)} training {unit}")
    # Imported here: a verdict that is kept needs no TensorFlow.
    from graft.models import range_probe
    from graft.models.shared_backbone import shared_backbone

    examples = [range_probe.Example(_part(one.unit), one.value, one.content) for one in found]
    target = make_target(config.target)
    if len({example.part for example in examples}) < _PARTS:
        return nothing | {"why": f"the training {unit} are of too few groups for a comparison"}
    if target.has_vocabulary and len({example.value for example in examples}) < 2:
        return nothing | {"why": f"the training {unit} are of one class"}
    judged = range_probe.judge(shared_backbone(config.backbone, inputs[0]), inputs, examples, target)
    best = range_probe.best(judged)
    if best is None:
        raise GraftError(*(f"backbone {config.backbone.handle!r} with {one.input.fed} {one.fault}" for one in judged))
    worse = [one for one in judged if one.losses is not None and one.worse_than(best)]
    return nothing | {
        "best": best.input.fed,
        "worse": [one.input.fed for one in worse],
        "examples": len(found),
        "score_name": target.score_name,
        "scores": {
            one.input.fed: {
                "score": None if one.scores is None else float(one.scores.mean()),
                "loss": None if one.losses is None else float(one.losses.mean()),
                "fault": one.fault,
            }
            for one in judged
        },
    }


def _part(unit: bytes) -> int:
    return hashlib.sha256(b"settling" + unit).digest()[0] % _PARTS
