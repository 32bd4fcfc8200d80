"""Whether there are examples of both domains, where the data has two, and which of them judge the model."""

import collections
from collections.abc import Mapping

from graft.components.ingest.request import Request
from graft.components.ingest.splits import SPLITS
from graft.models.errors import GraftError
from graft.models.examples import SOURCE_DOMAIN, TARGET_DOMAIN, UNLABELLED

_DOMAINS = (SOURCE_DOMAIN, TARGET_DOMAIN)

Strata = Mapping[str, Mapping[str, Mapping[str, int]]]
"""Split -> domain -> stratum -> number of examples with a label; an example without a domain is under the empty one."""


def judged_strata(strata: Strata, request: Request) -> dict[str, dict[str, int]]:
    """Split -> stratum -> number of examples that are learned from (train) or judged on (eval and test).

    Without an adapting method all domains are learned from, and the target domain judges. With one the source domain is
    learned from, and judges in eval; in test the target domain does, or the source where no label of the target's is
    known.
    """
    found: dict[str, dict[str, int]] = {}
    for split in SPLITS:
        by_domain = {domain: there for domain, there in strata.get(split, {}).items() if domain != UNLABELLED}
        if request.adapts:
            judges = split == "test" and any(by_domain.get(TARGET_DOMAIN, {}).values())
            kept = [TARGET_DOMAIN if judges else SOURCE_DOMAIN]
        else:
            kept = [domain for domain in by_domain if split == "train" or domain != SOURCE_DOMAIN]
        counts: collections.Counter[str] = collections.Counter()
        for domain in kept:
            counts.update(by_domain.get(domain, {}))
        found[split] = dict(sorted(counts.items()))
    return found


def check_target_classes(strata: Strata, request: Request) -> None:
    """Raises GraftError where labels of the target domain name a class that the source domain cannot teach."""
    if not request.adapts:
        return
    taught = {name for name, count in strata.get("train", {}).get(SOURCE_DOMAIN, {}).items() if count}
    there = {name for by_domain in strata.values() for name, count in by_domain.get(TARGET_DOMAIN, {}).items() if count}
    if other := sorted(there - taught):
        raise GraftError(
            f"data.path {request.data.path!r}: examples of the target domain are labelled {', '.join(other[:10])}; "
            f"allowed: what the source domain has in train ({', '.join(sorted(taught)[:20])})"
        )


def check_domains(domains: Mapping[str, Mapping[str, int]], request: Request, refused: str = "") -> None:
    """Raises GraftError unless the domains are there that learning and judging need.

    Without an adapting method these are both, and the target domain in each split. With one they are labelled examples
    of the source domain in train and eval, and any of the target domain in train.

    Args:
      domains: split -> domain -> number of examples.
      request: What was asked for.
      refused: What to say of those that were rejected.
    """
    unit = request.input.unit
    where = f"data.path {request.data.path!r}: {request.told_apart_by}"
    counts = {domain: sum(found.get(domain, 0) for found in domains.values()) for domain in (*_DOMAINS, UNLABELLED)}
    told = f"source {counts[SOURCE_DOMAIN]}, target {counts[TARGET_DOMAIN]}"
    if request.unlabelled:
        told += f", without labels {counts[UNLABELLED]}"
    needed = {SPLITS[0]: _DOMAINS, SPLITS[1]: (SOURCE_DOMAIN,)} if request.adapts else {}
    two = request.data.domain is not None or request.adapts or counts[SOURCE_DOMAIN]
    of_target = counts[TARGET_DOMAIN] + (counts[UNLABELLED] if request.adapts else 0)
    if two and not (counts[SOURCE_DOMAIN] and of_target):
        advice = "set target to a value that some, but not all of them have" if request.data.domain else f"add {unit}"
        raise GraftError(f"{where}: both domains need {unit} ({told}); {advice}.{refused}")
    for split, wanted in needed.items():
        found = domains.get(split, {})
        there = {
            SOURCE_DOMAIN: found.get(SOURCE_DOMAIN),
            TARGET_DOMAIN: found.get(TARGET_DOMAIN) or found.get(UNLABELLED),
        }
        for domain in wanted:
            if not there[domain]:
                raise GraftError(
                    f"{where}: no {request.input.one} of the {domain} domain in {split} ({told} in all); the method "
                    f"learns from the source domain and chooses by its eval split. Add {unit} of it, or "
                    f"{request.data.split_advice}.{refused}"
                )
    if request.adapts:
        if not any(domains.get("test", {}).get(domain) for domain in _DOMAINS):
            raise GraftError(
                f"{where}: no labelled {request.input.one} in test ({told} in all), so nothing can be judged. Add some "
                f"of the target or the source domain, or {request.data.split_advice}.{refused}"
            )
        return
    empty = [split for split in SPLITS if not domains.get(split, {}).get(TARGET_DOMAIN)]
    if empty:
        raise GraftError(
            f"{where}: no {request.input.one} of the target domain in {' and '.join(empty)} ({told} in all); the model "
            f"is judged on that domain only. Add {unit} of it, or {request.data.split_advice}.{refused}"
        )
