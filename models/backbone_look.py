"""What a backbone is: looked at as far as it may be, for people who consider one. A run decides nothing by it."""

import contextlib
import dataclasses
import pathlib
from typing import Any

import keras
from pydantic import BaseModel

from graft.models import application_facts, applications, handles, hub_layer, keras_archive, saved_model_check
from graft.models.backbone import Backbone, check_shapes, load_body, traced_shapes
from graft.models.backbone_facts import Facts
from graft.models.errors import GraftError
from graft.models.hashing import backbone_hash
from graft.models.inputs import KINDS, make_input, parse_options
from graft.models.inputs.base import Input
from graft.models.options import BackboneOptions


@dataclasses.dataclass(frozen=True)
class Content:
    """What lies behind a handle, looked at without running any of it.

    Attributes:
        kind: `SavedModel`, `Keras file` or `keras.applications`.
        sha256: of its content; None for a network of `keras.applications`, which has none before it is built.
        bytes: of its content; None likewise.
        faults: what it would do besides computing.
    """

    kind: str
    sha256: str | None
    bytes: int | None
    faults: list[str]


def content(options: BackboneOptions) -> Content:
    """Raises GraftError if there is no such backbone, or its file is damaged."""
    if applications.is_application(options.handle):
        return Content("keras.applications", None, None, [])
    place = handles.placed(options.handle)
    if place.endswith(".keras"):
        path = pathlib.Path(place)
        if not path.is_file():
            raise GraftError(f"backbone {place!r} does not exist")
        fault = keras_archive.find_fault(path)
        return Content("Keras file", backbone_hash(path), path.stat().st_size, [fault] if fault else [])
    folder = hub_layer.resolve_handle(place, options.allow_http)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return Content("SavedModel", backbone_hash(folder), size, saved_model_check.find_faults(folder))


def facts(handle: str) -> Facts:
    """What Graft or a package knows of a backbone by its handle; raises GraftError as `models.handles.placed`."""
    return application_facts.facts(handle) or handles.facts(handle) or Facts()


def loaded(options: BackboneOptions, input: BaseModel | None = None) -> Backbone:
    """A backbone that gives feature vectors of such an input.

    Args:
        options: which backbone.
        input: settings of the input; None: one that it takes, by what is known of it and by its own shapes.

    Raises:
        GraftError: as `models.backbone.load_backbone`.
    """
    body, identity, taken = _body(options, input)
    feature_dim = check_shapes(body, options.handle, taken)
    return Backbone(body, options.handle, identity, taken, feature_dim, options.feature_layer)


def seen(options: BackboneOptions, input: BaseModel | None = None) -> tuple[Backbone, dict[str, Any]]:
    """A backbone, whether or not it gives feature vectors, and what can be said of it.

    Args:
        options: which backbone.
        input: as for `loaded`; does not have to be what it takes.

    Returns:
        the backbone, to read its layers from; and `kind`, `bytes`, `takes` and `returns` (type and shape of each
        trace), `feature_dim`, `input` (keys of the section `input` that are known), `licence`; None where not known.

    Raises:
        GraftError: there is no such backbone, or it may not be loaded.
    """
    found, known = content(options), facts(options.handle)
    body, identity, taken = _body(options, input)
    backbone = Backbone(body, options.handle, identity, taken, feature_dim=0)
    takes, returns = traced_shapes(body)
    feature_dim, shaping = None, {}
    with contextlib.suppress(GraftError):  # of an input that no kind is, or of no feature vector, nothing follows
        feature_dim = check_shapes(body, options.handle, taken)
        shaping = {key: _plain(getattr(taken.options, key)) for key in ("kind", *taken.SHAPING)}
    told = {
        "kind": found.kind,
        "bytes": weights_bytes(backbone) if found.bytes is None else found.bytes,
        "takes": sorted({_spec(spec) for spec in takes}),
        "returns": sorted({", ".join(map(_spec, specs)) for specs in returns}),
        "feature_dim": feature_dim,
        "input": known.input or shaping,
        "licence": known.licence,
    }
    return backbone, told


def weights_bytes(backbone: Backbone) -> int:
    """Size of all variables in memory."""
    return sum(variable.value.dtype.size * variable.value.shape.num_elements() for variable in backbone.variables)


def sampled(folder: pathlib.Path, input: Input, most: int) -> tuple[list[bytes], list[str]]:
    """Contents of the files below a folder that may enter, in the order of their names, spread over its subfolders.

    Args:
        folder: with files, in folders of classes or not.
        input: what may enter.
        most: number of contents.

    Returns:
        The contents as they would be stored, and why others were refused.

    Raises:
        GraftError: there is no such folder, or it holds no file of this kind.
    """
    from graft.models.inputs.base import Refused

    if not folder.is_dir():
        raise GraftError(f"--data {str(folder)!r} is no folder")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in input.suffixes and path.is_file())
    if not files:
        raise GraftError(
            f"--data names {str(folder)!r}, which holds no {input.one}; allowed: {', '.join(input.suffixes)}"
        )
    tried = files[:: max(1, len(files) // (2 * most))]
    taken: list[bytes] = []
    refused: list[str] = []
    for path in tried:
        try:
            if path.stat().st_size > input.limit:
                raise Refused("too_large", f"at most {input.limit} bytes are read")
            one = path.read_bytes()
            [stored] = input.verify([one], [input.admit(one)])
            if isinstance(stored, Refused):
                raise stored
            taken.append(stored)
        except Refused as fault:
            refused.append(f"{path.relative_to(folder)}: {fault}")
        if len(taken) == most:
            break
    return taken, refused


def _body(options: BackboneOptions, input: BaseModel | None) -> tuple[keras.layers.Layer, str, Input]:
    """The network, its identity, and the input that it is looked at with."""
    known = facts(options.handle).input
    first = _settled(make_input(input or parse_options(known)), options.handle)
    body, identity = load_body(input=first, **options.model_dump())
    suited = None if input or known else _suited(body)
    return body, identity, first if suited is None else _settled(suited, options.handle)


def _settled(input: Input, handle: str) -> Input:
    """An input as the backbone is known to take it, else the most usual one: a run compares them, this only looks."""
    if not input.unsettled:
        return input
    known = input.known(handle)
    return input.alternatives[0] if known is None else known.input


def _suited(body: keras.layers.Layer) -> Input | None:
    """An input of default settings but for the shape, which is what the network takes; None where no kind is."""
    for spec in traced_shapes(body)[0]:
        for kind in KINDS:
            input = make_input(KINDS.options(kind)()).fitting(spec)
            if spec.dtype == input.spec.dtype and spec.shape.is_compatible_with(input.spec.shape):
                return input
    return None


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _spec(spec: Any) -> str:
    shape = spec.shape.as_list() if spec.shape.rank is not None else None
    sides = "unknown shape" if shape is None else "[" + ", ".join("n" if s is None else str(s) for s in shape) + "]"
    return f"{spec.dtype.name} {sides}"
