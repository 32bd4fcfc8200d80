"""Limits to begin with, where a configuration has none on the figures themselves."""

from collections.abc import Mapping
from typing import Any

from graft.components.ingest.preflight import check_source
from graft.components.quality_gate.rules import has_floor
from graft.models.errors import GraftError
from graft.models.inputs import make_input
from graft.models.targets import make_target
from graft.pipeline.config import Config


def proposed(
    config: Config, strata: Mapping[str, Mapping[str, int]], examples: Mapping[str, int]
) -> dict[str, Any] | None:
    """Limits under `gates` that a model without skill fails; None where the configuration has floors.

    Args:
        config: of the pipeline.
        strata: split -> stratum -> number of examples.
        examples: split -> number of examples.
    """
    target = make_target(config.target)
    if has_floor(target, config.gates.model_dump(mode="json")):
        return None
    sums: dict[str, int] = {}
    for counts in strata.values():
        for name, count in counts.items():
            sums[name] = sums.get(name, 0) + count
    return target.proposed(sums, sum(examples.values()), examples.get("test", 0))


def proposed_at_first(config: Config) -> tuple[dict[str, Any], str]:
    """Limits for a configuration that is not written yet, out of a listing of its data.

    Returns:
        the limits, and in words what they are made for; without data no limits, and why.
    """
    try:
        found = check_source(config.request())
    except GraftError as error:
        return {}, f"no floors are proposed under gates: {error}"
    limits = proposed(config, {"": found.classes}, found.splits) or {}
    unit = make_input(config.input).unit
    return limits, f"{shown(limits)} are proposed for {sum(found.splits.values())} {unit}, as the least"


def shown(limits: Mapping[str, Any]) -> str:
    """Limits in words: `gates.accuracy 0.55 and gates.recall {cat: 0.1}`."""
    words = []
    for name, limit in limits.items():
        value = f"{{{', '.join(f'{k}: {v:g}' for k, v in limit.items())}}}" if isinstance(limit, dict) else f"{limit:g}"
        words.append(f"gates.{name} {value}")
    return " and ".join(words)
