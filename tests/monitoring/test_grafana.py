"""The dashboard: the file is what the module makes, and all that it asks for is exported."""

import json
import pathlib
import re

import pytest
import yaml
from exported_series import OF_TARGETS, exported
from promql_names import groupings, selectors

from graft.monitoring import grafana

FOLDER = pathlib.Path(grafana.__file__).parent
DASHBOARD = grafana.dashboard()
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
VARIABLES = [one["definition"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]] + [
    annotation["expr"] for annotation in DASHBOARD["annotations"]["list"]
]


@pytest.fixture(scope="module")
def series(tmp_path_factory) -> dict[str, set[str]]:
    rules = yaml.safe_load((FOLDER / "rules" / "graft.rules.yaml").read_text())
    recorded = {rule["record"]: {"job"} for group in rules["groups"] for rule in group["rules"] if "record" in rule}
    return exported(tmp_path_factory.mktemp("exported")) | recorded


def test_the_file_is_what_the_module_makes():
    assert (FOLDER / "dashboards" / "graft.json").read_text() == grafana.text()


def faults(query: str, legend: str, series: dict[str, set[str]]) -> list[str]:
    used = selectors(query)
    found = [f"no series {name}" for name in used if name not in series]
    for name, labels in used.items():
        found += [f"no label {label} of {name}" for label in labels.keys() - series.get(name, set()) - OF_TARGETS]
    # What is grouped keeps those labels only; else all.
    kept = groupings(query) or OF_TARGETS.union(*(series.get(name, ()) for name in used))
    found += [f"no label {label} in {legend}" for label in set(re.findall(r"\{\{(\w+)\}\}", legend)) - kept]
    return found + [f"no label {label}" for label in groupings(query) - OF_TARGETS.union(*series.values())]


def test_what_the_queries_use_is_exported(series):
    legends = [(target["expr"], target["legendFormat"]) for panel in PANELS for target in panel["targets"]]
    found = [fault for query, legend in legends for fault in faults(query, legend, series)]
    assert not found + [fault for query in QUERIES for fault in faults(query, "", series)]
    for variable in VARIABLES:
        selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable).groups()
        assert not faults(selector, "", series) and label in OF_TARGETS | series[next(iter(selectors(selector)))]


@pytest.mark.parametrize(
    ("query", "legend", "told"),
    [
        ("graft_requests", "", "no series graft_requests"),
        ('graft_requests_total{pipeline="x"}', "", "no label pipeline of graft_requests_total"),
        ("sum by (model) (graft_requests_total)", "{{version}}", "no label version in {{version}}"),
    ],
)
def test_a_slip_in_a_query_is_noticed(series, query, legend, told):
    assert told in faults(query, legend, series)


def test_all_panels_have_places_of_their_own():
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken and max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert json.loads(grafana.text()) == DASHBOARD


def test_only_the_readers_own_data_source_is_asked():
    assert "http" not in re.sub(r'"(grpc|http)[^"]*"', "", grafana.text())
    assert {panel["datasource"]["uid"] for panel in PANELS} == {"${datasource}"}
