"""A submission with a race: what it costs, and where its feedback names the race."""

import inspect
import re
from pathlib import Path

import numba
import pytest
from small_assignment import ADDITION, graded, made

from jitnet.lab import loading, problems
from jitnet.lab.grade import inspection, judging, output, page

RACING = """
import numba
@numba.njit(parallel=True)
def add(x, y, c):
    for i in numba.prange(x.size):
        c[i] = x[i] + y[i]
        c[(i + 1) % x.size] = x[(i + 1) % x.size] + y[(i + 1) % x.size]
"""

MORE = """
[[kernel.test]]
check = "no race"
points = 3
[[kernel.test]]
check = "speed"
of = "naive"
shapes = [[300000]]
reach = 0.01
points = 4
"""


@pytest.mark.parametrize(("threads", "is_wrong"), [(1, False), (2, False), (2, True)])
def test_a_race_costs_all_points_whether_it_shows_or_not(threads, is_wrong, tmp_path, monkeypatch):
    """It gets fewer points than a correct slow loop, and the same in each run."""
    monkeypatch.setattr(judging.Judge, "_error_on", lambda *_: "is wrong: 1 of 5 wrong" if is_wrong else None)
    (tmp_path / "anna.py").write_text(RACING)
    text = ADDITION.replace('["numba"]', f'["numba"]\nthreads = {threads}') + MORE
    result = graded(made(tmp_path, text), tmp_path / "anna.py")
    correct, race, speed = result["tests"]
    assert result["points"] == 0
    assert correct["said"] == "fails 'no race'"
    assert re.match(
        r"c\[\d\] is written .*; let each iteration write its own elements: divide another loop", race["said"]
    )
    assert speed["said"] == "not tried, because add fails 'no race'"
    assert output.first_lost(result) == f"add fails 'no race': {race['said']}"
    assert page.as_html([result]).count(" is written by iteration ") == 1
    assert str(output.as_gradescope(result)).count(" is written by iteration ") == 1


@pytest.mark.parametrize(
    ("added", "correct", "race"),
    [
        (("y[i]\n", "y[i] + 1\n"), "is wrong: ", "is written by iteration"),
        (("        c[(i", "        # c[(i"), "is wrong: ", "no race was found, but add is not correct"),
        (("        c[i]", "        raise ValueError\n        c[i]"), "raises ", "not tried, because"),
    ],
)
def test_race_of_a_wrong_kernel_is_named_too(added, correct, race, tmp_path):
    """On one thread, where it is wrong in each run, both are said."""
    wrong = RACING.replace("x[i] + y[i]\n", "x[i] - y[i]\n") if "#" in added[1] else RACING
    (tmp_path / "anna.py").write_text(wrong.replace(*added))
    result = graded(made(tmp_path, ADDITION + MORE), tmp_path / "anna.py")
    assert result["points"] == 0
    said = [test["said"] for test in result["tests"]]
    assert said[0].startswith(correct)
    assert race in said[1]
    assert said[2] == "not tried, because add is not correct"


def test_what_could_not_be_examined_costs_only_its_own_points(tmp_path, monkeypatch):
    monkeypatch.setattr(judging.Judge, "_without_race", lambda *_: (False, "could not be examined: it took too long"))
    (tmp_path / "anna.py").write_text(RACING)
    result = graded(
        made(tmp_path, ADDITION + MORE.partition('\n[[kernel.test]]\ncheck = "speed"')[0]), tmp_path / "anna.py"
    )
    assert [test["points"] for test in result["tests"]] == [3, 0]


SERIAL = """
import numba
@numba.njit
def add(x, y, c):
    for i in range(x.size):
        c[i] = x[i] + y[i]
"""

PARALLEL = SERIAL.replace("njit", "njit(parallel=True)")

LOOP = PARALLEL.replace(" range", " numba.prange")

BLOCKS = """
import numba
@numba.njit(parallel=True)
def add(x, y, c):
    for block in numba.prange(4):
        for i in range(block * x.size // 4, (block + 1) * x.size // 4):
            c[i] = x[i] + y[i]
"""

SINGLE = """
import numba
@numba.njit(parallel=True)
def add(x, y, c):
    one = 1
    for _ in numba.prange(1):
        for i in range(x.size):
            c[i] = x[i] + y[i]
"""


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (LOOP, ""),
        (LOOP.replace("def add", "def loop") + "\n@numba.njit\ndef add(x, y, c):\n    loop(x, y, c)\n", ""),
        (
            LOOP.replace("@numba.njit(parallel=True)\ndef add", "def loop") + "add = numba.njit(parallel=True)(loop)\n",
            "",
        ),
        (BLOCKS, ""),
        (SERIAL, "it has no prange loop; write `for i in numba.prange(...)` for the loop"),
        (PARALLEL, "it has no prange loop; write"),
        (
            SERIAL.replace("range", "numba.prange"),
            "its prange loop (line 5) is a range; write @numba.njit(parallel=True)",
        ),
        (LOOP.replace("=True", "=False"), "its prange loop (line 5) is a range; write"),
        (
            PARALLEL.replace("    for", "    for _ in numba.prange(1):\n        pass\n    for"),
            "its prange loop (line 5) has one iteration; divide the loop that does the work",
        ),
        (SINGLE.replace("(1)", "(one)"), "its prange loop (line 6) has one iteration; divide"),
        (SINGLE.replace("(1)", "(one, 2)"), "its prange loop (line 6) has one iteration; divide"),
        (SINGLE.replace("(1)", "(min(x.size, one))"), "its prange loop (line 6) has one iteration; divide"),
        (SINGLE.replace("(1)", "(min(1, x.size))"), "its prange loop (line 6) has one iteration; divide"),
        (SINGLE.replace("(1)", "((x.size + 4095) // 4096)"), ""),  # blocks larger than the arrays here
        (SINGLE.replace("(1)", "(min(64, (x.size + 4095) // 4096))"), ""),
        (
            LOOP.replace("        c", "        assert i >= 0\n        c"),
            "a prange loop with `assert` inside has more than one exit, so Numba runs it serially (anna.py, line 6)",
        ),
        (
            PARALLEL + "    for i in numba.prange(x.size):\n        if i < 0:\n            c[i] = 0\n",
            "its prange loop (line 7) makes 0% of the accesses to arrays; divide the loop",
        ),
    ],
)
def test_points_for_no_race_are_for_loops_that_threads_divide(source, said, tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "DISABLE_JIT", True)  # as in the grader
    (tmp_path / "anna.py").write_text(source)
    kernel, problem = loading.load(f"{tmp_path / 'anna.py'}:add"), problems.load("vector_add")
    passed, found = inspection.without_race(kernel, problem, "float32", source.encode())
    assert passed is not bool(said)
    assert found.startswith(f"not parallel: {said}" if said else inspection.RIGHT), found
    assert inspection.without_race(kernel, problem, "float32", source.encode(), divided=False)[0]


MATMUL = """
import numba
@numba.njit(parallel=True)
def matmul(A, B, C):
    for i in numba.prange(A.shape[0]):
        for j in range(B.shape[1]):
            C[i, j] = 0
    for i in range(A.shape[0]):
        for k in range(A.shape[1]):
            for j in range(B.shape[1]):
                C[i, j] += A[i, k] * B[k, j]
"""

BY_SIZE = """
import numba
@numba.njit(parallel=True)
def matmul(A, B, C):
    if A.shape[0] < 32:
        for i in range(A.shape[0]):
            row(A, B, C, i)
    else:
        for i in numba.prange(A.shape[0]):
            row(A, B, C, i)
@numba.njit
def row(A, B, C, i):
    for j in range(B.shape[1]):
        s = C.dtype.type(0)
        for k in range(A.shape[1]):
            s += A[i, k] * B[k, j]
        C[i, j] = s
"""

PER_CALL = """
import numba
@numba.njit(parallel=True)
def divided(A, B, C):
    for i in numba.prange(A.shape[0]):
        row(A, B, C, i)
""" + BY_SIZE.replace(
    "        for i in numba.prange(A.shape[0]):\n            row(A, B, C, i)", "        divided(A, B, C)"
).replace("import numba", "")


@pytest.mark.parametrize(
    ("source", "passed", "said"),
    [
        *[(BY_SIZE.replace("32", str(size)), True, inspection.RIGHT) for size in (32, 100, 256)],
        (BY_SIZE.replace("32", "100000"), None, "not judged: no run on small arrays reached line 9, where a prange"),
        (PER_CALL.replace("32", "100000"), None, "not judged: no run on small arrays reached line 15, where a prange"),
        (MATMUL, False, "not parallel: its prange loop (line 5) makes 10% of the accesses"),
    ],
)
def test_loop_that_threads_divide_may_be_that_of_large_arrays(source, passed, said, tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "DISABLE_JIT", True)
    (tmp_path / "anna.py").write_text(source)
    kernel, problem = loading.load(f"{tmp_path / 'anna.py'}:matmul"), problems.load("matmul")
    found = inspection.without_race(kernel, problem, "float32", source.encode())
    assert found[0] is passed, found
    assert found[1].startswith(said)


@pytest.mark.parametrize("name", problems.NAMES)
def test_parallel_rungs_of_problems_get_the_points(name):
    problem = problems.load(name)
    rungs = [problem.rungs[rung] for rung in problem.rungs if rung.endswith("_parallel")]
    assert rungs
    for rung in rungs:
        source = Path(inspect.getsourcefile(rung.py_func)).read_bytes()
        passed, said = inspection.without_race(rung, problem, "float32", source)
        assert passed, (rung, said)


@pytest.mark.parametrize(("points", "passed"), [(3, False), (0, True)])
def test_serial_function_loses_only_the_points_for_no_race(points, passed, tmp_path):
    (tmp_path / "anna.py").write_text(SERIAL)
    text = (
        ADDITION + MORE.replace("points = 3", f"points = {points}").partition('\n[[kernel.test]]\ncheck = "speed"')[0]
    )
    result = graded(made(tmp_path, text), tmp_path / "anna.py")
    assert [(test["points"], test["passed"]) for test in result["tests"]] == [(3, True), (0, passed)]
    assert result["of"] == 3 + points
    (tmp_path / "anna.py").write_text(RACING)
    assert graded(made(tmp_path, text), tmp_path / "anna.py")["points"] == 0
