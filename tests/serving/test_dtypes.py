"""TensorFlow's value types by number are TensorFlow's."""

import numpy as np

from graft.serving import dtypes
from graft.serving.protos import tensor_pb2, types_pb2


def test_numbers_and_names_are_those_of_tensorflow():
    official = {number: name.removeprefix("DT_").lower() for name, number in types_pb2.DataType.items()}
    assert {number: dtypes.name_of(number) for number in official} == official
    assert dtypes.name_of(-3) == "-3" and dtypes.name_of(77) == "77" and dtypes.name_of(100) == "100"


def test_every_kind_has_a_field_and_a_number_of_its_own():
    fields = {field.name for field in tensor_pb2.TensorProto.DESCRIPTOR.fields}
    assert {field for _, field in dtypes.KINDS.values()} <= fields
    for number, (kind, _) in dtypes.KINDS.items():
        assert number == dtypes.STRING or dtypes.NUMBERS[np.dtype(kind)] == number
