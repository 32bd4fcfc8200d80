"""Real images, and ingestion in a real Beam pipeline."""

import dataclasses
import pathlib

import pytest
from small_images import noise


@pytest.fixture(scope="session")
def encode():
    """encode(seed, kind="PNG", size=(8, 6)): random pixels; the same seed gives the same bytes."""
    return noise


@pytest.fixture
def make_folder(tmp_path):
    """make_folder({"cat": 30, "dog": 30}) -> a folder of class folders, each image different."""

    def make(counts: dict[str, int], where: str = "data", first_seed: int = 0) -> pathlib.Path:
        root = tmp_path / where
        seed = first_seed
        for label, count in counts.items():
            (root / label).mkdir(parents=True, exist_ok=True)
            for _ in range(count):
                (root / label / f"{seed:05d}.png").write_bytes(noise(seed))
                seed += 1
        return root

    return make


@dataclasses.dataclass(frozen=True)
class Result:
    """What ingestion wrote."""

    examples: pathlib.Path
    rejected_folder: pathlib.Path

    @property
    def summary(self):
        from graft.components.ingest.summary import read_summary

        return read_summary(str(self.rejected_folder))

    @property
    def rejected(self) -> dict[str, dict[str, str]]:
        """file -> line of rejected.jsonl."""
        from graft.components.ingest.summary import read_rejected

        return {row["file"]: row for row in read_rejected(str(self.rejected_folder))}

    def rows(self, split: str) -> list[dict]:
        """The features of each example of a split, single values unpacked."""
        import tensorflow as tf

        rows = []
        for shard in sorted((self.examples / f"Split-{split}").iterdir()):
            for record in tf.data.TFRecordDataset(str(shard)).as_numpy_iterator():
                feature = tf.train.Example.FromString(record).features.feature
                rows.append({name: getattr(f, f.WhichOneof("kind")).value[0] for name, f in feature.items()})
        return rows

    def split_of(self, key: str = "file") -> dict[str, str]:
        """file (or another feature) -> split."""
        return {row[key].decode(): split for split in ("train", "eval", "test") for row in self.rows(split)}


@pytest.fixture
def ingest(tmp_path):
    """ingest(source=..., path=...) runs ingestion with those data options."""
    runs = 0

    def run(**data) -> Result:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
        from ingest_request import request

        from graft.components.beam import LOCAL_BEAM_ARGS
        from graft.components.ingest import ingestion

        nonlocal runs
        runs += 1
        result = Result(tmp_path / f"examples-{runs}", tmp_path / f"rejected-{runs}")
        asked = request(**(data | {"path": str(data["path"])}))
        ingestion.ingest(
            asked,
            str(result.examples),
            str(result.rejected_folder),
            lambda: beam.Pipeline(options=PipelineOptions(list(LOCAL_BEAM_ARGS))),
        )
        return result

    return run
