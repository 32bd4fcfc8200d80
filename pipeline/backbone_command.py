"""`graft backbone check`: what a backbone is, before anything runs it. `graft backbone show`: what it consists of."""

import argparse
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from graft.models.errors import GraftError
from graft.pipeline.output import answer, table

if TYPE_CHECKING:
    from pydantic import BaseModel

    from graft.models.backbone import Backbone
    from graft.models.options import BackboneOptions

EXIT_FAULT = 1
_CONFIGS = (".yaml", ".yml")


def add_commands(commands: Any, add: Callable) -> None:
    """Adds `backbone check` and `backbone show` to the command line (see `pipeline.cli`)."""
    group = commands.add_parser("backbone", help="look at a backbone before it is used")
    verbs = group.add_subparsers(title="commands", required=True, metavar="COMMAND")
    check = add("check", _check, "hash, kind, size and what it would do besides computing; runs nothing unsafe", verbs)
    show = add("show", _show, "its layers that can be trained, in groups, with shapes and parameters", verbs)
    for command in (check, show):
        command.add_argument("backbone", metavar="HANDLE_OR_CONFIG", help="a handle, or the YAML file of a pipeline")
        command.add_argument("--allow-http", action="store_true", help="download from http:// too")


def _named(args: argparse.Namespace) -> "tuple[BackboneOptions, list[BaseModel]]":
    """The backbone that a command names, and settings of the inputs that it may be for."""
    from graft.models.inputs import KINDS  # imported here: `graft --help` needs no pydantic
    from graft.models.options import BackboneOptions

    if args.backbone.endswith(_CONFIGS):
        from graft.pipeline import config as configs

        config = configs.load(args.backbone)
        options, inputs = config.backbone, [config.input]
    else:
        options, inputs = BackboneOptions(handle=args.backbone), [KINDS.options(kind)() for kind in KINDS]
    options.allow_http = options.allow_http or args.allow_http
    return options, inputs


def _show(args: argparse.Namespace) -> int:
    options, inputs = _named(args)
    found = layers_of(options, None if options.handle == args.backbone else inputs[0])
    groups = found["groups"]
    rows = []
    for group in groups:
        rows.append((group["name"], f"{group['parameters']:,}", ""))
        for layer in group["layers"]:
            shapes = ", ".join("x".join(map(str, shape)) or "1" for shape in layer["shapes"])
            rows.append((f"  {layer['name']}", f"{layer['parameters']:,}", shapes))
    layers = sum(len(group["layers"]) for group in groups)
    told = f"{len(groups)} groups, {layers} layers, {found['parameters']:,} parameters, from input to output"
    lines = [*table(rows, ("name", "parameters", "shapes")), "transfer.unfreeze takes names of groups and layers."]
    answer(
        args, found, f"{found['handle']}: {told if groups else 'no layer of it can be trained'}", *lines * bool(rows)
    )
    return 0


def layers_of(options: "BackboneOptions", input: "BaseModel | None" = None) -> dict[str, Any]:
    """The layers of a backbone that can be trained, in groups.

    Args:
        options: which backbone.
        input: settings of the input that it is for; by default such as a network of `keras.applications` takes, whose
            weights are then not downloaded. Backbones of other kinds are what they are.

    Returns:
        `handle`, `parameters` of all, and `groups`, each with `name`, `parameters` and `layers`, each of these with
        `name`, `parameters` and the `shapes` of its variables.

    Raises:
        GraftError: there is no such backbone, or it may not be loaded.
    """
    from graft.models import applications
    from graft.models.backbone import named_groups
    from graft.models.inputs import make_input

    handle = options.handle
    taken = applications.own_input(handle) if input is None else make_input(input)
    if input is None and applications.is_application(handle) and "?" not in handle:
        options = options.model_copy(update={"handle": f"{handle}?weights=none"})
    groups = [
        {
            "name": group.name,
            "parameters": group.parameters,
            "layers": [
                {"name": layer.name, "parameters": layer.parameters, "shapes": [[*v.shape] for v in layer.variables]}
                for layer in group.layers
            ],
        }
        for group in named_groups(options, taken)
    ]
    return {"handle": handle, "parameters": sum(group["parameters"] for group in groups), "groups": groups}


def _check(args: argparse.Namespace) -> int:
    found = examine(*_named(args))
    answer(args, found, *_lines(found))
    return EXIT_FAULT if found["faults"] else 0


def examine(options: "BackboneOptions", inputs: "Sequence[BaseModel]") -> dict[str, Any]:
    """What a backbone is. It is loaded only if it does no more than compute, or is trusted and the pinned one.

    Args:
        options: which backbone.
        inputs: settings of the inputs that it may be for; the first that it takes counts.

    Returns:
        `handle`, `kind`, `sha256`, `bytes`, `faults` (what it would do besides computing, and another hash than the
        pinned one), `feature_dim` (None where it is not known), `not_loaded` (why it is not), `config` (the lines that
        pin it).

    Raises:
        GraftError: there is no such backbone, or its file is damaged.
    """
    # Imported here: `graft --help` knows neither Keras nor TensorFlow.
    from graft.models import applications, hub_layer, keras_archive, saved_model_check
    from graft.models.hashing import backbone_hash

    handle = options.handle
    found: dict[str, Any] = {"handle": handle, "feature_dim": None, "not_loaded": None}
    faults: list[str] = []
    loaded = None
    unpinned = options.model_copy(update={"sha256": None})
    if applications.is_application(handle):
        loaded = _loaded(unpinned, inputs)
        size = sum(variable.value.dtype.size * variable.value.shape.num_elements() for variable in loaded.variables)
        found |= {"kind": "keras.applications", "sha256": loaded.identity, "bytes": size}
    elif handle.endswith(".keras"):
        path = pathlib.Path(handle)
        if not path.is_file():
            raise GraftError(f"backbone {handle!r} does not exist")
        fault = keras_archive.find_fault(path)
        faults = [fault] if fault else []
        found |= {"kind": "Keras file", "sha256": backbone_hash(path), "bytes": path.stat().st_size}
    else:
        folder = hub_layer.resolve_handle(handle, options.allow_http)
        faults = saved_model_check.find_faults(folder)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        found |= {"kind": "SavedModel", "sha256": backbone_hash(folder), "bytes": size}
    other = options.sha256 not in (None, found["sha256"])
    if loaded is None and (other or (faults and not options.trust)):
        found["not_loaded"] = "it is not the pinned one" if other else "it does more than compute"
    else:
        try:
            found["feature_dim"] = (loaded or _loaded(unpinned, inputs)).feature_dim
        except GraftError as error:  # the size or the range of the images may be another; the rest is known
            found["not_loaded"] = str(error)
    if other:
        faults.append(f"its sha256 is not the pinned {options.sha256}")
    found["faults"] = faults
    found["config"] = f"backbone:\n  handle: {json.dumps(handle)}\n  sha256: {found['sha256']}"
    return found


def _loaded(options: "BackboneOptions", inputs: "Sequence[BaseModel]") -> "Backbone":
    """The backbone for the first of these inputs that it takes; raises for the first, if it takes none."""
    from graft.models.backbone import configured_backbone
    from graft.models.inputs import make_input

    refusals = []
    for given in inputs:
        try:
            return configured_backbone(options, make_input(given))
        except GraftError as error:
            refusals.append(error)
    raise refusals[0]


def _lines(found: dict[str, Any]) -> list[str]:
    rows = [
        ("backbone", found["handle"]),
        ("kind", found["kind"]),
        ("sha256", found["sha256"]),
        ("size", f"{found['bytes'] / 1e6:.1f} MB"),
        ("features", found["feature_dim"] or f"not loaded: {found['not_loaded']}"),
        *(("MORE THAN COMPUTES", fault) for fault in found["faults"]),
    ]
    lines = [f"{name + ':':<20}{value}" for name, value in rows]
    return [*lines, "To pin it:", *found["config"].split("\n")]
