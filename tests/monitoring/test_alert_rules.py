"""The rules: sound, each alert fired by its series and not by their twin, each with its section in the docs."""

import pathlib
import re
import shutil
import subprocess
import typing

import grpc
import pytest
import yaml
from exported_series import BY_PROMETHEUS, OF_TARGETS, exported
from promql_names import groupings, selectors

from graft.monitoring import access_log
from graft.monitoring.metrics import BOUNDS_S
from graft.monitoring.request_log import counts
from graft.monitoring.run_series import STATUSES
from graft.serving.exchange import REASONS

ROOT = pathlib.Path(__file__).parents[2]
FILE = ROOT / "monitoring" / "rules" / "graft.rules.yaml"
DOCS = ROOT / "docs" / "alerts.md"
GROUPS = yaml.safe_load(FILE.read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
CASES = yaml.safe_load(pathlib.Path(__file__).with_name("alert_cases.yaml").read_text())
VALUES = {
    "le": {f"{bound:.6g}" for bound in BOUNDS_S},
    "status": {code.name for code in grpc.StatusCode} | set(STATUSES),
    "reason": {*REASONS, *typing.get_args(access_log.Reason), *typing.get_args(counts.Reason)},
}

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not on the PATH; Debian's package prometheus has it"
)


@pytest.fixture(scope="module")
def series(tmp_path_factory) -> dict[str, set[str]]:
    recorded = {rule["record"]: set() for rule in RULES if "record" in rule}
    return exported(tmp_path_factory.mktemp("exported")) | BY_PROMETHEUS | recorded


def faults(expression: str, series: dict[str, set[str]]) -> list[str]:
    """What the expression uses and nobody exports."""
    used = selectors(expression)
    found = [f"no series {name}" for name in used if name not in series]
    known = set().union(OF_TARGETS, *(series.get(name, ()) for name in used))
    found += [f"no label {label}" for label in groupings(expression) - known]
    for name, labels in used.items():
        found += [f"no label {label} of {name}" for label in labels.keys() - series.get(name, set()) - OF_TARGETS]
        for label, values in labels.items():
            found += [f"no {label} is {value}" for value in values - VALUES.get(label, values)]
    return found


def test_what_the_rules_use_is_exported(series):
    assert not {rule.get("alert") or rule["record"]: found for rule in RULES if (found := faults(rule["expr"], series))}


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("rate(graft_request_total[5m]) > 0", ["no series graft_request_total"]),
        ("sum by (modell) (graft_requests_total)", ["no label modell"]),
        ('graft_requests_total{code="OK"}', ["no label code of graft_requests_total"]),
        ('graft_requests_refused_total{reason=~"queue_full|full"}', ["no reason is full"]),
        ('graft_request_duration_seconds_bucket{le="0.4"}', ["no le is 0.4"]),
        ('histogram_quantile(0.9, sum by (le, job) (graft_queue_wait_seconds_bucket{job=~"$job"}))', []),
    ],
)
def test_a_slip_in_a_rule_is_noticed(series, expression, told):
    assert faults(expression, series) == told


def test_each_alert_says_what_it_means_and_what_to_do():
    for name, rule in ALERTS.items():
        assert rule["labels"]["severity"] in ("page", "ticket"), name
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}, name
        assert rule["annotations"]["runbook_url"] == f"docs/alerts.md#{name.lower()}"


def test_docs_have_a_section_for_each_alert_and_no_other():
    sections = re.split(r"^## ", DOCS.read_text(), flags=re.M)[1:]
    told = {section.partition("\n")[0]: section for section in sections if section.startswith("Graft")}
    assert list(told) == list(ALERTS)
    for name, section in told.items():
        assert f"**{ALERTS[name]['labels']['severity']}**" in section, name


def test_each_alert_has_series_that_fire_it_and_a_twin_that_does_not():
    assert {case["alert"] for case in CASES} == ALERTS.keys()
    for name in ALERTS:
        cases = [case for case in CASES if case["alert"] == name]
        assert any(case["fires"] for case in cases), name
        assert any('"twin"' in one for case in cases for one in case["series"]), name
        assert not any("twin" in labels.values() for case in cases for labels in case["fires"]), name


def test_the_cases_have_no_series_that_nobody_exports(series):
    assert not [one for case in CASES for one in case["series"] if faults(one.replace('"by hand"', '""'), series)]


@needs_promtool
def test_promtool_finds_the_rules_sound(tmp_path):
    done = subprocess.run(["promtool", "check", "rules", FILE], capture_output=True, text=True)
    assert done.returncode == 0 and f"{len(RULES)} rules found" in done.stdout, done.stdout + done.stderr
    broken = tmp_path / "broken.yaml"
    broken.write_text(FILE.read_text().replace("sum by (job)", "sum by job", 1))
    assert subprocess.run(["promtool", "check", "rules", broken], capture_output=True).returncode != 0


@needs_promtool
@pytest.mark.slow
@pytest.mark.parametrize("interval", sorted({case.get("interval", "1m") for case in CASES}))
def test_promtool_fires_what_should_fire_and_nothing_else(tmp_path, interval):
    done = _tested(tmp_path, [case for case in CASES if case.get("interval", "1m") == interval])
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_promtool_tells_of_an_alert_that_does_not_fire(tmp_path):
    [case] = [case for case in CASES if case["alert"] == "GraftNoVersionAvailable"]
    assert _tested(tmp_path, [case]).returncode == 0
    assert _tested(tmp_path, [case | {"fires": []}]).returncode != 0
    twin = [labels | {"model": "twin"} for labels in case["fires"]]
    assert _tested(tmp_path, [case | {"fires": [*case["fires"], *twin]}]).returncode != 0


def _tested(folder: pathlib.Path, cases: list[dict]) -> subprocess.CompletedProcess:
    """All of one interval."""
    interval, tests = cases[0].get("interval", "1m"), []
    for case in cases:
        rule = ALERTS[case["alert"]]
        looks = [(case["at"], [_expected(rule, labels) for labels in case["fires"]])]
        if "not_yet" in case:
            looks.insert(0, (case["not_yet"], []))
        tests.append(
            {
                "interval": interval,
                "input_series": [{"series": name, "values": str(values)} for name, values in case["series"].items()],
                "alert_rule_test": [
                    {"eval_time": when, "alertname": case["alert"], "exp_alerts": alerts} for when, alerts in looks
                ],
            }
        )
    path = folder / "cases.yaml"
    # Without an order promtool takes any, and a rule would see what was recorded an interval ago, or nothing.
    order = {"group_eval_order": [group["name"] for group in GROUPS], "evaluation_interval": interval}
    path.write_text(yaml.safe_dump({"rule_files": [str(FILE)], "tests": tests, **order}))
    return subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True)


def _expected(rule: dict, labels: dict[str, str]) -> dict:
    def told(text: str) -> str:
        return re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: labels.get(found[1], ""), text)

    annotations = {name: told(text) for name, text in rule["annotations"].items()}
    return {"exp_labels": labels | rule["labels"], "exp_annotations": annotations}
