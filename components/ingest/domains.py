"""Whether there are examples of both domains, where the data has two."""

import collections
from collections.abc import Mapping

from graft.components.ingest.request import Request
from graft.components.ingest.splits import SPLIT_ADVICE, SPLITS
from graft.models import examples
from graft.models.errors import GraftError

_DOMAINS = (examples.SOURCE_DOMAIN, examples.TARGET_DOMAIN)


def check_domains(domains: Mapping[str, Mapping[str, int]], request: Request, refused: str = "") -> None:
    """Raises GraftError unless both domains are there, and the target domain in each split.

    Args:
      domains: split -> domain -> number of examples.
      request: What was asked for.
      refused: What to say of those that were rejected.
    """
    domain, unit = request.data.domain, request.input.unit
    where = f"data.path {request.data.path!r}: data.domain.column is {domain.column!r}"
    totals = collections.Counter({name: sum(found.get(name, 0) for found in domains.values()) for name in _DOMAINS})
    told = f"source {totals[examples.SOURCE_DOMAIN]}, target {totals[examples.TARGET_DOMAIN]}"
    if not all(totals.values()):
        raise GraftError(
            f"{where}, data.domain.target {domain.target!r}: both domains need {unit} ({told}); set target to a value "
            f"that some, but not all of them have.{refused}"
        )
    empty = [split for split in SPLITS if not domains.get(split, {}).get(examples.TARGET_DOMAIN)]
    if empty:
        raise GraftError(
            f"{where}: no {request.input.one} of the target domain in {' and '.join(empty)} ({told} in all); the model "
            f"is judged on that domain only. Add {unit} of it, or {SPLIT_ADVICE}.{refused}"
        )
