"""The manifests hold: to Kubernetes' published schema, to each other, to what a pod may do, and to Graft's commands.

Kinds of Kubernetes are held to the models of the official client, which are generated from its OpenAPI. Kustomization
and InferenceService have none there: they are held to small checkers that name their sources (kustomize_for_tests,
schema_for_tests), which know only what the manifests use. No overlay was applied to a cluster. Where kubectl is on the
PATH, what it builds of each overlay is compared and checked too; elsewhere those tests are skipped.
"""

import copy
import hashlib
import json
import os
import pathlib
import re
import runpy
import shutil
import subprocess
import sys
import threading

import kustomize_for_tests as kustomize
import overlay_for_tests as overlay
import pytest
import schema_for_tests as schema
import yaml

from graft.kubeflow import cron, jobs, refusals
from graft.kubeflow.options import KubeflowOptions
from graft.pipeline import cli, sections
from graft.pipeline import config as configs
from graft.serving import model_config
from graft.serving.launch import serve_command

TOP = pathlib.Path(__file__).parents[2]
MANIFESTS = TOP / "kubeflow" / "manifests"
OVERLAYS = sorted(path.name for path in (MANIFESTS / "overlays").iterdir())
BESIDE = {
    "files": "volume",
    "volume-serving": "volume",
    "volume-kserve": "volume",
    "s3-serving": "s3",
    "s3-kserve": "s3",
    "workers": "volume",
}
"""What an overlay is applied beside."""
FILES = sorted(MANIFESTS.rglob("*.yaml"))
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
SECRET = "c2VjcmV0-of-the-test"
MIRROR = MANIFESTS / "overlays" / "s3-serving" / "mirror.py"

needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on the PATH")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The manifests with keys in place, as a user has them."""
    tree = tmp_path_factory.mktemp("manifests") / "manifests"
    shutil.copytree(MANIFESTS, tree, ignore=shutil.ignore_patterns("*.env"))
    for example in tree.rglob("s3.env.example"):
        filled = re.sub("=$", f"={SECRET}", example.read_text(), flags=re.MULTILINE)
        example.with_name("s3.env").write_text(filled)
    return tree


@pytest.fixture(scope="module")
def built(tree):
    return {name: kustomize.build(tree / "overlays" / name) for name in OVERLAYS}


def one(objects, kind):
    [found] = [item for item in objects if item["kind"] == kind]
    return found


def beside(built, name):
    return built[BESIDE[name]] if name in BESIDE else []


def test_the_overlays_are_those_of_the_docs():
    page = (TOP / "docs" / "cluster.md").read_text(encoding="utf-8")
    assert set(OVERLAYS) == {"volume", "s3", *BESIDE}
    assert [name for name in OVERLAYS if f"`overlays/{name}`" not in page] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(MANIFESTS)))
def test_every_file_parses(path):
    documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    assert documents
    assert None not in documents
    if path.name == "kustomization.yaml":
        kustomize.check(documents[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resource": ["a.yaml"]}, "unknown field resource"),
        ({"resources": "a.yaml"}, "is no list"),
        ({"kind": "Kustomisation"}, "not that of a Kustomization"),
        ({"images": [{"name": "a", "tag": "1"}]}, "images: unknown field tag"),
        ({"secretGenerator": [{"name": "a", "literals": ["KEY=value"]}]}, "secretGenerator: unknown field literals"),
    ],
)
def test_a_kustomization_that_is_wrong_is_noticed(change, message):
    right = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": []}
    kustomize.check(right)
    with pytest.raises(ValueError, match=message):
        kustomize.check(right | change)


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_object_is_valid(built, name):
    assert [fault for item in built[name] for fault in schema.faults(item)] == []


def at(path, value):
    """A change of an object: the value at a place, or with None without it."""

    def change(item):
        *way, last = path
        for step in way:
            item = item[step]
        if value is None:
            del item[last]
        else:
            item[last] = value

    return change


POD = ("spec", "template", "spec")
SERVING = (*POD, "containers", 0)


@pytest.mark.parametrize(
    ("name", "kind", "change", "message"),
    [
        ("volume-serving", "Deployment", at(("spec", "replica"), 2), "spec: unknown key replica"),
        ("volume-serving", "Deployment", at(("spec", "replicas"), "2"), "spec.replicas: '2' is no int"),
        ("volume-serving", "Deployment", at(("spec", "replicas"), True), "spec.replicas: True is no int"),
        ("volume-serving", "Deployment", at(("spec", "selector"), None), "`selector`, must not be `None`"),
        ("volume-serving", "Deployment", at((*SERVING, "command"), "serve"), "'serve' is no list"),
        ("volume-serving", "Deployment", at((*SERVING, "readinessprobe"), {}), "unknown key readinessprobe"),
        ("volume-serving", "Deployment", at((*SERVING, "resources", "limits", "memory"), "4 GB"), "is no quantity"),
        ("volume-serving", "Deployment", at((*SERVING, "name"), None), "`name`, must not be `None`"),
        ("volume-serving", "Deployment", at(("metadata", "labels", "on"), True), "True is no str"),
        ("volume-serving", "Service", at(("spec", "ports", 0, "targetPort"), [1]), "neither a number nor a name"),
        ("volume-serving", "NetworkPolicy", at(("spec", "egress"), {}), "is no list"),
        ("volume", "CronJob", at(("spec", "schedule"), None), "`schedule`, must not be `None`"),
        ("volume", "CronJob", at(("apiVersion",), "batch/v1beta1"), "unknown kind"),
        ("volume", "Role", at(("rules", 0, "verbs"), None), "`verbs`, must not be `None`"),
        ("volume-kserve", "InferenceService", at(("spec", "predictor", "minReplica"), 1), "unknown key minReplica"),
        ("volume-kserve", "InferenceService", at(("spec", "predictor", "minReplicas"), "1"), "is no int"),
        ("volume-kserve", "InferenceService", at(("spec", "predictor", "model", "storageURI"), "x"), "storageURI"),
        ("volume-kserve", "InferenceService", at(("spec", "predictor", "model", "storageUri"), "claim"), "no scheme"),
        ("volume-kserve", "InferenceService", at(("spec", "predictor", "model", "args"), "x"), "is no list"),
    ],
)
def test_an_object_that_is_wrong_is_noticed(built, name, kind, change, message):
    item = copy.deepcopy(one([i for i in built[name] if i["metadata"]["name"] != "graft-schedule"], kind))
    assert schema.faults(item) == []
    change(item)
    assert [fault for fault in schema.faults(item) if message in fault]


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_fits_together(built, name):
    assert overlay.faults(built[name], beside(built, name)) == []


@pytest.mark.parametrize(
    ("name", "kind", "change", "message"),
    [
        ("volume-serving", "Service", at(("spec", "selector"), {"app": "other"}), "selects no pod"),
        ("volume-serving", "Service", at(("spec", "ports", 0, "targetPort"), "http"), "no port http"),
        ("volume-serving", "NetworkPolicy", at(("spec", "ingress", 0, "ports", 0, "port"), 80), "no port 80"),
        ("volume-serving", "PodDisruptionBudget", at(("spec", "selector", "matchLabels"), {"a": "b"}), "selects no"),
        ("volume-serving", "PodDisruptionBudget", at(("metadata", "namespace"), "other"), "namespaces"),
        ("volume-serving", "Deployment", at((*SERVING, "image"), "tensorflow/serving:latest"), "has no version"),
        ("volume-serving", "Deployment", at((*SERVING, "image"), "tensorflow/serving"), "has no version"),
        ("volume-serving", "Deployment", at((*SERVING, "livenessProbe", "httpGet", "port"), "web"), "no port web"),
        ("volume-serving", "Deployment", at((*SERVING, "volumeMounts", 0, "name"), "model"), "no volume model"),
        ("volume-serving", "Deployment", at((*SERVING, "securityContext", "readOnlyRootFilesystem"), None), "write"),
        ("volume-serving", "Deployment", at((*SERVING, "securityContext", "capabilities"), None), "has capabilities"),
        ("volume-serving", "Deployment", at((*SERVING, "resources", "limits"), None), "no limits of cpu"),
        ("volume-serving", "Deployment", at((*POD, "initContainers", 0, "securityContext"), None), "gain privileges"),
        ("volume-serving", "Deployment", at((*POD, "securityContext", "runAsNonRoot"), False), "may run as root"),
        ("volume-serving", "Deployment", at((*POD, "securityContext", "seccompProfile"), None), "seccomp"),
        ("volume-serving", "Deployment", at((*POD, "automountServiceAccountToken"), True), "gets a token"),
        ("volume-serving", "Deployment", at((*POD, "serviceAccountName"), "default"), "no ServiceAccount default"),
        ("volume-serving", "Deployment", at((*POD, "hostNetwork"), True), "hostNetwork"),
        ("volume-serving", "Deployment", at((*POD, "volumes", 0, "configMap", "name"), "x"), "no ConfigMap x"),
        (
            "volume-serving",
            "Deployment",
            at((*POD, "volumes", 2, "persistentVolumeClaim", "claimName"), "x"),
            "no PersistentVolumeClaim x",
        ),
        (
            "volume-serving",
            "Deployment",
            at((*SERVING, "readinessProbe", "httpGet", "path"), "/v1/models/MODEL/metadata"),
            "MODEL is left",
        ),
        (
            "s3-serving",
            "Deployment",
            at((*POD, "containers", 1, "env", 0, "valueFrom", "configMapKeyRef", "key"), "x"),
            "no key x",
        ),
        ("s3-serving", "Deployment", at((*POD, "containers", 1, "envFrom", 0, "secretRef", "name"), "x"), "Secret x"),
        ("s3-serving", "Deployment", at((*POD, "volumes", 2, "emptyDir", "sizeLimit"), "20Gi"), "is evicted at"),
        (
            "s3-serving",
            "Deployment",
            at((*POD, "containers", 1, "env", 0), {"name": "AWS_SECRET_ACCESS_KEY", "value": "x"}),
            "has its value here",
        ),
        ("volume", "RoleBinding", at(("roleRef", "name"), "x"), "no Role x"),
        ("volume", "RoleBinding", at(("subjects", 0, "name"), "x"), "no ServiceAccount x"),
        ("workers", "RoleBinding", at(("subjects", 0, "namespace"), "x"), "in another namespace"),
        ("workers", "RoleBinding", at(("subjects", 0, "name"), "x"), "no ServiceAccount x"),
        ("workers", "NetworkPolicy", at(("spec", "podSelector", "matchLabels"), {"a": "b"}), "selects no pod"),
        ("s3-kserve", "ServiceAccount", at(("secrets", 0, "name"), "x"), "no Secret x"),
        ("s3-kserve", "InferenceService", at(("spec", "predictor", "serviceAccountName"), "x"), "no ServiceAccount x"),
        ("volume-kserve", "InferenceService", at(("spec", "predictor", "model", "storageUri"), "pvc://x"), "Claim x"),
    ],
)
def test_an_overlay_that_does_not_fit_is_noticed(built, name, kind, change, message):
    objects = copy.deepcopy(built[name])
    change(one(objects, kind))
    assert [fault for fault in overlay.faults(objects, beside(built, name)) if message in fault]


def by_kubectl(tree, name):
    done = subprocess.run(
        ["kubectl", "kustomize", tree / "overlays" / name], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == ""
    return done.stdout


def keyed(objects):
    return {(item["kind"], item["metadata"]["name"]): item for item in objects}


@needs_kubectl
@pytest.mark.parametrize("name", OVERLAYS)
def test_kubectl_builds_the_same(tree, built, name):
    text = by_kubectl(tree, name)
    generated = [item["metadata"]["name"] for item in built[name] if item["kind"] in ("ConfigMap", "Secret")]
    for plain in generated:  # a hash of its content is part of its name
        text = re.sub(rf"\b{plain}-[0-9a-z]{{10}}\b", plain, text)
    assert keyed(yaml.safe_load_all(text)) == keyed(built[name])


@pytest.mark.slow
@needs_kubectl
@pytest.mark.parametrize("name", OVERLAYS)
def test_what_kubectl_builds_fits_together(tree, name):
    """With the hashes in the names, which not every reference follows."""
    elsewhere = list(yaml.safe_load_all(by_kubectl(tree, BESIDE[name]))) if name in BESIDE else []
    assert overlay.faults(list(yaml.safe_load_all(by_kubectl(tree, name))), elsewhere) == []


# Secrets


def test_no_secret_is_in_the_manifests():
    for path in MANIFESTS.rglob("*"):
        if path.is_file() and path.suffix != ".env":
            text = path.read_text(encoding="utf-8")
            assert not re.search(rf"({'|'.join(KEYS)})[=:] *(?!AWS_)[^\s{{}},]", text), path
    assert [
        item for path in FILES for item in yaml.safe_load_all(path.read_text()) if item.get("kind") == "Secret"
    ] == []


def test_the_keys_come_from_a_file_that_git_ignores(tree, built):
    for name in ("s3", "s3-serving", "s3-kserve"):
        folder = MANIFESTS / "overlays" / name
        example = [line for line in (folder / "s3.env.example").read_text().splitlines() if not line.startswith("#")]
        assert example == [f"{key}=" for key in KEYS]
        assert sorted(one(built[name], "Secret")["data"]) == sorted(KEYS)
    assert "/kubeflow/manifests/overlays/*/*.env" in (TOP / ".gitignore").read_text().splitlines()
    if (TOP / ".git").exists() and shutil.which("git"):
        ignored = ["git", "-C", str(TOP), "check-ignore", "-q", str(MANIFESTS / "overlays" / "s3" / "s3.env")]
        assert subprocess.run(ignored, timeout=60).returncode == 0


def test_without_the_keys_nothing_is_built(tmp_path):
    shutil.copytree(MANIFESTS, tmp_path / "m", ignore=shutil.ignore_patterns("*.env"))
    with pytest.raises(FileNotFoundError, match=r"s3\.env"):
        kustomize.build(tmp_path / "m" / "overlays" / "s3")


# What the pods run


@pytest.mark.parametrize("name", ["volume", "s3"])
@pytest.mark.parametrize("kind", ["Job", "CronJob"])
def test_the_jobs_run_commands_that_exist(tree, built, name, kind):
    [container] = kustomize.templates(one(built[name], kind))[0]["spec"]["containers"]
    variables = {entry["name"]: entry.get("value", "team-a") for entry in container["env"]}
    words = [re.sub(r"\$\((\w+)\)", lambda found: variables[found[1]], word) for word in container["args"]]
    args = cli._parser().parse_args(words)
    assert container["command"] == ["graft"]
    assert variables["GRAFT_IMAGE"] == container["image"] == "registry.example/graft:0.1.0"
    if kind == "Job":
        assert len(cron.parse(args.cron).text.split()) == 6
    config = configs.load(tree / "overlays" / name / pathlib.PurePath(args.config).name, args.set)
    options = sections.section(config, "kubeflow", KubeflowOptions)
    refusals.check(config, options)
    assert options.image == "registry.example/graft:0.1.0"
    assert options.server.namespace == "team-a"
    assert options.server.private
    token, mounts = options.server.token_file, [mount["mountPath"] for mount in container["volumeMounts"]]
    assert str(pathlib.PurePosixPath(token).parent) in mounts
    claims = {item["metadata"]["name"] for item in built[name] if item["kind"] == "PersistentVolumeClaim"}
    assert {volume.claim for volume in options.volumes} == claims
    keys = {secret.name: set(secret.env.values()) for secret in options.secrets}
    held = {i["metadata"]["name"]: set(i["data"]) for i in built[name] if i["kind"] == "Secret"}
    assert keys == held


def test_who_submits_may_do_no_more_than_the_commands_do(built):
    role = one(built["volume"], "Role")
    rights = {rule["resources"][0]: rule["verbs"] for rule in role["rules"]}
    assert {group for rule in role["rules"] for group in rule["apiGroups"]} == {"pipelines.kubeflow.org"}
    assert rights == {
        "experiments": ["get", "list", "create"],
        "runs": ["get", "list", "create"],
        "jobs": ["get", "list", "create", "delete", "enable", "disable"],
    }


def test_a_task_with_workers_may_do_what_it_asks_for(built):
    """And no more: `cluster_job` makes, looks at and deletes what `jobs` describes."""
    rights = {name: rule["verbs"] for rule in one(built["workers"], "Role")["rules"] for name in rule["resources"]}
    assert rights == {name: ["get", "create", "delete"] for name in ("trainjobs", "trainingruntimes", "tfjobs")}
    for job in ("trainjob", "tfjob"):
        options = KubeflowOptions.model_validate({"stages": {"train": {"workers": 2, "job": job}}})
        for manifest in jobs.described(options.pod("train"), options)["manifests"]:
            group, plural = manifest["apiVersion"].partition("/")[0], f"{manifest['kind'].lower()}s"
            assert plural in next(
                r["resources"] for r in one(built["workers"], "Role")["rules"] if group in r["apiGroups"]
            )


def test_the_server_follows_the_store_as_graft_serve_does(built):
    ours = serve_command("tensorflow_model_server", pathlib.Path("/mnt/models/models.config"), 8500, 8501)
    container = one(built["volume-serving"], "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert set(ours[1:]) <= set(container["args"])
    [store] = [mount for mount in container["volumeMounts"] if mount["mountPath"] == "/mnt/models"]
    assert store["readOnly"]
    config = configs.load(MANIFESTS / "overlays" / "volume" / "config.yaml")
    assert config.store == "/mnt/models"  # base paths in models.config begin so
    assert f"/v1/models/{config.name}/metadata" == container["readinessProbe"]["httpGet"]["path"]
    metrics = one(built["volume-serving"], "ConfigMap")["data"]["monitoring.config"]
    path = container["livenessProbe"]["httpGet"]["path"]
    assert metrics == f'prometheus_config {{ enable: true path: "{path}" }}\n'


@pytest.mark.parametrize("name", OVERLAYS)
def test_no_pod_gets_a_proxy(built, name):
    """Istio's would keep Jobs from ending."""
    labels = [template["metadata"]["labels"] for item in built[name] for template in kustomize.templates(item)]
    assert [held for held in labels if held.get("sidecar.istio.io/inject") != "false"] == []


def test_an_update_leaves_no_gap(built):
    spec = one(built["volume-serving"], "Deployment")["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert spec["replicas"] > one(built["volume-serving"], "PodDisruptionBudget")["spec"]["minAvailable"]
    pod = spec["template"]["spec"]
    [sleep] = [int(word) for word in pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1:]]
    assert pod["terminationGracePeriodSeconds"] >= sleep + 30  # --rest_api_timeout_in_ms


def test_kserve_is_told_which_version(built):
    for name, file in (("volume-kserve", "models.config"), ("s3-kserve", "mounted.config")):
        args = one(built[name], "InferenceService")["spec"]["predictor"]["model"]["args"]
        assert args[0] == f"--model_config_file=/mnt/models/{file}"


def test_the_package_holds_no_manifest(monkeypatch):
    told = {}
    monkeypatch.setattr("setuptools.setup", lambda **given: told.update(given))
    monkeypatch.chdir(TOP)
    runpy.run_path(str(TOP / "setup.py"))
    assert "graft.kubeflow" in told["packages"]
    assert [name for name in told["packages"] if "manifests" in name] == []


# The copy of a store on S3


@pytest.fixture(scope="module")
def mirror():
    return runpy.run_path(str(MIRROR))


@pytest.fixture(scope="module")
def address():
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def bucket(address, request, monkeypatch):
    """A bucket of its own, and the variables that lead there."""
    import boto3

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = boto3.resource("s3").Bucket("b" + hashlib.sha256(request.node.name.encode()).hexdigest()[:20])
    bucket.create()
    return bucket


def push(bucket, version, content=b"weights", listed=None):
    """What a push leaves, with a file whose name or sha256 may be another one in the manifest."""
    files = {"saved_model.pb": content, "variables/variables.index": content * 2}
    for name, held in files.items():
        bucket.put_object(Key=f"production/flowers/{version}/{name}", Body=held)
    told = {name: {"size": len(held), "sha256": hashlib.sha256(held).hexdigest()} for name, held in files.items()}
    manifest = json.dumps({"files": told | (listed or {})}).encode()
    bucket.put_object(Key=f"production/flowers/{version}/graft_manifest.json", Body=manifest)
    config = model_config.format_models_config([("flowers", "/mnt/models/flowers", version)])
    bucket.put_object(Key="production/mounted.config", Body=config.encode())
    return config


def versions(folder):
    return sorted(path.name for path in (folder / "flowers").iterdir())


def test_a_copy_follows_the_pointer(bucket, mirror, tmp_path):
    config = push(bucket, 1)
    copied = mirror["Mirror"](f"s3://{bucket.name}/production", tmp_path)
    assert copied.round()
    assert (tmp_path / "mounted.config").read_text() == config
    assert (tmp_path / "flowers/1/variables/variables.index").read_bytes() == b"weights" * 2
    assert not copied.round()
    push(bucket, 2, b"others")
    assert copied.round()
    assert versions(tmp_path) == ["1", "2"]  # the server may still be loading 2
    push(bucket, 3)
    assert copied.round()
    assert versions(tmp_path) == ["2", "3"]
    push(bucket, 2, b"others")  # a rollback
    assert copied.round()
    assert "versions: 2 " in (tmp_path / "mounted.config").read_text()
    assert not [path for path in tmp_path.rglob("*.part")]


def test_a_copy_of_what_graft_itself_pushes(bucket, mirror, tmp_path):
    from graft.serving import manifest
    from graft.serving.s3_store import S3Store

    model = tmp_path / "model"
    (model / "variables").mkdir(parents=True)
    (model / "saved_model.pb").write_bytes(b"graph")
    (model / "variables" / "variables.index").write_bytes(b"weights")
    store = S3Store(f"s3://{bucket.name}/production")
    store.push("flowers", model, {})
    copied = mirror["Mirror"](f"s3://{bucket.name}/production", tmp_path / "copy")
    (tmp_path / "copy").mkdir()
    assert copied.round()
    (model / "saved_model.pb").write_bytes(b"another")
    store.push("flowers", model, {})
    assert copied.round()
    assert "versions: 2 " in (tmp_path / "copy" / "mounted.config").read_text()
    assert manifest.read(tmp_path / "copy" / "flowers" / "2")["version"] == 2


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ({"saved_model.pb": {"size": 1, "sha256": "0" * 64}}, "is not what the manifest says"),
        ({"../../mounted.config": {"size": 1, "sha256": "0" * 64}}, "not below the version"),
        ({"/etc/passwd": {"size": 1, "sha256": "0" * 64}}, "not below the version"),
    ],
)
def test_a_version_that_is_not_whole_is_not_served(bucket, mirror, tmp_path, listed, message):
    before = push(bucket, 1)
    copied = mirror["Mirror"](f"s3://{bucket.name}/production/", tmp_path)
    copied.round()
    push(bucket, 2, listed=listed)
    with pytest.raises(mirror["Fault"], match=message):
        copied.round()
    assert (tmp_path / "mounted.config").read_text() == before
    assert versions(tmp_path) == ["1"]


def test_an_empty_store_and_another_address_are_said(bucket, mirror, tmp_path):
    with pytest.raises(mirror["Fault"], match="a first push makes it"):
        mirror["Mirror"](f"s3://{bucket.name}/production", tmp_path).round()
    with pytest.raises(mirror["Fault"], match="allowed: s3://BUCKET/PREFIX"):
        mirror["Mirror"]("gs://bucket/production", tmp_path)


@pytest.mark.slow
def test_the_first_copy_waits_for_a_push(bucket, tmp_path):
    """As the container before the server does it."""
    command = [sys.executable, str(MIRROR), "--once", "--every", "0.2", f"s3://{bucket.name}/production", str(tmp_path)]
    waiting = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert "a first push makes it" in waiting.stderr.readline()
        push(bucket, 7)
        assert waiting.wait(60) == 0
    finally:
        waiting.kill()
        waiting.communicate()
    assert versions(tmp_path) == ["7"]
