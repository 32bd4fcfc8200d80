"""Configurations that no pod could run are refused, with the key's name."""

import pytest

from graft.kubeflow import refusals
from graft.kubeflow.options import KubeflowOptions
from graft.models.errors import GraftError
from graft.pipeline import config as configs

RAW = {
    "name": "x",
    "data": {"source": "csv", "path": "/mnt/labels.csv"},
    "backbone": {"handle": "MobileNetV2"},
    "root": "/mnt/runs",
    "store": "/mnt/models",
}
SECTION = {"volumes": [{"claim": "graft", "mount": "/mnt"}]}


def check(changes: dict | None = None, **section) -> None:
    config = configs.parse(RAW | (changes or {}) | {"kubeflow": SECTION | section}, "test")
    refusals.check(config, config.kubeflow)


def test_what_a_pod_can_do_is_taken():
    check()
    check({"store": "s3://bucket/models", "backbone": {"handle": "/opt/bb/1"}}, in_image=["/opt/bb"])
    check(stages={"train": {"gpus": 2, "node_selector": {"cloud.example/gpu": "a100"}}, "push": {"cache": False}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"root": "runs"}, "root: received runs, which no pod sees; allowed: a path below /mnt"),
        ({"store": "/elsewhere"}, "store: received /elsewhere, which no pod sees"),
        ({"data": {"source": "csv", "path": "/home/x.csv"}}, r"data\.path: received /home/x.csv"),
        ({"data": RAW["data"] | {"schema": "schema.pbtxt"}}, r"data\.schema: received schema.pbtxt"),
        (
            {
                "data": RAW["data"] | {"target": {"source": "csv", "path": "/other"}},
                "transfer": {"method": "coral"},
            },
            r"data\.target\.0\.path: received /other",
        ),
        ({"backbone": {"handle": "backbones/1"}}, r"backbone\.handle: received backbones/1, .*kubeflow\.in_image"),
        ({"transfer": {"method": "distil", "teacher": "/t"}}, r"transfer\.teacher: received /t"),
        ({"backbone": {"handle": "https://me:pw@host/x"}}, r"backbone\.handle: holds a login"),
    ],
)
def test_paths_and_logins(changes, message):
    with pytest.raises(GraftError, match=message):
        check(changes)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"pipeline_root": "/mnt/artifacts"}, r"kubeflow\.pipeline_root: received /mnt/artifacts; allowed: .*minio://"),
        ({"pipeline_root": "minio://"}, r"kubeflow\.pipeline_root"),
        ({"env": {"AWS_SECRET_ACCESS_KEY": "hush"}}, r"kubeflow\.env\.AWS_SECRET_ACCESS_KEY: looks like a secret"),
        ({"env": {"PROXY": "http://u:hush@proxy"}}, r"kubeflow\.env\.PROXY: holds a login"),
        ({"stages": {"training": {"cpu": 1}}}, r"kubeflow\.stages\.training: no stage of this pipeline; allowed: ing"),
        ({"stages": {"ingest": {"gpus": 1}}}, r"stages\.ingest\.gpus: received 1; .* those that do: features, train"),
        ({"pods": {"gpus": 1}}, r"kubeflow\.pods\.gpus: not every stage can use one"),
        ({"stages": {"push": {"cache": True}}}, r"kubeflow\.stages\.push\.cache: received true; .*allowed: false"),
        ({"pods": {"workers": 2}}, r"kubeflow\.pods\.workers: received 2; allowed: kubeflow\.stages\.train"),
        ({"stages": {"features": {"workers": 2}}}, r"stages\.features\.workers: received 2; .* these can: train$"),
        (
            {"stages": {"train": {"workers": 2}}},
            r"workers: received 2; method 'frozen' as it is set here has no",
        ),
        ({"labels": {"team": "a b"}}, r"kubeflow\.labels: received team: 'a b'; allowed: labels of Kubernetes"),
    ],
)
def test_the_section(section, message):
    with pytest.raises(GraftError, match=message) as raised:
        check(**section)
    assert "hush" not in str(raised.value)


TWO = {"stages": {"train": {"workers": 2, "gpus": 2}}}


@pytest.mark.parametrize(
    "changes",
    [
        {"transfer": {"method": "fine_tune"}},
        {"head": {"solver": "adam"}},
        {"transfer": {"method": "distil", "teacher": "/mnt/t"}},
        {
            "transfer": {"method": "joint", "unfreeze": 0.5},
            "data": RAW["data"] | {"domain": {"column": "d", "target": "a"}},
        },
    ],
    ids=["backbone", "head", "teacher", "both domains"],
)
def test_what_is_trained_by_steps_may_have_workers(changes):
    check(changes, **TWO)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"transfer": {"method": "prune"}}, "method 'prune' as it is set here has no batches that workers could share"),
        ({"transfer": {"method": "tradaboost"}}, "method 'tradaboost' as it is set here"),
        ({"transfer": {"method": "bss"}}, "method 'bss' as it is set here"),
        ({"transfer": {"method": "fine_tune", "mixup": 0.2}}, "method 'fine_tune' as it is set here"),
        ({"transfer": {"method": "distil", "teacher": "/mnt/t", "angles": 1}}, "method 'distil' as it is set here"),
        (
            {"transfer": {"method": "fine_tune"}, "train": {"batch_size": 3}},
            r"workers: received 2 for 4 devices; a step has 3 examples over all of them; allowed: a larger train\.",
        ),
    ],
)
def test_what_workers_cannot_share_is_refused(changes, message):
    with pytest.raises(GraftError, match=message):
        check(changes, **TWO)


def test_a_negative_transfer_gate_that_is_off_has_no_pod():
    with pytest.raises(GraftError, match=r"kubeflow\.stages\.negative_transfer: no stage"):
        check({"gates": {"negative_transfer": None}}, stages={"negative_transfer": {"cpu": 1}})


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"pods": {"memory": "8 GB"}}, r"kubeflow\.pods\.memory: '8 GB' is no amount of memory"),
        ({"stages": {"train": {"gpu": 1}}}, r"kubeflow\.stages\.train\.gpu: unknown key .*did you mean 'gpus'"),
        ({"volumes": [{"claim": "A", "mount": "/x"}]}, r"kubeflow\.volumes\.0\.claim"),
        ({"volumes": [{"claim": "a", "mount": "x"}]}, r"kubeflow\.volumes\.0\.mount"),
        ({"secrets": [{"name": "s"}]}, "secret s is used nowhere"),
        (
            {"volumes": [{"claim": "a", "mount": "/x"}], "secrets": [{"name": "s", "mount": "/x"}]},
            "/x is the folder of two volumes or secrets",
        ),
        ({"pods": {"tolerations": [{"value": "v"}]}}, "a toleration with operator Equal needs a key"),
    ],
)
def test_the_schema_of_the_section(section, message):
    with pytest.raises(GraftError, match=message):
        configs.parse(RAW | {"kubeflow": section}, "test")


def test_a_stage_takes_what_it_does_not_say_from_all_pods():
    options = KubeflowOptions.model_validate(
        {"pods": {"cpu": 2, "memory": "4Gi", "retries": 1}, "stages": {"train": {"memory": "16Gi", "gpus": 1}}}
    )
    train = options.pod("train")
    assert (train.cpu, train.memory, train.retries, train.gpus) == (2, "16Gi", 1, 1)
    assert options.pod("ingest").memory == "4Gi"
