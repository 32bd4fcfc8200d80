"""`graft backbone list`, `show` and `check`: which there are, what one consists of, and whether a run could use it."""

import argparse
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from graft.pipeline.output import answer, table

if TYPE_CHECKING:
    from pydantic import BaseModel

    from graft.models.options import BackboneOptions

EXIT_FAULT = 1
_CONFIGS = (".yaml", ".yml")


def add_commands(commands: Any, add: Callable) -> None:
    """Adds `backbone list`, `show` and `check` to the command line (see `pipeline.cli`)."""
    group = commands.add_parser("backbone", help="list backbones, look at one before it is used")
    verbs = group.add_subparsers(title="commands", required=True, metavar="COMMAND")
    listed = add("list", _list, "networks of keras.applications and of installed packages, those in folders", verbs)
    listed.add_argument(
        "--folder", type=pathlib.Path, help="where local ones lie; by default backbones/, and what configs/ names"
    )
    show = add("show", _show, "size, input, features, licence, and its layers that can be trained, in groups", verbs)
    check = add("check", _check, "what a run would check: content, hash, features, value range", verbs)
    for command in (show, check):
        command.add_argument("backbone", metavar="HANDLE_OR_CONFIG", help="a handle, or the YAML file of a pipeline")
        command.add_argument("--allow-http", action="store_true", help="download from http:// too")
    check.add_argument("--data", type=pathlib.Path, metavar="FOLDER", help="try it on a few files of this folder")


def _named(args: argparse.Namespace) -> "tuple[BackboneOptions, BaseModel | None]":
    """The backbone that a command names, and the settings of its input, where a configuration has them."""
    from graft.models.options import BackboneOptions  # imported here: `graft --help` needs no pydantic

    if args.backbone.endswith(_CONFIGS):
        from graft.pipeline import config as configs

        config = configs.load(args.backbone)
        options, input = config.backbone, config.input
    else:
        options, input = BackboneOptions(handle=args.backbone), None
    options.allow_http = options.allow_http or args.allow_http
    return options, input


def _list(args: argparse.Namespace) -> int:
    from graft.pipeline import backbone_list

    found = backbone_list.listed(args.folder)
    answer(args, {"backbones": found}, *backbone_list.lines(found))
    return 0


def _show(args: argparse.Namespace) -> int:
    found = layers_of(*_named(args))
    groups = found["groups"]
    rows = []
    for group in groups:
        rows.append((group["name"], f"{group['parameters']:,}", ""))
        for layer in group["layers"]:
            shapes = ", ".join("x".join(map(str, shape)) or "1" for shape in layer["shapes"])
            rows.append((f"  {layer['name']}", f"{layer['parameters']:,}", shapes))
    layers = sum(len(group["layers"]) for group in groups)
    told = f"{len(groups)} groups, {layers} layers, {found['parameters']:,} parameters, from input to output"
    about = [
        ("kind", found["kind"]),
        ("size", f"{found['bytes'] / 1e6:.1f} MB"),
        ("takes", " or ".join(found["takes"])),
        ("returns", " or ".join(found["returns"])),
        ("features", found["feature_dim"] or "no feature vector; `graft backbone check` says why"),
        ("input", ", ".join(f"{key}: {value}" for key, value in found["input"].items()) or "not known to Graft"),
        ("licence", found["licence"] or "not known to Graft"),
    ]
    lines = [*table(rows, ("name", "parameters", "shapes")), "transfer.unfreeze takes names of groups and layers."]
    answer(
        args,
        found,
        *(f"{name + ':':<10}{value}" for name, value in about),
        f"{found['handle']}: {told if groups else 'no layer of it can be trained'}",
        *lines * bool(rows),
    )
    return 0


def layers_of(options: "BackboneOptions", input: "BaseModel | None" = None) -> dict[str, Any]:
    """What a backbone is, and its layers that can be trained, in groups.

    Args:
        options: which backbone.
        input: settings of the input that it is for; by default such as it takes. Of a network of `keras.applications`
            no weights are downloaded then.

    Returns:
        `handle`, what `models.backbone_look.seen` tells, `parameters` of all, and `groups`, each with `name`,
        `parameters` and `layers`, each of these with `name`, `parameters` and the `shapes` of its variables.

    Raises:
        GraftError: there is no such backbone, or it may not be loaded.
    """
    from graft.models import backbone_look
    from graft.models.application_inputs import is_application

    handle = options.handle
    if input is None and is_application(handle) and "?" not in handle:
        options = options.model_copy(update={"handle": f"{handle}?weights=none"})
    backbone, told = backbone_look.seen(options, input)
    groups = [
        {
            "name": group.name,
            "parameters": group.parameters,
            "layers": [
                {"name": layer.name, "parameters": layer.parameters, "shapes": [[*v.shape] for v in layer.variables]}
                for layer in group.layers
            ],
        }
        for group in backbone.groups
    ]
    return {"handle": handle, **told, "parameters": sum(group["parameters"] for group in groups), "groups": groups}


def _check(args: argparse.Namespace) -> int:
    from graft.pipeline import backbone_check

    found = backbone_check.examine(*_named(args), args.data)
    answer(args, found, *backbone_check.lines(found))
    return EXIT_FAULT if backbone_check.at_fault(found) else 0
