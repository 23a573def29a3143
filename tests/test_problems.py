"""Problems: the ten bundled ones are correct and safe, and mistakes in a user's file are one-line errors."""

import itertools
import json
import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from cases import slow
from command import jitnet_command

import jitnet
from jitnet.lab import ladder, problems, worker
from jitnet.lab.benchmark import candidates, judge
from jitnet.lab.benchmark.shapes import drawn_shapes
from jitnet.lab.problems.bounds import ROUNDINGS, bounds
from jitnet.lab.sanitizer import arguments
from jitnet.lab.sanitizer.checking import examine

F32 = np.dtype(np.float32)

SUMS = '''"""Sums of the rows of a matrix."""
import numpy as np

def inputs(shape, dtype, rng):
    return (rng.standard_normal(shape).astype(dtype),)

def reference(X):
    return X.sum(axis=1)

SHAPES = [(3, 5), (1, 1), (7, 2), (0, 3)]
TIMED = [(40, 30)]

def flops(shape):
    return shape[0] * shape[1]

def memory(shape, dtype):
    return dtype.itemsize * shape[0] * (shape[1] + 1)

def naive(X, sums):
    """The formula as it is written."""
    for i in range(len(X)):
        sums[i] = 0
        for j in range(X.shape[1]):
            sums[i] += X[i, j]

RUNGS = (naive,)
'''


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes the file of a problem, with some text replaced, to the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def written(*parts):
        text = SUMS
        for part, other in parts:
            assert part in text
            text = text.replace(part, other)
        (tmp_path / "sums.py").write_text(text)
        return tmp_path / "sums.py"

    return written


RUNGS = [(name, rung) for name in problems.NAMES for rung in problems.load(name).rungs if rung != "numpy"]


@pytest.mark.parametrize(("name", "rung"), RUNGS)
def test_rungs_are_correct_and_safe(name, rung, monkeypatch):
    """Runs the interpreted rungs on small shapes with small blocks; checks results, guards and each access."""
    problem = problems.load(name)
    kernel = problem.rungs[rung]
    if "BLOCK" in kernel.py_func.__globals__:
        monkeypatch.setitem(kernel.py_func.__globals__, "BLOCK", 7)
    for dtype in problem.dtypes:
        for shape in (shape for shape in problem.shapes if math.prod(shape) <= arguments.MOST):
            assert judge.error_of(kernel.py_func, problem, shape, np.dtype(dtype)) is None
    report = examine(kernel, arguments.of_problem(problem, "float32"), len(problem.results))
    assert report.runs
    assert not report.findings, str(report)
    assert kernel.__doc__


@pytest.mark.release
@pytest.mark.parametrize(("name", "rung"), RUNGS)
def test_compiled_rungs_are_correct_and_reproducible(name, rung):
    """All listed shapes and some random ones; the bits are the same for 1, 2 and all threads."""
    problem = problems.load(name)
    kernel = problem.rungs[rung]
    for shape in (*problem.shapes, *filter(problem.takes, itertools.islice(drawn_shapes(problem, 0), 20))):
        assert judge.error_of(kernel, problem, shape, F32) is None
    assert judge.error_of_repeating(kernel, problem, problem.shapes[-2], F32, 1.0) is None


@pytest.mark.parametrize("name", problems.NAMES)
def test_references_are_correct_in_float32(name):
    problem = problems.load(name)
    assert problem.title.endswith(".")
    assert len(problem.rungs) >= 3
    for shape in problem.shapes:
        assert judge.error_of(problem.rungs["numpy"], problem, shape, F32) is None


def test_rungs_with_errors_are_found():
    """A sum in low precision or without a term, a missing element, and counts added to the old contents."""
    conv, histogram, dot = map(problems.load, ("conv2d", "histogram", "dot"))

    def adds(x, bins, counts):
        for i in range(x.size):
            counts[x[i]] += 1

    def forgets(X, F, Y):
        before = Y[-1, -1]
        conv.rungs["numpy"](X, F, Y)
        Y[-1, -1] = before

    def in_half_precision(x, y, total):
        total[0] = x.astype(np.float16) @ y.astype(np.float16)

    def without_the_last_term(x, y, total):
        total[0] = x[:-1] @ y[:-1]

    assert "is right only if counts is 0 before" in judge.error_of(adds, histogram, (64, 8), F32)
    assert "never writes 1 number of Y" in judge.error_of(forgets, conv, (4, 5, 3), F32)
    for kernel in (in_half_precision, without_the_last_term):
        assert "is wrong: 1 of 1 wrong" in judge.error_of(kernel, dot, (64,), F32)
        assert "is wrong: 1 of 1 wrong" in judge.error_of(kernel, dot, (1000,), F32)


def test_bounds_follow_from_the_reference():
    """The bound of a dot product is known: terms · eps · Σ |x·y|; random errors reach it within a small factor."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 1000))
    (bound,) = bounds(
        lambda given: [np.atleast_1d(given[0] @ given[1])], [x, y], [np.atleast_1d(x @ y)], F32, 1000, rng
    )
    assert 1e-3 < bound[0] / (1000 * np.finfo(np.float32).eps * np.abs(x * y).sum()) < 1
    (bound,) = bounds(lambda given: [given[0]], [x], [x], F32, 0, rng)
    np.testing.assert_array_less(0, bound)
    np.testing.assert_array_less(bound, 1e-5 * np.abs(x) + 1e-30)
    whole = np.arange(3)
    assert not bounds(lambda given: [whole], [x], [whole], F32, 9, rng)[0].any()


def test_no_element_has_a_bound_that_is_too_small_by_chance():
    """The change of Σ x·w has the standard deviation √(2 Σ (x·w)²), and the rows of x have very different scales."""
    rng = np.random.default_rng(0)
    x, w = 10.0 ** rng.uniform(-12, 12, (100_000, 1)) * rng.standard_normal((100_000, 4)), rng.standard_normal(4)
    (bound,) = bounds(lambda given: [given[0] @ given[1]], [x, w], [x @ w], F32, 4, rng)
    roundings = (4 + ROUNDINGS) * float(np.finfo(F32).eps)
    ratios = (bound / roundings - abs(x @ w)) / np.sqrt(2 * ((x * w) ** 2).sum(axis=1))
    assert 0.2 < ratios.min() < ratios.max() < 6
    assert 1.5 < np.median(ratios) < 2  # the largest of 8 changes; a wrong kernel must not pass


MISTAKES = {
    "missing function": (("def reference(", "def referenz("), "sums.py: there is no reference; a problem has inputs,"),
    "missing list": (
        ("TIMED =", "TIMES ="),
        "sums.py: there is no TIMED; a problem has inputs, reference, SHAPES, TIMED",
    ),
    "no function": (
        ("def flops(shape):\n    return shape[0] * shape[1]", "flops = 7"),
        "flops is 7, but must be a function",
    ),
    "parameters of inputs": (
        ("def inputs(shape, dtype, rng)", "def inputs(shape, rng, dtype=np.float32, *, more)"),
        "inputs has the parameters (shape, rng, dtype=<class 'numpy.float32'>, *, more), but is called as "
        "inputs(shape, dtype, rng)",
    ),
    "parameters of reference": (
        ("def reference(X)", "def reference(X, Y)"),
        "reference has the parameters (X, Y), but is called as reference(input_1)",
    ),
    "parameters of memory": (
        ("def memory(shape, dtype)", "def memory(shape)"),
        "but is called as memory(shape, dtype)",
    ),
    "parameters of a rung": (
        ("def naive(X, sums)", "def naive(X)"),
        "naive has the parameters (X), but is called as naive(X, result)",
    ),
    "exception in inputs": (
        ("    return (rng.", "    1 / 0\n    return (rng."),
        "inputs((3, 5), float32, rng) raises ZeroDivisionError: division by zero (sums.py, line 5)",
    ),
    "exception in reference": (
        ("X.sum(axis=1)", "X.sum(axis=2)"),
        "reference for the shape (3, 5) raises AxisError: axis 2 is out of bounds",
    ),
    "exit in reference": (("return X.sum(axis=1)", "raise SystemExit(3)"), "raises SystemExit: 3 (sums.py, line 8)"),
    "exit at import": (
        ("import numpy as np", "import sys\nsys.exit('enough')"),
        "raises SystemExit: enough (sums.py, line 3)",
    ),
    "error at import": (
        ("import numpy as np", "import numpyy"),
        "raises ModuleNotFoundError: No module named 'numpyy'",
    ),
    "syntax": (("def inputs(", "def inputs(("), "(sums.py, line 4)"),
    "array instead of a tuple": (
        ("return (rng.standard_normal(shape).astype(dtype),)", "return rng.standard_normal(shape).astype(dtype)"),
        "returns an array of float32, but must return a tuple of arguments: return x, y",
    ),
    "dtype of inputs": ((".astype(dtype)", ""), "[0] is an array of float64, but must be of float32: x.astype(dtype)"),
    "text among inputs": (("astype(dtype),)", "astype(dtype), 'x')"), "[1] is str, but must be a number, or an array"),
    "Python's float": (
        ("astype(dtype),)", "astype(dtype), 0.5)"),
        "[1] is float, but must be of float32: dtype.type(x)",
    ),
    "NaN in inputs": (("rng.standard_normal(shape)", "np.full(shape, np.nan)"), "[0] has NaN or infinity"),
    "inputs of another shape": (
        ("rng.standard_normal(shape)", "rng.standard_normal((3, 4))"),
        "inputs ignores its shape: it returns arrays of the same shapes for all SHAPES",
    ),
    "NumPy's own generator": (
        ("rng.standard_normal(shape)", "np.random.standard_normal(shape)"),
        "inputs draws other numbers for the same rng; draw all random numbers from rng",
    ),
    "NaN in results": (
        ("X.sum(axis=1)", "X.sum(axis=1) * np.nan"),
        "for the shape (3, 5) gives NaN or infinity; leave",
    ),
    "NaN of an empty row": (
        ("X.sum(axis=1)", "X.mean(axis=0)"),
        "reference for the shape (0, 3) gives NaN or infinity",
    ),
    "dtype of results": (
        ("X.sum(axis=1)", "X.sum(axis=1).astype(np.float32)"),
        "returns an array of float32, but must return arrays of float64, as its inputs are, or integers",
    ),
    "no result": (("return X.sum", "X.sum"), "returns NoneType, but must return arrays of float64"),
    "complex results": (("X.sum(axis=1)", "X.sum(axis=1) * 1j"), "returns an array of complex128, but must return"),
    "numbers of results": (
        ("return X.sum(axis=1)", "return (X.sum(axis=1),) * (1 + (len(X) == 7))"),
        "the shape (7, 2) has other numbers of inputs or results than (3, 5)",
    ),
    "negative work": (("shape[0] * shape[1]", "-shape[0]"), "flops((3, 5)) is -3, but must be a number at least 0"),
    "work that is not a number": (("shape[0] * shape[1]", "'many'"), "flops((3, 5)) is 'many', but must be a number"),
    "work that is NaN": (("shape[0] * shape[1]", "float('nan')"), "flops((3, 5)) is nan, but must be a finite number"),
    "endless work": (("shape[0] * shape[1]", "10**400"), "flops((3, 5)) is 1000"),
    "no memory": (("dtype.itemsize * shape[0] * (shape[1] + 1)", "0"), "memory((40, 30), float32) is 0, but"),
    "exception in flops": (("shape[0] * shape[1]", "shape[2]"), "flops((3, 5)) raises IndexError: tuple index out of"),
    "no shapes": (
        ("SHAPES = [(3, 5), (1, 1), (7, 2), (0, 3)]", "SHAPES = []"),
        "SHAPES is [], but must be a list of shapes",
    ),
    "a size instead of a shape": (("[(3, 5),", "[3,"), "SHAPES has 3, but each must be a tuple of"),
    "shapes of other lengths": (
        ("(7, 2)", "(7,)"),
        "SHAPES has (7,), but each must be a tuple of 2 whole numbers, at least 0",
    ),
    "a negative size": (("(7, 2)", "(7, -2)"), "SHAPES has (7, -2), but each must be a tuple of 2 whole numbers"),
    "nothing to time": (
        ("[(40, 30)]", "[(40, 0)]"),
        "TIMED has (40, 0), but each must be a tuple of 2 whole numbers, at least 1",
    ),
    "other numbers of sizes": (
        ("[(40, 30)]", "[(40,)]"),
        "TIMED has (40,), but SHAPES has (3, 5): other numbers of dim",
    ),
    "dtypes": (
        ("TIMED =", "DTYPES = ['int8']\nTIMED ="),
        "DTYPES is ['int8'], but must be a part of ('float32', 'float64')",
    ),
    "rungs that are none": (("(naive,)", "('naive',)"), "RUNGS is ('naive',), but must be a tuple of functions"),
    "rungs twice": (("(naive,)", "(naive, naive)"), "RUNGS: naive is there twice; give it another name"),
    "rung named numpy": (("naive", "numpy"), "RUNGS: numpy is the name of the reference; give it another name"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_in_a_problem_is_a_one_line_error(mistake, write):
    part, message = MISTAKES[mistake]
    with pytest.raises(jitnet.Error) as caught:
        problems.load(write(part))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("conv3d", "unknown problem 'conv3d'; known: conv2d, dot, histogram"),
        ("softmx", "operations such as matmul, and files such as mine.py (did you mean 'softmax'?)"),
        ("none.py", "there is no file none.py"),
        ("sums.py:naive", "'sums.py:naive' names a function, but a problem is a whole file; name the file alone"),
    ],
)
def test_unknown_problems_are_an_error(name, message, write):
    write()
    with pytest.raises(jitnet.Error, match=re.escape(message)):
        problems.load(name)


def test_whether_a_problem_can_be_loaded_is_tried(write):
    assert worker.loads("jitnet.lab.problems", "load", str(write()))
    assert not worker.loads("jitnet.lab.problems", "load", str(write(("def reference(X)", "def reference_of(X)"))))


@pytest.mark.parametrize(
    ("part", "message"),
    [("__import__('os')._exit(3)", "it ends with status 3"), slow("while True:\n    pass", "no answer in 3 seconds")],
    ids=["ends", "never ends"],
)
def test_problem_that_ends_or_hangs_its_process_is_an_error(part, message, write, monkeypatch):
    if "3 seconds" in message:  # otherwise there is time enough on a busy machine
        monkeypatch.setattr(problems, "LOADING", 3.0)
    name = write(("import numpy as np", f"import numpy as np\n{part}"))
    with pytest.raises(jitnet.Error, match=f"sums.py cannot be loaded in a process of its own: {message}"):
        problems.tried(name)


def test_mistake_is_reported_when_a_problem_is_tried(write):
    with pytest.raises(jitnet.Error, match="there is no reference"):
        problems.tried(write(("def reference(X)", "def reference_of(X)")))


def test_users_problem_is_loaded(write):
    problem = problems.load(write())
    assert (problem.name, problem.title) == ("sums", "Sums of the rows of a matrix.")
    assert (problem.parameters, problem.results) == (("X", "sums"), ("sums",))
    assert (problem.flops((3, 5)), problem.memory((3, 5), F32)) == (15, 72)
    X, sums = problem.case((3, 5), "float32").arguments
    assert (X.shape, X.dtype, sums.shape) == ((3, 5), F32, (3,))
    assert np.isnan(sums).all()
    assert problems.load("softmax").path
    assert problems.load("matmul").path is None  # an operation is a problem, too


def test_guide_shows_a_problem_and_names_all(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    guide = (Path(__file__).parents[1] / "docs" / "guide" / "problems.md").read_text(encoding="utf-8")
    (tmp_path / "guide.py").write_text(guide.split("```python\n")[1].split("```")[0], encoding="utf-8")
    problem = problems.load(tmp_path / "guide.py")
    assert judge.error_of(problem.rungs["naive"].py_func, problem, (5, 64), F32) is None
    assert dict(re.findall(r"^\| `(\w+)` \| `([\w, ]+)` \|", guide, re.MULTILINE)) == {
        name: ", ".join(problems.load(name).parameters) for name in problems.NAMES
    }


def test_random_shapes_are_valid_for_the_problem(write):
    """Each dimension gets every value, a common dimension stays, and shapes that `inputs` rejects are left out."""
    always = (
        "SHAPES = [(3, 5), (1, 1), (7, 2), (0, 3)]\nTIMED = [(40, 30)]",
        "SHAPES = [(3, 5), (7, 5)]\nTIMED = [(40, 5)]",
    )
    shapes = list(drawn_shapes(problems.load(write(always)), 0))
    assert {columns for _, columns in shapes} == {5}
    assert {rows for rows, _ in shapes} >= set(range(1, 256))
    conv = problems.load("conv2d")
    assert conv.takes((5, 7, 5))
    assert not conv.takes((5, 7, 6))


def test_users_problem_raises_no_peak(write):
    """A user's count of the work may be wrong; bundled problems can raise a peak like operations."""
    for problem in (problems.load(write()), problems.load("sum")):
        who = candidates.rung(problem, "numpy", problem.shapes[0], F32, 1, 0.1)
        assert who.is_trusted == (problem.name == "sum")


@pytest.mark.slow  # a real ladder; test_judge.py runs kernels in this process
def test_command_compares_rungs_and_custom_kernels(write, with_peaks):
    """A rung of the file and a user's kernel, each in its own process, beside the reference."""
    write()
    with open("mine.py", "w") as file:
        file.write("def mine(X, sums):\n    sums[:] = X @ X.dtype.type(1).repeat(X.shape[1])\n")
    result = jitnet_command(
        "ladder", "--problem", "sums.py", "--with", "mine.py:mine", "--size", "30x20", "--json", "--quiet", **with_peaks
    )  # fmt: skip
    found = json.loads(result.stdout)
    assert (found["operation"], found["shape"], found["dtype"]) == ("sums", [30, 20], "float32")
    assert [(rung["name"], rung["custom"], rung["checked"]) for rung in found["rungs"]] == [
        ("naive", False, True), ("numpy", False, True), ("mine", True, True)
    ]  # fmt: skip
    assert result.stderr == ""
    found["rungs"].insert(0, {"name": "crashing", "custom": False, "checked": False, "error": "crashes"})
    text = ladder.as_text(found | {"disturbed": False})  # a disturbed one has no ranks
    assert text.startswith("sums 30x20 float32")
    assert "vs naive" in text
    assert re.search(r"mine is the (slowest|(2nd )?fastest) of 3: ", text)


def test_check_takes_the_arguments_of_a_problem(write, untried):
    path = write()
    result = jitnet_command("check", f"{path}:naive", "--problem", path)
    assert "nothing unsafe in 4 runs" in result.stdout
    path.write_text(path.read_text().replace("sums[i] = 0\n", "pass\n"))
    result = jitnet_command("check", f"{path}:naive", "--problem", path, status=2)
    assert "reads sums[0] before anything wrote it" in result.stdout
