"""The process in which a custom kernel is tested and timed; sandbox.py is the side of the parent.

It tests the kernel on awkward shapes, then at the size to be timed, and makes the timed calls on request. Before each
step it writes a line of JSON: the step and its time limit.
"""

import contextlib
import errno
import faulthandler
import functools
import json
import math
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from time import perf_counter  # before a kernel's file could replace it
from typing import IO, Any

import numba
import numpy as np
from numba.core import serialize

from ... import backend, checks
from ...process import resources
from .. import confinement, loading
from ..oracle import Shape
from ..problems import Problem, ProblemError, again
from ..timing import affordable_shape, blas_threads
from . import custom, judge, shapes
from .patches import Snapshot
from .timed import Cores, Idle, Timed, other_process

COMPILING = 600.0
"""Seconds that the child may take to start, and Numba to compile."""

SANITIZING = 300.0
"""Seconds that its source may be interpreted; usually it takes one."""

KNOWN = 15.0
"""Seconds for the shapes of the problem, without the first, which compiles; a slow kernel is tested on fewer."""

DRAWING = 1.0
"""Seconds for shapes that are drawn; 850 of them take less, unless the kernel is interpreted."""

REPEATING = 1.0
"""Seconds for calls of a parallel kernel whose results are compared."""

TIMED = "while it was timed"

MEMORY = 0.75
"""Fraction of the memory of this machine that the kernel may use."""

FILE = 100 * 2**20
"""The largest file that the kernel may write, in bytes; those of Numba's cache are far smaller."""


class _Child:
    """Does the job in the child process, and reports each step to the parent."""

    def __init__(self, job: dict[str, Any], channel: IO[str]) -> None:
        self.job, self.channel = job, channel
        self.shape, self.dtype = job["shape"], job["dtype"]
        self.grown = self.shape
        """The largest shape on which it was tested: it may divide large arrays in another way."""
        self.doing, self.loaded, self.untested = "", False, 0
        self.before = Snapshot()
        self.memory = confinement.limit(int(MEMORY * _memory()) if os.name == "posix" else 0, FILE)
        self.nowhere = open(os.devnull, "w")  # noqa: SIM115

    def tell(self, **news: Any) -> None:
        print(json.dumps(news), file=self.channel, flush=True)

    def begin(self, doing: str, limit: float) -> None:
        # in case the parent is gone, which would end the child
        faulthandler.dump_traceback_later(limit + 60, exit=True, file=self.nowhere)
        self.tell(doing=doing, limit=limit, loaded=self.loaded)

    def work(self, doing: str) -> None:
        self.doing = doing
        self.begin(doing, self.job["patience"])

    def answer(self, **news: Any) -> None:
        faulthandler.cancel_dump_traceback_later()  # waiting may take long
        self.tell(**news)

    def run(self) -> None:
        """Load the kernel, test it, and time it if nothing is wrong."""
        custom.watch_compiling(lambda: self.begin("compiling", COMPILING), lambda: self.work(self.doing))
        name, function = self.job["name"], self.job["function"]
        self.work(f"importing {function}" if isinstance(function, str) else "loading")
        try:
            self.problem = again(*self.job["problem"])
            self.kernel = self.kernel_of(self.problem)
        except checks.Error as error:
            self.tell(not_loaded=str(error))
            return
        except Exception as error:
            self.tell(not_loaded=f"{name} cannot be loaded in the process that tests it ({checks.described(error)})")
            return
        self.loaded, timed = True, None
        self.case = self.problem.case(self.problem.shapes[0], self.dtype)
        found = self.problem.misfit(self.kernel, name)
        try:
            found = found or self.error_of_kernel()
            if not found:
                self.begin("drawing inputs", COMPILING)
                timed = Timed(self.kernel, self.problem, self.shape, self.dtype, self.job["seed"])
        except ProblemError as error:
            self.tell(not_loaded=str(error))
            return
        except BaseException as error:  # sys.exit too
            found = self.in_words(error, self.kernel, self.case.arguments, self.problem.given(self.case))
        if found and (order := self.problem.reordered(self.kernel, name)):
            found = f"{found}; {order}"
        found = found or self.before.changed()
        used = custom.threads_of(self.kernel, numba.get_num_threads())
        idea, slow = custom.idea_of(self.kernel), judge.is_interpreted(self.kernel)
        self.answer(error=found, shape=self.shape, threads=used, idea=idea, interpreted=slow, untested=self.untested)
        if timed:
            self.answer_timings(timed)

    def error_of_kernel(self) -> str | None:
        """The first error in all tests: known shapes, the sanitizer, drawn shapes, the timed size, repeated calls."""
        found = self.error_of_known() or self.hidden_error() or self.error_of_drawn()
        if found:
            return found
        most = min(self.job["most"], self.job["patience"] / 4)
        self.shape = affordable_shape(self.call_at, self.shape, most, self.problem.takes)
        found = self.error_at(self.shape) or self.error_of_growing()
        if not found and custom.threads_of(self.kernel, 2) > 1:
            self.work("called several times")
            for shape in dict.fromkeys((self.shape, self.grown)):
                found = found or judge.error_of_repeating(self.kernel, self.problem, shape, self.dtype, REPEATING)
        return found

    def call_at(self, shape: Shape) -> Callable[[], object]:
        """A call with new inputs, which an error of the call will name."""
        self.case = self.problem.case(shape, self.dtype)
        self.work(self.problem.given(self.case))
        return functools.partial(self.kernel, *self.case.arguments)

    def error_at(self, shape: Shape) -> str | None:
        self.call_at(shape)
        return judge.error_of(self.kernel, self.problem, shape, self.dtype, self.hidden_error)

    def hidden_error(self) -> str | None:
        self.begin("running its source with every prange iteration as a thread", SANITIZING)
        return judge.hidden_error(self.kernel, self.problem, self.dtype)

    def kernel_of(self, problem: Problem) -> loading.Function:
        """The function that was sent or named, or the rung of the problem."""
        function = self.job["function"]
        if isinstance(function, bytes):
            return serialize.loads(function)  # type: ignore[no-any-return]
        return loading.load(function) if function else problem.rungs[self.job["name"]]

    def error_of_known(self) -> str | None:
        """The first error on the shapes of the problem, as many as there is time for."""
        known, end = self.problem.shapes, math.inf
        for done, shape in enumerate(known, 1):
            if found := self.error_at(shape):
                return found
            end = min(end, perf_counter() + KNOWN)
            if perf_counter() > end:
                self.untested = len(known) - done
                break
        return None

    def error_of_drawn(self) -> str | None:
        """The first error on shapes drawn from the seed that the problem accepts, as many as there is time for."""
        end = perf_counter() + DRAWING
        for shape in shapes.drawn_shapes(self.problem, self.job["seed"]):
            with contextlib.suppress(ProblemError):
                self.call_at(shape)
                if found := judge.quick_error_of(self.kernel, self.problem, shape, self.dtype):
                    return found
            if perf_counter() > end:
                break
        return None

    def error_of_growing(self) -> str | None:
        """The first error on a shape whose sizes are all large, and on parts of it, until one takes long."""
        for shape in shapes.growing_shapes(self.problem, self.job["seed"]):
            start = perf_counter()
            with contextlib.suppress(ProblemError):
                self.call_at(shape)
                if found := judge.quick_error_of(self.kernel, self.problem, shape, self.dtype):
                    return found
                self.grown = shape
            if perf_counter() - start > judge.SLOW:
                break
        return None

    def answer_timings(self, timed: Timed) -> None:
        """Time as many calls as the parent asks for, until it closes the pipe, and check the results afterwards."""
        idle, self.cores = Idle(), Cores(self.job["cores"])
        for number, line in enumerate(sys.stdin.buffer):
            busy = idle.end()
            self.begin("before it is timed", COMPILING)
            try:
                seconds, found = timed.ask(number, int(line), self.timing)
                if found := found or busy or self.cores.error() or other_process() or self.before.changed():
                    self.answer(error=found)
                else:
                    self.answer(seconds=seconds, claimed=timed.timed_seconds)
            except BaseException as error:
                arguments = timed.sets[0].arguments
                self.answer(error=self.in_words(error, timed.kernel, arguments, TIMED))
            idle.begin()

    @contextlib.contextmanager
    def timing(self) -> Iterator[None]:
        """Tells the parent, which has its own clock, when timed calls begin and end."""
        self.work(TIMED)
        with self.cores:
            yield
        self.begin("after it was timed", COMPILING)

    def in_words(self, error: BaseException, kernel: loading.Function, arguments: list[Any], when: str) -> str:
        """An exception of a call as a sentence, with the limit that it exceeded."""
        text = custom.in_words(error, kernel, arguments, when)
        if isinstance(error, MemoryError) and self.memory:
            return f"{text}; it may use {checks.byte_count(self.memory)}, {MEMORY:.0%} of the memory here"
        if isinstance(error, OSError) and error.errno == errno.EFBIG:
            return f"{text}; files that it writes may have at most {FILE >> 20} MiB"
        return text


def _memory() -> int:
    """Bytes of memory of this machine, or of the control groups of this process."""
    found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for folder in resources.control_groups("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            with contextlib.suppress(OSError, ValueError):  # "max" is not a number
                found = min(found, int((folder / name).read_text()))
    return found


def main() -> None:
    """The child process: requests on standard input, answers on standard output, where nothing else may print."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    job = pickle.load(sys.stdin.buffer)
    with backend.threads(job["threads"]), blas_threads(job["threads"]) as blas, np.errstate(all="ignore"):
        _Child(job | {"cores": max(job["threads"], blas)}, channel).run()
