"""The image's recipe, its contents test and the script that builds it, without a container engine."""

import importlib.util
import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
STEPS = ROOT / "kubeflow" / "image"


def load(name: str):
    """A script of the image as a module."""
    spec = importlib.util.spec_from_file_location(f"image_{name}", STEPS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stages() -> dict[str, list[tuple[str, str]]]:
    """Instructions of the Dockerfile by stage; those before the first stand below `""`."""
    text = "\n".join(
        line for line in (ROOT / "kubeflow" / "Dockerfile").read_text().splitlines() if not line.startswith("#")
    )
    found, here = {"": []}, ""
    for line in filter(None, re.sub(r"\\\n\s*", "", text).splitlines()):
        word, rest = line.split(maxsplit=1)
        if word == "FROM":
            here = rest.split(" AS ")[1]
            found[here] = []
        found[here].append((word, rest))
    return found


def pins(name: str) -> dict[str, set[str]]:
    """Versions in a lock by package; a universal one may have several."""
    found: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([a-z0-9._-]+)==([^ ;]+)", (ROOT / name).read_text(), re.M):
        found.setdefault(package, set()).add(version)
    return found


def test_the_last_stage_takes_two_folders_looks_at_itself_as_its_user_and_ends():
    recipe = stages()
    assert list(recipe) == ["", "runtime", "builder", "final"]
    assert [recipe[name][0][1].split()[0] for name in ("runtime", "builder", "final")] == ["${BASE}", *["runtime"] * 2]
    final = recipe["final"]
    assert [rest for word, rest in final if word == "COPY"] == [
        "--from=builder /opt/graft /opt/graft",
        "--from=builder /usr/share/graft /usr/share/graft",
    ]
    words = [word for word, _ in final]
    assert words.count("RUN") == 1 and final[words.index("RUN")][1].endswith("python -B /build/contents.py")
    assert words.index("USER") < words.index("RUN") and final[words.index("USER")][1] == "1000:1000"
    assert "PYTHONDONTWRITEBYTECODE=1" in final[words.index("ENV")][1]


def test_every_step_is_a_script_that_is_there_and_nothing_comes_from_the_network_but_by_one():
    recipe = [pair for instructions in stages().values() for pair in instructions]
    assert not [rest for word, rest in recipe if word in ("ADD", "SHELL", "ONBUILD")]
    ran = [pathlib.Path(rest.split()[-1]).name for word, rest in recipe if word == "RUN"]
    assert ran == ["runtime.sh", "tools.sh", "environment.sh", "package.sh", "sbom.sh", "contents.py"]
    for name in (name for name in ran if name.endswith(".sh")):
        assert os.access(STEPS / name, os.X_OK), name
        assert subprocess.run(["sh", "-n", STEPS / name], check=False).returncode == 0
    steps = [path for path in STEPS.iterdir() if path.is_file()]  # byte code may lie beside them
    written = "".join(path.read_text() for path in (*steps, ROOT / "scripts" / "image.sh"))
    assert {path.name for path in steps} == {name for name in (*ran, "sbom.py", "pipeline.py")}
    assert "sbom.py" in written and "/build/pipeline.py" in written


def test_what_the_recipe_copies_is_not_ignored():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [rest for word, rest in stages()["builder"] if word == "COPY"]
    for source in (name for rest in copied for name in rest.split()[:-1] if name != "."):
        assert (ROOT / source).is_file() and source.split("/")[0] in allowed
    packages = set(re.search(r"PACKAGES = \((.*)\)", (ROOT / "setup.py").read_text())[1].replace('"', "").split(", "))
    assert packages | {"setup.py", "__init__.py"} <= allowed and "tests" not in allowed


def test_the_image_has_the_versions_that_the_tests_ran_with_and_nothing_for_developers():
    image, tested = pins("requirements-image.lock"), pins("requirements-tfx121.lock")
    assert len(image) > 150 and all(versions <= tested[name] for name, versions in image.items())
    extras = (ROOT / "setup.py").read_text().partition('"dev": [')[2].partition("],")[0]
    developers = {name.lower() for name in re.findall(r'^\s*"([A-Za-z-]+)', extras, re.M)}
    assert {"pytest", "moto"} <= developers and not developers & set(image)
    assert all(name.startswith("nvidia-") for name in pins("requirements-gpu.lock"))


@pytest.mark.parametrize(
    ("name", "mode", "fault"),
    [
        ("usr/bin/good", 0o755, ""),
        ("usr/bin/tool", 0o4755, "gives rights to who runs it (-rwsr-xr-x)"),
        ("etc/open", 0o666, "may be written by anyone (-rw-rw-rw-)"),
        ("var/lib/apt/lists/index", 0o644, "is left of the build"),
        ("tmp/open", 0o666, ""),
    ],
)
def test_what_the_contents_test_says_of_a_file(tmp_path, name, mode, fault):
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text("four")
    path.chmod(mode)
    faults, size = load("contents").of_the_files(tmp_path)
    assert faults == ([f"{path} {fault}"] if fault else [])
    assert size == (0 if name.startswith("tmp") else 4)


def test_a_package_that_no_lock_names_is_not_listed_as_if_it_were():
    sbom = load("sbom")
    value = {"alg": "SHA-256", "content": "00"}
    locked = {"components": [{"name": "a.b", "version": "1", "externalReferences": [{"hashes": [value]}]}]}
    bom = {"components": [{"name": "graft-transfer", "version": "1"}, {"name": "A_b", "version": "1"}]}
    sbom.with_hashes(bom, locked)
    assert [one.get("externalReferences", [{}])[0].get("hashes") for one in bom["components"]] == [None, [value]]
    bom["components"].append({"name": "c", "version": "2"})
    with pytest.raises(SystemExit, match="sbom: c 2 is installed, but no lock has hashes for it"):
        sbom.with_hashes(bom, locked)


def image_script(folder: pathlib.Path, *arguments: str, **told: str) -> subprocess.CompletedProcess:
    """`scripts/image.sh` where only these programs are."""
    for name in ("sh", "dirname", "id", "git", "date", "mktemp", "rm", "mkdir", "cat"):
        if not (folder / name).exists():
            (folder / name).symlink_to(shutil.which(name))
    command = [ROOT / "scripts" / "image.sh", *arguments]
    return subprocess.run(command, env={"PATH": str(folder), **told}, capture_output=True, text=True, check=False)


def engine(folder: pathlib.Path, body: str = "") -> pathlib.Path:
    """A Podman that only writes down what it is asked; returns where."""
    (folder / "podman").write_text(f'#!/bin/sh\necho "$*" >> {folder}/asked\n{body}\n')
    (folder / "podman").chmod(0o755)
    return folder / "asked"


@pytest.mark.parametrize(("verb", "wanted"), [("build", "podman or buildah works"), ("test", "or podman works")])
def test_no_engine_is_one_line(tmp_path, verb, wanted):
    done = image_script(tmp_path, verb)
    assert done.returncode == 1 and wanted in done.stderr and len(done.stderr.splitlines()) == 1


def test_how_an_engine_is_asked_to_build(tmp_path):
    asked = engine(tmp_path)
    assert image_script(tmp_path, "build", IMAGE="registry.example/graft:1", GPU="1").returncode == 0
    words = asked.read_text().splitlines()[-1]
    for part in (
        "build --no-cache --timestamp ",
        "-f kubeflow/Dockerfile",
        "-t registry.example/graft:1",
        "GPU=1",
        "BASE=debian",
    ):
        assert part in words
    assert "--secret" not in words


def test_how_the_image_is_tried(tmp_path):
    asked = engine(tmp_path)
    done = image_script(tmp_path, "test", BASE="b")
    assert done.returncode == 0, done.stderr
    runs = [line for line in asked.read_text().splitlines() if line.startswith("run ")]
    assert runs[0].endswith(" b true"), "whether a container starts here at all"
    for words in runs[1:]:
        for part in ("--read-only", "--user 1000:1000", "--cap-drop ALL", "no-new-privileges", "--network none"):
            assert part in words
        assert re.search(r"--ulimit nofile=(\d+|unlimited):\1 --ulimit nproc=4096:4096 ", words)
    assert "/build/contents.py" in asked.read_text() and "/build/pipeline.py /mnt/graft" in asked.read_text()


def test_without_a_base_debootstrap_is_asked_for(tmp_path):
    engine(tmp_path, 'case "$*" in "image inspect"*) exit 1;; esac')
    done = image_script(tmp_path, "test")
    assert done.returncode == 1 and "debootstrap is missing" in done.stderr and len(done.stderr.splitlines()) == 1
