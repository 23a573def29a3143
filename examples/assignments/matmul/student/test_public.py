"""The public test: python test_public.py, or pytest. The grader tries more shapes, with other numbers."""

import signal
from pathlib import Path

import products

from jitnet.lab import problems
from jitnet.lab.benchmark.judge import error_of
from jitnet.lab.grade.inspection import without_race
from jitnet.lab.grade.language import Language
from jitnet.lab.grade.parts import parts_of

HERE = Path(__file__).parent
SOURCE = (HERE / "products.py").read_bytes()
RULES = parts_of(SOURCE, Language(("numba", "numpy")))
for note in RULES.notes:
    print(note)


def check(name, problem):
    error = RULES.error_of(name)
    assert error is None, f"{name}: {error}"
    for dtype in problem.dtypes:
        for shape in problem.shapes:
            error = error_of(getattr(products, name), problem, shape, dtype)
            assert error is None, f"{name} {error}, in {dtype}"
    print(f"{name} is right for the public shapes")


def check_races(name, problem, dtype, divided):
    passed, said = without_race(getattr(products, name), problem, dtype, SOURCE, divided)
    assert passed is not False, f"{name}: {said}"


def test_naive():
    check("naive", problems.load("matmul"))


def test_reordered():
    check("reordered", problems.load("matmul"))


def test_threaded():
    check("threaded", problems.load("matmul"))
    check_races("threaded", problems.load("matmul"), "float32", divided=True)


def test_tiled():
    check("tiled", problems.load("matmul"))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ^C ends a compiled loop too, which Python cannot interrupt
    test_naive()
    test_reordered()
    test_threaded()
    test_tiled()
