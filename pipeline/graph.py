"""The graph: which components run, in which order, with which parameters.

The graph that runs locally is the graph that compiles for Kubeflow.
"""

import dataclasses
import json
from collections.abc import Sequence

import tensorflow_data_validation as tfdv
import tensorflow_model_analysis as tfma
from tfx.components import Evaluator, ExampleValidator, SchemaGen, StatisticsGen, Transform
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.dsl.components.base import base_component
from tfx.orchestration import pipeline
from tfx.orchestration.metadata import ConnectionConfigType
from tfx.proto import transform_pb2

from graft.components.data_gate.component import DataGate
from graft.components.features.component import FeatureExtractor
from graft.components.ingest.component import Ingest
from graft.components.negative_transfer.component import NegativeTransfer
from graft.components.predict.component import BulkPredictor
from graft.components.predict.predictions import LABEL, PREDICTION
from graft.components.push.component import Push
from graft.components.quality_gate.component import QualityGate
from graft.components.serving_check.component import ServingCheck
from graft.components.train.component import Trainer
from graft.pipeline.config import Config

METADATA_FEATURES = ("label", "width", "height", "format")
"""What statistics and schema look at beside the slices; image bytes and identifiers say nothing there."""


@dataclasses.dataclass(frozen=True)
class Keys:
    """What decides, beside the configuration, whether a stage may be taken from the cache.

    Attributes:
        fingerprint: of the data's files.
        code: version of Graft's code.
        backbone: identity of what the handle names (sha256 of a local one).
        schema_file: curated schema to import, None to infer one.
        run_key: identity of all that goes into the model.
        served: the baseline as it was before the run; the gate itself looks again.
        store_id: identity of the model store.
        pointer: state of the store's pointer before the run.
        checkpoint_dir: where an unfinished training is kept.
    """

    fingerprint: str
    code: str
    backbone: str
    schema_file: str | None
    run_key: str
    served: str
    store_id: str
    pointer: str
    checkpoint_dir: str


def build_components(config: Config, keys: Keys) -> list[base_component.BaseComponent]:
    """The components in topological order; ids are the stage names."""
    ingest = Ingest(config.data, keys.fingerprint, keys.code).with_id("ingest")
    examples = ingest.outputs["examples"]
    looked_at = [*METADATA_FEATURES, *config.data.slices]
    statistics = StatisticsGen(examples=examples, stats_options=tfdv.StatsOptions(feature_allowlist=looked_at))
    statistics = statistics.with_id("statistics")
    if keys.schema_file:
        schema_gen = ImportSchemaGen(schema_file=keys.schema_file).with_id("schema")
    else:
        schema_gen = SchemaGen(statistics=statistics.outputs["statistics"]).with_id("schema")
    schema = schema_gen.outputs["schema"]
    validate = ExampleValidator(statistics=statistics.outputs["statistics"], schema=schema).with_id("validate")
    data_gate = DataGate(
        validate.outputs["anomalies"], ingest.outputs["rejected"], max_rejected=config.data.max_rejected
    ).with_id("data_gate")
    transform = Transform(
        examples=examples,
        schema=schema,
        preprocessing_fn="graft.models.preprocessing.preprocessing_fn",
        custom_config={"class_names": config.data.class_names and list(config.data.class_names)},
        # The graph is all that is used of it: nothing reads transformed examples or statistics of them.
        splits_config=transform_pb2.SplitsConfig(analyze=["train"]),
        materialize=False,
        disable_statistics=True,
        disable_analyzer_cache=True,
    ).with_id("transform")
    transform.add_upstream_node(data_gate)
    transform_graph = transform.outputs["transform_graph"]

    compared = config.gates.negative_transfer
    backbone = config.backbone.model_dump()
    input = config.input.model_dump(mode="json")
    features = FeatureExtractor(
        examples=examples,
        transform_graph=transform_graph,
        backbone=json.dumps({**backbone, "identity": keys.backbone, "input": input}),
        splits=json.dumps(["train", "eval", *(["test"] if compared else [])]),
        code=keys.code,
    ).with_id("features")
    custom_config = json.dumps(
        {
            "backbone": backbone,
            "input": input,
            "target": config.target.model_dump(mode="json"),
            "head": config.head.model_dump(),
            "transfer": config.transfer,
            "train": config.train.model_dump(),
            "export": config.export.model_dump(),
            "model_name": config.name,
            "code": keys.code,
            "checkpoint_dir": keys.checkpoint_dir,
        }
    )
    train = Trainer(
        examples=examples,
        transform_graph=transform_graph,
        schema=schema,
        features=features.outputs["features"],
        custom_config=custom_config,
        code=keys.code,
    ).with_id("train")
    predict = BulkPredictor(
        examples=examples,
        model=train.outputs["model"],
        slices=json.dumps(list(config.data.slices)),
        code=keys.code,
    ).with_id("predict")
    evaluate = Evaluator(
        examples=predict.outputs["predictions"],
        example_splits=["test"],
        eval_config=eval_config(config.data.slices),
    ).with_id("evaluate")
    stages = [ingest, statistics, schema_gen, validate, data_gate, transform, features, train]
    stages += [predict, evaluate]
    comparison = None
    if compared:
        negative_transfer = NegativeTransfer(
            examples=examples,
            transform_graph=transform_graph,
            features=features.outputs["features"],
            custom_config=custom_config,
            options=compared.model_dump_json(include={"seeds", "references"}),
            code=keys.code,
        ).with_id("negative_transfer")
        stages.append(negative_transfer)
        comparison = negative_transfer.outputs["comparison"]
    quality_gate = QualityGate(
        examples=examples,
        model=train.outputs["model"],
        predictions=predict.outputs["predictions"],
        evaluation=evaluate.outputs["evaluation"],
        comparison=comparison,
        gates=config.gates.model_dump_json(),
        model_name=config.name,
        store=config.store,
        run_key=keys.run_key,
        served=keys.served,
        trust=int(config.backbone.trust),
        code=keys.code,
    ).with_id("quality_gate")
    serving_check = ServingCheck(
        examples=examples,
        model=train.outputs["model"],
        predictions=predict.outputs["predictions"],
        model_blessing=quality_gate.outputs["blessing"],
        model_name=config.name,
        options=json.dumps({**config.serving_check.model_dump(), "latency_ms": config.gates.latency_ms}),
        trust=int(config.backbone.trust),
        code=keys.code,
    ).with_id("serving_check")
    push = Push(
        model=train.outputs["model"],
        model_blessing=quality_gate.outputs["blessing"],
        infra_blessing=serving_check.outputs["blessing"],
        model_name=config.name,
        store=config.store,
        store_id=keys.store_id,
        pointer=keys.pointer,
        keep=config.push.keep,
        metadata=json.dumps(
            {
                "run_key": keys.run_key,
                "data_fingerprint": keys.fingerprint,
                "code": keys.code,
                "backbone": {"handle": config.backbone.handle, "identity": keys.backbone},
                "config": config.of_the_run(),
            },
            sort_keys=True,
        ),
        trust=int(config.backbone.trust),
        code=keys.code,
    ).with_id("push")
    return [*stages, quality_gate, serving_check, push]


def eval_config(slices: Sequence[str]) -> tfma.EvalConfig:
    """What TFMA computes of the predictions: accuracy and counts, over all and by slice."""
    # ExactMatch, not SparseCategoricalAccuracy: the same figure, without the seconds in which tf_keras traces it.
    metrics = [
        tfma.MetricConfig(class_name="ExampleCount"),
        tfma.MetricConfig(class_name="ExactMatch", config='{"name": "accuracy"}'),
    ]
    return tfma.EvalConfig(
        model_specs=[tfma.ModelSpec(label_key=LABEL, prediction_key=PREDICTION)],
        slicing_specs=[tfma.SlicingSpec(), *(tfma.SlicingSpec(feature_keys=[column]) for column in slices)],
        metrics_specs=[tfma.MetricsSpec(metrics=metrics)],
    )


def build_pipeline(
    config: Config,
    keys: Keys,
    pipeline_root: str,
    connection: ConnectionConfigType | None,
    beam_args: Sequence[str] = (),
) -> pipeline.Pipeline:
    """The TFX pipeline, with the cache on."""
    return pipeline.Pipeline(
        pipeline_name=config.name,
        pipeline_root=pipeline_root,
        components=build_components(config, keys),
        metadata_connection_config=connection,
        beam_pipeline_args=list(beam_args),
        enable_cache=True,
    )
