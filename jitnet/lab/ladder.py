"""Every rung of an operation on the same data: checked against the oracle first, then timed in turn.

A rung is compared with the naive loop, with the rung above, with NumPy, and with the limit of this machine: the peak
of multiply-adds for products, the bandwidth of the cache that holds the data for all else.
"""

import contextlib
import functools
import importlib.util
import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numba
import numpy as np

from .. import backend, checks
from ..kernels import LADDERS
from . import machine, oracle, roofline
from .timing import in_turn, time_of

PRODUCTS = ("matmul", "matmul_tn", "matmul_nt", "layer", "delta", "gradients", "descend")
"""Operations that do 2·m·n_in·n_out FLOP, and are measured in FLOP/s; the others in bytes/s."""

PATIENCE = 0.5
"""Seconds that one call may take. A rung that would need more gets a smaller size, and says so."""

Shape = tuple[int, int, int]
Report = Callable[[int, int, str], object]


def shape_of(size: str | int) -> Shape:
    """(m, n_in, n_out) of `"512"` or `"64x784x128"`."""
    parts = str(size).lower().split("x")
    if len(parts) not in (1, 3) or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise checks.Error(f"size is {size!r}, but must be a whole number such as 512, or m x n_in x n_out: 64x784x128")
    m, n_in, n_out = (int(part) for part in (parts * 3 if len(parts) == 1 else parts))
    if max(m * n_in, n_in * n_out, m * n_out) > 2**28:
        raise checks.Error(f"size {size} is too large; a matrix may have 2**28 numbers")
    return m, n_in, n_out


def measure(
    operation: str, size: str | int = 512, dtype: str = "float32", threads: int | None = None,
    report: Report | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Check and time every rung of an operation.

    Keys: operation, shape, dtype, threads, unit (GFLOP/s or GB/s), limit (what `share_of_peak` is a share of), rungs:
    a list of name, idea, shape, checked, seconds, low, high (quartiles), gflops or gbytes, speedup (over the
    interpreted loop), gain (over the rung it improves on: a threaded one over the same on one thread), share_of_peak,
    share_of_numpy.
    """
    ladder = LADDERS[checks.one_of("operation", operation, LADDERS)]
    kind = checks.dtype_of(dtype)
    shape = shape_of(size)
    backend.check_threads(threads, "fast")
    count = threads or numba.get_num_threads()
    is_product = operation in PRODUCTS
    limits = machine.limits(report=report)
    shapes: dict[str, Shape] = {}
    works: dict[str, float] = {}
    moves: dict[str, float] = {}
    calls: dict[str, Callable[[], None]] = {}
    # repeated updates run away, which costs no time
    with backend.threads(threads), blas_threads(count) as blas, np.errstate(all="ignore"):
        for done, (name, kernel) in enumerate(ladder.items()):
            if report:
                report(done, len(ladder), f"{operation}.{name} against float64")
            shapes[name] = _manageable(operation, kernel, shape, kind)
            case = oracle.case(operation, shapes[name], kind)
            moves[name] = _bytes(case)
            works[name] = 2.0 * math.prod(shapes[name]) if is_product else moves[name]
            kernel(*case.arguments)
            fault = case.fault()
            if fault:
                raise checks.Error(f"{operation}.{name} is wrong: {fault}")
            calls[name] = functools.partial(kernel, *case.arguments)
        times = in_turn(calls, most=1.0, report=report)
    rates = {name: works[name] / times[name].seconds for name in ladder}
    key = "gflops" if is_product else "gbytes"
    rungs: list[dict[str, Any]] = []
    serial = "python"
    for name in ladder:
        below = None if name in ("python", "numpy") else serial
        used = {"numpy": blas}.get(name, count if name.endswith("parallel") else 1)
        limit = _limit(limits, kind, used, works[name], is_product)[0]
        rungs.append({
            "name": name, "idea": _idea(ladder, name), "shape": list(shapes[name]), "checked": True,
            "seconds": times[name].seconds, "low": times[name].low, "high": times[name].high,
            key: rates[name] / 1e9, "bytes": moves[name], "intensity": works[name] / moves[name],
            "speedup": rates[name] / rates["python"],
            "gain": rates[name] / rates[below] if below else None,
            "share_of_peak": rates[name] / limit, "share_of_numpy": rates[name] / rates["numpy"],
        })  # fmt: skip
        if not name.endswith("parallel"):
            serial = name
    result = {
        "operation": operation, "shape": list(shape), "dtype": kind.name, "threads": count,
        "unit": "GFLOP/s" if is_product else "GB/s",
        "limit": _limit(limits, kind, 1, works["njit"], is_product)[1], "numpy_threads": blas, "cpu": limits["cpu"],
        "rungs": rungs,
    }  # fmt: skip
    return result | {"roofline": roofline.roofline(result, limits)}


@contextlib.contextmanager
def blas_threads(count: int) -> Iterator[int]:
    """Hold NumPy's BLAS to as many threads; yields how many it will use, which without threadpoolctl are all."""
    if importlib.util.find_spec("threadpoolctl") is None:
        yield numba.config.NUMBA_DEFAULT_NUM_THREADS
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(count, user_api="blas"):
        yield count


def _manageable(operation: str, kernel: Callable[..., None], shape: Shape, dtype: np.dtype[Any]) -> Shape:
    """The shape, or its half, its quarter, ...: the largest that this kernel finishes in time."""
    shapes = [shape]
    while max(shapes[-1]) > 16:
        m, n_in, n_out = shapes[-1]
        shapes.append(((m + 1) // 2, (n_in + 1) // 2, (n_out + 1) // 2))
    shapes.reverse()
    kernel(*oracle.case(operation, shapes[0], dtype).arguments)  # compiled, if it has to be
    for smaller, larger in pairwise(shapes):
        arguments = oracle.case(operation, smaller, dtype).arguments
        call = functools.partial(kernel, *arguments)
        seconds = min(time_of(call, 1), time_of(call, 1))  # one alone may meet a disturbance
        if seconds * math.prod(larger) / math.prod(smaller) > PATIENCE:
            return smaller
    return shape


def _bytes(case: oracle.Case) -> float:
    """Bytes that have to be read and written at least; what is both read and written counts twice."""
    arrays = [argument for argument in case.arguments if isinstance(argument, np.ndarray)]
    updated = [output for output in case.outputs if not np.isnan(output).any()]
    return float(sum(array.nbytes for array in [*arrays, *updated]))


def _limit(
    limits: dict[str, Any], dtype: np.dtype[Any], threads: int, work: float, is_product: bool
) -> tuple[float, str]:
    """What this machine can do at most, and its name."""
    if is_product:
        return _for_threads(limits["peak"][dtype.name], threads), "peak of multiply-adds"
    level = next((name for name, size in limits["caches"].items() if work <= size), "memory")
    return _for_threads(limits["bandwidth"][level], threads)["copy"], f"speed of copying in {level}"


def _for_threads(by_count: dict[str, Any], threads: int) -> Any:
    return by_count[str(max(int(count) for count in by_count if int(count) <= threads))]


def _idea(ladder: dict[str, Callable[..., None]], name: str) -> str:
    """What a rung does differently, in its own words."""
    base = name.removesuffix("_parallel")
    common = {
        "python": "the formula as a loop, interpreted", "njit": "the same loop, compiled",
        "parallel": "the same, spread over the threads", "numpy": "NumPy's own way, the yardstick",
    }  # fmt: skip
    if name in common:
        return common[name]
    text = " ".join((ladder[base].__doc__ or base).split(".")[0].split())
    return f"{base}, spread over the threads" if base != name else text


def as_text(result: dict[str, Any]) -> str:
    """The ladder as a table."""
    shape = "x".join(map(str, result["shape"]))
    threads = f"{result['threads']} thread{'s' if result['threads'] > 1 else ''}"
    key = "gflops" if result["unit"] == "GFLOP/s" else "gbytes"
    lines = [
        f"{result['operation']} {shape} {result['dtype']}, {threads}, on {result['cpu']}", "",
        f"{'rung':22}{'time':>12}{'spread':>9}{result['unit']:>10}{'× python':>11}{'× last':>9}{'of limit':>10}"
        f"{'of NumPy':>10}",
    ]  # fmt: skip
    for rung in result["rungs"]:
        spread = (rung["high"] - rung["low"]) / rung["seconds"] / 2
        gain = f"{rung['gain']:.2f}" if rung["gain"] else ""
        smaller = "" if rung["shape"] == result["shape"] else f"  at {'x'.join(map(str, rung['shape']))}"
        lines.append(
            f"{rung['name']:22}{_duration(rung['seconds']):>12}{f'±{spread:.0%}':>9}{rung[key]:10.4g}"
            f"{rung['speedup']:11,.1f}{gain:>9}{rung['share_of_peak']:10.1%}{rung['share_of_numpy']:10.2f}{smaller}"
        )
    lines += ["", "Each was checked against float64 first. × last: over the last rung that runs on one thread."]
    lines.append(f"The limit is the {result['limit']}, with as many threads as a rung uses.")
    if result["numpy_threads"] != result["threads"]:
        lines.append(f"NumPy used {result['numpy_threads']} threads; to hold it too: pip install 'jitnet[cli]'")
    return "\n".join(lines)


def _duration(seconds: float) -> str:
    for unit, factor in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1 or unit == "µs":
            return f"{seconds * factor:.4g} {unit}"
    return ""
