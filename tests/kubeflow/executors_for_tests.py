"""Executors that the entrypoint is tried with, in a process of its own."""

import json
import pathlib
import sys
import time

from tfx.dsl.components.base import base_executor

from graft.models.errors import GraftError


class Copies(base_executor.BaseExecutor):
    """Writes what it was given into its output `model`."""

    def Do(self, input_dict, output_dict, exec_properties):
        (examples,), (model,) = input_dict["examples"], output_dict["model"]
        if exec_properties.get("fail"):
            raise GraftError(f"data.path: {exec_properties['fail']}; allowed: another")
        if exec_properties.get("wait"):
            pathlib.Path(model.uri, "begun").touch()
            time.sleep(60)
        seen = {
            "outputs": sorted(output_dict),
            "type": examples.type_name,
            "span": examples.span,
            "custom": examples.get_string_custom_property("note"),
            "content": pathlib.Path(examples.uri, "data.txt").read_text(),
            "properties": exec_properties,
            "run": self._context.pipeline_run_id,
            "imported": sorted({"tensorflow", "apache_beam"} & set(sys.modules)),
        }
        pathlib.Path(model.uri, "seen.json").write_text(json.dumps(seen))
        pathlib.Path(model.uri, "variables").mkdir()
        model.set_int_custom_property("blessed", 1)
