"""What `run_fn` is told of the artifacts, and what becomes of one that leaves no model."""

import json
import pathlib
import sys
import types

import pytest
from tfx.types import standard_artifacts

from graft.components.artifacts import Features
from graft.components.train.executor import Executor
from graft.models.errors import GraftError


def run(folder: pathlib.Path, run_fn) -> None:
    module = types.ModuleType("training_for_tests")
    module.run_fn = run_fn
    sys.modules[module.__name__] = module
    examples, model, model_run = (
        kind() for kind in (standard_artifacts.Examples, standard_artifacts.Model, standard_artifacts.ModelRun)
    )
    transform, features = standard_artifacts.TransformGraph(), Features()
    examples.split_names = '["train", "eval", "test"]'
    for name, artifact in {
        "examples": examples,
        "model": model,
        "model_run": model_run,
        "transform": transform,
        "features": features,
    }.items():
        artifact.uri = str(folder / name)
    try:
        Executor().Do(
            {"examples": [examples], "transform_graph": [transform], "features": [features]},
            {"model": [model], "model_run": [model_run]},
            {
                "train_args": '{"splits": ["train"]}',
                "eval_args": '{"splits": ["eval"]}',
                "run_fn": "training_for_tests.run_fn",
                "custom_config": json.dumps({"model_name": "shapes"}),
            },
        )
    finally:
        del sys.modules[module.__name__]


def test_run_fn_is_told_where_all_lies(tmp_path):
    told = []

    def train(fn_args):
        told.append(fn_args)
        pathlib.Path(fn_args.serving_model_dir).mkdir(parents=True)

    run(tmp_path, train)
    (fn_args,) = told
    assert fn_args.train_files == [f"{tmp_path}/examples/Split-train/*"]
    assert fn_args.eval_files == [f"{tmp_path}/examples/Split-eval/*"]
    assert fn_args.custom_config == {"model_name": "shapes", "features_path": str(tmp_path / "features")}
    assert fn_args.transform_graph_path == str(tmp_path / "transform")
    assert fn_args.serving_model_dir == str(tmp_path / "model" / "Format-Serving")
    assert fn_args.model_run_dir == str(tmp_path / "model_run")


def test_a_training_that_leaves_no_model_fails(tmp_path):
    with pytest.raises(GraftError, match=r"training_for_tests.run_fn: left no model in .*Format-Serving"):
        run(tmp_path, lambda fn_args: None)
