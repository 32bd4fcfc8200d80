"""The watching thread: what it does where the main thread gets no turn, in processes of their own."""

import contextlib
import json
import pathlib
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest

from graft.pipeline.ending import DIED, FAILURE_S, SIGNAL_S, Ending, Interrupted

pytestmark = pytest.mark.usefixtures("heard_signals")

_HEAD = """
import ctypes, os, pathlib, signal, subprocess, sys, threading, time
from graft.pipeline import ending, failures
from graft.pipeline.result import RunResult
from graft.pipeline.running import StageRun

def stuck():
    # Native code that lets other threads run, and that no signal wakes: a handler gets no turn.
    libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(256)
    libc.pthread_mutex_lock(mutex)
    while True:
        try:
            print("", flush=True)
            libc.pthread_mutex_lock(mutex)
        except ending.Interrupted:
            pass  # it came just before

result = RunResult("one", stages=[StageRun("train")])
folder = pathlib.Path(sys.argv[1])
"""


def start(folder: pathlib.Path, body: str) -> subprocess.Popen:
    """Runs a script in whose main thread an `Ending` is entered; it prints a line when it is ready."""
    inside = textwrap.indent(textwrap.dedent(body), "    ")
    script = f"{_HEAD}\nwith ending.Ending(as_json=True, process=True) as end:\n{inside}"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", script, str(folder)], **pipes)


def finish(process: subprocess.Popen) -> tuple[int, dict, list[str]]:
    """Exit code, the JSON object, the lines of stderr."""
    stdout, stderr = process.communicate(timeout=60)
    return process.returncode, json.loads(stdout.strip().splitlines()[-1]), stderr.splitlines()


@pytest.mark.slow
def test_a_signal_while_native_code_holds_the_main_thread(tmp_path):
    process = start(tmp_path, "end.begin(result, folder); stuck()")
    process.stdout.readline()
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    code, value, lines = finish(process)
    assert time.monotonic() - begun >= SIGNAL_S
    assert (code, value["status"], value["error"]) == (
        143,
        "interrupted",
        "train: interrupted by SIGTERM; run the same command again",
    )
    assert lines == [f"graft: {value['error']}"]
    assert json.loads((tmp_path / "run.json").read_text()) | {"error": value["error"]} == value


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_leaves_at_once(tmp_path, number, code):
    process = start(tmp_path, "ending.SIGNAL_S, ending._AGAIN_S = 1e6, 0; end.begin(result, folder); stuck()")
    process.stdout.readline()
    while process.poll() is None:
        process.send_signal(number)
        time.sleep(0.2)  # two of a kind that are both pending are one
    found, value, _ = finish(process)
    assert (found, value["status"]) == (code, "interrupted")


@pytest.mark.slow
def test_a_second_sigterm_too_soon_is_the_first_one_sent_to_the_group_as_well(tmp_path):
    process = start(tmp_path, "ending.SIGNAL_S, ending._AGAIN_S = 1, 1e6; end.begin(result, folder); stuck()")
    process.stdout.readline()
    begun = time.monotonic()
    while process.poll() is None:
        process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
    assert time.monotonic() - begun >= 1 and finish(process)[0] == 143


@pytest.mark.slow
def test_a_failure_whose_end_does_not_come(tmp_path):
    body = "ending.FAILURE_S = 0.2; end.begin(result, folder); end.failing('train: memory ran out', 2); stuck()"
    code, value, lines = finish(start(tmp_path, body))
    assert (code, value["status"], value["error"]) == (2, "failed", "train: memory ran out")
    assert lines == ["graft: train: memory ran out"]
    assert json.loads((tmp_path / "run.json").read_text())["reason"] == "train: memory ran out"


def test_a_thread_that_dies_of_want_bounds_the_run_that_waits_for_it(tmp_path):
    body = """
    def die():
        raise MemoryError
    ending.FAILURE_S = 0.2
    end.begin(result, folder)
    threading.Thread(target=die).start()
    stuck()
    """
    code, value, lines = finish(start(tmp_path, body))
    assert code == 2 and value["error"].startswith("train: memory ran out (") and len(lines) == 1


@pytest.mark.slow
def test_a_hanging_thread_does_not_keep_a_process_that_has_failed(tmp_path):
    body = """
    ending._LEAVE_S = 0.2
    threading.Thread(target=time.sleep, args=(1000,)).start()
    end.begin(result, folder)
    end.closing()
    end.over(2)
    print("{}", flush=True)
    """
    assert finish(start(tmp_path, body))[0] == 2


@pytest.mark.slow
def test_the_last_words_are_said_where_the_disk_takes_none(tmp_path):
    body = """
    ending.FAILURE_S = 0.2
    end.begin(result, folder / "gone")
    end.failing("push: the disk is full", 2)
    stuck()
    """
    code, value, _ = finish(start(tmp_path, body))
    assert (code, value["error"]) == (2, "push: the disk is full")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT])
def test_a_process_that_is_killed_leaves_words_behind(tmp_path, number):
    process = start(tmp_path, f"end.begin(result, folder); os.kill(os.getpid(), {int(number)})")
    code, value, lines = finish(process)
    assert code == -number
    assert value["status"] == value["stages"][0]["status"] == "failed"
    assert value["error"] == f"train: {DIED}" and lines == [f"graft: train: {DIED}"]
    assert json.loads((tmp_path / "run.json").read_text()) | {"error": value["error"]} == value


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_comes_after_a_run_leaves_its_words_alone(tmp_path, number):
    """As in the demo, which goes on after a run: neither the run's file nor its result is told as interrupted."""
    body = "end.begin(result, folder); end.closing(); end.ended(); stuck()"
    process = start(tmp_path, body)
    process.stdout.readline()
    process.send_signal(number)
    code, value, _ = finish(process)
    assert code == (-number if number == signal.SIGKILL else 128 + number)
    assert "stages" not in value and value["status"] in ("failed", "interrupted")
    assert not (tmp_path / "run.json").exists()


@pytest.mark.slow
def test_a_process_that_ends_well_or_says_why_not_leaves_no_more_words(tmp_path):
    for body in ("pass", "raise KeyError", "end.over(2)", "subprocess.run(['true'])"):
        process = start(tmp_path, f"end.begin(result, folder); {body}")
        stdout, stderr = process.communicate(timeout=60)
        assert stdout == "" and "graft" not in stderr.replace(str(pathlib.Path(__file__).parents[2]), "")
    assert not (tmp_path / "run.json").exists()


@pytest.mark.slow
def test_what_the_process_started_ends_with_it(tmp_path):
    body = """
    server = subprocess.Popen(["sleep", "1000"])
    print(server.pid, flush=True)
    ending.FAILURE_S = 0.2
    end.failing("train: memory ran out", 2)
    stuck()
    """
    process = start(tmp_path, body)
    server = int(process.stdout.readline())
    process.communicate(timeout=60)
    assert process.returncode == 2
    # The kernel takes its time; and nobody may be there to collect a process whose parent is gone.
    with contextlib.suppress(psutil.NoSuchProcess):
        for _ in range(3000):
            if psutil.Process(server).status() == psutil.STATUS_ZOMBIE:
                return
            time.sleep(0.01)
        pytest.fail("it still runs")


@pytest.mark.slow
def test_a_signal_to_a_forked_worker_is_no_signal_to_the_run(tmp_path):
    body = """
    reader, writer = os.pipe()
    worker = os.fork()
    if worker == 0:
        os.write(writer, b"!")
        time.sleep(1000)
    os.read(reader, 1)
    os.kill(worker, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == -signal.SIGTERM
    time.sleep(0.2)
    end.go_on()
    end.over(0)
    print("{}", flush=True)
    """
    assert finish(start(tmp_path, body))[0] == 0


def test_a_signal_is_an_interrupt_and_handlers_are_put_back():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    with pytest.raises(Interrupted, match="interrupted by SIGHUP"), Ending():
        signal.raise_signal(signal.SIGHUP)
    assert before == {number: signal.getsignal(number) for number in before}


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with Ending() as end:
            signal.raise_signal(signal.SIGHUP)
            end.go_on()
            end.over(0)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_interrupt_while_the_result_is_said_changes_nothing():
    with pytest.raises(Interrupted), Ending() as end:
        end.over(0)
        signal.raise_signal(signal.SIGINT)


def test_while_the_end_is_written_no_signal_interrupts_it():
    with Ending() as end:
        end.closing()
        signal.raise_signal(signal.SIGTERM)
        end.over(0)
    assert end.number == signal.SIGTERM


def test_the_bounds_hold_what_is_promised():
    assert 2 * FAILURE_S < 30 and 2 * SIGNAL_S <= 10, "a stage has the bound once, and the report once"
