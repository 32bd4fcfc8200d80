"""`make audit`: known vulnerabilities of what requirements.lock installs, and which of them Graft can be made to run.

Two sources. scripts/advisories.toml is reviewed by hand and needs no network. pip-audit asks the OSV database, where
it is given and can be reached; what it names and the list does not know fails the audit until somebody has reviewed it.
"""

import argparse
import dataclasses
import json
import pathlib
import re
import subprocess
import sys
import tomllib

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

TOP = pathlib.Path(__file__).parents[1]
_PIN = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)")
_ASK_S = 300


@dataclasses.dataclass(frozen=True)
class Advisory:
    """An entry of advisories.toml."""

    id: str
    package: str
    affected: str
    summary: str
    reachable: bool
    why: str
    aliases: tuple[str, ...] = ()
    guard: str = ""

    @property
    def verdict(self) -> str:
        """In words, for the table."""
        if not self.reachable:
            return "not reachable"
        return "reachable, guarded" if self.guard else "REACHABLE"


def read_pins(lock: pathlib.Path) -> dict[str, str]:
    """{canonical name: version} of a file that `uv pip compile` wrote."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    return {canonicalize_name(match[1]): match[2] for line in lines if (match := _PIN.match(line))}


def read_advisories(path: pathlib.Path) -> tuple[str, list[Advisory]]:
    """The day of the review, and the entries."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    entries = [Advisory(**{**entry, "aliases": tuple(entry.get("aliases", ()))}) for entry in content["advisory"]]
    return str(content["reviewed"]), entries


def affecting(advisories: list[Advisory], pins: dict[str, str]) -> list[Advisory]:
    """Those whose range holds the locked version."""
    return [a for a in advisories if a.package in pins and SpecifierSet(a.affected).contains(pins[a.package], True)]


def ask_osv(pip_audit: str, lock: pathlib.Path) -> list[tuple[str, str, set[str]]]:
    """What pip-audit finds: package, version, ids of one vulnerability.

    Raises:
        OSError: it cannot be run, or could not ask.
    """
    command = [pip_audit, "--disable-pip", "--require-hashes", "-r", str(lock), "-s", "osv", "-f", "json"]
    try:
        asked = subprocess.run(
            [*command, "--progress-spinner", "off"], capture_output=True, text=True, timeout=_ASK_S, check=False
        )
        found = json.loads(asked.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError) as error:
        words = asked.stderr.strip().splitlines()[-1:] if "asked" in locals() else []
        raise OSError(words[0] if words else f"{type(error).__name__}: {error}") from None
    return [
        (package["name"], package["version"], {vulnerability["id"], *vulnerability.get("aliases", ())})
        for package in found
        for vulnerability in package.get("vulns", ())
    ]


def main() -> int:
    """Prints what is known; 1 if something is reachable without a guard, or was never reviewed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lock", type=pathlib.Path, default=TOP / "requirements.lock")
    parser.add_argument("--advisories", type=pathlib.Path, default=TOP / "scripts" / "advisories.toml")
    parser.add_argument("--pip-audit", help="path of pip-audit; without it the list alone is used")
    args = parser.parse_args()
    pins = read_pins(args.lock)
    reviewed, advisories = read_advisories(args.advisories)
    found = affecting(advisories, pins)
    print(f"{len(pins)} packages in {args.lock.name}; {args.advisories.name} was reviewed on {reviewed}.")
    for advisory in found:
        print(f"{advisory.verdict:<20} {advisory.id}  {advisory.package} {pins[advisory.package]}: {advisory.summary}")
        print(f"{'':<20} {advisory.why} {advisory.guard}".rstrip())
    failed = [advisory.id for advisory in found if advisory.reachable and not advisory.guard]
    if args.pip_audit:
        try:
            asked = ask_osv(args.pip_audit, args.lock)
        except OSError as error:
            print(f"NOT ASKED: the OSV database ({error}). The list alone was used: newer advisories may be missing.")
        else:
            known = {name for advisory in found for name in (advisory.id, *advisory.aliases)}
            unknown = [(name, version, ids) for name, version, ids in asked if not ids & known]
            print(f"OSV names {len(asked)} vulnerabilities, {len(unknown)} of them not reviewed.")
            for name, version, ids in unknown:
                print(f"{'NOT REVIEWED':<20} {', '.join(sorted(ids))}  {name} {version}")
            failed += [min(ids) for _, _, ids in unknown]
    else:
        print("NOT ASKED: the OSV database (no pip-audit given). The list alone was used.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
