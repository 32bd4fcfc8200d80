"""Schedules: recurring runs of Kubeflow, made once by name.

The API cannot change a recurring run, nor does it mind two of one name. So a schedule is replaced in steps, each of
which leaves a state that the next call understands:

1. the new one is made, disabled, while the old one still starts runs;
2. the old one is disabled, then the new one enabled. Kubeflow counts from when the new one was made, so a run that is
   due in between is started as soon as it is enabled: nothing is lost. Steps 1 and 2 wait until no run is due soon, so
   that none is started by both;
3. the old one is deleted.

The description holds a mark: what the settings are (a digest), whether the schedule is to run, and when it was made.
"""

import dataclasses
import datetime
import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

import kfp_server_api

from graft.kubeflow import cron
from graft.kubeflow.client import PipelinesClient
from graft.kubeflow.server_errors import NOT_FOUND, ServerError
from graft.kubeflow.submission import Package
from graft.models.errors import GraftError

_MARK = re.compile(r"\[graft (?P<digest>[0-9a-f]{32}) (?P<starts>enabled|paused) (?P<made>\S+)\]")
_CALM = 30.0
"""Seconds before a run that is due in which no schedule is replaced."""
_AFTER = 15.0
"""Seconds after it; Kubeflow's controller looks every ten."""


@dataclasses.dataclass(frozen=True)
class Schedule:
    """A recurring run that Graft made."""

    id: str
    name: str
    cron: str
    enabled: bool
    created: datetime.datetime
    digest: str
    starts: bool
    """Whether it is to start runs once it has replaced another."""
    made: str

    def next(self, count: int = 1) -> list[datetime.datetime]:
        """The next times in UTC; none while it is paused."""
        return cron.parse(self.cron).after(datetime.datetime.now(datetime.UTC), count) if self.enabled else []


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a schedule does."""

    cron: cron.Cron
    package: Package
    values: dict[str, Any]
    root: str

    @property
    def digest(self) -> str:
        """The same for the same settings."""
        held = [self.cron.text, self.package.spec, self.values, self.root]
        return hashlib.sha256(json.dumps(held, sort_keys=True, default=str).encode()).hexdigest()[:32]


class Schedules:
    """The schedules of one experiment.

    Args:
        client: to the server.
        experiment_id: of the experiment.
        pause: sleeps for seconds.
        now: the time, in UTC.
    """

    def __init__(
        self,
        client: PipelinesClient,
        experiment_id: str,
        pause: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC),
    ):
        self._client = client
        self._experiment = experiment_id
        self._pause = pause
        self._time = now

    def all(self) -> list[Schedule]:
        """Those that Graft made, by name, the newest of a name last."""
        found = [_schedule(one) for one in self._client.schedules(self._experiment)]
        return sorted((one for one in found if one is not None), key=lambda one: (one.name, *_age(one)))

    def create(self, name: str, settings: Settings) -> tuple[str, Schedule]:
        """Makes a schedule, or sees to it that the one of that name has these settings.

        A schedule that is paused stays so.

        Args:
            name: of the schedule.
            settings: what it does.

        Returns:
            `created`, `replaced` or `unchanged`, and the schedule.

        Raises:
            GraftError: the name belongs to a recurring run that Graft did not make, another call changes the schedule
                at the same time, or a request failed.
        """
        found = self._of(name)
        current = _current(found)
        # A newer one beside it is what a killed call left, or what another call is about to enable. Only who makes one
        # that is newer still may delete it.
        if current is not None and current.digest == settings.digest and current == max(found, key=_age):
            self._settle(current, found, _running(current, found))
            return "unchanged", self._now(name, current.id)
        if current is None:
            made, _ = self._make(name, settings, starts=True, enabled=True)
            return "created", self._now(name, made.id)
        running = _running(current, found)
        if running:
            self._wait([current.cron, settings.cron.text])
        made, others = self._make(name, settings, starts=running, enabled=False)
        self._settle(made, others, running)
        return "replaced", self._now(name, made.id)

    def pause(self, name: str) -> Schedule:
        """Lets a schedule start no runs until `resume`."""
        return self._switched(name, False)

    def resume(self, name: str) -> Schedule:
        """Lets it start runs again."""
        return self._switched(name, True)

    def delete(self, name: str) -> None:
        """Deletes a schedule; its runs stay."""
        self._remove(self._some(name))

    def _switched(self, name: str, running: bool) -> Schedule:
        found = self._some(name)
        current = _current(found)
        assert current is not None
        self._settle(current, found, running)
        changed = self._now(name, current.id)
        if changed.enabled != running:
            raise _another_call(name)
        return changed

    def _settle(self, keep: Schedule, found: Sequence[Schedule], running: bool) -> None:
        """Leaves `keep` alone, enabled or not; no two are enabled at any time.

        The others go last where it is to run and first where it is not: one that is alone and disabled is paused.
        """
        others = [one for one in found if one.id != keep.id]
        for one in others:
            # Also those that seemed disabled: another call may be enabling one.
            self._client.disable_schedule(one.id)
        if not running:
            self._remove(others)
        try:
            if running != keep.enabled:
                (self._client.enable_schedule if running else self._client.disable_schedule)(keep.id)
        except ServerError as error:
            if error.status == NOT_FOUND:
                raise _another_call(keep.name) from error
            raise
        if running:
            self._remove(others)

    def _remove(self, found: Sequence[Schedule]) -> None:
        for one in found:
            self._client.delete_schedule(one.id)

    def _make(self, name: str, settings: Settings, starts: bool, enabled: bool) -> tuple[Schedule, list[Schedule]]:
        """Makes a recurring run; also those of that name that are there besides."""
        made = f"{self._time():%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(4)}"
        mode = kfp_server_api.RecurringRunMode.ENABLE if enabled else kfp_server_api.RecurringRunMode.DISABLE
        mark = f"[graft {settings.digest} {'enabled' if starts else 'paused'} {made}]"
        answer = self._client.create_schedule(
            kfp_server_api.V2beta1RecurringRun(
                display_name=name,
                description=f"{settings.package.name} by graft kubeflow schedule {mark}",
                experiment_id=self._experiment,
                namespace=self._client.options.namespace or None,
                pipeline_spec=settings.package.spec,
                runtime_config=kfp_server_api.V2beta1RuntimeConfig(
                    parameters=settings.values, pipeline_root=settings.root or None
                ),
                trigger=kfp_server_api.V2beta1Trigger(
                    cron_schedule=kfp_server_api.V2beta1CronSchedule(cron=settings.cron.text)
                ),
                mode=mode,
                no_catchup=True,
                max_concurrency="1",
            )
        )
        found = self._of(name)
        own = next((one for one in found if one.id == answer.recurring_run_id), None)
        if own is None or max(found, key=_age).id != own.id:
            # Whoever made the newest sees the others and goes on; two never both go on.
            self._client.delete_schedule(answer.recurring_run_id)
            raise _another_call(name)
        others = [one for one in found if one.id != own.id]
        if enabled and others:
            self._settle(own, others, True)
            others = []
        return own, others

    def _wait(self, crons: Sequence[str]) -> None:
        """Returns when no run is due soon."""
        while True:
            now = self._time()
            since = now - datetime.timedelta(seconds=_AFTER)
            due = min(cron.parse(text).after(since, 1)[0] for text in crons)
            if (due - now).total_seconds() > _CALM:
                return
            self._pause(max((due - now).total_seconds() + _AFTER, 0) + 0.1)

    def _of(self, name: str) -> list[Schedule]:
        found = []
        for one in self._client.schedules(self._experiment, name):
            schedule = _schedule(one)
            if schedule is None:
                raise GraftError(
                    f"schedule {name}: a recurring run of that name ({one.recurring_run_id}) was not made by Graft; "
                    "give another name by --name"
                )
            found.append(schedule)
        return found

    def _some(self, name: str) -> list[Schedule]:
        found = self._of(name)
        if not found:
            names = (
                ", ".join(sorted({one.name for one in self.all()})) or "none; graft kubeflow schedule create makes one"
            )
            raise GraftError(f"schedule {name}: there is no such schedule in this experiment; allowed: {names}")
        return found

    def _now(self, name: str, own: str | None = None) -> Schedule:
        """The schedule as it is; `own` is the id it must have."""
        current = _current(self._of(name))
        if current is None or own not in (None, current.id):
            raise _another_call(name)
        return current


def _another_call(name: str) -> GraftError:
    return GraftError(f"schedule {name}: another call changes it at the same time; look at it and try again")


def _schedule(found: Any) -> Schedule | None:
    """A recurring run of the API; None if Graft did not make it."""
    mark = _MARK.search(found.description or "")
    trigger = found.trigger.cron_schedule if found.trigger else None
    if mark is None or trigger is None:
        return None
    return Schedule(
        id=found.recurring_run_id,
        name=found.display_name,
        cron=trigger.cron,
        enabled=found.mode == kfp_server_api.RecurringRunMode.ENABLE,
        created=found.created_at,
        digest=mark["digest"],
        starts=mark["starts"] == "enabled",
        made=mark["made"],
    )


def _age(schedule: Schedule) -> tuple[datetime.datetime, str]:
    """Orders by when they were made; the server counts whole seconds only."""
    return schedule.created, schedule.made


def _current(found: Sequence[Schedule]) -> Schedule | None:
    """The one that counts: the newest that starts runs, else the newest; None if there is none."""
    return max(found, key=lambda one: (one.enabled, *_age(one)), default=None)


def _running(current: Schedule, found: Sequence[Schedule]) -> bool:
    """Whether it is to start runs: two that are both disabled are a replacement that was stopped half-way."""
    return current.enabled or (len(found) > 1 and current.starts)
