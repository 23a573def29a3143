"""The public test: python test_public.py, or pytest. The grader tries more shapes, with other numbers."""

from pathlib import Path

import layer

from jitnet.lab import problems

HERE = Path(__file__).parent


def check(kernel, problem):
    for shape in problem.shapes:
        case = problem.case(shape, "float32")
        kernel(*case.arguments)
        error = case.error()
        assert error is None, f"{kernel.__name__} is wrong: {error}, {problem.given(case)}"
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
