"""The requests of a submission's judge to other processes, and their time limits."""

import contextlib
import re
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from small_assignment import ADDITION, HONEST, SPEED, graded, made

from jitnet.lab import oracle
from jitnet.lab.grade import calls, inspection, judging, parent
from jitnet.lab.grade.language import Language
from jitnet.lab.grade.parts import is_interpreted, parts_of
from jitnet.lab.machine_code import sources
from jitnet.lab.sanitizer import reasons


@pytest.fixture
def addition(tmp_path):
    return made(tmp_path / "addition")


def test_judge_sends_the_check_to_a_process(addition, monkeypatch):
    asked = []
    said = "no two iterations touch the same element; no run reached line 7"
    monkeypatch.setattr(calls, "ask", lambda *arguments, **_: asked.append(arguments) or (True, said))
    judge = judging.Judge(addition, addition.kernels[0], "anna.py", 0)
    assert judge._without_race(addition.kernels[0].tests[0]) == (True, said)
    memory = int(addition.limits.memory * 2**30)
    monkeypatch.setattr(calls, "ask", lambda *_, **__: (False, "race: c[0] is written twice; write it once"))
    said = judge._without_race(addition.kernels[0].tests[0])[1]
    assert said == "c[0] is written twice; write it once"  # after the title of the test, "no race"
    assert asked == [(inspection.has_no_race, "anna.py", "add", "vector_add", "float32", True, memory)]


@pytest.mark.parametrize(("took", "count"), [(0.1, 4), (2.0, 0)])
def test_large_shapes_end_where_a_call_would_take_a_quarter_of_its_time_limit(took, count, addition, monkeypatch):
    monkeypatch.setattr(judging, "DRAWN", 0)
    judge = judging.Judge(addition, addition.kernels[0], "anna.py", 0)
    judge.took = took
    sizes = [case.outputs[0].size for case in judge._all_cases()]
    assert sum(size > 100_000 for size in sizes) == count
    assert (max(sizes) > 900_000) is (count == 4)


def test_a_slow_kernel_gets_no_call_that_takes_longer_than_its_time_limit(addition, monkeypatch):
    """n² ns: after 30 000 numbers in 0.9 s come 60 000 in 3.6 s, and then none, as 120 000 would take 14 s."""
    monkeypatch.setattr(judging, "drawn_shapes", lambda *_: [(9,), (240_000,), (50_000,), (40,), (100,)])
    judge, sizes = judging.Judge(addition, addition.kernels[0], "anna.py", 0), []
    for case in judge._all_cases():
        sizes.append(case.outputs[0].size)
        judge.took = sizes[-1] ** 2 * 1e-9
    tried = sizes[2 * len(judge.problem.shapes) :]
    assert all(size <= 2 * max(tried[:place]) for place, size in enumerate(tried) if place)
    assert {9, 40, 50_000, 100} < set(tried)
    assert 50_000 < max(tried) < 70_000


def test_shortest_possible_time_follows_from_the_peaks(addition, monkeypatch):
    """1000 numbers each of x, y and the result are 12 KB."""
    limits = {
        "caches": {"L1": 32768}, "peak": {"float32": {"1": 1e9}}, "bandwidth": {"L1": {"1": {"copy": 6e9}}},
        "disturbed_by": ["a game"],
    }  # fmt: skip
    monkeypatch.setattr(judging, "peaks", lambda: limits)
    judge = judging.Judge(addition, addition.kernels[0], "anna.py", 0)
    assert judge._least_seconds((1000,), np.dtype("float32")) == pytest.approx(12000 / 6e9)
    assert judge.disturbed_by == ["a game"]
    limits["disturbed_by"] = []
    judge._least_seconds((1000,), np.dtype("float32"))
    assert judge.disturbed_by == ["a game"]


def test_load_during_timing_is_reported(addition, monkeypatch):
    watch = contextlib.nullcontext(SimpleNamespace(reasons=["a game"]))
    monkeypatch.setattr(judging.disturbance, "Watch", lambda threads: watch)
    judge = judging.Judge(addition, addition.kernels[0], "anna.py", 0)
    monkeypatch.setattr(judge, "_least_seconds", lambda *_: 1.0)
    monkeypatch.setattr(judge, "_in_turn", lambda *_: (2.0, 0.0))
    assert judge._times(SimpleNamespace(of=judging.PEAK, reach=0.5), (5,), "float32") == (2.0, 1.0)
    assert judge.disturbed_by == ["a game"]


def test_compiling_has_its_own_time_limit(addition, monkeypatch):
    said, limits = iter([("compiling", ""), ("compiled", ""), ("done", "")]), []
    board = SimpleNamespace(number=0)
    waiting = parent.Process.of_submission("anna.py", "add", addition.limits, board)
    monkeypatch.setattr(waiting, "_word", lambda left, *_: limits.append(left) or next(said))
    waiting._wait_for("done", 5.0)
    assert limits == pytest.approx([5, parent.COMPILING, 5], abs=1)


def test_process_reports_what_it_could_do_without_a_fence(addition, monkeypatch):
    said = iter([("fenced", "open files"), ("loaded", "")])
    waiting = parent.Process.of_submission("anna.py", "add", addition.limits, SimpleNamespace(number=0))
    monkeypatch.setattr(waiting, "_word", lambda *_: next(said))
    assert waiting.unfenced == ""
    waiting._wait_for("fenced", 5.0)
    waiting._wait_for("loaded", 5.0)
    assert waiting.unfenced == "open files"


def test_wrong_result_of_a_submission_is_explained(addition, monkeypatch):
    """Another process finds the line. The result of a call on outputs that are 0 changes only the text."""
    line, asked = "the last write to c[4] is in line 2 of add.py: c[i] = 0", []
    right_from = {"nothing": False, "zeros": True}

    def call(_, case):
        right = right_from["nothing" if oracle.holds_nothing(case.outputs[0]) else "zeros"]
        if isinstance(right, parent.FailureError):
            raise right
        return 0.0, None if right else "is wrong: ..."

    monkeypatch.setattr(calls, "ask", lambda *arguments, **_: asked.append(arguments[1:-1]) or [line, "", ""])
    judge = judging.Judge(addition, addition.kernels[0], "add.py", 0)
    monkeypatch.setattr(judge, "_call", call)
    case = judge._case((5,), "float32")
    case.outputs[0][:] = case.expected[0]
    case.outputs[0][4] = 9
    said = judge._explained(None, case, "is wrong: 1 of 5 wrong")
    assert said.startswith(
        f"is right only if c is 0 before: begin with c[...] = 0, given a (5,), b (5,), c (5,); {line}; "
    )
    assert said.endswith(f"it is wrong only in the last of 5 elements: {reasons.ENDS_TOO_EARLY}")
    assert asked == [("add.py", "add", "vector_add", "float32", (5,), judge.drawn[-1], 0, [4])]
    right_from["nothing"] = True  # so it is wrong in some calls only, as in a race
    assert judge._explained(None, case, "is wrong: 1 of 5 wrong").startswith(
        f"is wrong: 1 of 5 wrong; {line}; it is wro"
    )
    outcomes = iter([True, False, True, True])  # from zeros right, wrong from nothing, and then right from both
    monkeypatch.setattr(judge, "_call", lambda *_: (0.0, None if next(outcomes) else "is wrong: ..."))
    assert judge._explained(None, case, "is wrong: 1 of 5 wrong").startswith("is wrong: 1 of 5 wrong")
    monkeypatch.setattr(judge, "_call", call)
    right_from.update(nothing=False, zeros=False)
    assert judge._explained(None, case, "is wrong: 1 of 5 wrong").startswith("is wrong")
    judge.process = SimpleNamespace(close=lambda: None)
    right_from["zeros"] = parent.FailureError("it ends with status 3")
    assert judge._explained(None, case, "is wrong: 1 of 5 wrong").startswith("is wrong")
    assert judge.process is None  # other tests get a new one
    right_from["zeros"] = False
    judge.is_free = True  # its source may do anything, so it is not run here
    assert line not in judge._explained(None, case, "is wrong: 1 of 5 wrong")
    assert judge._explained(None, case, "changes its input a") == "changes its input a"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("no line writes c[0]", "writes nothing"),
        ("the last write to c[0] is in line 2: c[i] += 0", "is wrong: ...; the"),
    ],
)
def test_zeros_are_not_needed_where_all_results_are_0(line, said, addition, monkeypatch):
    """Such as the distance of one city from itself; a kernel that adds 0 leaves its outputs as they were, too."""
    judge = judging.Judge(addition, addition.kernels[0], "add.py", 0)
    case = oracle.Case([np.ones(1), np.ones(1), np.full(1, np.nan)], [np.zeros(1)], [np.full(1, 1e-9)])
    judge.problem = replace(judge.problem, draw=lambda *_: replace(case, arguments=[x.copy() for x in case.arguments]))
    monkeypatch.setattr(calls, "ask", lambda *_, **__: [line, "", "writes nothing into c"])
    monkeypatch.setattr(judge, "_call", lambda _, case: (0.0, case.error()))
    monkeypatch.setattr(judge, "_is_idle", lambda process: True)
    assert judge._explained(None, judge._case((1,), "float64"), "is wrong: ...").startswith(said)


FUNCTIONS = b"""import numba
import numpy as np

def total(x):
    return np.sum(x)

def mean(x):
    return total(x) / x.size

@numba.njit(
    fastmath=True)
def product(x):
    return x @ x

def add(x, y, result):
    for i in range(x.size):
        result[i] = x[i] + y[i]
"""


def test_function_that_is_not_allowed_costs_only_the_functions_that_call_it(addition, tmp_path):
    parts = parts_of(FUNCTIONS, Language())
    sums = "uses numpy.sum, which this assignment does not allow; write the loops (line 5)"
    assert parts.error_of("total") == sums
    assert parts.error_of("mean") == f"calls total, which {sums}"
    assert parts.error_of("product") == "uses @, which is not allowed in this assignment; write the loops (line 13)"
    assert parts.error_of("add") is None
    lines, left = FUNCTIONS.splitlines(), parts.source.splitlines()
    assert [number for number, line in enumerate(left, 1) if line != lines[number - 1]] == [4, 5, 10, 11, 12, 13]
    assert set(left[3:5] + left[9:13]) == {b""}
    (tmp_path / "anna.py").write_bytes(FUNCTIONS.replace(b"import numpy as np", b""))
    result = graded(addition, tmp_path / "anna.py")  # only numba may be imported
    assert result["points"] == 3, result


def test_functions_whose_header_names_one_that_is_not_allowed_are_left_out():
    """Decorators, defaults and annotations run with the import, and would be errors of all functions there."""
    more = b"""
def other(x, f=total):
    return f(x)

def typed(x: total) -> total:
    return x

renamed = numba.njit(mean)
both = add, mean
other_name = sums = numba.njit(total)

def calls_it(x):
    return sums(x)

if __name__ == "__main__":
    total(3)
"""
    parts = parts_of(FUNCTIONS + more, Language())
    for name in ("other", "typed"):
        assert parts.error_of(name) == f"uses total, which {parts.error_of('total')}"
    assert parts.error_of("renamed") == f"calls total, which {parts.error_of('total')}"
    for name in ("other_name", "sums", "calls_it"):
        assert parts.error_of(name) == parts.error_of("total")
    assert parts.error_of("add") is None
    assert b"other" not in parts.source
    assert parts.notes == ()  # they cost points


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le"])
def test_other_encodings_are_named(encoding):
    """Python reads Latin-1 in comments, but where the source is not found, a sum in a prange would be a race."""
    wrong = HONEST.replace("):", "):  # für alle").encode(encoding)
    assert parts_of(wrong, Language()).error_of("add").startswith("the file is not stored as UTF-8")
    for right in (HONEST.encode("utf-8-sig"), b"# coding: latin-1\n# f\xfcr alle\n" + HONEST.encode()):
        assert parts_of(right, Language()).error_of("add") is None


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (b"# coding: hex\n", "'hex' is not a text encoding"),
        (b"# coding: foo\n", "unknown encoding: foo"),
        (b"\xef\xbb\xbf# coding: latin-1\n", "with BOM"),
        (b"\0", "null bytes"),
    ],
)
def test_other_errors_of_an_encoding_are_those_of_python(start, reason, tmp_path):
    source = start + HONEST.encode()
    error = parts_of(source, Language()).error_of("add")
    assert reason in error
    assert "UTF-8" not in error
    path = tmp_path / "kernel.py"
    path.write_bytes(source)
    assert sources.depth(str(path), 1) == 0


def test_free_submissions_are_not_read(addition, tmp_path):
    """A syntax error is one of the import then, and no traceback."""
    for source in (b"def add(:\n", b"\0", b"(" * 5000):
        assert parts_of(source, Language(("*",))).source == source


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("add(0, 0, 0)", "the file does something outside of its functions; write it below"),
        ("for i in range(3):\n    total(i)", "the file does something outside of its functions; write it below"),
        ("def f(:", "the file has a syntax error in line 18"),
    ],
)
def test_error_outside_of_functions_is_one_of_the_whole_submission(more, said):
    parts = parts_of(FUNCTIONS + more.encode(), Language())
    assert parts.error_of("add").startswith(said)


def test_functions_that_are_taken_out_one_after_the_other_end():
    """Each gives the next to Numba, which is a function no more once that was taken out."""
    chain = "".join(f"def f{i}(x):\n    numba.njit(f{i + 1})\n" for i in range(99))
    parts = parts_of(f"import numba\n{chain}".encode(), Language())
    assert parts.error_of("add") == "the file gives Numba f99; write types and options where Numba is called (line 199)"


GIVEN, CALL = ", given a (5,), b (5,), c (5,)", "the call is add(a, b, c)"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "(x, y, c):\n    c = x + y\n",
            f"writes nothing into c; c = ... names another array, c[...] = ... writes{GIVEN}",
        ),
        ("(x, y, c):\n    c[9:] = 0\n", f"writes nothing into c{GIVEN}"),
        ("(x, y, c):\n    c += x * y\n", "is wrong: 5 of 5 wrong"),  # NaN stays NaN, and 0 does not
        ("(a, c, b):\n    c[:] = a + b\n", f"changes its input b{GIVEN}; its parameters are (a, c, b), but {CALL}"),
        ("(c, b, a):\n    c[9] = a[0]\n", "raises IndexError: index 9 is out of bounds"),
        ("(b, a, c):\n    c[:] = a\n", "is wrong: 5 of 5 wrong"),
    ],
)
def test_usual_mistakes_of_students_are_named(body, said, addition, tmp_path):
    (tmp_path / "anna.py").write_text(f"def add{body}")
    (found,) = graded(addition, tmp_path / "anna.py")["tests"]
    assert found["said"].startswith(said), found["said"]
    assert (CALL in found["said"]) == ("x" not in body)


BLUR = """
import numpy as np
def inputs(shape, dtype, rng):
    n, r = shape
    return rng.random(n).astype(dtype), r
def reference(A, r):
    return np.cumsum(A) * r / 3
SHAPES, TIMED = [(7, 1), (50, 2)], [(9, 2)]
def flops(shape):
    return shape[0]
def memory(shape, dtype):
    return shape[0] * dtype.itemsize
"""


@pytest.mark.parametrize(("constant", "only"), [("np.float32(1)", " for float64 only"), ("3", "")])
def test_message_has_the_numbers_of_the_call_and_the_only_dtype_that_is_wrong(constant, only, tmp_path):
    (tmp_path / "blur.py").write_text(BLUR)
    text = ADDITION.replace('problem = "vector_add"', 'problem = "blur.py"').replace('["numba"]', '["numba", "numpy"]')
    source = f"import numpy as np\ndef add(A, r, B):\n    t = {constant} - np.float32(1)\n    for i in range(A.size):\n"
    (tmp_path / "anna.py").write_text(f"{source}        t += np.float32(A[i])\n        B[i] = t * r / 3\n")
    (found,) = graded(made(tmp_path, text), tmp_path / "anna.py")["tests"]
    assert found["said"].startswith(f"is wrong{only}: 7 of 7 wrong, first at "), found["said"]
    assert ", given A (7,), r = 1, result (7,)" in found["said"]
    narrower = "it is computed in a narrower type, float32: keep sums and products in float64"
    assert (narrower in found["said"]) == bool(only)


def test_write_beside_an_array_has_its_line(addition, tmp_path):
    (tmp_path / "anna.py").write_text(
        "import numba\n\n\n@numba.njit\ndef add(a, b, c):\n    for i in range(9):\n        c[i] = 0\n"
    )
    (found,) = graded(addition, tmp_path / "anna.py")["tests"]
    assert found["said"] == (
        f"writes outside its arrays, past the end of c{GIVEN}; c[5] is out of bounds for the shape (5,) (anna.py, "
        "line 7)"
    )


def test_name_that_is_not_defined_has_its_line(addition, tmp_path):
    head = "import numba\n@numba.njit\ndef add(x, y, result):\n"
    source = f"{head}    n = x.size\n    for i in range(m):\n        result[i] = n\n"
    (tmp_path / "anna.py").write_text(source)
    (found,) = graded(addition, tmp_path / "anna.py")["tests"]
    assert found["said"].startswith("does not compile: NameError: name 'm' is not defined (anna.py, line 5), given a (")


def test_slow_loop_that_is_not_compiled_says_so(tmp_path, monkeypatch):
    (tmp_path / "anna.py").write_text(HONEST)
    wanted = made(tmp_path / "work", ADDITION + SPEED)
    with judging.Judge(wanted, wanted.kernels[0], str(tmp_path / "anna.py"), 0) as judge:
        (test,) = (test for test in wanted.kernels[0].tests if test.check == "speed")
        judge.timing_disturbed_by, judge.examined = [], {}
        monkeypatch.setattr(judge, "_times", lambda *_: (0.1, 0.001))
        said = judge._verdict(test, None, "").said
    assert said.endswith("1% of the speed of naive; add is not compiled: write @numba.njit above it")


@pytest.mark.parametrize(
    ("text", "interpreted"),
    [
        (HONEST, True),
        (f"@njit\n{HONEST}", False),
        (f"{HONEST}add = njit(add)\n", False),
        ("def add(x, y, result):\n    compiled(x, y, result)\n", False),
    ],
)
def test_only_loops_that_nothing_compiles_are_interpreted(text, interpreted):
    assert is_interpreted(text.encode(), "add") == interpreted


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how much memory a process has filled")
def test_call_that_fills_memory_until_its_time_is_over_says_so(tmp_path):
    text = ADDITION.replace('["numba"]', '["numpy"]\nseconds = 3\nmemory = 0.2')
    source = "import numpy as np\ndef add(x, y, result):\n    z = np.ones(10_000_000)\n    while True:\n        pass\n"
    (tmp_path / "anna.py").write_text(source)
    (found,) = graded(made(tmp_path / "small", text), tmp_path / "anna.py")["tests"]
    said = r"did not .* one call; it has filled 0\.07\d* GiB of memory, and the limit is 0\.2, given a .*"
    assert re.fullmatch(said, found["said"]), found["said"]


def test_numbers_that_differ_after_nine_digits_are_shown_in_full():
    case = oracle.Case([np.array([0.125])], [np.array([0.125 + 2**-40])], [np.array([1e-15])])
    assert case.error().endswith("expected 0.12500000000090949, got 0.125, bound 1e-15")
    case.expected = [np.array([0.126])]
    assert case.error().endswith("expected 0.126, got 0.125, bound 1e-15")
