"""The command `jitnet check`: its arguments, guessed or given, and its messages."""

import importlib.util
import json
import os
import re
import sys

import numpy as np
import pytest

from jitnet import cli
from jitnet.lab import worker
from jitnet.lab.sanitizer import arguments
from jitnet.lab.sanitizer.checking import examine
from jitnet.lab.sanitizer.syntax import renamed


@pytest.fixture
def file(tmp_path, monkeypatch, untried):
    (tmp_path / "mine.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture
def write(tmp_path):
    """Writes a module and imports it."""

    def written(source):
        (tmp_path / "kernels.py").write_text(source)
        spec = importlib.util.spec_from_file_location("kernels", tmp_path / "kernels.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return written


SOURCE = """
import numpy as np
from numba import njit, prange

@njit(parallel=True)
def racy(A, B, C):
    C[:] = 0
    for k in prange(A.shape[1]):
        for i in range(A.shape[0]):
            for j in range(B.shape[1]):
                C[i, j] += A[i, k] * B[k, j]

@njit
def gather(data, order, n):
    print("for standard error")
    out = np.empty((n, data.shape[1]), data.dtype)
    for i in range(n):
        out[i] = data[order[i]]
    return out

@njit("(float32[::1], int64)")
def declared(a, n):
    for i in range(n + 1):
        a[i] = 0

def axes_swapped(A, B, n):
    rows = A.shape[1]
    for i in range(rows):
        for j in range(len(A)):
            B[i, j] = A[i, j] + n[0]

def product(A, B, C):
    m, k = A.shape
    for i in range(m):
        for j in range(B.shape[1]):
            C[i, j] = 0
            for l in range(0, k):
                C[i, j] += A[i, l] * B[l, j]

def sums_of_edges(C, A, B, n):
    for j in range(n):
        C[j] = A[0, j]
    for i in range(len(A)):
        B[i] = A[i, 0]

def rows_apart(A, B, k):
    for i in range(len(A)):
        j = k[i]
        B[i] = A[i][0] + A[j][0]

def only_for_square_arrays(A):
    for i in range(A.shape[0]):
        for j in range(i):
            A[i, j] = A[j, i]

def pads(A, B):
    n = A.shape[0]
    n += 1
    for i in range(n):
        B[i] = A[i]

def branches(a, b):
    # the guessed values are below 2
    for i in range(a.size):
        if a[i] > 3:
            b[i + 100] = (
                a[i])
            b[0] = 1
        else:
            b[i] = a[i]
        if i == 0:
            continue

@njit(parallel=True)
def scatters(order, x, out):
    for i in prange(x.size):
        out[order[i]] = x[i]

def other_order(Z, X, W):
    for i in range(X.shape[0]):
        for j in range(W.shape[1]):
            Z[i, j] = X[i, 0] * W[0, j]

def passes_on(a, b):
    return racy(a, a, b)

def unpacks(pair):
    x, y = pair

def means_of_images(images, out):
    for i in range(images.shape[0]):
        for j in range(images.shape[1]):
            out[i, j, 0, 0] = images[i, j, 0, 0] + images[i, j, 1, 0]

def tanh_by_exponentials(x, y):
    for i in range(x.size):
        up, down = np.exp(x[i]), np.exp(-x[i])
        y[i] = (up - down) / (up + down)

def tanh_by_one_exponential(x, y):
    for i in range(x.size):
        e = np.exp(-abs(x[i] + x[i]))
        y[i] = (x.dtype.type(1) - e) / (x.dtype.type(1) + e)
        y[i] = y[i] if x[i] > 0 else -y[i]
"""


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (
            ["mine.py:racy"],
            2,
            r"race: C\[0, 0\] .*\(line 11\) .*\(line 11\) .* in line 8 \(mine.py\), and \d+ more times\n    fix: ",
        ),
        (
            ["mine.py:racy", "--as", "matmul"],
            2,
            r"--with mine.py:racy\nmine.py:racy: 1 error in 10 runs\n$",
        ),
        (["mine.py:racy", "--args", "ones((2, 2)), ones((2, 2)), np.empty((2, 2))", "--writes", "C"], 2, "in 1 run"),
        (
            ["mine.py:other_order", "--as", "matmul"],
            2,
            r"^error: its parameters are \(Z, X, W\), but the call is other_order\(X, W, Z\)\n    fix: ",
        ),
        (["mine.py:passes_on"], 2, r"race: C\[0, 0\]|race: b\[0, 0\]"),
        (["mine.py:gather"], 0, r"^note: it prints 4 lines, .*\nmine.py:gather: nothing unsafe in 2 runs\n$"),
        (
            ["mine.py:axes_swapped"],
            0,
            r"^warning: is right for square arrays only: A\[7, 0\] is out of bounds .*A \(7, 8\)",
        ),
        (["mine.py:product"], 0, r"^mine.py:product: nothing unsafe in 3 runs\n$"),
        (["mine.py:sums_of_edges"], 0, r"^mine.py:sums_of_edges: nothing unsafe in 3 runs\n$"),
        (["mine.py:rows_apart"], 0, r"^mine.py:rows_apart: nothing unsafe in \d runs\n"),
        (["mine.py:only_for_square_arrays"], 0, r"nothing unsafe in 2 runs\n$"),
        (["mine.py:tanh_by_exponentials"], 0, r"^warning: gives NaN for numbers of about 1000(?s:.*)fix: e to a large"),
        (["mine.py:tanh_by_one_exponential"], 0, r"^mine.py:tanh_by_one_exponential: nothing unsafe in 2 runs\n$"),
        (["mine.py:scatters"], 2, r"race: out(?s:.*)note: the arrays of indices were guessed"),
        (["mine.py:branches"], 0, r"note: no run reached lines 66, 68, so what is there was not checked\n    fix: "),
        (["mine.py:means_of_images"], 0, r"^mine.py:means_of_images: nothing unsafe in \d runs\n$"),
        (["mine.py:pads"], 2, r"B\[7\] is out of bounds(?s:.*)note: the arguments were guessed"),
        (["matmul.blocked"], 0, r"^matmul.blocked: nothing unsafe in 10 runs\n$"),
        (["sgd.python", "--dtype", "float64"], 0, "nothing unsafe"),
    ],
)
def test_command_reports_what_it_finds(arguments, status, says, file, capsys):
    assert cli.main(["check", *arguments, "--quiet"]) == status
    out, err = capsys.readouterr()
    assert re.search(says, out)
    assert "checking" not in err


def test_progress_is_shown(file, capsys):
    assert cli.main(["check", "matmul.blocked"]) == 0
    assert capsys.readouterr().err.startswith("checking 1/10: X (2, 3), W (3, 5), Z (2, 5)\n")


SHAPES = """
def elements(A, x, n):
    for i in range(n):
        if x[i] > 9:
            x[i] = {}
"""


@pytest.mark.parametrize(
    ("element", "dims"),
    [
        ("A[i][0]", 2), ("A[i, 0]", 2), ("A[i, 0, 0]", 3), ("A[None, i]", 1), ("A[i]", 1), ("A.T[0]", 2),
        ("A.shape[1]", 2), ("A.shape[-1]", 1), ("A.size", 1), ("len(A)", 1), ("0.5", 0),
    ],
)  # fmt: skip
def test_guessed_arrays_have_the_dimensions_of_the_source(element, dims, write):
    """Also if no run reaches the statement."""
    A, x, n = next(arguments.guessed(write(SHAPES.format(element)).elements, "float32"))
    assert (np.shape(A), np.shape(x), n) == ((7,) * dims, (7,), 7)


UNEQUAL = """
def fills(A, m, n):
    for i in range(m):
        for j in range(n):
            A[i, j] = 0

def rows(A, x):
    for i in range(len(A)):
        x[i] = A[i, 0]

def columns(A, x):
    for i in range(A.shape[1]):
        x[i] = A[0, i]

def scales(A, x, factor):
    m, n = A.shape
    for i in range(m):
        for j in range(x.size):
            A[i, j] *= factor * x[j]
"""


def test_unequal_dimensions_follow_from_the_source(write):
    module = write(UNEQUAL)
    shapes = {}
    for name in ("fills", "rows", "columns", "scales"):
        kernel = getattr(module, name)
        made = arguments._unequal(kernel, next(arguments.guessed(kernel, "float32")))
        shapes[name] = [one if type(one) is int else np.shape(one) for one in made]
    assert shapes == {
        "fills": [(7, 8), 7, 8], "rows": [(7, 8), (7,)], "columns": [(7, 8), (8,)], "scales": [(7, 8), (8,), ()],
    }  # fmt: skip


def test_json_output_has_the_findings(file, capsys):
    assert cli.main(["check", "mine.py:racy", "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert (found["kernel"], found["passed"], len(found["runs"])) == ("mine.py:racy", False, 2)
    (race,) = found["findings"]
    assert (race["kind"], race["severity"], race["lines"], race["element"]) == ("race", "error", [11, 11], [0, 0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mine.py"], "which function of mine.py? Write mine.py:function"),
        (["matmul"], "which rung of matmul? Write matmul.packed_parallel; rungs: python, njit"),
        (["mine.py:rcy"], "mine.py has no function 'rcy'; known: "),
        (
            ["mine.py:unpacks"],
            "the arguments of unpacks cannot be guessed: it raises TypeError: cannot unpack "
            "non-iterable float32 object, given pair = 0.5 (mine.py, line ",
        ),
        (["mine.py:racy", "--args", "1"], "racy(A, B, C) takes 3 arguments, but was given 1"),
        (["mine.py:racy", "--args", "1, ("], "the arguments '1, (' cannot be evaluated: "),
        (["mine.py:racy", "--args", "1", "--as", "matmul"], "--as, --problem and --args each give arguments; leave"),
        (
            ["matmul.packed", "--problem", "dot"],
            "--problem takes a function, as in file.py:function, not matmul.packed",
        ),
        (["mine.py:racy", "--as", "matmull"], "unknown operation 'matmull'"),
        (
            ["mine.py:pads", "--as", "matmul"],
            "pads has the parameters (A, B), but is called as pads(X, W, Z), to write Z",
        ),
        (["mine.py:racy", "--as", "conv2d"], "conv2d is a problem, not an operation: write file.py:function --problem"),
        (["conv2d"], "conv2d is a problem, not an operation: write file.py:function --problem conv2d"),
        (["conv2d.naive"], "conv2d is a problem, not an operation: write file.py:function --problem conv2d"),
        (["mine.py:racy", "--writes", "D"], "unknown parameter 'D'; known: A, B, C"),
        (["relu.numpy"], "relu.numpy is NumPy's own code, without loops to check; try relu.njit"),
        (["matmul.paked"], "unknown rung of matmul 'paked'"),
        (["matmul.packed", "--args", "1"], "matmul.packed has its own arguments; leave --as and --args out"),
    ],
)
def test_command_errors_are_one_line(arguments, message, file, capsys):
    assert cli.main(["check", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err


@pytest.mark.parametrize(
    ("end", "says"),
    [
        ("os._exit(3)", "it ends with status 3"),
        ("os.kill(os.getpid(), 9)", "the process was ended by SIGKILL"),
        ("sys.exit(0)", "importing mine.py raises SystemExit: 0 (mine.py, line 2)"),
    ],
)
def test_file_that_ends_the_process_is_an_error(end, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "mine.py").write_text(f"import os, sys\n{end}\ndef f(a):\n    a[0] = 1\n")
    if "sys.exit" in end:  # also in the process of the command
        monkeypatch.setattr(worker, "tried", lambda *_: None)
    assert cli.main(["check", "mine.py:f"]) == 2
    assert capsys.readouterr().err.endswith(f"{says}\n")


def test_kernel_that_ends_the_process_is_an_error():
    (error,) = examine(lambda: os._exit(3), [()]).errors
    assert error.message == "raises SystemExit: 3"


@pytest.mark.parametrize("value", [np.ones(2, np.float32), np.ones(2), np.ones(2, np.uint8), np.ones((2, 2))])
def test_messages_have_the_names_of_types_that_users_know(value):
    def unpacks(a):
        _, _, _ = a[0]

    def calls(a):
        a[0]()

    for function in (unpacks, calls):
        (error,) = examine(function, [(value,)]).errors
        assert not re.search("Single|Double|Unsigned|Traced", error.message), error.message


def test_help_lists_what_it_cannot_check(capsys):
    with pytest.raises(SystemExit):
        cli.main(["check", "--help"])
    assert "It cannot check: other arguments than those of its runs" in " ".join(capsys.readouterr().out.split())


def test_integers_that_nothing_wrote_are_found(tmp_path, monkeypatch, capsys):
    """Integers have no NaN, so np.empty in --args marks the array itself."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def hist(x, bins, counts):\n    for v in x:\n        counts[v] += 1\n")
    given = "np.zeros(4, np.int64), 1, np.empty(1, np.int64)"
    assert cli.main(["check", "mine.py:hist", "--args", given]) == 2
    assert "error: reads counts[0] before anything wrote it (mine.py, line 3)" in capsys.readouterr().out
    assert cli.main(["check", "mine.py:hist", "--problem", "histogram"]) == 2
    assert "before anything wrote it (mine.py, line 3)" in capsys.readouterr().out


def test_what_a_kernel_prints_is_a_note(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def talks(a):\n    for i in range(3):\n        print('step', i)\n")
    assert cli.main(["check", "mine.py:talks", "--args", "np.ones(3)"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("note: it prints 3 lines, first 'step 0', which are not shown")
    assert "step" not in said.err


def test_only_another_array_takes_the_place_of_an_output():
    def view(out):
        out = out.ravel()
        out[0] = 1

    def adds(a, out):
        out = out + a

    def is_new(a, out):
        out = np.zeros(3)
        out[0] = 1

    def two(a, out):
        a[0], out = 1, 2  # noqa: F841

    first = {function: function.__code__.co_firstlineno for function in (view, adds, is_new, two)}
    assert renamed(view) == {}
    assert [renamed(f) for f in (adds, is_new, two)] == [{"out": first[f] + 1} for f in (adds, is_new, two)]
