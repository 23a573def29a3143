"""The public test: python test_public.py, or pytest. The grader tries more shapes, with other numbers."""

from pathlib import Path

import layer

from jitnet.lab import problems
from jitnet.lab.benchmark.judge import error_of

HERE = Path(__file__).parent


def check(kernel, problem):
    for shape in problem.shapes:
        error = error_of(kernel, problem, shape, "float32")
        assert error is None, f"{kernel.__name__} {error}"
    print(f"{kernel.__name__} is right for the public shapes")


def test_forward():
    check(layer.forward, problems.load(HERE / "forward.py"))


def test_propagate():
    check(layer.propagate, problems.load(HERE / "propagate.py"))


def test_gradients():
    check(layer.gradients, problems.load("gradients"))


if __name__ == "__main__":
    test_forward()
    test_propagate()
    test_gradients()
