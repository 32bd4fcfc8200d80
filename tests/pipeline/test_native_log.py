"""What native libraries write on descriptor 2, in a process of its own."""

import subprocess
import sys

SCRIPT = """
import os, sys
from graft.pipeline.native_log import leave_out_chatter
leave_out_chatter()
os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\\n")
os.write(2, b"W0000 00:00:1795360599.510728    2369 op_level_cost_estimator.cc:699] Error in PredictCost()\\n")
os.write(2, b"I0000 00:00:1795360599.510728    2369 cpu.cc:1] hello\\nF0000 00:00:1.5  7 check.cc:1] Check failed\\n")
print("of Python", file=sys.stderr)
os.write(1, b"out\\n")
os.write(2, b"terminate called without a newline")
os.abort()
"""


def test_chatter_is_left_out_and_the_last_words_of_an_abort_are_not():
    process = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert process.stdout == "out\n" and process.returncode < 0
    assert sorted(process.stderr.split("\n")) == sorted(
        ["F0000 00:00:1.5  7 check.cc:1] Check failed", "of Python", "terminate called without a newline"]
    )
