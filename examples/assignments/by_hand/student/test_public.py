"""The public test: python test_public.py, or pytest. The grader tries more shapes, with other numbers."""

import signal
from pathlib import Path

import layer

from jitnet.lab import problems
from jitnet.lab.benchmark.judge import error_of
from jitnet.lab.grade.language import Language
from jitnet.lab.grade.parts import parts_of

HERE = Path(__file__).parent
SOURCE = (HERE / "layer.py").read_bytes()
RULES = parts_of(SOURCE, Language(("math", "numba", "numpy")))
for note in RULES.notes:
    print(note)


def check(name, problem):
    error = RULES.error_of(name)
    assert error is None, f"{name}: {error}"
    for dtype in problem.dtypes:
        for shape in problem.shapes:
            error = error_of(getattr(layer, name), problem, shape, dtype)
            assert error is None, f"{name} {error}, in {dtype}"
    print(f"{name} is right for the public shapes")


def test_forward():
    check("forward", problems.load(HERE / "forward.py"))


def test_propagate():
    check("propagate", problems.load(HERE / "propagate.py"))


def test_gradients():
    check("gradients", problems.load("gradients"))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ^C ends a compiled loop too, which Python cannot interrupt
    test_forward()
    test_propagate()
    test_gradients()
