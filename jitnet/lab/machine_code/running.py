"""Run a compiled function in this process, as a copy of its machine code: iterations, time, and samples.

The copy is the code that `explain` shows. Its arguments get their first values again after each round, because a kernel
may change what it is given.
"""

import contextlib
import functools
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from ... import checks
from ...process import disturbance
from .. import problems
from ..benchmark.guarded import placed
from ..loading import evaluated, in_signature
from ..machine import clock_now
from ..oracle import case
from ..timing import time_of
from .copies import Copy
from .instructions import ARM, machine
from .sampling import NoSamplesError, Sampler
from .waiting import samples_that_wait

SECONDS = 1.0
"""Seconds for which the function is called repeatedly."""

ROUND = 0.02
"""Seconds until the arguments get their first values again."""

LIMIT = 120
"""Seconds after which the process is ended."""

SAMPLES = 4000
"""Samples of a thread, about."""


def measured(request: dict[str, Any], answer: dict[str, Any], function: Any, overload: Any) -> dict[str, Any]:
    """Run the function that a request names and an answer describes: its machine code for one signature, `overload`.

    Keys: missing (why it was not run, or None), size (of the arguments of an operation or a problem, or None),
    size_in_words (the sizes that it uses, or ""), bytes (of its arrays), threads, calls, seconds (CPU time of all
    threads per call), clock (in Hz, or 0), executions (of one call; for each text of the assembly: row of a block ->
    number), samples (count, waiting (how many of them are of threads that wait for work), seconds of each, and for each
    text: row of an instruction -> how many) or None, no_samples (why there are none), disturbed_by (reasons).
    """
    if not can_run():
        return {"missing": "cycles are measured on Linux and x86-64 only"}
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(LIMIT)  # ends the process even while compiled code runs
    try:
        operation = request["operation"] if ":" in request["target"] else request["target"].partition(".")[0]
        if operation is not None:
            arguments = tuple(placed(case(operation, tuple(request["run"]), request["dtype"])).arguments)
        elif request["problem"] is not None:
            problem = problems.load(request["problem"])
            arguments = tuple(placed(problem.case(tuple(request["run"]), request["dtype"])).arguments)
        elif request["arguments"] is not None or not overload.signature.args:
            arguments = in_signature(function, evaluated(request["arguments"] or "", function=function))
        else:
            return {"missing": "give example arguments with --args, so that the function can be run"}
        size = None if operation is None and request["problem"] is None else request["run"]
        words = "" if size is None else problems.size_in_words(operation or "", size, " × ")
        found = _run(overload, answer, arguments, request["times"])
        return found | {"size": size, "size_in_words": words, "missing": None}
    except Exception as error:  # of the function, or of LLVM; the explanation does not depend on it
        return {"missing": f"running the function failed: {checks.described(error)}"}
    finally:
        signal.alarm(0)


def can_run() -> bool:
    """Whether copies of machine code can be made and run here."""
    return sys.platform == "linux" and machine() not in ARM


def _run(overload: Any, answer: dict[str, Any], arguments: tuple[Any, ...], times: bool) -> dict[str, Any]:
    first = [array.copy() for array in _arrays(arguments)]

    def restore() -> None:
        for array, values in zip(_arrays(arguments), first, strict=True):
            if array.flags.writeable:
                array[...] = values

    counting = Copy(overload, answer["assembly"], answer["links"], counting=True)
    counting.call(*arguments)
    found: dict[str, Any] = {"bytes": sum(array.nbytes for array in first), "executions": counting.executions()}
    if not times:
        return found
    restore()
    copied = Copy(overload, answer["assembly"], answer["links"])
    call = functools.partial(copied.call, *arguments)
    once = time_of(call, 1)  # it also starts the threads, which can be sampled from then on
    if once < ROUND:
        once = time_of(call, 1)
    threads = numba.get_num_threads() if answer["options"].get("parallel") else 1
    repeated = functools.partial(_repeated, call, max(1, int(ROUND / max(once, 1e-7))), threads, restore)
    try:
        sampler = Sampler(max(SECONDS, 2 * once) / SAMPLES)
    except NoSamplesError as error:
        return found | repeated() | {"samples": None, "no_samples": str(error)}
    with contextlib.closing(sampler):
        found |= repeated(sampler)
        addresses = sampler.addresses()
    samples = {
        "count": len(addresses), "waiting": samples_that_wait(addresses), "seconds": sampler.period,
        "rows": copied.rows(addresses),
    }  # fmt: skip
    return found | {"samples": samples, "no_samples": None}


def _arrays(arguments: tuple[Any, ...]) -> list[NDArray[Any]]:
    return [argument for argument in arguments if isinstance(argument, np.ndarray)]


def _repeated(
    call: Callable[[], object], each: int, threads: int, restore: Callable[[], None], sampler: Sampler | None = None
) -> dict[str, Any]:
    """Call it for some time, in rounds of `each` calls. Keys: calls, seconds, clock, threads, disturbed_by."""
    calls, spent, clocks, end = 0, 0.0, [], time.perf_counter() + SECONDS
    with disturbance.Watch(threads) as watch:
        while not calls or time.perf_counter() < end:
            restore()
            clocks.append(clock_now() or 0.0)  # the highest counts: a disturbance makes it seem lower
            before = time.process_time()
            with sampler or contextlib.nullcontext():
                for _ in range(each):
                    call()
            calls += each
            spent += time.process_time() - before
    return {
        "calls": calls, "seconds": spent / calls, "clock": max(clocks), "threads": threads,
        "disturbed_by": watch.reasons,
    }  # fmt: skip
