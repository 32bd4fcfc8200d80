"""What the story of `graft demo drift` came to: quality by phase, in what it did not go as it should, and words.

All functions take what `story` wrote, JSON types.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from graft.models.gates import Gate
from graft.monitoring.drift.statistics import share_interval

SERVICE = "service"
"""Group of alarms of latency and errors: the machine may be busy, and no retraining mends that."""
_MOST_SIGNALS = 4

Json = dict[str, Any]


def phases(value: Mapping[str, Any]) -> Json:
    """Quality with its interval over all days before the shift, from it to the push, and after the push.

    A phase without days is None.
    """
    days = value["days"]
    made = next((day["day"] for day in days if _pushed(day)), None)
    after = [day for day in days if made is not None and day["day"] > made]
    spans = {
        "usual": [day for day in days if not day["changed"]],
        "drift": [day for day in days if day["changed"] and (made is None or day["day"] <= made)],
        "after": after,
    }
    return {name: _pooled(span, value["miss"]) for name, span in spans.items()}


def _pooled(days: Sequence[Mapping[str, Any]], miss: float) -> Json | None:
    rows, right = sum(day["rows"] for day in days), sum(day["right"] for day in days)
    if not rows:
        return None
    found = share_interval(right, rows, miss)
    return {"rows": rows, "right": right, "mean": found.mean, "low": found.low, "high": found.high}


def deviations(value: Mapping[str, Any]) -> list[str]:
    """In what the story did not go as it should; a sentence each."""
    first, days = value["first"], value["days"]
    if first["model_version"] is None:
        return [f"version 1 was to be pushed, but: {first['reason'] or first['status']}"]
    return [*_about_alarms(days), *_about_retraining(days), *_about_quality(value["phases"])]


def _about_alarms(days: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for day in days:
        if not day["changed"] and alarms(day):
            yield f"day {day['day']} was a usual one, and there was an alarm: {_signals(alarms(day))}"
    if not any(alarms(day) for day in days if day["changed"]):
        yield "the pictures changed, and there was no alarm"


def _about_retraining(days: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    runs = [day for day in days if day["retraining"]]
    if not runs:
        yield f"no retraining was started; in the end: {days[-1]['decision']['sentence']}"
        return
    if not runs[0]["changed"]:
        yield f"a retraining was started on day {runs[0]['day']}, before the pictures changed"
    made = next((day for day in runs if _pushed(day)), None)
    if made is None:
        for day in runs:
            yield f"the model of day {day['day']} was not pushed: {day['retraining']['reason']}"
        return
    version = made["retraining"]["model_version"]
    served = [day["version"] for day in days if day["day"] > made["day"]]
    if not served:
        yield f"version {version} was pushed on the last day: nothing is known of it"
    elif served[0] != version:
        yield f"version {version} was pushed, and the day after was answered by version {served[0]}"


def _about_quality(phases: Mapping[str, Any]) -> Iterator[str]:
    usual, drift, after = phases["usual"], phases["drift"], phases["after"]
    if drift and not drift["high"] < usual["low"]:
        yield f"the shift was to harm, but quality was {_share(drift)} after {_share(usual)}"
    if drift and after and not after["low"] > drift["high"]:
        yield f"quality was to recover, but it was {_share(after)} after {_share(drift)}"


def alarms(day: Mapping[str, Any], kind: str | None = None) -> list[Json]:
    """Alarms in the evening of a day of what a retraining may mend.

    Args:
        day: of the story.
        kind: `requests`, of that day, or `labels`, of the day before; None: both.
    """
    return [alarm for alarm in day["alarms"] if alarm["group"] != SERVICE and kind in (None, alarm["kind"])]


def _pushed(day: Mapping[str, Any]) -> bool:
    made = day["retraining"]
    return bool(made) and made["model_version"] is not None


def describe(value: Mapping[str, Any]) -> str:
    """The story as text."""
    return "\n".join([*sentences(value), *_ends(value)])


def sentences(value: Mapping[str, Any]) -> list[str]:
    """The story in words, a line each."""
    course, days = value["course"], value["days"]
    lines = [
        f"A day is simulated: {course['rows']} pictures, served and logged within seconds. A day's labels come on the "
        f"next day. Seed {value['seed']}.",
        f"Pictures are MNIST's digits 5-9; from day {course['usual'] + 1} on they are {value['change']}.",
        "",
    ]
    for day in days:
        lines.append(f"Day {day['day']}: {told(day)}")
        lines += [f"       {line}" for line in _evening(day)]
    return [*lines, *([""] if days else []), *_summary(value)]


def told(day: Mapping[str, Any]) -> str:
    """A day in a line."""
    kind = "changed pictures" if day["changed"] else "usual pictures"
    by = f"version {day['version']}" if day["version"] is not None else "no window full"
    return f"{kind}, {by}, quality {_share(day['quality'])}; {'; '.join(_alarm_words(day)) or 'no alarm'}"


def _alarm_words(day: Mapping[str, Any]) -> Iterator[str]:
    asked, late = (alarms(day, kind) for kind in ("requests", "labels"))
    if asked:
        yield f"ALARM: {_signals(asked)}"
    if late:
        yield f"ALARM by labels of day {late[0]['of']} (version {late[0]['version']}): {_signals(late)}"
    if slow := [alarm for alarm in day["alarms"] if alarm["group"] == SERVICE]:
        yield f"of the service: {_signals(slow)}"


def _evening(day: Mapping[str, Any]) -> Iterator[str]:
    made = day["retraining"]
    if not made:
        return
    yield f"RETRAINING: {day['decision']['sentence']}"
    yield from (f"  {Gate(**gate).line}" for gate in made["gates"])
    if made["model_version"] is not None:
        yield f"PUSH: version {made['model_version']}, which the server took"
    else:
        yield f"NOT PUSHED: {made['reason']}"


def _summary(value: Mapping[str, Any]) -> Iterator[str]:
    names = {"usual": "before the shift", "drift": "from the shift to the push", "after": "after the push"}
    for name, words in names.items():
        if phase := value["phases"][name]:
            yield f"Quality {words + ':':<28} {_share(phase)} of {phase['rows']} pictures"
    yield (
        "The shift was found, learned and pushed, and quality recovered."
        if not value["reasons"]
        else "It did NOT go as it should:"
    )
    yield from (f"  {reason}" for reason in value["reasons"])


def _ends(value: Mapping[str, Any]) -> Iterator[str]:
    yield f"{value['seconds']:.0f} s. Results: {value['folder']}"
    if "plot" in value:
        yield f"Plot: {value['plot']}     Page: {value['page']}"
    yield f"More of it: graft monitor report {value['config']}     graft dashboard {value['config']}"


def _share(found: Mapping[str, Any]) -> str:
    return f"{found['mean']:.1%} ({found['low']:.1%} to {found['high']:.1%})"


def _signals(found: Sequence[Mapping[str, Any]]) -> str:
    largest: dict[str, float] = {}
    for alarm in found:
        largest[alarm["signal"]] = max(alarm["effect"], largest.get(alarm["signal"], 0.0))
    names = sorted(largest, key=lambda name: (-largest[name], name))
    more = len(names) - _MOST_SIGNALS
    return ", ".join(names[:_MOST_SIGNALS]) + (f" and {more} more" if more > 0 else "")
