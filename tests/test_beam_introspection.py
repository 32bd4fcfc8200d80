"""Answers about Python code that are given once a process: the same as Beam's own."""

import concurrent.futures
import functools
import importlib
import os
import xml

import apache_beam as beam
import beam_introspection
import objsize.traverse
import pytest
from apache_beam.internal import cloudpickle_pickler, pickler
from apache_beam.internal.cloudpickle import cloudpickle
from apache_beam.options.pipeline_options import DebugOptions, PipelineOptions, StandardOptions
from apache_beam.runners.worker import statecache
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms import core, userstate

from graft.components.beam import LOCAL_BEAM_ARGS


class Plain(beam.DoFn):
    def process(self, element, window=beam.DoFn.WindowParam, *, more: int = 3):
        yield element


class Counting(beam.DoFn):
    SEEN = beam.DoFn.StateParam(userstate.BagStateSpec("seen", beam.coders.VarIntCoder()))

    def process(self, element, seen=SEEN):
        seen.add(1)
        yield element[1]


def wrapped():
    @functools.wraps(Plain.process)
    def inner(*args):
        return args

    return inner


@pytest.mark.parametrize(
    "function",
    [Plain().process, Plain.process, Counting().process, wrapped(), Plain, len, str.strip, functools.partial(max, 1)],
)
def test_a_signature_is_beams(function):
    expected = core.get_signature(function)
    with beam_introspection.remembered():
        assert [core.get_signature(function) for _ in range(2)] == [expected, expected]


def test_two_functions_of_one_name_are_told_apart():
    one, other = (lambda a: a), (lambda b, c=1: b)
    with beam_introspection.remembered():
        assert [core.get_function_args_defaults(f)[0] for f in (one, other, one)] == [["a"], ["b", "c"], ["a"]]


def test_state_of_a_dofn_is_still_found():
    with beam_introspection.remembered():
        for _ in range(2):
            assert userstate.is_stateful_dofn(Counting()) and not userstate.is_stateful_dofn(Plain())


class Bound(beam.DoFn):
    """Its `process` is a method of the instance's own, with state or without."""

    def __init__(self, process):
        self.process = process


def test_methods_of_an_instance_are_looked_at_each_time():
    with beam_introspection.remembered():
        assert [userstate.is_stateful_dofn(Bound(of.process)) for of in (Plain(), Counting())] == [False, True]


def test_who_gets_the_state_of_a_dofn_has_it_alone():
    with beam_introspection.remembered():
        states, timers = userstate.get_dofn_specs(Counting())
        states.clear(), timers.add("timer")
        assert [len(found) for found in userstate.get_dofn_specs(Counting())] == [1, 0]


@pytest.mark.parametrize("flags", [[], ["--runner=FnApiRunner", "--experiment=a", "--experiment=b", "--unknown=3"]])
def test_options_are_beams(flags):
    def seen(**overrides):
        options = PipelineOptions(flags, **overrides)
        views = [options.view_as(cls) for cls in (StandardOptions, DebugOptions)]
        return options.get_all_options(), [sorted(view._visible_option_list()) for view in views], views[1].experiments

    expected = [seen(), seen(streaming=True)]
    with beam_introspection.remembered():
        assert [seen(), seen(streaming=True), seen()] == [*expected, expected[0]]


def test_options_of_one_pipeline_are_not_those_of_the_next():
    with beam_introspection.remembered():
        one, other = (PipelineOptions(["--experiment=a"]) for _ in range(2))
        one.view_as(DebugOptions).add_experiment("b")
        one.view_as(StandardOptions).streaming = True
        assert one.view_as(DebugOptions).experiments == ["a", "b"] and one.view_as(StandardOptions).streaming
        assert other.view_as(DebugOptions).experiments == ["a"] and not other.view_as(StandardOptions).streaming


def test_what_is_pickled_is_read_again():
    with beam_introspection.remembered():
        assert pickler.loads(pickler.dumps({"a": Plain()}))["a"].process.__func__ is Plain.process


def uses_modules():
    return os.path.join, xml.dom.minidom.parse, concurrent.futures.ThreadPoolExecutor, beam.io.filesystem.FileMetadata


def test_modules_that_a_function_uses_are_those_that_cloudpickle_finds():
    importlib.import_module("xml.dom.minidom")
    asked = (uses_modules.__code__, [os, xml, concurrent, beam, None, 3])
    expected = cloudpickle._find_imported_submodules(*asked)
    with beam_introspection.remembered():
        found = cloudpickle._find_imported_submodules(*asked)
    assert {module.__name__ for module in found} == {module.__name__ for module in expected}
    assert {"xml.dom.minidom", "concurrent.futures", "apache_beam.io.filesystem"} <= {m.__name__ for m in found}


@pytest.mark.parametrize("value", [b"abc" * 100, [1, 2.5, "text"], {"a": Plain()}, uses_modules])
def test_a_kept_value_weighs_the_same(value):
    expected = statecache.get_deep_size(value)
    with beam_introspection.remembered():
        assert statecache.get_deep_size(value) == expected


def test_a_pipeline_with_side_inputs_and_state_runs():
    with (
        beam_introspection.remembered(),
        beam.Pipeline(options=PipelineOptions(list(LOCAL_BEAM_ARGS))) as pipeline,
    ):
        numbers = pipeline | beam.Create(range(10))
        most = numbers | beam.CombineGlobally(max)
        shares = numbers | beam.Map(lambda n, top: n / top, beam.pvalue.AsSingleton(most))
        keyed = shares | beam.Map(lambda share: (share > 0.5, share)) | beam.ParDo(Counting())
        assert_that(keyed, equal_to([n / 9 for n in range(10)]))


def test_all_is_as_before_when_it_is_closed():
    def patched():
        return (
            core.get_signature,
            cloudpickle._find_imported_submodules,
            cloudpickle_pickler.bz2,
            objsize.traverse._iter_modules_globals,
            userstate.get_dofn_specs,
            PipelineOptions.__init__,
        )

    before = patched()
    with pytest.raises(ZeroDivisionError), beam_introspection.remembered():
        assert all(now is not then for now, then in zip(patched(), before, strict=True))
        _ = 1 / 0
    assert patched() == before
