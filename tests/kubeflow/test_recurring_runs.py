"""Schedules are made once by name, replaced without a run lost or doubled, and mended after a kill."""

import concurrent.futures
import contextlib
import datetime
import time

import pytest
from kfp_server_for_tests import TOKEN, KfpServer

from graft.kubeflow import cron
from graft.kubeflow.client import PipelinesClient
from graft.kubeflow.schedules import Schedules, Settings
from graft.kubeflow.server_options import ServerOptions
from graft.kubeflow.submission import Package
from graft.models.errors import GraftError

SPEC = {
    "schemaVersion": "2.1.0",
    "pipelineInfo": {"name": "flowers"},
    "root": {
        "dag": {"tasks": {}},
        "inputDefinitions": {"parameters": {"code": {"parameterType": "STRING", "defaultValue": ""}}},
    },
}
YEARLY = ("0 0 3 1 1 *", "0 0 4 1 1 *", "0 0 5 1 1 *")
"""None of these is due while a test runs, but for an hour of the year."""


class Killed(BaseException):
    """As SIGKILL: nothing handles it."""


@pytest.fixture
def server():
    with KfpServer() as server:
        yield server


@pytest.fixture
def client(server, monkeypatch):
    monkeypatch.setenv("KFP_TOKEN", TOKEN)
    return PipelinesClient(ServerOptions(host=server.host, token_env="KFP_TOKEN", timeout=5), lambda seconds: None)


@pytest.fixture
def schedules(client, monkeypatch):
    monkeypatch.setattr(Schedules, "_wait", lambda self, crons: None)
    return Schedules(client, client.experiment("flowers", create=True))


def settings(text=YEARLY[0], **values):
    return Settings(cron.parse(text), Package("flowers", SPEC, {}, "minio://b/r"), values, "minio://b/r")


def test_made_once(schedules, server):
    done, made = schedules.create("nightly", settings())
    assert (done, made.name, made.cron, made.enabled) == ("created", "nightly", YEARLY[0], True)
    (held,) = server.of_name("nightly")
    assert (held["no_catchup"], held["max_concurrency"], held["mode"]) == (True, "1", "ENABLE")
    assert held["trigger"] == {"cron_schedule": {"cron": YEARLY[0]}}
    before = server.changes()
    assert schedules.create("nightly", settings()) == ("unchanged", made)
    assert server.changes() == before


@pytest.mark.parametrize("seconds", [0, 1], ids=["within a second", "later"])
def test_other_settings_replace_it(schedules, server, seconds):
    """The server counts whole seconds, so several may be of the same one."""
    server.seconds = seconds
    _, first = schedules.create("nightly", settings())
    for text in YEARLY[1:]:
        done, made = schedules.create("nightly", settings(text))
        assert (done, made.cron, made.enabled) == ("replaced", text, True)
    assert [one["recurring_run_id"] for one in server.of_name("nightly")] == [made.id] != [first.id]
    assert server.enabled_at_once == 1


def test_the_new_one_is_there_before_the_old_one_stops(schedules, server):
    schedules.create("nightly", settings())
    before = len(server.changes())
    schedules.create("nightly", settings(YEARLY[1]))
    assert server.changes()[before:] == ["create", "disable", "enable", "DELETE"]


CHANGES = ("create_schedule", "disable_schedule", "enable_schedule", "delete_schedule")


def killed(schedules, monkeypatch, step, call):
    """Makes a call that dies before its change number `step`, if it makes so many."""
    left = [step]

    def mortal(change):
        def until(*arguments):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return change(*arguments)

        return until

    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        for name in CHANGES:
            patch.setattr(schedules._client, name, mortal(getattr(schedules._client, name)))
        call()


@pytest.mark.slow
@pytest.mark.parametrize("running", [True, False], ids=["enabled", "paused"])
@pytest.mark.parametrize("wanted", YEARLY[1:], ids=["the same call again", "a third one"])
@pytest.mark.parametrize("step", range(5))
def test_a_kill_between_two_steps_is_mended(schedules, server, monkeypatch, step, wanted, running):
    """Even if what mends it is killed in its turn."""
    for again in range(6):
        schedules.create("nightly", settings())
        if not running:
            schedules.pause("nightly")
        killed(schedules, monkeypatch, step, lambda: schedules.create("nightly", settings(YEARLY[1])))
        assert server.of_name("nightly"), "nothing is lost"
        killed(schedules, monkeypatch, again, lambda: schedules.create("nightly", settings(wanted)))
        schedules.create("nightly", settings(wanted))
        (held,) = server.of_name("nightly")
        assert held["trigger"] == {"cron_schedule": {"cron": wanted}}
        assert held["mode"] == ("ENABLE" if running else "DISABLE")
        assert server.enabled_at_once <= 1
        schedules.delete("nightly")


@pytest.mark.parametrize("step", range(4))
def test_a_pause_that_is_killed_is_made_again(schedules, server, monkeypatch, step):
    schedules.create("nightly", settings())
    killed(schedules, monkeypatch, 1, lambda: schedules.create("nightly", settings(YEARLY[1])))
    assert [one["mode"] for one in server.of_name("nightly")] == ["ENABLE", "DISABLE"]
    killed(schedules, monkeypatch, step, lambda: schedules.pause("nightly"))
    assert not schedules.pause("nightly").enabled
    assert len(server.of_name("nightly")) == 1
    assert schedules.create("nightly", settings())[0] == "unchanged"
    assert [one["mode"] for one in server.of_name("nightly")] == ["DISABLE"]


@pytest.mark.parametrize("running", [True, False], ids=["resume", "pause"])
def test_pause_and_resume_mend_as_well(schedules, server, monkeypatch, running):
    schedules.create("nightly", settings())
    killed(schedules, monkeypatch, 2, lambda: schedules.create("nightly", settings(YEARLY[1])))
    assert [one["mode"] for one in server.of_name("nightly")] == ["DISABLE", "DISABLE"]
    found = schedules.resume("nightly") if running else schedules.pause("nightly")
    assert (found.enabled, found.cron) == (running, YEARLY[1])
    assert len(server.of_name("nightly")) == 1


def test_what_is_paused_stays_so(schedules, server):
    schedules.create("nightly", settings())
    assert not schedules.pause("nightly").enabled
    done, same = schedules.create("nightly", settings())
    assert (done, same.enabled) == ("unchanged", False)
    done, other = schedules.create("nightly", settings(YEARLY[1]))
    assert (done, other.enabled) == ("replaced", False)
    assert schedules.resume("nightly").enabled


@pytest.mark.parametrize("change", ["code", "cron", "spec"])
def test_any_setting_counts(schedules, change):
    schedules.create("nightly", settings(code="a"))
    other = settings(code="a")
    if change == "code":
        other = settings(code="b")
    elif change == "cron":
        other = settings(YEARLY[1], code="a")
    else:
        spec = SPEC | {"sdkVersion": "tfx-2"}
        other = Settings(other.cron, Package("flowers", spec, {}, "minio://b/r"), other.values, other.root)
    assert schedules.create("nightly", other)[0] == "replaced"


def test_a_creation_whose_answer_is_lost_is_made_once(schedules, server):
    server.fail("POST", "/recurringruns$", "drop stored")
    assert schedules.create("nightly", settings())[0] == "created"
    assert len(server.of_name("nightly")) == 1


def test_a_deletion_whose_answer_is_lost(schedules, server):
    schedules.create("nightly", settings())
    server.fail("DELETE", "/recurringruns/", "drop stored")
    schedules.delete("nightly")
    assert not server.of_name("nightly")


def test_two_calls_at_the_same_time(schedules, client, server, monkeypatch):
    """One of the two gives way, whichever of them looks first."""
    other = Schedules(client, schedules._experiment)
    make = client.create_schedule

    def meanwhile(body):
        monkeypatch.setattr(client, "create_schedule", make)
        made = make(body)
        assert other.create("nightly", settings(YEARLY[1]))[0] in ("created", "replaced")
        return made

    monkeypatch.setattr(client, "create_schedule", meanwhile)
    with pytest.raises(GraftError, match="another call changes it at the same time"):
        schedules.create("nightly", settings())
    (held,) = server.of_name("nightly")
    assert (held["trigger"]["cron_schedule"]["cron"], held["mode"]) == (YEARLY[1], "ENABLE")


@pytest.mark.slow
@pytest.mark.parametrize("hour", [4, 3], ids=["others", "those it had"])
def test_two_processes_at_once(schedules, client, server, hour):
    """Whichever wins, one schedule is left, and whoever says that it is theirs is right."""
    schedules.create("nightly", settings())

    def change(text):
        other = Schedules(PipelinesClient(client.options, time.sleep), schedules._experiment)
        try:
            return other.create("nightly", settings(text))[1].id
        except GraftError:
            return None

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for number in range(20):
            schedules.create("nightly", settings(f"0 {number} 3 1 1 *"))
            ours = list(pool.map(change, (f"0 {number} {hour} 1 1 *", f"0 {number} 5 1 1 *")))
            (held,) = server.of_name("nightly")
            assert (held["mode"], held["recurring_run_id"] in ours) == ("ENABLE", True)


def test_a_recurring_run_of_somebody_else_is_left_alone(schedules, server):
    schedules.create("nightly", settings())
    (held,) = server.of_name("nightly")
    held["description"] = "mine"
    for call in (
        lambda: schedules.create("nightly", settings()),
        lambda: schedules.pause("nightly"),
        lambda: schedules.delete("nightly"),
    ):
        with pytest.raises(GraftError, match=r"was not made by Graft; give another name by --name"):
            call()
    assert held["mode"] == "ENABLE"
    assert schedules.all() == []


def test_what_is_not_there_is_named(schedules):
    with pytest.raises(
        GraftError, match=r"schedule weekly: there is no such .* allowed: none; graft kubeflow schedule"
    ):
        schedules.pause("weekly")
    schedules.create("nightly", settings())
    with pytest.raises(GraftError, match="allowed: nightly"):
        schedules.delete("weekly")


@pytest.mark.parametrize(
    ("due", "slept"), [(20, [35.1]), (-10, [5.1]), (31, []), (-16, [])], ids=["soon", "just now", "later", "long ago"]
)
def test_no_schedule_is_replaced_while_a_run_is_due(client, due, slept):
    """Times count from a moment of the test's own, on a clock that only the pauses move."""
    clock = [datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)]
    waited = []

    def pause(seconds):
        waited.append(round(seconds, 3))
        clock[0] += datetime.timedelta(seconds=seconds)

    time = clock[0] + datetime.timedelta(seconds=due)
    schedules = Schedules(client, "x", pause, lambda: clock[0])
    schedules._wait([f"{time.second} {time.minute} {time.hour} * * *", "0 0 0 1 7 *"])
    assert waited == slept
