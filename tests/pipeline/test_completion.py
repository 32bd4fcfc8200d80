"""The shells' own completion, with the script that Graft prints."""

import shutil
import subprocess

import pytest

from graft.pipeline import cli, completion

TRY = """
source {script}
function=$(complete -p graft | sed -E 's/.*-F ([^ ]+).*/\\1/')
COMP_WORDS=({words})
COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
$function
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture(scope="module")
def bash(tmp_path_factory):
    """complete(words): what bash proposes for the last of them, in a folder with a few files."""
    folder = tmp_path_factory.mktemp("shell")
    (folder / "graft.bash").write_text(completion.script(cli._parser(), "bash"))
    (folder / "work" / "configs").mkdir(parents=True)
    (folder / "work" / "configs" / "flowers.yaml").touch()
    (folder / "work" / "runs").mkdir()
    (folder / "work" / "notes.txt").touch()

    def complete(words: str) -> set[str]:
        code = TRY.format(script=folder / "graft.bash", words=words)
        done = subprocess.run(
            ["bash", "--norc", "-c", code], cwd=folder / "work", capture_output=True, text=True, check=True
        )
        assert done.stderr == ""
        return set(done.stdout.split())

    return complete


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("graft mo", {"models", "monitor"}),
        ("graft models r", {"rollback"}),
        ("graft kubeflow schedule p", {"pause"}),
        ("graft run --s", {"--set"}),
        ("graft completion ''", {"bash", "zsh", "tcsh"}),
        ("graft serve x --log-format j", {"json"}),
        ("graft run configs/f", {"configs/flowers.yaml"}),
        ("graft config check n", {"notes.txt"}),
        ("graft predict ''", {"configs", "notes.txt", "runs"}),
        ("graft serve ''", {"configs", "runs"}),
        ("graft runs --root ''", {"configs", "runs"}),
        ("graft nosuch", set()),
        ("graft models nosuch", set()),
    ],
)
def test_bash_completes(bash, words, found):
    assert bash(words) == found


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_a_script_is_printed_as_it_is(shell, capsys):
    assert cli.main(["completion", shell]) == 0
    printed = capsys.readouterr().out
    assert printed.rstrip("\n") == completion.script(cli._parser(), shell).rstrip("\n")
    if found := shutil.which(shell):
        assert subprocess.run([found, "-n"], input=printed, text=True, capture_output=True).returncode == 0


def test_another_shell_is_refused(capsys):
    with pytest.raises(SystemExit):
        cli.main(["completion", "fish"])
    assert "invalid choice: 'fish'" in capsys.readouterr().err
