"""What a run would check of a backbone, each with one line: `graft backbone check`."""

import json
import pathlib
from typing import TYPE_CHECKING, Any

from graft.models.errors import GraftError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from graft.models.backbone import Backbone
    from graft.models.inputs.base import Input
    from graft.models.options import BackboneOptions

SOUND, FAULT, UNKNOWN = "sound", "fault", "not known"
_PROBED = 12


def examine(
    options: "BackboneOptions", input: "BaseModel | None" = None, data: pathlib.Path | None = None
) -> dict[str, Any]:
    """What a backbone is. It is loaded only if it does no more than compute, or is trusted and the pinned one.

    Args:
        options: which backbone.
        input: settings of the input that it is for; None: such as it takes.
        data: folder of files to try it on; None: made-up ones.

    Returns:
        `handle`, `kind`, `sha256`, `bytes`, `faults` (what it would do besides computing, and another hash than the
        pinned one), `feature_dim` (None where it is not known), `not_loaded` (why it is not), `config` (the lines that
        pin it) and `findings`: each with `check`, `verdict` (`sound`, `fault` or `not known`) and `told`.

    Raises:
        GraftError: there is no such backbone, its file is damaged, or the data cannot be read.
    """
    # Imported here: `graft --help` knows neither Keras nor TensorFlow.
    from graft.models import backbone_look

    found = backbone_look.content(options)
    sha256, faults = found.sha256, list(found.faults)
    size = backbone_look.facts(options.handle).bytes if found.bytes is None else found.bytes
    findings = [_finding("content", FAULT, f"does more than compute: {fault}") for fault in faults]
    if not faults:
        findings = [_finding("content", SOUND, "it only computes")]
    unpinned = options.model_copy(update={"sha256": None})
    backbone, not_loaded = None, None
    if sha256 is not None and options.sha256 not in (None, sha256):
        not_loaded = "it is not the pinned one"
    elif faults and not options.trust:
        not_loaded = "it does more than compute"
    else:
        try:
            backbone = backbone_look.loaded(unpinned, input)
        except GraftError as error:
            if sha256 is None and size is None:  # no network of keras.applications has that name
                raise
            not_loaded = str(error)
    if backbone is not None:
        sha256 = sha256 or backbone.identity
        size = backbone_look.weights_bytes(backbone) if found.bytes is None else size
    if options.sha256 is not None:
        same = options.sha256 == sha256
        findings.append(
            _finding("hash", SOUND if same else FAULT, "" if same else f"its sha256 is not the pinned {options.sha256}")
        )
        faults += [] if same else [f"its sha256 is not the pinned {options.sha256}"]
    if backbone is None:
        looked = SOUND if not_loaded is None else UNKNOWN if faults else FAULT
        findings.append(_finding("features", looked, f"not loaded: {not_loaded}"))
    else:
        findings += _tried(backbone, options, input, data)
    return {
        "handle": options.handle,
        "kind": found.kind,
        "sha256": sha256,
        "bytes": size,
        "feature_dim": backbone.feature_dim if backbone else None,
        "not_loaded": not_loaded,
        "faults": faults,
        "findings": findings,
        "config": f"backbone:\n  handle: {json.dumps(options.handle)}\n  sha256: {sha256 or 'null'}",
    }


def at_fault(found: dict[str, Any]) -> bool:
    """Whether a run would refuse the backbone, or should."""
    return any(finding["verdict"] == FAULT for finding in found["findings"])


def lines(found: dict[str, Any]) -> list[str]:
    """What `examine` found, for people."""
    rows = [
        ("backbone", found["handle"]),
        ("kind", found["kind"]),
        ("sha256", found["sha256"]),
        ("size", f"{found['bytes'] / 1e6:.1f} MB"),
        *((finding["check"], _told(finding)) for finding in found["findings"]),
    ]
    told = [f"{name + ':':<12}{value}" for name, value in rows]
    return [*told, "To pin it:", *found["config"].split("\n")]


def _told(finding: dict[str, str]) -> str:
    verdict = finding["verdict"].upper() if finding["verdict"] == FAULT else finding["verdict"]
    return f"{verdict}: {finding['told']}" if finding["told"] else verdict


def _finding(check: str, verdict: str, told: str) -> dict[str, str]:
    return {"check": check, "verdict": verdict, "told": told}


def _tried(
    backbone: "Backbone", options: "BackboneOptions", input: "BaseModel | None", data: pathlib.Path | None
) -> list[dict[str, str]]:
    """What a few examples say of it."""
    from graft.models import backbone_look
    from graft.models.backbone import check_backbone

    taken = backbone.takes
    findings = [_finding("features", SOUND, f"{backbone.feature_dim} numbers for each {taken.one}; {taken.told}")]
    contents: list[bytes] = []
    on = f"made-up {taken.unit}"
    if data is not None:
        contents, refused = backbone_look.sampled(data, taken, _PROBED)
        on = f"{len(contents)} {taken.unit} of {data}"
        few = len(contents) < 2
        told = f"{on} can be used" + (f", {len(refused)} cannot, such as {refused[0]}" if refused else "")
        findings.append(_finding("data", FAULT if few else SOUND, told))
    known = backbone_look.facts(options.handle).input
    # Another size than the publisher's is often meant; another of what would be settled is not.
    wrong = {key: value for key, value in known.items() if key == taken.SETTLES and _differs(input, key, value)}
    try:
        check_backbone(backbone, contents)
    except GraftError as error:
        findings.append(_finding("range", FAULT, f"on {on}: {error}"))
        return findings
    if wrong:
        told = ", ".join(f"its publisher says {key} {value}" for key, value in wrong.items())
        findings.append(_finding("range", FAULT, f"with {taken.fed}: {told}"))
    elif _chosen_here(input, taken, options.handle) and not known and taken.prepared_by.keys() - {"kind"}:
        told = f"Graft does not know what it was trained on; tried with {taken.fed} on {on}, without doubts"
        told += "" if input is None else ". It is auto: a run compares it with others on the data"
        findings.append(_finding("range", UNKNOWN, told))
    else:
        findings.append(_finding("range", SOUND, f"{taken.fed}, tried on {on}"))
    return findings


def _chosen_here(input: "BaseModel | None", taken: "Input", handle: str) -> bool:
    """Whether neither a configuration nor anything that is known says what the backbone is fed with."""
    from graft.models.inputs import make_input

    return (input is None or make_input(input).unsettled) and taken.known(handle) is None


def _differs(input: "BaseModel | None", key: str, value: Any) -> bool:
    """Whether a configuration says something else."""
    given = getattr(input, key, None)
    return isinstance(given, tuple) and list(given) != list(value)
