"""Only complete files of this user are loaded, and reading a file runs no code."""

import hashlib
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from command import run
from numba.core.bytecode import FunctionIdentity

from jitnet.compiler import jit

SUMS = """
import numpy as np
from jitnet.kernels import LADDERS
kernel = LADDERS["relu"]["njit"]
A = np.empty((4, 3), np.float32)
kernel(np.ones((4, 3), np.float32), A)
assert (A == 1).all()
print(sum(kernel.stats.cache_hits.values()))
"""


def test_damaged_file_is_recompiled(tmp_path, monkeypatch):
    monkeypatch.setenv("JITNET_CACHE_DIR", str(tmp_path))

    def hits():
        kernel, x = jit.compiled(first), np.zeros(2)
        kernel(x)
        assert x.tolist() == [1, 0]
        return sum(kernel.stats.cache_hits.values())

    assert hits() == 0
    (file,) = tmp_path.rglob("*.kernel")
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for damaged in (b"", whole[:10], whole[:-1], bytes(flipped)):
        file.write_bytes(damaged)
        assert [hits(), hits()] == [0, 1]


@pytest.mark.slow  # three processes; test_cache_folder.py tests the owner in this process
def test_files_of_another_user_are_not_run(tmp_path):
    """If another user owns a filled cache, jitnet compiles without it and does not change it."""
    if os.geteuid():
        pytest.skip("only root can give files to another user")
    cache = tmp_path / "cache"
    folder = {"JITNET_CACHE_DIR": str(cache)}
    assert run(SUMS, **folder).stdout.strip() == "0"
    (file,) = cache.rglob("*.kernel")
    before = file.read_bytes()
    for place in (file.parent, cache):
        os.chown(place, 65534, 65534)
        result = run(SUMS, **folder)
        assert result.stdout.strip() == "0"
        said = f"{place} belongs to another user (uid 65534), so compiled kernels are neither loaded from there"
        assert result.stderr.count(said) == 1
        assert "set JITNET_CACHE_DIR to a folder of your own" in result.stderr
    assert list(file.parent.iterdir()) == [file]
    assert file.read_bytes() == before


def first(x):
    x[0] = 1


class Bomb:
    def __reduce__(self):
        return os.mkdir, (os.environ["BOMB"],)


@pytest.mark.release
def test_pickle_is_not_loaded(tmp_path, monkeypatch):
    """A pickle with the correct checksum replaces a kernel: it is not loaded."""
    monkeypatch.setenv("BOMB", str(tmp_path / "bang"))
    folder = {"JITNET_CACHE_DIR": str(tmp_path / "cache")}
    assert run(SUMS, **folder).stdout.strip() == "0"
    (file,) = (tmp_path / "cache").rglob("*.kernel")
    for payload in (pickle.dumps(Bomb()), pickle.dumps(Bomb(), protocol=0)):
        file.write_bytes(hashlib.blake2b(payload, digest_size=32).digest() + payload)
        assert run(SUMS, **folder).stdout.strip() == "0"
        assert not (tmp_path / "bang").exists()
        assert run(SUMS, **folder).stdout.strip() == "1"
    pickle.loads(payload)
    assert (tmp_path / "bang").exists()


@pytest.mark.slow  # two processes; the next test runs in this process
def test_function_that_needs_python_objects_is_not_cached(tmp_path):
    """A file contains only numbers, names and machine code; a function that needs other objects is not cached."""
    (tmp_path / "mine.py").write_text(
        "import numpy as np\nfrom jitnet.compiler import jit\n"
        "def total(x):\n    return x.sum()\n"
        "total = jit.compiled(total)\nprint(total(np.ones(3)))\n"
    )
    folder = {"JITNET_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}
    assert [run("import mine", **folder).stdout.strip() for _ in range(2)] == ["3.0", "3.0"]
    assert list(tmp_path.rglob("*.kernel")) == []


def test_function_with_python_objects_is_not_cached_in_this_process(tmp_path, monkeypatch):
    monkeypatch.setenv("JITNET_CACHE_DIR", str(tmp_path))
    signature = "(float32[::1],)"
    kernel = jit.compiled(first)
    kernel._cache.disable()
    kernel.compile(signature)
    (result,) = kernel.overloads.values()
    kernel._cache.enable()
    result.environment.consts.append("text")
    kernel._cache.save_overload(signature, result)
    assert not kernel._cache.holds(signature, result.codegen)
    result.environment.consts.pop()
    kernel._cache.save_overload(signature, result)
    assert kernel._cache.holds(signature, result.codegen)


@pytest.mark.release  # two processes that compile
def test_loaded_helper_finds_its_environment(tmp_path):
    """The helper passes numbers to Python, which prints them."""
    (tmp_path / "mine.py").write_text(
        "import numpy as np\nfrom jitnet.compiler import jit\n"
        "@jit.part_of_kernels\ndef show(v):\n    print(v)\n"
        "def kernel(x):\n    show(x[0])\n"
        "kernel = jit.compiled(kernel)\nkernel(np.ones(1))\nprint(sum(kernel.stats.cache_hits.values()))\n"
    )
    folder = {"JITNET_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}
    assert [run("import mine", **folder).stdout.split() for _ in range(2)] == [["1.0", "0"], ["1.0", "1"]]


@pytest.mark.slow  # two processes; others load kernels too
def test_loaded_kernel_is_as_good_as_a_compiled_one(tmp_path):
    """Compiled functions can call it, and it has the same metadata as after compilation."""
    code = """
import numba, numpy as np
from jitnet.kernels import LADDERS
X, Z = np.eye(3, dtype=np.float32), np.zeros((3, 3), np.float32)
kernel = LADDERS["matmul"]["reordered"]
kernel(X, X, Z)
@numba.njit
def caller(X, Z):
    kernel(X, X, Z)
Z[:] = 0
caller(X, Z)
assert (Z == X).all()
result = next(iter(kernel.overloads.values()))
function = result.fndesc
print(sum(kernel.stats.cache_hits.values()), result.signature, result.entry_point.__name__, function.qualname,
      function.modname, function.mangled_name, function.env_name, function.unique_name, function.args,
      function.argtypes, function.restype, result.environment.globals["__name__"], sep="\\n")
"""
    folder = {"JITNET_CACHE_DIR": str(tmp_path)}
    compiled, loaded = (run(code, **folder).stdout.splitlines() for _ in range(2))
    assert (compiled[0], loaded[0]) == ("0", "1")
    assert compiled[1:] == loaded[1:]


def test_symbols_have_random_numbers():
    assert min(FunctionIdentity.from_function(first).unique_id for _ in range(3)) > 2**40


@pytest.mark.slow  # three processes; the test above looks at the numbers in this process
def test_kernels_of_several_processes_keep_their_own_helpers(tmp_path):
    """Two kernels call different tiles of one factory. Each is the first in its process; a third loads both."""
    (tmp_path / "mine.py").write_text(
        """
import numpy as np
from jitnet.compiler import jit
from jitnet.kernels.register_tile import tiles_of_width
tiles_of_one, tiles_of_two = tiles_of_width(1, False), tiles_of_width(2, False)
def one(A, B, C):
    tiles_of_one(A, B, B[:0], C[0], False, False, C.dtype.type(0), C)
def two(A, B, C):
    tiles_of_two(A, B, B[:0], C[0], False, False, C.dtype.type(0), C)
one, two = jit.compiled(one), jit.compiled(two)
A, B = np.ones((5, 3)), np.ones((3, 20))
def numbers_written_by(kernel):
    C = np.zeros((5, 20))
    kernel(A, B, C)
    return np.count_nonzero(C == 3)
"""
    )
    folder = {"JITNET_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}
    alone = [run(f"import mine; print(mine.numbers_written_by(mine.{name}))", **folder) for name in ("one", "two")]
    both = run("import mine; print(mine.numbers_written_by(mine.one), mine.numbers_written_by(mine.two))", **folder)
    assert [result.stdout.split() for result in alone] == [[word] for word in both.stdout.split()]
    assert len(set(both.stdout.split())) == 2


@pytest.mark.release
def test_several_processes_can_fill_an_empty_cache_at_once(tmp_path):
    code = """
import numpy as np
from jitnet.kernels import LADDERS
for dtype in (np.float32, np.float64):
    X, W, Z = np.ones((3, 4), dtype), np.ones((4, 2), dtype), np.empty((3, 2), dtype)
    for rung in ("njit", "reordered"):
        LADDERS["matmul"][rung](X, W, Z)
        assert (Z == 4).all()
"""
    environment = {**os.environ, "JITNET_CACHE_DIR": str(tmp_path)}
    processes = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert len(list(tmp_path.rglob("*.kernel"))) == 4
    assert list(tmp_path.rglob("*.tmp")) == []


def test_read_only_folder_causes_one_warning_and_no_error(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    result = run(SUMS + SUMS, JITNET_CACHE_DIR=str(blocked))
    assert result.stderr.count("cannot save compiled kernels") == 1
