"""Whether an image holds what it must and nothing else: the last step of its build, and part of `make image-test`.

Runs in the image as its user: `python -B contents.py`. Prints a line for each fault and ends with 1, or one line with
the size and the number of components.
"""

import importlib.metadata
import importlib.util
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import sysconfig

HOME = pathlib.Path("/opt/graft")
SBOM = pathlib.Path("/usr/share/graft/sbom.cdx.json")
USER = 1000
MOST_BYTES = {False: 3_500_000_000, True: 9_000_000_000}
"""Size of all files, by whether CUDA's libraries are in."""

IMPORTED = (
    "graft.kubeflow.entrypoint",
    "graft.kubeflow.compile",
    "graft.pipeline.run",
    "graft.serving.store",
    "boto3",
    "kfp.kubernetes",
    "tensorboard",
    "tensorflow_model_analysis",
)
COMMANDS = ("graft", "python", "python3", "tar", "sh")
FORBIDDEN_COMMANDS = (
    *("cc", "c++", "gcc", "g++", "clang", "ld", "as", "make", "cmake"),
    *("pip", "pip3", "uv", "git", "curl", "wget", "pytest", "ruff", "mypy", "python3-config"),
)
FORBIDDEN_MODULES = ("pip", "ensurepip", "pytest", "hypothesis", "moto", "mypy", "xdist", "flask_cors", "pre_commit")
EMPTY = ("/var/lib/apt/lists", "/var/cache/apt/archives", "/source", "/package")
NOT_OF_THE_IMAGE = (
    "/proc",
    "/sys",
    "/dev",
    "/tmp",
    "/run",
    "/build",
    "/etc/hosts",
    "/etc/hostname",
    "/etc/resolv.conf",
)
"""What a container engine mounts, and what is written while a container runs."""


def of_the_process() -> list[str]:
    """Faults of who runs, and of what is there to run."""
    faults = []
    if (os.getuid(), os.getgid()) != (USER, USER):
        faults.append(f"runs as user {os.getuid()}, group {os.getgid()}; it must be {USER}, {USER}")
    faults += [f"{name} is not on the PATH" for name in COMMANDS if shutil.which(name) is None]
    path = os.environ["PATH"] + ":/usr/local/sbin:/usr/sbin:/sbin"
    faults += [f"{found} is there" for name in FORBIDDEN_COMMANDS if (found := shutil.which(name, path=path))]
    if not sys.executable.startswith(str(HOME)):
        faults.append(f"python is {sys.executable}; it must lie in {HOME}")
    return faults


def of_python() -> list[str]:
    """Faults of the environment: what can be imported, and what must not."""
    faults = [f"module {name} is there" for name in FORBIDDEN_MODULES if importlib.util.find_spec(name)]
    for name in IMPORTED:
        try:
            importlib.import_module(name)
        except Exception as error:
            faults.append(f"import {name}: {type(error).__name__}: {error}")
    for words in (["graft", "--help"], ["graft", "kubeflow", "run-local", "--help"]):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode or "usage:" not in done.stdout:
            faults.append(f"{' '.join(words)}: exit code {done.returncode}: {done.stderr.strip()}")
    faults += stale_bytecode()
    return faults


def stale_bytecode() -> list[str]:
    """Sources of what every pod imports whose bytecode is missing or goes by the source's time."""
    library = pathlib.Path(os.__file__).parent
    packages = pathlib.Path(sysconfig.get_path("purelib"))
    places = [*library.glob("*.py")]
    for name in ("graft", "tfx", "keras", "kfp", "apache_beam", "tensorflow/python"):
        places += (packages / name).rglob("*.py")
    bad = []
    for source in places:
        compiled = pathlib.Path(importlib.util.cache_from_source(str(source)))
        if not compiled.is_file() or int.from_bytes(compiled.read_bytes()[4:8], "little") != 1:
            bad.append(str(source))
    return [f"{len(bad)} sources without bytecode that holds whatever their time, such as {bad[0]}"] if bad else []


def of_the_files(top: pathlib.Path = pathlib.Path("/")) -> tuple[list[str], int]:
    """Faults of files and folders as the image's user sees them, and the bytes of all files.

    Args:
        top: root of the image.
    """
    skipped = {top / name.lstrip("/") for name in NOT_OF_THE_IMAGE}
    empty = [top / name.lstrip("/") for name in EMPTY]
    faults: list[str] = []
    sizes: dict[int, int] = {}
    for folder, folders, files in os.walk(top):
        here = pathlib.Path(folder)
        # A volume is not the image's.
        folders[:] = [name for name in folders if here / name not in skipped and not (here / name).is_mount()]
        for path in (here, *(here / name for name in files if here / name not in skipped)):
            found = path.lstat()
            regular, mode = stat.S_ISREG(found.st_mode), stat.filemode(found.st_mode)
            if stat.S_ISLNK(found.st_mode):
                continue
            if regular:
                sizes[found.st_ino] = found.st_size
            if regular and found.st_mode & (stat.S_ISUID | stat.S_ISGID):
                faults.append(f"{path} gives rights to who runs it ({mode})")
            if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
                faults.append(f"{path} may be written by anyone ({mode})")
            if USER in (found.st_uid, found.st_gid):
                faults.append(f"{path} belongs to the image's user")
            if regular and path.name != "lock" and any(place in path.parents for place in empty):
                faults.append(f"{path} is left of the build")
    return faults, sum(sizes.values())


def of_the_sbom() -> tuple[list[str], int]:
    """Faults of the list of contents, and how many components it has."""
    try:
        components = json.loads(SBOM.read_text(encoding="utf-8"))["components"]
    except (OSError, ValueError, KeyError) as error:
        return [f"{SBOM}: {error!r}"], 0
    named = {(_plain(one["name"]), one.get("version")) for one in components}
    installed = {(_plain(one.name), one.version) for one in importlib.metadata.distributions()}
    command = ["dpkg-query", "--show", "--showformat=${Package}\t${Version}\n"]
    rows = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    installed |= {(_plain(name), version) for name, version in (row.split("\t") for row in rows)}
    faults = [f"{SBOM}: does not name {name} {version}" for name, version in sorted(installed - named)]
    return faults, len(components)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> int:
    """Looks at everything."""
    files, size = of_the_files()
    sbom, components = of_the_sbom()
    faults = [*of_the_process(), *of_python(), *files, *sbom]
    most = MOST_BYTES[importlib.util.find_spec("nvidia") is not None]
    if size > most:
        faults.append(f"{size / 1e9:.2f} GB of files; at most {most / 1e9:.2f}")
    for fault in faults:
        print(f"image: {fault}", file=sys.stderr)
    if not faults:
        print(f"image: {size / 1e9:.2f} GB of files, {components} components in {SBOM}, no fault found")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
