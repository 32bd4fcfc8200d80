"""Sources of images. A new one is a file beside this and an entry here."""

REGISTRY = {
    "image_folder": "components.ingest.sources.image_folder:ImageFolder",
    "csv": "components.ingest.sources.csv:Csv",
    "tfrecord": "components.ingest.sources.tfrecord:TfRecord",
    "parquet": "components.ingest.sources.parquet:Parquet",
    "tfds": "components.ingest.sources.tfds:Tfds",
    "idx": "components.ingest.sources.idx:Idx",
}
"""Name in the config -> module and class, imported when used: some need TensorFlow or pyarrow."""
