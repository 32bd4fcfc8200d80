"""Sources of images. A new one is a file beside this and an entry here."""

REGISTRY = {
    "image_folder": "graft.components.ingest.sources.image_folder:ImageFolder",
    "csv": "graft.components.ingest.sources.csv:Csv",
    "tfrecord": "graft.components.ingest.sources.tfrecord:TfRecord",
    "parquet": "graft.components.ingest.sources.parquet:Parquet",
    "tfds": "graft.components.ingest.sources.tfds:Tfds",
    "idx": "graft.components.ingest.sources.idx:Idx",
}
"""Name in the config -> module and class, imported when used: some need TensorFlow or pyarrow."""
