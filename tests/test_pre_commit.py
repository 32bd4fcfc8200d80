"""The hooks of pre-commit: their files are what pre-commit reads, and their commands do what they say, as written."""

import pathlib
import re
import shlex
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[1]
BIN = pathlib.Path(sys.executable).parent
KEYS = {"id", "name", "description", "entry", "language", "files", "types", "types_or", "pass_filenames"}
"""Those of a hook that are used here, of https://pre-commit.com/#new-hooks."""
OWN = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
OFFERED = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
HOOKS = {hook["id"]: hook for hook in OWN["repos"][0]["hooks"]}


def faults(hook: dict) -> list[str]:
    """What pre-commit would refuse of a hook, or download for it."""
    found = [f"unknown key {key}" for key in hook.keys() - KEYS]
    found += [f"no {key}" for key in ("id", "name", "entry", "language") if not isinstance(hook.get(key), str)]
    if hook.get("language") != "system":
        found.append("it would install something")
    try:
        re.compile(hook.get("files", ""))
    except re.error as error:
        found.append(f"files: {error}")
    return found


@pytest.mark.parametrize("hook", [*HOOKS.values(), *OFFERED], ids=lambda hook: hook["id"])
def test_a_hook_is_one_and_downloads_nothing(hook):
    assert faults(hook) == []


def test_a_hook_at_fault_is_noticed():
    wrong = {"id": "x", "entry": "y", "language": "python", "files": "(", "file": "z"}
    assert len(faults(wrong)) == 4


def test_all_of_the_houses_hooks_are_local():
    assert [repository["repo"] for repository in OWN["repos"]] == ["local"]
    assert list(HOOKS) == ["ruff-format", "ruff-check", "import-contracts", "mypy", "graft-config"]
    assert [hook["id"] for hook in OFFERED] == ["graft-config"]


@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS)
def test_its_tool_is_in_the_environment(hook):
    [tool] = re.findall(r"\.venv/bin/([\w-]+)", hook["entry"])
    assert (BIN / tool).is_file()


def run(hook: dict, *files: pathlib.Path) -> subprocess.CompletedProcess:
    """Runs a hook as pre-commit does: the entry's words, then the files, in the root of the repository."""
    words = [word.replace(".venv/bin", str(BIN)) for word in shlex.split(hook["entry"])]
    if words[0].endswith("graft"):  # the installed command may be that of another clone
        words[:1] = [sys.executable, "-m", "graft.pipeline.cli"]
    return subprocess.run([*words, *files], cwd=ROOT, capture_output=True, text=True)


def test_format_and_lint(tmp_path):
    crooked = tmp_path / "crooked.py"
    crooked.write_text("x  = 1\n")
    assert run(HOOKS["ruff-format"], crooked).returncode == 0
    assert crooked.read_text() == "x = 1\n"  # pre-commit stops a commit whose files a hook has changed
    assert run(HOOKS["ruff-check"], crooked).returncode == 0
    crooked.write_text("import os\n")
    assert run(HOOKS["ruff-check"], crooked).returncode == 1


@pytest.mark.slow
@pytest.mark.parametrize("hook", [HOOKS["graft-config"], *OFFERED], ids=["own", "offered"])
def test_configurations(hook, tmp_path):
    configs = [path.relative_to(ROOT) for path in sorted((ROOT / "configs").iterdir())]
    assert all(re.search(hook["files"], path.as_posix()) for path in configs)
    assert not re.search(hook["files"], "docs/mkdocs.yaml")
    assert run(hook, *configs).returncode == 0
    typo = tmp_path / "typo.yaml"
    typo.write_text("name: x\ndata: {source: image_folder, path: y}\nbackbone: {handle: z}\ngate: {}\n")
    done = run(hook, *configs, typo)
    assert done.returncode == 1 and "did you mean 'gates'" in done.stdout


def test_the_page_names_the_hook_that_is_offered():
    page = (ROOT / "docs" / "tools.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"```yaml\n(repos:.*?)```", page, re.DOTALL)
    [hook] = yaml.safe_load(shown)["repos"][0]["hooks"]
    assert hook["id"] == OFFERED[0]["id"] and not hook.keys() - KEYS
