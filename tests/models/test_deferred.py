"""What takes long to import: loaded when asked for, whole, once, and without a search for garbage."""

import gc
import importlib
import subprocess
import sys
import textwrap
import threading

import pytest

from graft.models import deferred


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """`modules(name=code, package__in__part=code)` writes modules; `late` and `late_package` are deferred."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(deferred, "NAMES", frozenset({"late", "late_package"}))
    monkeypatch.setattr(deferred, "WHOLES", frozenset({"whole"}))
    monkeypatch.setattr(deferred._Finder, "uncollected", frozenset({"large", "large_within"}))
    before = set(sys.modules)

    def write(**code: str) -> None:
        for name, lines in code.items():
            path = tmp_path / (name.replace("__in__", "/") + ".py")
            path.parent.mkdir(exist_ok=True)
            path.write_text(textwrap.dedent(lines))
        importlib.invalidate_caches()

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_module_is_executed_when_a_name_is_asked_for(modules, monkeypatch):
    executed = []
    monkeypatch.setattr(sys, "executed", executed, raising=False)
    modules(late='import sys\nsys.executed.append(__name__)\n__version__ = "3"\nvalue = 1')
    late = importlib.import_module("late")
    # What `inspect` and `warnings` ask of every module.
    assert late.__file__.endswith("late.py") and not hasattr(late, "__warningregistry__")
    assert "value = 1" in importlib.import_module("inspect").getsource(late) and not executed
    assert late.__version__ == "3" and late.value == 1 and executed == ["late"]
    assert not hasattr(late, "nothing") and executed == ["late"]
    assert late.__loader__ is late.__spec__.loader and not isinstance(late.__loader__, deferred._Loader)


def test_a_module_that_is_not_there_is_missed_at_once(modules):
    with pytest.raises(ModuleNotFoundError, match="late"):
        importlib.import_module("late")


def test_a_module_that_fails_says_so_each_time(modules):
    modules(late="raise ImportError('needs more')")
    late = importlib.import_module("late")
    for _ in range(2):
        with pytest.raises(ImportError, match="needs more"):
            _ = late.value


def test_another_thread_finds_the_whole_module(modules, monkeypatch):
    half_way, go_on = threading.Event(), threading.Event()
    monkeypatch.setattr(sys, "events", (half_way, go_on), raising=False)
    modules(late="import sys\nfirst = 1\nsys.events[0].set()\nassert sys.events[1].wait(60)\nlast = 2")
    late, found = importlib.import_module("late"), []
    threads = [
        threading.Thread(target=lambda name=name: found.append(getattr(late, name))) for name in ("first", "last")
    ]
    threads[0].start()
    assert half_way.wait(60)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join()
    assert sorted(found) == [1, 2]


def test_a_part_begins_with_its_whole(modules, monkeypatch):
    """As requests does: the package imports its parts, which need names of the package; each is executed once."""
    executed = []
    monkeypatch.setattr(sys, "executed", executed, raising=False)
    modules(
        late_package__in____init__="import sys\nsys.executed.append(__name__)\nbase = 1\nfrom late_package import part",
        late_package__in__part="""
            import sys
            sys.executed.append(__name__)
            from late_package import base
            value = base + 1
            """,
        late_package__in__other="other = 5",
    )
    importlib.import_module("late_package")
    assert not executed
    part = importlib.import_module("late_package.part")
    assert part.value == 2 and part is sys.modules["late_package"].part
    assert executed == ["late_package", "late_package.part"] and part.__spec__.loader is part.__loader__
    assert importlib.import_module("late_package.other").other == 5


def test_a_part_of_a_whole_comes_without_the_whole(modules, monkeypatch):
    executed = []
    monkeypatch.setattr(sys, "executed", executed, raising=False)
    modules(
        whole__in____init__="""
            import sys
            from whole.first import one
            from whole import second
            sys.executed.append("all")
            """,
        whole__in__first="import sys\nsys.executed.append('first')\none = 1",
        whole__in__second="import sys\nsys.executed.append('second')\ntwo = 2",
    )
    whole, first = importlib.import_module("whole"), importlib.import_module("whole.first")
    assert first.one == 1 and whole.first is first and executed == ["first"]
    assert whole.second.two == 2 and executed == ["first", "second"]
    assert whole.one == 1 and executed == ["first", "second", "all"] and whole.first is first
    assert not hasattr(whole, "third")


def test_parts_alone_leave_the_package_to_be_imported(modules, monkeypatch):
    executed = []
    monkeypatch.setattr(sys, "executed", executed, raising=False)
    modules(apart__in____init__="import sys\nsys.executed.append('all')\nvalue = 1", apart__in__part="value = 2")
    with deferred.parts_alone("apart"):
        part = importlib.import_module("apart.part")
    assert part.value == 2 and not executed and "apart" not in sys.modules
    assert importlib.import_module("apart").value == 1 and executed == ["all"]
    with deferred.parts_alone("apart"):
        assert sys.modules["apart"].value == 1 and importlib.import_module("apart.part") is part
    with pytest.raises(ModuleNotFoundError, match="no_such_package"), deferred.parts_alone("no_such_package"):
        pass


def test_large_packages_are_imported_without_a_search_for_garbage(tmp_path):
    """In a process of its own: all that tests import is frozen here, and would thaw with it."""
    (tmp_path / "large.py").write_text("import gc\noutside = gc.isenabled()\nimport large_within\nkept = [[]]")
    (tmp_path / "large_within.py").write_text("import gc\nwithin = gc.isenabled()")
    code = """
    import gc
    from graft.models import deferred
    deferred._Finder.uncollected = frozenset({"large", "large_within"})
    assert not gc.get_freeze_count()
    import large
    assert (large.outside, large.large_within.within, gc.isenabled()) == (False, False, True)
    assert gc.get_freeze_count() and not any(found is large.kept for found in gc.get_objects())
    """
    (tmp_path / "program.py").write_text(textwrap.dedent(code))
    subprocess.run([sys.executable, tmp_path / "program.py"], check=True)


def test_the_search_goes_on_after_an_import_that_fails(modules):
    modules(large="raise ImportError('no')")
    with pytest.raises(ImportError, match="no"):
        importlib.import_module("large")
    assert gc.isenabled()


@pytest.mark.slow
def test_tensorflow_comes_without_what_graft_does_not_call(tmp_path):
    """And what was left out is there when it is called."""
    code = """
    import gc, sys
    from graft.models import deferred
    deferred.own_process()
    import tensorflow as tf
    early = ("IPython.core", "googleapiclient.http", "matplotlib.figure", "requests.adapters", "sklearn.base")
    assert not [name for name in early if name in sys.modules], sys.modules.keys() & set(early)
    assert gc.isenabled() and gc.get_freeze_count() > 100_000
    @tf.function
    def traced(x):
        if x > 0:
            return x + 1.0
        return x
    assert traced(tf.constant(1.0)) == 2.0
    assert not [name for name in early if name in sys.modules]
    import keras, matplotlib.pyplot, requests
    assert isinstance(keras.wrappers.SKLearnClassifier, type) and "sklearn.base" in sys.modules
    assert callable(matplotlib.pyplot.figure) and requests.Session().adapters
    """
    (tmp_path / "program.py").write_text(textwrap.dedent(code))
    subprocess.run([sys.executable, tmp_path / "program.py"], check=True)


def test_pyarrow_comes_with_its_hotfix_where_there_is_one(monkeypatch):
    assert isinstance(deferred._Finder.find_spec("pyarrow").loader, deferred._Mended)
    monkeypatch.setattr(deferred, "HOTFIX", "a_hotfix_that_is_not_installed")
    assert deferred._Finder.find_spec("pyarrow") is None, "a client alone leaves a user's pyarrow as it is"
