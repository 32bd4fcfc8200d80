"""The compiled pipeline: equal to the golden file, and nothing in it that open-source Kubeflow refuses.

Not covered: that a cluster runs it; `test_run_local.py` runs it without one. To renew the golden file after a change
that is meant: `GRAFT_RENEW_GOLDEN=1 python -m pytest tests/kubeflow`.
"""

import copy
import json
import os
import pathlib

import pytest
import yaml

from graft.kubeflow import jobs, workers
from graft.kubeflow.check import check_spec
from graft.kubeflow.compile import compile_pipeline, name_for_argo
from graft.kubeflow.handover import title
from graft.kubeflow.last_tasks import GRAPH
from graft.kubeflow.tasks import DEFER
from graft.models.errors import GraftError
from graft.models.settings import Settings
from graft.pipeline import config as configs

GOLDEN = pathlib.Path(__file__).parent / "golden" / "pipeline.yaml"


PLAIN = {
    "name": "x",
    "data": {"source": "image_folder", "path": "/mnt/d"},
    "backbone": {"handle": "MobileNetV2"},
    "root": "/mnt/runs",
    "store": "/mnt/models",
    "kubeflow": {"volumes": [{"claim": "a", "mount": "/mnt"}]},
}

SECTION = {
    "image": "registry.example/graft:1",
    "image_pull_secrets": ["registry"],
    "labels": {"team": "vision"},
    "env": {"AWS_ENDPOINT_URL": "http://minio.example:9000"},
    "secrets": [
        {"name": "store", "env": {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}},
        {"name": "chat", "env": {"HOOK": "url"}, "mount": "/secrets/chat"},
    ],
    "volumes": [{"claim": name, "mount": f"/{name}"} for name in ("data", "store", "runs")],
    "pods": {"memory": "4Gi", "retries": 1},
    "stages": {
        "train": {
            "cpu": 4,
            "memory": "16Gi",
            "gpus": 1,
            "node_selector": {"cloud.example/gpu": "a100"},
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "timeout_seconds": 7200,
        },
        "statistics": {"cache": False, "retries": 0},
    },
    "notify": {"webhook_env": "HOOK", "when": "failed"},
}


@pytest.fixture(scope="module")
def documents(tmp_path_factory) -> list[dict]:
    raw = {
        "name": "flowers",
        "data": {"source": "csv", "path": "/data/flowers/labels.csv", "slices": ["camera"]},
        "backbone": {"handle": "/data/backbone/1", "image_size": [224, 224], "value_range": [0, 1]},
        "transfer": {"method": "fine_tune", "unfreeze": 0.5},
        "gates": {"accuracy": 0.8, "negative_transfer": {"seeds": 4}},
        "store": "/store",
        "root": "/runs",
        "kubeflow": SECTION,
    }
    output = tmp_path_factory.mktemp("compiled") / "pipeline.yaml"
    compile_pipeline(configs.parse(raw, "test"), output)
    return list(yaml.safe_load_all(output.read_text()))


@pytest.fixture(scope="module")
def spec(documents) -> dict:
    return documents[0]


def tasks_of(spec: dict) -> dict:
    """The tasks within the graph that the exit task follows."""
    return spec["components"][GRAPH]["dag"]["tasks"]


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted((pathlib.Path(__file__).parents[2] / "configs").glob("*.yaml")), ids=str)
def test_every_config_of_the_project_compiles(path, tmp_path, monkeypatch):
    """TFX takes names in small letters, digits and '-' only; the model keeps its own."""
    monkeypatch.setenv("GRAFT_DATA", "/data")
    places = ["root=/mnt/runs", "store=/mnt/models", "kubeflow.volumes=[{claim: a, mount: /mnt}]"]
    config = configs.load(path, ["name=My.Fashion_1", *places, "kubeflow.in_image=[/data]"])
    compile_pipeline(config, tmp_path / "pipeline.yaml", "registry.example/graft:1")
    (spec, _) = yaml.safe_load_all((tmp_path / "pipeline.yaml").read_text())
    assert spec["pipelineInfo"]["name"] == "my-fashion-1"
    tasks = tasks_of(spec) if GRAPH in spec["components"] else spec["root"]["dag"]["tasks"]
    push = tasks["push"]["inputs"]["parameters"]
    assert push["model_name"]["runtimeValue"]["constant"] == "My.Fashion_1"


def test_equals_the_golden_file(documents):
    stripped = copy.deepcopy(documents)
    # What moves with TFX.
    stripped[0].pop("sdkVersion")
    statistics = tasks_of(stripped[0])["statistics"]["inputs"]["parameters"]["stats_options_json"]["runtimeValue"]
    statistics["constant"] = statistics["constant"].replace('"_slice_sqls": null, ', "")
    given = tasks_of(stripped[0])["report"]["inputs"]["parameters"]["given"]["runtimeValue"]
    given["constant"] = given["constant"].replace(r"\"_slice_sqls\": null, ", "")
    if os.environ.get("GRAFT_RENEW_GOLDEN"):
        GOLDEN.write_text(yaml.safe_dump_all(stripped, sort_keys=True))
    assert stripped == list(yaml.safe_load_all(GOLDEN.read_text()))


def test_a_value_range_that_takes_a_look_at_data_is_asked_for(tmp_path):
    output = tmp_path / "pipeline.yaml"
    with pytest.raises(
        GraftError,
        match=r"^input\.value_range: auto needs a look at data and backbone '/mnt/b'.*such as .*_range \[0\.0, 1\.0\]$",
    ):
        compile_pipeline(configs.parse(PLAIN | {"backbone": {"handle": "/mnt/b"}}, "test"), output)
    assert not output.exists()
    compile_pipeline(configs.parse(PLAIN, "test"), output, "registry.example/graft:1")
    (spec, *_) = yaml.safe_load_all(output.read_text())
    held = json.loads(
        spec["root"]["dag"]["tasks"]["features"]["inputs"]["parameters"]["input"]["runtimeValue"]["constant"]
    )
    assert held["value_range"] == [-1.0, 1.0], "known of MobileNetV2"


def test_a_training_by_workers_starts_a_job_and_asks_for_no_gpu_itself(tmp_path):
    section = copy.deepcopy(SECTION) | {"notify": None}
    section["stages"]["train"] |= {"workers": 2}
    raw = PLAIN | {"transfer": {"method": "fine_tune"}, "kubeflow": section}
    raw |= {"data": {"source": "image_folder", "path": "/data/d"}, "root": "/runs", "store": "/store"}
    compile_pipeline(configs.parse(raw, "test"), tmp_path / "pipeline.yaml")
    spec, platform = yaml.safe_load_all((tmp_path / "pipeline.yaml").read_text())
    held = spec["root"]["dag"]["tasks"]["train"]["inputs"]["parameters"]
    assert held["run_fn"]["runtimeValue"]["constant"] == f"{workers.__name__}.{workers.run_fn.__name__}" == jobs.RUN_FN
    config = json.loads(held["custom_config"]["runtimeValue"]["constant"])
    told = config.pop(jobs.KEY)
    assert (told["count"], told["retries"]) == (2, 1)
    runtime, _ = jobs.named(told["manifests"], "a", "/b")
    pod = runtime["spec"]["template"]["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"] == {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1"}
    assert pod["nodeSelector"] == {"cloud.example/gpu": "a100"}
    own = spec["deploymentSpec"]["executors"]["train_executor"]["container"]["resources"]
    assert own["resourceMemoryLimit"] == "4Gi"
    assert "accelerator" not in own
    executor = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["train_executor"]
    assert "nodeSelector" not in executor
    assert "tolerations" not in executor
    assert executor["activeDeadlineSeconds"] == "7200"
    fields = {one["name"]: one["fieldPath"] for one in executor["fieldPathAsEnv"]}
    assert fields[workers.RUN] == "metadata.labels['pipeline/runid']"
    others = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert [label for label, one in others.items() if "fieldPathAsEnv" in one] == ["train_executor"]
    # What the trainer itself is told is what it is told without workers.
    Settings.model_validate(config)


def test_every_stage_is_a_container_with_a_name_argo_takes(spec):
    names = ["ingest", "statistics", "schema", "validate", "data_gate", "transform", "features", "train"]
    names += [
        "predict",
        "evaluate",
        "labels",
        "negative_transfer",
        "quality_gate",
        "serving_check",
        "push",
        "report",
        "verdict",
    ]
    assert sorted(tasks_of(spec)) == sorted(name.replace("_", "-") for name in names)
    assert sorted(spec["root"]["dag"]["tasks"]) == ["graph", "notify"]
    assert all(set(executor) == {"container"} for executor in spec["deploymentSpec"]["executors"].values())


def test_the_gate_stands_before_all_that_learns_and_the_report_after_all(spec):
    tasks = tasks_of(spec)
    assert "data-gate" in tasks["transform"]["dependentTasks"]
    assert {"quality-gate", "serving-check"} <= set(tasks["push"]["dependentTasks"])
    assert set(tasks["report"]["dependentTasks"]) == set(tasks) - {"report", "verdict"}
    assert tasks["verdict"]["dependentTasks"] == ["report"]


def test_what_data_code_and_backbone_hold_is_part_of_the_cache_key_of_who_reads_it(spec):
    tasks = tasks_of(spec)
    held = {
        name: {
            key.removeprefix("graft_"): value.get("componentInputParameter")
            for key, value in task["inputs"].get("parameters", {}).items()
            if key.startswith("graft_") and "componentInputParameter" in value
        }
        for name, task in tasks.items()
    }
    assert set(held["ingest"]) == {"data_fingerprint", "code"}
    assert set(held["features"]) == {"backbone", "code"}
    assert set(held["push"]) == {"data_fingerprint", "code", "backbone", "run_key"}
    assert all(key == value for found in held.values() for key, value in found.items())
    given = spec["root"]["inputDefinitions"]["parameters"]
    assert given["data_fingerprint"].keys() == {"parameterType", "description"}, "an old value would be a wrong hit"
    assert all(given[name]["defaultValue"] == "" and given[name]["isOptional"] for name in ("code", "backbone"))
    assert set(spec["components"][GRAPH]["inputDefinitions"]["parameters"]) == set(given)


def test_what_looks_into_the_store_and_what_comes_after_is_never_cached(spec):
    never = {name for name, task in tasks_of(spec).items() if not task["cachingOptions"].get("enableCache")}
    assert never == {"quality-gate", "push", "report", "verdict", "statistics"}  # the last by its own key


def test_retries_resources_and_variables(spec):
    tasks = tasks_of(spec)
    assert "retryPolicy" not in tasks["statistics"] and "retryPolicy" not in tasks["verdict"]
    assert tasks["train"]["retryPolicy"]["maxRetryCount"] == 1
    assert "backoffMaxDuration" in tasks["train"]["retryPolicy"], "without it Kubeflow never tries again"
    executors = spec["deploymentSpec"]["executors"]
    train = executors["train_executor"]["container"]
    assert train["resources"]["accelerator"]["type"] == "nvidia.com/gpu"
    assert (train["resources"]["memoryLimit"], train["resources"]["resourceMemoryLimit"]) == (16 * 2**30 / 1e9, "16Gi")
    assert train["resources"]["cpuLimit"] == 4.0
    ingest = executors["ingest_executor"]["container"]
    assert "accelerator" not in ingest["resources"] and ingest["resources"]["resourceMemoryLimit"] == "4Gi"
    endpoint = [{"name": "AWS_ENDPOINT_URL", "value": "http://minio.example:9000"}]
    assert all(executor["container"]["env"] == endpoint for executor in executors.values())


def test_the_platform_document_says_what_each_pod_gets(documents):
    executors = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert set(executors) == set(documents[0]["deploymentSpec"]["executors"])
    train = executors["train_executor"]
    assert train["nodeSelector"] == {"labels": {"cloud.example/gpu": "a100"}}
    assert train["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert train["activeDeadlineSeconds"] == "7200" and "activeDeadlineSeconds" not in executors["ingest_executor"]
    for held in executors.values():
        assert [volume["mountPath"] for volume in held["pvcMount"]] == ["/data", "/store", "/runs"]
        assert [secret["secretName"] for secret in held["secretAsEnv"]] == ["store", "chat"]
        assert held["imagePullSecret"][0]["secretName"] == "registry"
        assert held["podMetadata"] == {"labels": {"team": "vision"}}


def test_the_exit_task_follows_all_others_however_they_end(spec):
    notify = spec["root"]["dag"]["tasks"]["notify"]
    assert notify["triggerPolicy"] == {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    assert notify["dependentTasks"] == [GRAPH]
    assert notify["inputs"]["parameters"]["status"] == {"taskFinalStatus": {"producerTask": GRAPH}}


def test_the_official_sdk_loads_it(documents, tmp_path):
    from kfp import components

    path = tmp_path / "pipeline.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    loaded = components.load_component_from_file(str(path))
    assert loaded.pipeline_spec.pipeline_info.name == "flowers"
    assert "train_executor" in loaded.platform_spec.platforms["kubernetes"].deployment_spec.executors
    assert not loaded.component_spec.inputs["data_fingerprint"].optional


def test_compiling_again_gives_the_same_bytes(tmp_path):
    config = configs.parse(PLAIN, "test")
    for name in ("a.yaml", "b.yaml"):
        compile_pipeline(config, tmp_path / name)
    assert (tmp_path / "a.yaml").read_bytes() == (tmp_path / "b.yaml").read_bytes()


def test_without_report_and_notification_there_are_the_stages_alone(tmp_path):
    config = configs.parse(PLAIN | {"kubeflow": PLAIN["kubeflow"] | {"report": False}}, "test")
    compile_pipeline(config, tmp_path / "p.yaml")
    spec = next(yaml.safe_load_all((tmp_path / "p.yaml").read_text()))
    tasks = spec["root"]["dag"]["tasks"]
    assert "push" in tasks and not {"report", "verdict", "notify", "graph"} & set(tasks)
    executors = spec["deploymentSpec"]["executors"].values()
    assert not any(DEFER in executor["container"]["args"] for executor in executors), "nobody would say it later"


def test_what_takes_blessed_models_only_gets_the_verdict_of_every_gate_before_it(spec):
    tasks = tasks_of(spec)
    held = {
        name: {key.removeprefix("graft_gate_") for key in task["inputs"].get("artifacts", {}) if "graft_gate_" in key}
        for name, task in tasks.items()
    }
    assert held["serving-check"] == {"data_gate", "quality_gate"}
    assert held["push"] == {"data_gate", "quality_gate", "serving_check"}
    assert not any(found for name, found in held.items() if name not in ("serving-check", "push"))
    assert "data-gate" in tasks["push"]["dependentTasks"]


def test_a_closed_gate_waits_for_the_report_only_where_nothing_but_the_push_follows(spec):
    executors = spec["deploymentSpec"]["executors"]
    deferred = {label for label, executor in executors.items() if DEFER in executor["container"]["args"]}
    assert deferred == {"serving_check_executor", "push_executor"}


def test_own_artifact_types_can_be_imported_by_their_schema_title(spec):
    from tfx.utils import import_utils

    titles = {
        title(output["artifactType"])
        for component in spec["components"].values()
        for output in component.get("outputDefinitions", {}).get("artifacts", {}).values()
    }
    own = {title for title in titles if title.startswith("graft.")}
    assert own >= {"graft.Rejected", "graft.Features", "graft.Quality", "graft.Comparison", "graft.LabelReview"}
    assert {import_utils.import_class_by_path(title).TYPE_NAME for title in own} == own


@pytest.mark.parametrize(
    ("mend", "message"),
    [
        (lambda spec: spec.update(schemaVersion="2.0.0"), "2.1.0 only"),
        (
            lambda spec: spec["deploymentSpec"]["executors"]["train_executor"].update(resolver={}),
            "cannot run a resolver",
        ),
        (lambda spec: tasks_of(spec).update(a_b={"componentRef": {"name": "train"}}), "Argo allows"),
        (lambda spec: spec["components"].pop("train"), "has no executor"),
        (lambda spec: tasks_of(spec)["push"]["dependentTasks"].append("tune"), "is no task"),
        (lambda spec: tasks_of(spec)["push"].update(extra=1), 'no field named "extra"'),
        (lambda spec: tasks_of(spec)["push"]["inputs"]["parameters"].pop("store"), "store of component push is not"),
        (lambda spec: tasks_of(spec)["push"]["inputs"]["parameters"].update(x={}), "x is none of the parameters"),
        (lambda spec: tasks_of(spec)["push"]["dependentTasks"].remove("train"), "for which the task does not wait"),
        (
            lambda spec: spec["components"]["train"]["outputDefinitions"]["artifacts"].pop("model"),
            "model is no output of train",
        ),
        (
            lambda spec: spec["components"][GRAPH]["inputDefinitions"]["parameters"].pop("code"),
            "code is no parameter of the pipeline",
        ),
        (
            lambda spec: tasks_of(spec)["push"].update(triggerPolicy={"condition": "size(1)"}),
            "cannot be evaluated here",
        ),
        (
            lambda spec: tasks_of(spec)["push"].update(
                triggerPolicy={"condition": "inputs.parameter_values['x'] == 1"}
            ),
            "its condition reads x, which is no parameter that the task is given",
        ),
    ],
)
def test_refuses_what_kubeflow_refuses(spec, mend, message):
    broken = copy.deepcopy(spec)
    mend(broken)
    with pytest.raises(GraftError, match=message):
        check_spec(broken)


def test_renaming_twice_changes_nothing_more(spec):
    again = copy.deepcopy(spec)
    name_for_argo(again)
    assert again == spec


@pytest.mark.parametrize(
    ("mend", "message"),
    [
        (lambda executors: executors.update(other={}), "executor 'other' is none of the pipeline's"),
        (lambda executors: executors["train_executor"].update(nodeSelctor={}), 'no field named "nodeSelctor"'),
    ],
)
def test_refuses_a_platform_document_that_a_server_would_skip(documents, mend, message):
    broken = copy.deepcopy(documents)
    mend(broken[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"])
    with pytest.raises(GraftError, match=message):
        check_spec(*broken)


def test_output_must_be_yaml(tmp_path):
    raw = {"name": "x", "data": {"source": "image_folder", "path": "/d"}, "backbone": {"handle": "/b"}}
    with pytest.raises(GraftError, match=r"must end in \.yaml"):
        compile_pipeline(configs.parse(raw, "test"), tmp_path / "pipeline.json", "graft:1")
