"""`graft export`: a version of the model store in another format."""

import argparse
import pathlib
from collections.abc import Callable
from typing import Any

from graft.models.errors import GraftError
from graft.models.text import located
from graft.pipeline.output import answer

_MOST = 64
_SUFFIX = ".onnx"


def add_commands(commands: Any, add: Callable) -> None:
    """Adds `export` to the command line (see `pipeline.cli`)."""
    export = add("export", _export, "write a version of the model store as one ONNX file, compared with the model")
    export.add_argument("version", nargs="?", type=int, help="version of the model (default: the one that is served)")
    export.add_argument("--onnx", type=pathlib.Path, required=True, metavar="FILE", help="file to write, NAME.onnx")
    export.add_argument(
        "--store", default="runs/store", help="holds the model: a folder or s3://BUCKET/PREFIX (default: runs/store)"
    )
    export.add_argument("--model", help="name of the model; may be left out if the store holds one only")
    export.add_argument(
        "--data",
        type=pathlib.Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help=f"files and folders to compare the answers on, the first {_MOST} (default: made-up examples)",
    )
    export.add_argument("--tolerance", type=float, help="largest difference of two answers (default: 0.0001)")
    export.add_argument("--trust", action="store_true", help="load the model though it does more than compute")


def _export(args: argparse.Namespace) -> int:
    if args.onnx.suffix != _SUFFIX:
        raise GraftError(f"--onnx {args.onnx}: allowed: a name that ends in {_SUFFIX}")
    if args.onnx.is_dir() or not args.onnx.absolute().parent.is_dir():
        raise GraftError(f"--onnx {located(args.onnx)}: is a folder, or lies in none that is there")
    if args.tolerance is not None and not 0 < args.tolerance < 1:
        raise GraftError(f"--tolerance: received {args.tolerance:g}; allowed: above 0, below 1")
    from graft.serving import contents, manifest
    from graft.serving.loaded import only_model
    from graft.serving.predictor import PredictionError
    from graft.serving.store import open_store

    store = open_store(args.store)
    name = args.model or only_model(store)
    version = args.version if args.version is not None else store.served(name)
    if version is None:
        raise GraftError(f"{store.address}: no model {name}; there are: {', '.join(store.models()) or 'none'}")
    about = store.manifest(name, version).get("metadata") or {}
    folder = store.version_path(name, version)
    place = store.version_address(name, version)
    if faults := manifest.problems(folder):
        raise GraftError(f"{store.address}: {name} version {version} is damaged: {faults[0]}")
    # Imported here: TensorFlow.
    from graft.models import onnx_export
    from graft.models.inputs import exported_input
    from graft.models.inputs.base import Refused
    from graft.models.saved_model_check import find_faults, summary

    onnx_export.require_packages()
    if not args.trust and (found := find_faults(folder)):
        raise GraftError(f"{place} {summary(found)}; only if you trust who can write there, give --trust")
    input = exported_input(folder)
    files = contents.find(args.data, lambda: input)[:_MOST]
    given = []
    for path, content in zip(files, contents.read(files), strict=True):
        if isinstance(content, PredictionError):
            raise content
        try:
            given.append(input.sendable(content))
        except Refused as error:
            raise GraftError(f"{located(path)}: {error}") from error
    facts = {"model": name, "version": version, "run_id": about.get("run_id"), "backbone": about.get("backbone")}
    facts |= {"data_fingerprint": about.get("data_fingerprint")}
    told = onnx_export.export_onnx(
        folder,
        args.onnx,
        given or input.drawn(),
        {key: value for key, value in facts.items() if value is not None},
        onnx_export.TOLERANCE if args.tolerance is None else args.tolerance,
    )
    kind = input.unit if given else f"made-up {input.unit} (--data takes real ones)"
    told |= {"model": name, "version": version, "file": str(args.onnx), "drawn": not given}
    answer(
        args,
        told,
        f"{args.onnx}: {name} version {version}, {told['bytes']:,} bytes, opset {told['opset']}; answers differ by at "
        f"most {told['difference']:.2g} from the model's on {told['examples']} {kind}",
    )
    return 0
