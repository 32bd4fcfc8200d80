"""`graft kubeflow submit`, `schedule`, `status` and `logs`, from the command line to a server on loopback."""

import json
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest
import yaml
from kfp_server_for_tests import TOKEN, KfpServer, run_with_tasks

from graft.pipeline import cli, prepare

NAMES = ("data_fingerprint", "code", "backbone", "teacher", "run_key")
SPEC = {
    "schemaVersion": "2.1.0",
    "pipelineInfo": {"name": "flowers"},
    "defaultPipelineRoot": "minio://mlpipeline/flowers",
    "deploymentSpec": {"executors": {}},
    "components": {},
    "root": {
        "dag": {"tasks": {}},
        "inputDefinitions": {"parameters": {name: {"parameterType": "STRING"} for name in NAMES}},
    },
}
CRON = "0 0 3 1 1 *"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("KFP_TOKEN", TOKEN)
    with KfpServer() as server:
        yield server


@pytest.fixture
def config(server, tmp_path):
    (tmp_path / "labels.csv").write_text("path,label\na.png,rose\n")
    (tmp_path / "backbone").write_bytes(b"weights")
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(SPEC))
    path = tmp_path / "flowers.yaml"
    raw = {
        "name": "flowers",
        "data": {"source": "csv", "path": str(tmp_path / "labels.csv")},
        "input": {"value_range": [0, 1]},
        "backbone": {"handle": str(tmp_path / "backbone")},
        "root": str(tmp_path / "runs"),
        "store": str(tmp_path / "models"),
        "kubeflow": {
            "server": {"host": server.host, "token_env": "KFP_TOKEN", "ui": "https://kubeflow.example/pipeline"},
            "volumes": [{"claim": "a", "mount": str(tmp_path)}],
        },
    }
    path.write_text(yaml.safe_dump(raw))
    return path


@pytest.fixture
def graft(config, capsys):
    """Runs `graft kubeflow VERB... CONFIG REST...`; exit code, stdout and stderr."""

    def run(verb, *rest, compiled=True):
        words = [*verb.split(), str(config), *map(str, rest)]
        if compiled and words[0] in ("submit", "schedule") and "--cron" in words + ["--cron"] * (words[0] == "submit"):
            words += ["--pipeline", str(config.with_name("pipeline.yaml"))]
        code = cli.main(["kubeflow", *words])
        out, err = capsys.readouterr()
        assert TOKEN not in out + err
        return code, out, err

    return run


def test_submit_starts_a_run(graft, server):
    code, out, _ = graft("submit")
    assert code == 0
    (run,) = server.runs.values()
    assert server.experiments[run["experiment_id"]]["display_name"] == "flowers"
    assert run["pipeline_spec"] == SPEC
    assert run["runtime_config"]["pipeline_root"] == "minio://mlpipeline/flowers"
    assert run["runtime_config"]["parameters"]["code"] == prepare.code_version()
    assert all(run["runtime_config"]["parameters"][name] for name in ("data_fingerprint", "run_key"))
    first, *_, last = out.splitlines()
    assert first == f"run {run['run_id']} ({run['display_name']}) in experiment flowers"
    assert last == f"https://kubeflow.example/pipeline/#/runs/details/{run['run_id']}"


def test_each_submission_is_a_run_of_its_own_name(graft, server):
    assert graft("submit")[0] == graft("submit")[0] == 0
    assert len({run["display_name"] for run in server.runs.values()}) == 2


def test_a_named_run_is_submitted_once(graft, server):
    assert json.loads(graft("submit", "--json", "--name", "release-7")[1])["created"]
    value = json.loads(graft("submit", "--json", "--name", "release-7")[1])
    assert not value["created"]
    assert [value["run"]] == list(server.runs)
    assert "was there already; nothing was submitted" in graft("submit", "--name", "release-7")[1]


def test_the_answer_to_a_submission_is_lost(graft, server):
    server.fail("POST", "/runs$", "drop stored")
    assert graft("submit")[0] == 0
    assert len(server.runs) == 1


def test_json_of_submit(graft, server):
    value = json.loads(graft("submit", "--json", "--parameter", "data_fingerprint=today")[1])
    assert set(value) == {"run", "name", "experiment", "created", "parameters", "address"}
    assert (value["parameters"]["data_fingerprint"], value["parameters"]["run_key"]) == ("today", "")


def test_data_elsewhere(graft, config, server):
    config.with_name("labels.csv").unlink()
    code, out, err = graft("submit")
    assert (code, out) == (2, "")
    assert re.fullmatch(
        r"graft: .*labels\.csv.*; where it cannot be read from here, give --parameter data_fing.*\n", err
    )
    assert graft("submit", "--parameter", "data_fingerprint=2026-01-01")[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("fault", [401, 403, 500, "html", "redirect"], ids=str)
@pytest.mark.parametrize(
    "words", [["submit"], ["schedule list"], ["status"], ["schedule create", "--cron", CRON]], ids=" ".join
)
def test_a_server_that_refuses(graft, server, words, fault):
    server.fail("GET", "/experiments$", fault, times=3)
    code, out, err = graft(*words)
    assert code == 2
    assert err.startswith(f"graft: {server.host}: could not find the experiment flowers: ")
    assert err.count("\n") == 1 and "Traceback" not in out + err


def test_no_server_in_the_configuration(graft, config):
    raw = yaml.safe_load(config.read_text())
    del raw["kubeflow"]
    config.write_text(yaml.safe_dump(raw))
    assert "kubeflow.server.host: none is given" in graft("status")[2]


def test_a_schedule_from_creation_to_deletion(graft, server):
    code, out, _ = graft("schedule create", "--cron", CRON)
    assert code == 0
    assert re.match(rf"{re.escape(CRON)} means, in UTC: (\d{{4}}-01-01 03:00:00(, )?){{5}}\n", out)
    assert "schedule flowers made" in out
    (held,) = server.recurring_runs.values()
    values = held["runtime_config"]["parameters"]
    assert (values["data_fingerprint"], values["run_key"]) == ("[[ScheduledTime]]", "")
    assert values["code"] == prepare.code_version()
    assert (held["no_catchup"], held["max_concurrency"]) == (True, "1")

    assert "has these settings already; nothing was changed" in graft("schedule create", "--cron", CRON)[1]
    header, row = graft("schedule list")[1].splitlines()
    assert header.split() == ["name", "state", "cron", "next", "(UTC)", "id"]
    assert row.startswith("flowers  enabled") and held["recurring_run_id"] in row

    assert graft("schedule pause")[1] == "schedule flowers is paused\n"
    assert "it is paused: graft kubeflow schedule resume" in graft("schedule create", "--cron", CRON)[1]
    assert json.loads(graft("schedule list", "--json")[1])["schedules"][0]["next"] == []
    assert graft("schedule resume", "flowers")[1] == "schedule flowers is enabled\n"

    out = graft("schedule create", "--json", "--cron", "0 30 3 1 1 *")[1]
    assert json.loads(out)["status"] == "replaced"
    assert len(json.loads(out)["next"]) == 5
    assert graft("schedule delete")[1] == "schedule flowers is deleted\n"
    assert server.recurring_runs == {}
    assert graft("schedule delete")[0] == 2


@pytest.mark.slow
def test_a_process_killed_between_two_steps(graft, server, config):
    """By SIGKILL, while the server has not yet answered that the old schedule is disabled."""
    assert graft("schedule create", "--cron", CRON)[0] == 0
    words = ["schedule", "create", config, "--cron", "0 30 3 1 1 *", "--pipeline", config.with_name("pipeline.yaml")]
    server.fail("POST", ":disable$", "hang")
    process = subprocess.Popen([sys.executable, "-m", "graft.pipeline.cli", "kubeflow", *map(str, words)])
    until = time.monotonic() + 60
    while not any(path.endswith(":disable") for _, path in server.requests) and time.monotonic() < until:
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert [one["mode"] for one in server.of_name("flowers")] == ["ENABLE", "DISABLE"]
    assert "was replaced" in graft("schedule create", "--cron", "0 30 3 1 1 *")[1]
    assert [one["mode"] for one in server.of_name("flowers")] == ["ENABLE"]
    assert server.enabled_at_once == 1


def test_several_schedules_of_a_pipeline(graft):
    for name in ("nightly", "yearly"):
        assert graft("schedule create", "--cron", CRON, "--name", name)[0] == 0
    assert [one["name"] for one in json.loads(graft("schedule list", "--json")[1])["schedules"]] == [
        "nightly",
        "yearly",
    ]


def test_a_cron_that_kubeflow_does_not_take_reaches_no_server(graft, server):
    code, _, err = graft("schedule create", "--cron", "0 3 * * *")
    assert code == 2
    assert "write '0 0 3 * * *'" in err
    assert server.requests == []


def test_status_of_runs(graft, server):
    for name in ("first", "second"):
        graft("submit", "--name", name)
    header, newest, _ = graft("status")[1].splitlines()
    assert header.split() == ["run", "name", "state", "created", "(UTC)", "seconds", "error"]
    assert newest.split()[1:3] == ["second", "PENDING"]
    assert len(json.loads(graft("status", "--json", "--count", "1")[1])["runs"]) == 1
    assert "--count: received 0; allowed: 1 to 200" in graft("status", "--count", "0")[2]


@pytest.fixture
def failed(graft, server):
    graft("submit")
    (run,) = server.runs
    run_with_tasks(server, run, {"ingest": "SUCCEEDED", "data-gate": "RUNNING", "train": "FAILED"})
    server.runs[run] |= {"state": "FAILED", "error": {"code": 2, "message": "child failed"}}
    return run


def test_status_of_a_run(graft, server, failed):
    first, header, *rows = graft("status", failed)[1].splitlines()
    assert first.endswith(": FAILED: child failed")
    assert header.split() == ["task", "state", "seconds", "error"]
    assert [row.split(maxsplit=3) for row in rows] == [
        ["ingest", "SUCCEEDED", "30"],
        ["data-gate", "RUNNING", "-"],
        ["train", "FAILED", "30", "the loss is not finite"],
    ]


def test_where_the_server_does_not_say_why(graft, server, failed, config):
    for one in server.runs[failed]["run_details"]["task_details"]:
        one.pop("error", None)
    last = graft("status", failed)[1].splitlines()[-1]
    assert last == f"why train failed: graft kubeflow logs {config} {failed} train"


def test_an_unknown_run(graft, server):
    code, _, err = graft("status", "none")
    assert code == 2
    assert "could not read the run none: not found (404" in err


@pytest.mark.parametrize("pod", ["wf-system-container-impl-21", "wf-21"], ids=["argo 3.4", "before"])
def test_logs_of_a_task(graft, server, failed, pod):
    server.logs[pod] = "epoch 1\n\x1b[31mred\n"
    code, out, _ = graft("logs", failed, "train")
    assert code == 0
    assert out == "epoch 1\n\\x1b[31mred\n"
    value = json.loads(graft("logs", failed, "train", "--json")[1])
    assert (value["task"], value["pod"]) == ("train", pod)


def test_a_stage_by_its_own_name(graft, server, failed):
    server.logs["wf-11"] = "sound"
    assert graft("logs", failed, "data_gate")[1] == "sound\n"


def test_a_log_that_the_api_has_not(graft, server, failed):
    code, out, err = graft("logs", failed, "train")
    assert (code, out) == (2, "")
    assert (
        err.endswith(f"kubectl logs -n kubeflow -l pipeline/runid={failed} -c main --prefix --tail=-1\n")
        and "the API has no log of train" in err
    )


def test_logs_of_no_task(graft, failed):
    assert "has no task tune; allowed: ingest, data-gate, train" in graft("logs", failed, "tune")[2]


def test_logs_that_one_may_not_read(graft, server, failed):
    server.fail("GET", "/log$", 403)
    assert "forbidden (403" in graft("logs", failed, "train")[2]


def test_help_needs_no_client():
    heavy = ("kfp", "kfp_server_api", "croniter", "tfx")
    code = f"import sys, graft.kubeflow.cli; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_submit_compiles_the_configuration(graft, server):
    """With TFX, to a file that is gone afterwards; what it declares as parameters is sent."""
    code, _, err = graft("submit", compiled=False)
    assert (code, err) == (0, "")
    (run,) = server.runs.values()
    spec = run["pipeline_spec"].get("pipeline_spec", run["pipeline_spec"])
    assert {"ingest", "train", "push"} <= set(spec["root"]["dag"]["tasks"])
    declared = spec["root"]["inputDefinitions"]["parameters"]
    assert "data_fingerprint" in declared and set(run["runtime_config"]["parameters"]) == set(declared)


GOLDEN = pathlib.Path(__file__).parent / "golden" / "pipeline.yaml"


PLATFORM = {"executors": {"train_executor": {"nodeSelector": {"labels": {"disk": "ssd"}}}}}


@pytest.mark.slow
@pytest.mark.parametrize("platform", [None, PLATFORM], ids=["spec", "spec and platform"])
def test_the_official_client_sends_the_same(graft, server, config, monkeypatch, tmp_path, platform):
    """`kfp.Client`, which the commands do without, makes the same run and the same recurring run of the same file."""
    kfp_client = pytest.importorskip("kfp.client")
    monkeypatch.setattr(kfp_client.Client, "_LOCAL_KFP_CONTEXT", str(tmp_path / "context.json"))
    spec = next(yaml.safe_load_all(GOLDEN.read_text()))
    more = [{"platforms": {"kubernetes": {"deploymentSpec": platform}}}] if platform else []
    config.with_name("pipeline.yaml").write_text(yaml.safe_dump_all([spec, *more]))
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    own = [word for name in declared for word in ("--parameter", f"{name}=x")]
    assert graft("submit", *own)[0] == graft("schedule create", "--cron", CRON, *own)[0] == 0
    (ours,) = server.runs.values()
    (ours_scheduled,) = server.recurring_runs.values()
    official = kfp_client.Client(host=server.host, existing_token=TOKEN, namespace="kubeflow-user")
    common = {
        "experiment_id": ours["experiment_id"],
        "job_name": "official",
        "pipeline_package_path": str(config.with_name("pipeline.yaml")),
        "params": dict.fromkeys(declared, "x"),
        "pipeline_root": ours["runtime_config"]["pipeline_root"],
    }
    run = official.run_pipeline(**common)
    scheduled = official.create_recurring_run(**common, cron_expression=CRON, no_catchup=True, max_concurrency="1")
    different = {"run_id", "recurring_run_id", "display_name", "description", "created_at"}
    assert ("platform_spec" in ours["pipeline_spec"]) == bool(platform)
    for mine, theirs in (
        (ours, server.runs[run.run_id]),
        (ours_scheduled, server.recurring_runs[scheduled.recurring_run_id]),
    ):
        assert {name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name)} <= different
