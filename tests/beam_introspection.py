"""What Beam finds out about Python code is found out once a process: nearly half of what a small pipeline takes.

Beam looks at the signatures of all methods of a DoFn each time it meets it, at all imported modules for each function
that it pickles, and at the globals of all of them for each value that it keeps. With TensorFlow and TFX imported these
are thousands of modules. The answers are the same. Only tests do this, which run dozens of pipelines in a process: it
replaces private names of Beam and objsize.
"""

import contextlib
import inspect
import sys
import types
import weakref
from collections.abc import Iterable, Iterator
from unittest import mock

import objsize.traverse
from apache_beam.internal.cloudpickle import cloudpickle
from apache_beam.transforms import core

_beams_signature = core.get_signature
_signatures: weakref.WeakKeyDictionary[types.FunctionType, dict[bool, inspect.Signature]] = weakref.WeakKeyDictionary()


@contextlib.contextmanager
def remembered() -> Iterator[None]:
    """While it is open, pipelines of this process are set up and run without looking at the same code again."""
    with (
        mock.patch.object(core, "get_signature", _signature),
        mock.patch.object(cloudpickle, "_find_imported_submodules", _imported_submodules),
        # Left out of what is weighed is then no module's dictionary; no value that Beam keeps leads to one.
        mock.patch.object(objsize.traverse, "_iter_modules_globals", tuple),
    ):
        yield


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
