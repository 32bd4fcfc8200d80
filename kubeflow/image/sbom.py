"""Joins the parts of the image's list of contents (SBOM): Python's packages, their hashes, Debian's packages.

Runs while the image is built, in the environment of requirements-sbom.lock: `sbom.py ENVIRONMENT LOCKED DPKG OUTPUT`.
The first two are what cyclonedx-py says of the environment (names, versions, licences) and of the locks (hashes), DPKG
is the folder of dpkg's database. Written is CycloneDX 1.6 as JSON (https://cyclonedx.org/docs/1.6/json/), checked
against its schema.
"""

import json
import pathlib
import re
import subprocess
import sys
from typing import Any
from urllib.parse import quote

FORMAT = "${Package}\t${Version}\t${Architecture}\t${db:Status-Status}\n"
_LICENCE = re.compile(r"^License:[ \t]*(\S.*)$", re.M)

GRAFT = "graft-transfer"
"""The distribution's name."""


def key(component: dict[str, Any]) -> tuple[str, str]:
    """Name, written in one way, and version of a Python package."""
    return re.sub(r"[-_.]+", "-", component["name"]).lower(), component.get("version", "")


def with_hashes(environment: dict[str, Any], locked: dict[str, Any]) -> None:
    """Gives each installed package the hashes of the files that its lock allows.

    Raises:
        SystemExit: a package was installed that no lock names.
    """
    hashes = {
        key(one): [value for reference in one.get("externalReferences", ()) for value in reference.get("hashes", ())]
        for one in locked["components"]
    }
    for one in environment["components"]:
        if one["name"] == GRAFT:
            continue
        name, version = key(one)
        if not hashes.get((name, version)):
            sys.exit(f"sbom: {name} {version} is installed, but no lock has hashes for it")
        # Which of the release's files was installed, nobody wrote down: the lock allows any of them.
        allowed = {
            "type": "distribution",
            "url": f"https://pypi.org/project/{name}/{version}/",
            "hashes": hashes[name, version],
        }
        one.setdefault("externalReferences", []).append(allowed)


def debian(database: str) -> list[dict[str, Any]]:
    """Components for the packages of a database of dpkg, with the licences that their copyright files name."""
    release = dict(
        line.rstrip().replace('"', "").split("=", 1)
        for line in pathlib.Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
        if "=" in line
    )
    command = ["dpkg-query", f"--admindir={database}", "--show", f"--showformat={FORMAT}"]
    rows = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found = []
    for name, version, architecture, status in (row.split("\t") for row in rows):
        if status != "installed":
            continue
        purl = (
            f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={architecture}&distro=debian-{release['VERSION_ID']}"
        )
        component: dict[str, Any] = {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": version,
            "purl": purl,
        }
        copyright_file = pathlib.Path("/usr/share/doc", name, "copyright")
        if copyright_file.is_file():
            text = copyright_file.read_text(encoding="utf-8", errors="replace")
            if names := sorted(set(_LICENCE.findall(text))):
                component["licenses"] = [{"license": {"name": licence}} for licence in names]
        found.append(component)
    return found


def main(environment: str, locked: str, database: str, output: str) -> None:
    """Writes the joined list."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    bom, hashes = (json.loads(pathlib.Path(path).read_text(encoding="utf-8")) for path in (environment, locked))
    with_hashes(bom, hashes)
    [graft] = (one for one in bom["components"] if one["name"] == GRAFT)
    bom["metadata"]["component"] = {
        "type": "container",
        "bom-ref": "image",
        "name": "graft",
        "version": graft["version"],
    }
    bom["components"] += debian(database)
    bom.setdefault("dependencies", []).append(
        {"ref": "image", "dependsOn": [one["bom-ref"] for one in bom["components"]]}
    )
    text = json.dumps(bom, indent=1, sort_keys=True) + "\n"
    if fault := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        sys.exit(f"sbom: not as CycloneDX 1.6 wants it: {fault}")
    pathlib.Path(output).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
