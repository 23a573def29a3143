"""Problems whose reference takes long: it is called no more often than needed, and the estimate says so."""

import contextlib

from test_problems import F32, write

from jitnet.lab import estimate, problems
from jitnet.lab.benchmark.timed import Timed

__all__ = ["write"]
"""The fixture, which pytest looks for here."""


def test_timed_calls_need_the_reference_only_to_verify(write):
    write(("    return X.sum(axis=1)", "    calls.append(1)\n    return X.sum(axis=1)\n\ncalls = []"))
    problem = problems.load("sums.py")

    def compiled(X, sums):
        sums[...] = X.sum(axis=1)

    calls = problem.rungs["numpy"].func.__self__.module.calls
    calls.clear()
    timed = Timed(compiled, problem, (40, 30), F32, 0)
    assert [timed.ask(number, 3, contextlib.nullcontext)[1] for number in range(3)] == [None] * 3
    assert len(calls) <= 9 * 7  # the first set, and two verifications of each question


def test_slow_reference_is_named_and_part_of_the_estimate(write):
    write(("    return X.sum(axis=1)", "    time.sleep(0.03)\n    return X.sum(axis=1)\n\nimport time"))
    problem = problems.load("sums.py")
    seconds = problem.seconds_of_reference((40, 30), F32)
    assert 0.03 <= seconds < 1
    assert estimate.of_ladder(2, 2, reference=seconds) > 9 + 0.03 * 300
    why = estimate.slow_reference(problem, 0.0753, 2, estimate.of_ladder(2, 2, reference=0.0753))
    assert why == "the reference of sums.py takes 75 ms per call; write it with NumPy to make this faster"
    assert estimate.slow_reference(problem, 0.001, 2, 25) == ""
    assert estimate.slow_reference(problems.load("matmul"), 0.0, 2, 25) == ""
