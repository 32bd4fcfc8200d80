"""When a schedule starts a run: six fields, as Kubeflow Pipelines reads them.

Kubeflow parses with robfig/cron (v1): second, minute, hour, day of month, month, day of week. It also takes five
fields, as these without the day of week, so that what means "at three" elsewhere runs each hour: five are refused here.
So is what other programs know and it does not (`L`, `#`, `7` for Sunday, ranges that wrap). Times are UTC, in which
Kubeflow's controller counts unless CRON_SCHEDULE_TIMEZONE is set for it.
"""

import dataclasses
import datetime
import re

from graft.models.errors import GraftError

_DAYS = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}


@dataclasses.dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    names: dict[str, int] = dataclasses.field(default_factory=dict)


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 6, _DAYS),
)
_DAY_OF_MONTH, _DAY_OF_WEEK = 3, 5


@dataclasses.dataclass(frozen=True)
class Cron:
    """A schedule that Kubeflow takes; `parse` makes one."""

    text: str
    """As it is sent: six fields with one blank between them."""
    _lists: str
    """The same with each range and step written out, which every cron program reads alike."""

    def after(self, time: datetime.datetime, count: int = 5) -> list[datetime.datetime]:
        """The next times.

        Args:
            time: aware of its time zone.
            count: how many.

        Returns:
            `count` times in UTC, ascending, each later than `time`.
        """
        # Imported here: `graft --help` does without.
        from croniter import croniter

        start = time.astimezone(datetime.UTC)
        steps = croniter(self._lists, start, ret_type=datetime.datetime, second_at_beginning=True)
        return [steps.get_next() for _ in range(count)]


def parse(text: str) -> Cron:
    """Reads a schedule.

    Raises:
        GraftError: it has not six fields, Kubeflow would not take one of them or read it in another way than other
            programs do, it names several seconds of a minute, or it never comes.
    """
    fields = text.split()
    if len(fields) == len(_FIELDS) - 1:
        raise GraftError(
            f"--cron: received {text!r}, five fields; Kubeflow takes six, the second first: write "
            f"{' '.join(('0', *fields))!r}"
        )
    if len(fields) != len(_FIELDS):
        raise GraftError(
            f"--cron: received {text!r}, which has {len(fields)} of six fields: second, minute, hour, day of month, "
            "month and day of week; write it like '0 0 3 * * *' for each day at 03:00"
        )
    found = [_values(one, kind, text) for one, kind in zip(fields, _FIELDS, strict=True)]
    if len(found[0]) != 1:
        raise GraftError(
            f"--cron: received {text!r}; its first field, {fields[0]!r}, names {len(found[0])} seconds of each minute; "
            "allowed: one, such as 0"
        )
    days = (fields[_DAY_OF_MONTH], fields[_DAY_OF_WEEK])
    if any(_starred(one) and not _any(one) for one in days) and not any(_any(one) for one in days):
        raise GraftError(
            f"--cron: received {text!r}; day of month {days[0]!r} and day of week {days[1]!r} are read by Kubeflow as "
            "both, by other programs as either of the two; write the one with '*/' as a list of numbers"
        )
    free = {place for place, one in enumerate(fields) if _any(one)}
    if not free & {_DAY_OF_MONTH, _DAY_OF_WEEK} and (len(found[_DAY_OF_MONTH]) == 31 or len(found[_DAY_OF_WEEK]) == 7):
        free |= {_DAY_OF_MONTH, _DAY_OF_WEEK}  # either of the two is enough, and one always holds
    lists = ["*" if place in free else ",".join(map(str, sorted(values))) for place, values in enumerate(found)]
    if _any(fields[_DAY_OF_WEEK]) and not any(_comes(day, found[4]) for day in found[_DAY_OF_MONTH]):
        raise GraftError(f"--cron: received {text!r}; this day never comes")
    return Cron(" ".join(fields), " ".join(lists))


def _values(text: str, kind: _Field, whole: str) -> set[int]:
    """The numbers that a field stands for."""
    found: set[int] = set()
    for item in text.split(","):
        match = re.fullmatch(r"(?P<low>\*|\?|\w+)(?:-(?P<high>\w+))?(?:/(?P<step>\d+))?", item, re.ASCII)
        if match is None:
            raise _refused(item, kind, whole)
        every, step = match["low"] in "*?", int(match["step"] or 1)
        low = kind.low if every else _number(match["low"], item, kind, whole)
        if match["high"] is not None:
            high = -1 if every else _number(match["high"], item, kind, whole)
        else:
            high = kind.high if every or match["step"] else low
        if step < 1 or not kind.low <= low <= high <= kind.high:
            raise _refused(item, kind, whole)
        found.update(range(low, high + 1, step))
    return found


def _number(text: str, item: str, kind: _Field, whole: str) -> int:
    if text.lower() in kind.names:
        return kind.names[text.lower()]
    if not text.isdigit():
        raise _refused(item, kind, whole)
    return int(text)


def _refused(item: str, kind: _Field, whole: str) -> GraftError:
    names = f" or {', '.join(kind.names)}" if kind.names else ""
    return GraftError(
        f"--cron: received {whole!r}; {kind.name}: {item!r} is nothing that Kubeflow reads; allowed: '*', numbers from "
        f"{kind.low} to {kind.high}{names}, ranges LOW-HIGH, steps /N, and lists of these with commas"
    )


def _any(text: str) -> bool:
    return text in ("*", "?")


def _starred(text: str) -> bool:
    """Whether Kubeflow takes it for a field that restricts nothing, though it may have a step."""
    return any(item[0] in "*?" for item in text.split(","))


def _comes(day: int, months: set[int]) -> bool:
    longest = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
    return any(day <= longest.get(month, 31) for month in months)
