"""Runs `run_fn` in a process of its own: `training_process.py ARGS.json... [--die-after EPOCHS] [--devices N]`.

With --die-after the process kills itself with SIGKILL when that many epochs are done; with --devices it has N logical
CPU devices.
"""

import argparse
import json
import os
import pathlib
import signal
import types

import tensorflow as tf

from graft.models import progress, strategy, trainer


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("fn_args", type=pathlib.Path, nargs="+")
    parser.add_argument("--die-after", type=int)
    parser.add_argument("--devices", type=int, default=1)
    arguments = parser.parse_args()
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * arguments.devices)

    def sink(stage, done, total, unit, figures):
        if unit == "epochs" and done == arguments.die_after:
            os.kill(os.getpid(), signal.SIGKILL)

    progress.set_sink(sink)
    replicas = strategy.choose().num_replicas_in_sync
    for path in arguments.fn_args:
        trainer.run_fn(types.SimpleNamespace(**json.loads(path.read_text())))
        print(f"trained on {replicas} replicas")


if __name__ == "__main__":
    main()
