"""The chain that TFX's own templates give a user: ImportExampleGen to Pusher through LocalDagRunner.

    python -m benchmarks.stock_chain.chain EXAMPLES_FOLDER WORK_FOLDER

User code goes by import path: `module_file` would build and install a wheel on top.
"""

import argparse
import pathlib

import tensorflow_model_analysis as tfma
from tfx import v1 as tfx

from graft.components.beam import LOCAL_BEAM_ARGS

MODULE = "benchmarks.stock_chain.module"


def chain(examples: str, root: pathlib.Path) -> tfx.dsl.Pipeline:
    """The pipeline of eight components, with the cache on."""
    example_gen = tfx.components.ImportExampleGen(input_base=examples)
    statistics_gen = tfx.components.StatisticsGen(examples=example_gen.outputs["examples"])
    schema_gen = tfx.components.SchemaGen(statistics=statistics_gen.outputs["statistics"], infer_feature_shape=True)
    example_validator = tfx.components.ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema_gen.outputs["schema"]
    )
    transform = tfx.components.Transform(
        examples=example_gen.outputs["examples"],
        schema=schema_gen.outputs["schema"],
        preprocessing_fn=f"{MODULE}.preprocessing_fn",
    )
    trainer = tfx.components.Trainer(
        run_fn=f"{MODULE}.run_fn",
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema_gen.outputs["schema"],
        train_args=tfx.proto.TrainArgs(),
        eval_args=tfx.proto.EvalArgs(),
    )
    floor = tfma.MetricThreshold(value_threshold=tfma.GenericValueThreshold(lower_bound={"value": 0.1}))
    evaluator = tfx.components.Evaluator(
        examples=example_gen.outputs["examples"],
        model=trainer.outputs["model"],
        eval_config=tfma.EvalConfig(
            model_specs=[
                tfma.ModelSpec(
                    signature_name="serving_default",
                    preprocessing_function_names=["transform_features"],
                    label_key="label_xf",
                )
            ],
            slicing_specs=[tfma.SlicingSpec()],
            metrics_specs=[
                tfma.MetricsSpec(metrics=[tfma.MetricConfig(class_name="SparseCategoricalAccuracy", threshold=floor)])
            ],
        ),
    )
    pusher = tfx.components.Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=str(root / "serving"))
        ),
    )
    return tfx.dsl.Pipeline(
        pipeline_name="stock",
        pipeline_root=str(root / "artifacts"),
        components=[
            example_gen,
            statistics_gen,
            schema_gen,
            example_validator,
            transform,
            trainer,
            evaluator,
            pusher,
        ],
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(root / "metadata.sqlite")
        ),
        # Graft's own, which are quicker than TFX's defaults: what is compared is the chains.
        beam_pipeline_args=list(LOCAL_BEAM_ARGS),
        enable_cache=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("examples", help="folder of TFRecord files")
    parser.add_argument("root", type=pathlib.Path, help="folder to work in")
    options = parser.parse_args()
    tfx.orchestration.LocalDagRunner().run(chain(options.examples, options.root.absolute()))


if __name__ == "__main__":
    main()
