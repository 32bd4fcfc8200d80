"""Executor of `statistics`: TFDV's statistics of each split, read in one pass in this process.

TFX's own makes a pipeline of Beam of some hundred steps for each split, which on one machine takes seconds to build and
to run, whatever the data. TFDV's generators are those that the pipeline would have combined.
"""

import pathlib
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow_hotfix  # noqa: F401 - as everywhere, before pyarrow is used
from tensorflow_data_validation.statistics import stats_impl, stats_options
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from graft.components.executor import Artifacts, BaseExecutor
from graft.components.tfdv import STATISTICS_FILE
from graft.models.examples import read_batches, split_files


class Executor(BaseExecutor):
    """Does what TFX's own does, without Beam."""

    def run(self, inputs: Artifacts, outputs: Artifacts, given: dict[str, Any]) -> None:
        """Writes `FeatureStats.pb` of each split.

        Args:
            inputs: `examples`, one artifact.
            outputs: `statistics`.
            given: of TFX's StatisticsGen; as Graft wires it, `stats_options_json` names the features to look at,
                and no split is left out or sampled.

        Raises:
            GraftError: a file of examples is damaged.
        """
        options = stats_options.StatsOptions.from_json(given["stats_options_json"])
        examples = inputs.artifact("examples")
        statistics = outputs.artifact("statistics")
        statistics.split_names, statistics.span = examples.split_names, examples.span
        for split in inputs.splits("examples"):
            found = compute(split_files(examples.uri, split), options)
            folder = pathlib.Path(outputs.split_uri("statistics", split))
            folder.mkdir(parents=True, exist_ok=True)
            (folder / STATISTICS_FILE).write_bytes(found.SerializeToString())


def compute(files: Iterable[str], options: stats_options.StatsOptions) -> statistics_pb2.DatasetFeatureStatisticsList:
    """TFDV's statistics of the features `options.feature_allowlist`. Memory holds some megabytes of examples, or one.

    Args:
        files: TFRecord files, sorted.
        options: of TFDV; without slices and samples.

    Returns:
        statistics of one set of data, of no feature where there is no example.

    Raises:
        GraftError: a file is damaged.
    """
    generators = stats_impl.get_generators(options, in_memory=True)
    held = [generator.create_accumulator() for generator in generators]
    decoder = ExamplesToRecordBatchDecoder()
    for path in files:
        for records in read_batches(path):
            batch = _chosen(decoder.DecodeBatch(records), options.feature_allowlist)
            held = [generator.add_input(one, batch) for generator, one in zip(generators, held, strict=True)]
    return stats_impl.extract_statistics_output(held, generators)


def _chosen(batch: pa.RecordBatch, features: Iterable[str]) -> pa.RecordBatch:
    names = [name for name in features if name in batch.schema.names]
    return pa.RecordBatch.from_arrays([batch.column(name) for name in names], names)
