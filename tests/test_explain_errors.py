"""The errors of `jitnet explain` have one line that states what is missing or wrong."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import jitnet_command

import jitnet
import jitnet.cli
from jitnet.lab import explain

MINE = """
from collections import namedtuple
from numba import njit, vectorize
from jitnet.compiler.intrinsics import quotient
from jitnet.compiler.jit import compiled
LENGTH = 3

@njit
def fine(x):
    for i in range(x.size):
        x[i] = x[i] + 1

@njit
def wrong(x):
    total = 0
    for i in range(x.size):
        total += x[i].upper()
    return total

@njit(["void(float64[::1])"])
def declared(x):
    x[0] = 1

def product(X, Z):
    pass

def straight(x):
    return x[0]

@compiled
def like_ours(x):
    for i in range(x.size):
        x[i] = quotient(0.1 * x[i], x[i])

@vectorize
def twice(x):
    return 2 * x

Pair = namedtuple("Pair", "a b")

@njit
def with_rest(pair, x, scale=2.0, *rest):
    for i in range(x.size):
        x[i] = pair.a * x[i] + scale + len(rest)
"""


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mine")
    (folder / "mine.py").write_text(MINE)
    (folder / "linear.py").write_text("def product(X, W, Z):\n    Z[:] = X @ W\n")
    (folder / "broken.py").write_text("import numpy as np\n1 / 0\n")
    return folder


def test_errors_in_functions_and_their_arguments_are_reported(mine):
    """One process tests all cases, because a process takes a second to start."""
    cases = [
        ("mine.py:fin", {"types": "float32[::1]"}, "has no function .*known: .*did you mean 'fine'"),
        ("mine.py:LENGTH", {}, "LENGTH in .*mine.py is 3, but must be a function"),
        ("mine.py:wrong", {"types": "float32[::1]"}, r"does not compile: .*upper.*mine.py, line 17"),
        ("mine.py:like_ours", {"types": "float32[::1]"}, r"^Numba refuses .*mine.py, line 33: .*0.1 is float64"),
        ("mine.py:fine", {}, r"fine\(x\) needs argument types"),
        ("mine.py:fine", {"arguments": "ones(3, flaot32)"}, "cannot be evaluated: NameError.*flaot32"),
        ("mine.py:fine", {"arguments": "ones((64, 64), float32), 4"},
         r"fine\(x\) takes 1 argument, but was given 2: float32\[:,::1\], int64$"),
        ("mine.py:fine", {"arguments": ""}, r"fine\(x\) takes 1 argument, but was given none$"),
        ("mine.py:fine", {"arguments": "ones(64, 64)"}, r"TypeError: .* such as .*'ones\(\(64, 64\), float32\)'"),
        ("mine.py:fine", {"arguments": "object()"}, "cannot be evaluated: .*Cannot determine Numba type"),
        ("mine.py:fine", {"arguments": "3"}, r"mine.py:fine does not compile: .*mine.py, line \d+\), given int64$"),
        ("mine.py:product", {"operation": "matmul"},
         r"^product has the parameters \(X, Z\), but is called as product\(X, W, Z\), to write Z$"),
        ("mine.py:declared", {"types": "int8"}, r"declared for \(float64\[::1\]\) alone, and cannot take \(int8\)"),
        ("mine.py:fine", {"types": "float33[:]"}, "are not known to Numba"),
        ("mine.py:fine", {"types": "float32[:]", "options": "fastmth=True"},
         r"^unknown option of numba.njit 'fastmth'; known: boundscheck, cache, .* \(did you mean 'fastmath'\?\)$"),
        ("mine.py:fine", {"types": "float32[:]", "options": "fastmath=x"}, "are not valid for numba.njit: NameError"),
        ("mine.py:twice", {}, "mine.py:twice is under @vectorize; give a function under @njit, or a plain one"),
        ("broken.py:f", {}, r"importing .*broken.py raises ZeroDivisionError: division by zero \(broken.py, line 2\)"),
    ]  # fmt: skip
    requests = [explain.request_for(f"{mine}/{target}", **options) for target, options, _ in cases]
    for answer, (target, _, message) in zip(explain.answers(requests), cases, strict=True):
        assert re.search(message, answer["error"]), (target, answer)
        assert "\n" not in answer["error"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["matmull.packed"], "did you mean 'matmul'?"),
        (["matmul.packt"], "did you mean 'packed'?"),
        (["matmul"], "which rung of matmul? Write matmul.packed_parallel; rungs: python, njit"),
        (["matmul.python"], "matmul.python is interpreted by Python, not compiled by Numba; try matmul.njit"),
        (["matmul.numpy"], "NumPy's own code"),
        (["matmul.packed", "--dtype", "half"], "dtype"),
        (["matmul.packed", "--args", "3"], "its own arguments and options"),
        (["none.py:f"], "there is no file none.py"),
        (["none.py"], "which function of none.py? Write none.py:function"),
        ([":f"], "names no function"),
        (
            ["a:f", "--args", "3", "--types", "int64"],
            "one of example arguments, types, an operation and a problem, not two",
        ),
        (
            ["a:f", "--as", "matmul", "--types", "int64"],
            "one of example arguments, types, an operation and a problem, not two",
        ),
        (["a:f", "--as", "matmull"], "unknown operation 'matmull'"),
        (["conv2d.naive"], "conv2d is a problem, not an operation: write file.py:function --problem conv2d"),
        (["matmul.packed", "--as", "matmul"], "its own arguments and options"),
        (["matmul.packed", "--problem", "dot"], "its own arguments and options"),
        (["a:f", "--problem", "dott"], "(did you mean 'dot'?)"),
        (["a:f", "--problem", "dot", "--size", "3x4"], "size is '3x4', but must be whole numbers"),
    ],
)
def test_errors_in_names_and_options_are_reported(arguments, message, capsys):
    assert jitnet.cli.main(["explain", *arguments, "--quiet"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


@pytest.mark.slow  # two processes; the tests above cover most errors
def test_errors_found_by_the_worker_process_are_reported(mine):
    for target, message in (
        ("nomodule:f", "there is no module 'nomodule' here"),
        ("mine.py:straight", "no loop in"),
    ):
        place = f"{mine}/{target}" if ".py" in target else target
        result = jitnet_command("explain", place, "--types", "float32[::1]", "--quiet", status=2)
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1


@pytest.mark.slow  # a separate process; test_custom_kernel.py tests the message
def test_missing_scipy_is_reported(mine, tmp_path):
    """Numba calls SciPy's BLAS for matrix products."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['scipy'] = None\n")
    result = jitnet_command(
        "explain", f"{mine}/linear.py:product", "--as", "matmul", "--quiet", status=2, PYTHONPATH=str(tmp_path)
    )
    assert result.stderr.startswith("jitnet: ")
    assert result.stderr.endswith(
        "linear.py:product does not compile: Numba needs SciPy for @, np.dot and numpy.linalg; write the loops, or: "
        "pip install scipy\n"
    )


def test_unsupported_architecture_is_reported(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(jitnet.Error, match=r"x86-64 .* and AArch64 \(NEON\), but this machine is riscv64"):
        explain.explain("matmul.packed")


def test_file_that_ends_its_process_is_reported(mine):
    (mine / "dies.py").write_text("import os\nos._exit(3)\n")
    with pytest.raises(jitnet.Error, match=r"compiling .*dies.py:f failed: it ended with status 3"):
        explain.explain(f"{mine}/dies.py:f", types="float32[::1]")


@pytest.mark.slow  # a separate process; test_custom_kernel.py ends a similar one
def test_hanging_worker_ends_with_the_command(mine):
    (mine / "hangs.py").write_text(f"import os\nopen('{mine}/pid', 'w').write(str(os.getpid()))\nwhile True: pass\n")
    command = [sys.executable, "-m", "jitnet", "explain", f"{mine}/hangs.py:f", "--types", "int64", "--quiet"]
    process = subprocess.Popen(command)
    wait_until(lambda: (mine / "pid").exists() and (mine / "pid").read_text())
    process.kill()
    process.wait()
    wait_until(lambda: not is_running(int((mine / "pid").read_text())))


def wait_until(true):
    until = time.monotonic() + 300
    while not true():
        assert time.monotonic() < until
        time.sleep(0.1)


def is_running(pid):
    try:
        os.kill(pid, 0)
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]  # it may stay a zombie
    except OSError:
        return False


WITH_REST = [
    "Pair(1.0, 2.0), ones(1000), 3.0, 4.0", "x=ones(1000), pair=Pair(1, 2), scale=0.5", "Pair(1, 2), ones(1000)",
]  # fmt: skip


def test_arguments_have_names_of_the_file_and_defaults_and_may_be_given_by_name(mine):
    """They are compiled and run as a call in Python passes them."""
    target = f"{mine}/mine.py:with_rest"
    for answer in explain.answers([explain.request_for(target, arguments=each, run=1) for each in WITH_REST]):
        assert "error" not in answer, answer
        assert not explain.can_run() or answer["run"]["missing"] is None, answer["run"]
