"""A component has the outputs that its specification declares, and takes no others for inputs."""

import pytest
from tfx.types import channel, standard_artifacts

from graft.components.artifacts import DataBlessing, Rejected
from graft.components.data_gate.component import DataGate
from graft.components.data_gate.executor import Parameters


def component(rejected) -> DataGate:
    anomalies = channel.Channel(standard_artifacts.ExampleAnomalies)
    return DataGate(anomalies, channel.Channel(rejected), Parameters(max_rejected=0.5))


def test_outputs_are_those_of_the_specification():
    made = component(Rejected)
    assert {name: output.type for name, output in made.outputs.items()} == {"blessing": DataBlessing}
    assert made.outputs["blessing"].producer_component is made and made.inputs.keys() == {"anomalies", "rejected"}
    assert made.exec_properties["max_rejected"] == "0.5"


def test_an_input_of_another_type_is_refused():
    with pytest.raises(TypeError, match="rejected"):
        component(standard_artifacts.Model)
