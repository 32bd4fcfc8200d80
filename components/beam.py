"""How Beam runs on one machine."""

LOCAL_BEAM_ARGS = ("--runner=FnApiRunner", "--direct_running_mode=in_memory", "--direct_num_workers=1")
"""Arguments for `beam_pipeline_args` of a local run.

The runner is named because Beam's default, DirectRunner, first tries Prism, a binary that it downloads from GitHub:
a needless dependency on the network, and twice the time to start a small pipeline.
"""
