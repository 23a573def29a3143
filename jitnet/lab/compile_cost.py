"""The compile cost of a kernel, and the number of calls at which it breaks even with the interpreted loop.

Every cost is measured in separate processes: one starts with an empty cache, several load what it has stored. Times
begin after `import jitnet`, which the interpreted loops need too. The time of the first kernel of a process includes
the start of the compiler.

    n calls cost    n·interpreted    or    ready + first + (n − 1)·call
"""

import functools
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import arrays, backend, checks, losses, step
from ..backend.compiler_errors import REFUSES
from ..compiler.jit import compile_for, is_compiled, needs_compiling, signature_for
from ..compiler.registry import Call
from ..compiler.threads import thread_count
from ..kernels import LADDERS, SIGNATURES
from ..network import Network
from ..optimizers import SGD
from ..process import disturbance
from ..process.progress import Report, ignore
from . import ladder, machine, oracle, problems
from .benchmark import candidates, training
from .benchmark.training import CLASSES
from .formatting import count, duration, row, wrapped
from .oracle import Shape
from .problems import of_operation, size_in_words
from .timing import affordable_shape, time_alternating, time_of
from .worker import NoAnswerError, ask

WARM = 3
"""Processes that load from the cache, of which the median is used. Compiling takes seconds and is measured once."""

SIZES = {"operation": "128", "backend": "32x64x32"}
"""Default sizes."""


def account(
    what: str = "fast", size: str | int | None = None, dtype: str = "float32", report: Report = ignore
) -> dict[str, Any]:
    """The costs of an operation's rungs, or of all kernels that a backend trains a small network with.

    what    an operation, or a backend: then a call is a training step of n_in-n_out-10 (sigmoid, softmax) by SGD;
            "train", as a ladder calls it, is the backend fast
    size    n, or m x n_in x n_out; if the interpreter cannot finish that in time, its half, quarter, ...

    Keys: what, kind (operation or backend), shape, asked (the size that was asked for), dtype, threads, cpu, warm
    (processes that loaded), disturbed, disturbed_by (of `disturbance.Watch`), interpreted_seconds (a call of the naive
    loop), rows: a list of name, compile_seconds (from an empty cache), load_seconds (from a warm one),
    first_call_seconds and warm_first_call_seconds (the first call after each), call_seconds (the median of later ones),
    break_even and break_even_warm (calls until the compiled loop has taken less time than the interpreted one, or None:
    never). Rows are the rungs, and best names the one that the backend fast takes; or the backend alone, with kernels:
    a list of operation, rung, compile_seconds, load_seconds.

    Errors    ValueError for unknown names and impossible sizes, a backend that compiles nothing, and a process that
              fails
    """
    what = {**candidates.ALSO_CALLED, "train": "fast"}.get(what, what)
    problems.refuse_problem(what, "jitnet ladder")
    checks.one_of("operation or backend", what, [*LADDERS, *backend.backends()])
    kind = "operation" if what in LADDERS else "backend"
    number = checks.dtype_of(dtype)
    asked = ladder.shape_of(SIZES[kind] if size is None else size)
    _check_compiled(what)
    measure: Callable[..., dict[str, Any]] = costs_of_step
    rows: dict[str, tuple[str, ...]] = {what: (what,)}
    naive: tuple[str, ...] = ("python",)
    if kind == "operation":
        measure, naive = costs_of_rung, (what, "python")
        rows = {rung: (what, rung) for rung, kernel in LADDERS[what].items() if is_compiled(kernel)}
    with np.errstate(all="ignore"):
        shape = affordable_shape(lambda smaller: _interpreted(what, smaller, number), asked, ladder.PATIENCE)
    processes = _Processes(measure, shape, number.name, 1 + len(rows) * (1 + WARM), report)
    with disturbance.Watch() as watch:
        with tempfile.TemporaryDirectory() as folder:
            interpreted = processes.costs(f"{what}, interpreted", folder, naive)["call"]
        accounts = {name: processes.costs_with_both_caches(name, arguments) for name, arguments in rows.items()}
    processes.end()
    result = {
        "what": what, "kind": kind, "shape": list(shape), "asked": list(asked), "dtype": number.name,
        "threads": thread_count(), "cpu": machine.cpu_name(), "warm": WARM, "interpreted_seconds": interpreted,
        "rows": [_row(name, *runs, interpreted) for name, runs in accounts.items()],
        "disturbed": bool(watch.reasons), "disturbed_by": watch.reasons,
    }  # fmt: skip
    if kind == "operation":
        call = Call(what, tuple(oracle.case(what, shape, number).arguments))
        return result | {"best": _rung_of(backend.get("fast"), [call])}
    return result | {"best": what, "kernels": _kernels(what, shape, number.name, *accounts[what])}


class _Processes:
    """Measures costs in one process after the other, and reports each."""

    def __init__(
        self, measure: Callable[..., dict[str, Any]], shape: Shape, dtype: str, total: int, report: Report
    ) -> None:
        self.measure, self.shape, self.dtype = measure, shape, dtype
        self.done, self.total, self.report = 0, total, report

    def costs(self, name: str, folder: str, arguments: tuple[str, ...]) -> dict[str, Any]:
        """The costs in a process with this cache folder."""
        self.report(self.done, self.total, name)
        self.done += 1
        try:
            found = ask(self.measure, *arguments, self.shape, self.dtype, environment={"JITNET_CACHE_DIR": folder})
        except NoAnswerError as error:
            hint = "" if str(error).startswith(REFUSES) else "; jitnet doctor looks for the reason"
            raise checks.Error(f"{name} could not be measured: {error}{hint}") from None
        if found["error"]:
            raise checks.Error(f"{name} is wrong: {found['error']}")
        return found  # type: ignore[no-any-return]

    def costs_with_both_caches(
        self, name: str, arguments: tuple[str, ...]
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The costs with an empty cache, and those of several processes with what it has stored."""
        with tempfile.TemporaryDirectory() as folder:
            empty = self.costs(f"{name}, empty cache", folder, arguments)
            warm = [self.costs(f"{name}, warm cache", folder, arguments) for _ in range(WARM)]
        if not empty["missing"] or any(run["missing"] for run in warm):
            raise checks.Error(f"{name} was not stored in {folder}, so loading it cannot be measured; set TMPDIR")
        return empty, warm

    def end(self) -> None:
        self.report(self.total, self.total, "")


def _kernels(
    name: str, shape: Shape, dtype: str, empty: dict[str, Any], warm: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The costs of each kernel of a backend."""
    run, calls = backend.get(name), _calls_of_step(name, shape, dtype)
    return [
        {
            "operation": operation, "rung": _rung_of(run, calls[operation]), "compile_seconds": seconds,
            "load_seconds": statistics.median(process["parts"][operation] for process in warm),
        }
        for operation, seconds in empty["parts"].items()
    ]  # fmt: skip


def _check_compiled(what: str) -> None:
    machine.check_compiling()
    if what not in LADDERS and not any(map(is_compiled, backend.get(what).kernels.values())):
        able = [name for name in backend.backends() if any(map(is_compiled, backend.get(name).kernels.values()))]
        raise checks.Error(f"backend {what!r} compiles nothing, so there is no compile cost; take {', '.join(able)}")


def _interpreted(what: str, shape: Shape, dtype: np.dtype[Any]) -> Callable[[], object]:
    """A call of the interpreted loop, or an interpreted training step."""
    if what in LADDERS:
        return candidates.prepared(of_operation(what), "python", dtype, shape)[0]
    return _step(backend.get("python"), *training.network(shape, dtype.name), shape[0])


def break_even(ready: float, first: float, call: float, interpreted: float) -> int | None:
    """The fewest calls n with ready + first + (n − 1)·call ≤ n·interpreted, or None; all in seconds."""
    if ready + first <= interpreted:
        return 1
    if call >= interpreted:
        return None
    return math.ceil((ready + first - call) / (interpreted - call))


def _row(name: str, empty: dict[str, Any], warm: list[dict[str, Any]], interpreted: float) -> dict[str, Any]:
    load, first = (statistics.median(run[key] for run in warm) for key in ("ready", "first"))
    call = statistics.median(run["call"] for run in [empty, *warm])
    return {
        "name": name, "compile_seconds": empty["ready"], "load_seconds": load, "first_call_seconds": empty["first"],
        "warm_first_call_seconds": first, "call_seconds": call,
        "break_even": break_even(empty["ready"], empty["first"], call, interpreted),
        "break_even_warm": break_even(load, first, call, interpreted),
    }  # fmt: skip


def _rung_of(run: backend.Backend, calls: list[Call]) -> str:
    """The rung that a backend takes for the largest of these calls of one operation, on all threads."""
    largest = max(calls, key=lambda call: call.flop)
    kernel = run.kernel(largest, thread_count())
    return next(name for name, rung in LADDERS[largest.operation].items() if rung is kernel)


def _calls_of_step(name: str, shape: Shape, dtype: str) -> dict[str, list[Call]]:
    """The calls of a training step, by operation."""
    net, loss, optimizer = training.network(shape, dtype)
    calls: dict[str, list[Call]] = {}
    for call in step.needed(net, backend.get(name), shape[0], loss, optimizer):
        calls.setdefault(call.operation, []).append(call)
    return calls


def costs_of_rung(operation: str, rung: str, shape: Shape, dtype: str) -> dict[str, Any]:
    """Seconds to compile or load a rung, of its first call and of a later one; for a fresh process."""
    kernel, number = LADDERS[operation][rung], checks.dtype_of(dtype)
    signature, case = signature_for(SIGNATURES[operation], number), oracle.case(operation, shape, number)
    missing = needs_compiling(kernel, signature)
    ready = time_of(lambda: compile_for(kernel, signature), 1)
    call = functools.partial(kernel, *case.arguments)
    with np.errstate(all="ignore"):  # repeated updates diverge, which does not change the time
        first = time_of(call, 1)
        error = case.error()
        return {"missing": int(missing), "ready": ready, "first": first, "error": error, "call": _steady(call)}


def costs_of_step(name: str, shape: Shape, dtype: str) -> dict[str, Any]:
    """The same for a training step by a backend, and the seconds for each of its kernels; for a fresh process."""
    run, (net, loss, optimizer), m = backend.get(name), training.network(shape, dtype), shape[0]
    parts, missing = {}, 0
    for operation, calls in _calls_of_step(name, shape, dtype).items():
        began = time.perf_counter()
        missing += run.prepare(calls, net.dtype)
        parts[operation] = time.perf_counter() - began
    began = time.perf_counter()
    call = _step(run, net, loss, optimizer, m)
    ready = sum(parts.values()) + time.perf_counter() - began
    with np.errstate(all="ignore"):
        first = time_of(call, 1)
        error = None if np.isfinite(net.theta).all() else "the weights stop being finite"
        return {
            "missing": missing, "ready": ready, "first": first, "error": error, "call": _steady(call), "parts": parts
        }  # fmt: skip


def _steady(call: Callable[[], object]) -> float:
    return time_alternating({"call": call}, most=1.0)["call"].seconds


def _step(run: backend.Backend, net: Network, loss: losses.Loss, optimizer: SGD, m: int) -> Callable[[], object]:
    """Gather a batch and make one training step, as `fit` does."""
    one = step.Step(net, run, m, loss, optimizer, thread_count())
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4 * m, net.layers[0].n_in)).astype(net.dtype)
    Y = arrays.one_hot(np.arange(4 * m) % CLASSES, CLASSES).astype(net.dtype)
    order, memory = rng.permutation(4 * m), optimizer.start(net.theta)

    def call() -> None:
        one.gather(X, Y, order, 0, one.work.X, one.work.Y)
        one(1, memory)

    return call


NAME = 19
WIDTHS = 9, 9, 11, 11, 11, 10
"""Columns of the table: the names, and the figures."""


def as_text(result: dict[str, Any]) -> str:
    """The costs as a table for a terminal of 80 columns."""
    unit, asked = unit_of(result), size_in_words(result["what"], result["asked"])
    smaller = f"a smaller size than {asked}, for which the interpreter takes too long"
    lines = wrapped(
        f"Compile cost of {subject(result)}, on {result['cpu']}",
        smaller if result["shape"] != result["asked"] else "",
        disturbance.sentence(result["disturbed_by"]),
    )
    if "kernels" in result:
        lines += ["", f"{'kernel':{NAME}}{'compile':>12}{'load':>12}  rung"]
        for one in result["kernels"]:
            figures = [duration(one["compile_seconds"]), duration(one["load_seconds"]), f"  {one['rung']}"]
            lines += row(one["operation"], figures, (12, 12, 0), NAME)
    lines.append("")
    for name, cells in table(result):
        lines += row(name, cells, WIDTHS, NAME)
    return "\n".join([
        *lines, "",
        *wrapped(
            f"Compile: from an empty cache. Load: from a warm one, the median of {result['warm']} processes. Both "
            "begin after import; that of a process's first kernel includes the start of the compiler.",
            f"Break-even: {unit}s until the total time is below that of the interpreted loop, compiled now, or loaded.",
        ),
    ])  # fmt: skip


def unit_of(result: dict[str, Any]) -> str:
    """The unit of the count: steps of a backend, or calls of a rung."""
    return "step" if result["kind"] == "backend" else "call"


def table(result: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """The rows of the table, each a name and its cells: the head, the interpreted loop, the compiled ones."""
    unit = unit_of(result)
    seconds = "compile_seconds", "load_seconds", "first_call_seconds", "call_seconds"
    return [
        ("", ["compile", "load", f"first {unit}", f"later {unit}", "break-even", "if loaded"]),
        ("interpreted", ["", "", "", duration(result["interpreted_seconds"]), "", ""]),
        *((row["name"], [
            *(duration(row[key]) for key in seconds),
            *("never" if row[key] is None else f"{row[key]:,}" for key in ("break_even", "break_even_warm")),
        ]) for row in result["rows"]),
    ]  # fmt: skip


def subject(result: dict[str, Any]) -> str:
    """What was measured, in words."""
    m, n_in, n_out = result["shape"]
    threads = count(result["threads"], "thread")
    if result["kind"] == "operation":
        return f"{result['what']} {size_in_words(result['what'], result['shape'])}, {result['dtype']}, {threads}"
    one = f"a training step of {n_in}-{n_out}-{CLASSES}, batch {m}"
    return f"{one}, backend {result['what']}, {result['dtype']}, {threads}"
