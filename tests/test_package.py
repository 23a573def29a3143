"""The modules that `import jitnet` loads, its public names, and the length of its files."""

import ast
import contextlib
import gc
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import jitnet
from jitnet.compiler.lazy import LazyFunctions
from jitnet.process import garbage_collector


def test_import_needs_numba_and_numpy_only():
    """Numba imports SciPy if it is installed; jitnet adds only the standard library."""

    def modules(name):
        code = f"import sys, {name}; print(*{{name.partition('.')[0] for name in sys.modules}})"
        return set(
            subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        )

    added = modules("jitnet") - modules("numba")
    assert added - set(sys.stdlib_module_names) == {"jitnet"}
    assert not added & {"ssl", "http", "asyncio", "multiprocessing"}


def test_import_leaves_for_later_what_many_programs_do_not_need():
    """Preparing 230 kernels for Numba and importing jitnet.data took a seventh of the time of `import jitnet`."""
    code = """
import gc, sys
import jitnet
from numba.core.dispatcher import Dispatcher
prepared = [each for each in gc.get_objects() if isinstance(each, Dispatcher) and each.__module__.startswith("jitnet")]
loaded = [name for name in sys.modules if name.startswith(("jitnet.data", "jitnet.interop", "jitnet.lab."))]
print(len(prepared), loaded, jitnet.data.digits()[0].shape, jitnet.interop.to_torch.__name__)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "0 [] (1797, 64) to_torch\n"


@pytest.mark.parametrize("is_enabled", [True, False])
def test_import_leaves_the_garbage_collector_as_it_was(is_enabled):
    code = f"import gc; gc.enable() if {is_enabled} else gc.disable(); import jitnet; print(gc.isenabled())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == str(is_enabled)


def test_a_failed_import_resumes_the_garbage_collector():
    with contextlib.suppress(ImportError), garbage_collector.paused():
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled()


def test_public_names_are_exported():
    for name in jitnet.__all__:
        assert getattr(jitnet, name) is not None
    assert callable(jitnet.backends)
    assert jitnet.kernels.LADDERS["matmul"]["reordered"].__doc__


def test_every_public_name_has_a_docstring():
    for name in jitnet.__all__:
        if name != "__version__":
            assert (getattr(jitnet, name).__doc__ or "").strip(), name
    for operation, ladder in jitnet.kernels.LADDERS.items():
        assert ladder["python"].__doc__, operation


def test_files_have_at_most_400_lines():
    for file in Path(jitnet.__file__).parent.rglob("*.py"):
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 400, file.name


def test_lists_of_files_are_complete():
    """Some packages describe each of their files in the docstring of their `__init__.py`."""
    for init in Path(jitnet.__file__).parent.rglob("__init__.py"):
        listed = set(re.findall(r"^(\w+\.py) ", ast.get_docstring(ast.parse(init.read_bytes())) or "", re.MULTILINE))
        if len(listed) > 2:
            files = {path.name for path in init.parent.glob("*.py")} - {"__init__.py"}
            assert listed <= files
            assert not [name for name in files if name not in init.read_text(encoding="utf-8")], init


def test_functions_are_made_once_when_first_read():
    made: list[str] = []

    def maker(name: str) -> Callable[[], str]:
        return lambda: made.append(name) or name

    functions = LazyFunctions()
    functions.add("a", maker("a"))
    functions.add("b", maker("b"))
    functions["c"] = "c"
    assert list(functions) == ["a", "b", "c"]
    assert list(reversed(functions)) == ["c", "b", "a"]
    assert len(functions) == 3
    assert "a" in functions
    assert "d" not in functions
    assert repr(functions) == "<functions a, b, c>"
    assert made == []
    assert functions["b"] == functions["b"] == "b"
    assert functions.get("d") is None
    assert made == ["b"]
    functions.add("b", maker("new"))
    assert functions["b"] == "new"
    assert list(functions) == ["a", "b", "c"]
    del functions["b"]
    assert dict(functions) == {"a": "a", "c": "c"}
    assert made == ["b", "new", "a"]


def test_threads_that_read_a_function_first_get_the_same_one():
    functions, start = LazyFunctions(), threading.Barrier(8)

    def slow() -> object:
        time.sleep(0.01)
        return object()

    def read(_: int) -> object:
        start.wait()
        return functions["f"]

    functions.add("f", slow)
    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(read, range(8)))) == 1
