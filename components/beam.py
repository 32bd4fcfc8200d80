"""How Beam runs on one machine."""

LOCAL_BEAM_ARGS = (
    "--runner=FnApiRunner",
    "--direct_running_mode=in_memory",
    "--direct_num_workers=1",
    "--sdk_container_image=none",
)
"""Arguments for `beam_pipeline_args` of a local run.

The runner is named because Beam's default, DirectRunner, first tries Prism, a binary that it downloads from GitHub:
a needless dependency on the network, and twice the time to start a small pipeline.

No container is started in this mode; that an image is named keeps TFX from packing its own source code for remote
workers at every stage with a Beam pipeline, 2 s each.
"""
