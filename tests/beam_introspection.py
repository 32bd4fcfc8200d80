"""What Beam finds out about Python code is found out once a process: more than half of what a small pipeline takes.

Beam looks at the signatures of all methods of a DoFn each time it meets it, at all imported modules for each function
that it pickles, and at the globals of all of them for each value that it keeps. With TensorFlow and TFX imported these
are thousands of modules. It makes a parser of its options for each transform, and packs what it pickles by bzip2. The
answers are the same. Only tests do this, which run dozens of pipelines in a process: it replaces private names of Beam
and objsize.
"""

import contextlib
import copy
import functools
import inspect
import sys
import types
import weakref
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from unittest import mock

import objsize.traverse
from apache_beam.internal import cloudpickle_pickler
from apache_beam.internal.cloudpickle import cloudpickle
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms import core, userstate

_beams_options = PipelineOptions.__init__
_beams_signature = core.get_signature
_beams_specs = userstate.get_dofn_specs
_parsed: dict[tuple[type, tuple[str, ...]], Any] = {}
_signatures: weakref.WeakKeyDictionary[types.FunctionType, dict[bool, inspect.Signature]] = weakref.WeakKeyDictionary()
_specs: weakref.WeakKeyDictionary[type, tuple[set, set]] = weakref.WeakKeyDictionary()
_quick_packing = types.SimpleNamespace(
    compress=lambda data, compresslevel=9: zlib.compress(data, 1), decompress=zlib.decompress
)


@contextlib.contextmanager
def remembered() -> Iterator[None]:
    """While it is open, pipelines of this process are set up and run without looking at the same code again."""
    with (
        mock.patch.object(PipelineOptions, "__init__", _options),
        mock.patch.object(cloudpickle_pickler, "bz2", _quick_packing),
        mock.patch.object(core, "get_signature", _signature),
        mock.patch.object(userstate, "get_dofn_specs", _dofn_specs),
        mock.patch.object(cloudpickle, "_find_imported_submodules", _imported_submodules),
        # Left out of what is weighed is then no module's dictionary; no value that Beam keeps leads to one.
        mock.patch.object(objsize.traverse, "_iter_modules_globals", tuple),
    ):
        yield


@functools.wraps(_beams_options)
def _options(self: PipelineOptions, flags: Sequence[str] | None = None, **overrides: Any) -> None:
    """As Beam's; the same flags are parsed once for each class of options."""
    if flags is None or isinstance(flags, str):
        _beams_options(self, flags, **overrides)
        return
    key = (type(self), tuple(flags))
    if key not in _parsed:
        _beams_options(self, list(flags))
        _parsed[key] = self._visible_options
    self._flags, self._visible_options, self._all_options = flags, copy.deepcopy(_parsed[key]), overrides
    for name in self._visible_option_list():
        overrides.setdefault(name, getattr(self._visible_options, name))


def _dofn_specs(dofn: core.DoFn) -> tuple[set, set]:
    """As Beam's `get_dofn_specs`: those of the class, where the instance has no bound methods of its own."""
    if any(isinstance(value, types.MethodType) for value in vars(dofn).values()):
        return _beams_specs(dofn)
    if type(dofn) not in _specs:
        _specs[type(dofn)] = _beams_specs(dofn)
    states, timers = _specs[type(dofn)]
    return set(states), set(timers)


def _signature(function: object) -> inspect.Signature:
    """As Beam's `get_signature`; a bound method's signature is the same whatever it is bound to."""
    bound = isinstance(function, types.MethodType)
    plain = function.__func__ if bound else function  # type: ignore[attr-defined]
    if not isinstance(plain, types.FunctionType):
        return _beams_signature(function)
    known = _signatures.setdefault(plain, {})
    if bound not in known:
        known[bound] = _beams_signature(function)
    return known[bound]


def _imported_submodules(code: types.CodeType, dependencies: Iterable[object]) -> list[types.ModuleType]:
    """As cloudpickle's: imported modules below the packages in `dependencies` that `code` names attribute by attribute.

    Where that compares every imported module with the names, this asks for the modules that the names can make.
    """
    names = sorted(set(code.co_names))
    found: list[types.ModuleType] = []
    for package in dependencies:
        if isinstance(package, types.ModuleType) and getattr(package, "__package__", None):
            pending = [package.__name__]
            while pending:
                parent = pending.pop()
                below = [f"{parent}.{name}" for name in names if f"{parent}.{name}" in sys.modules]
                found.extend(sys.modules[name] for name in below)
                pending.extend(below)
    return found
