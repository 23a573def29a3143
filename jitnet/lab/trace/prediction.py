"""The predicted time of a kernel on one thread: the longest of three times, because all three overlap.

    memory       the bytes that L1 moves, and the lines that each level below sends, at the rates of this machine
    waits        a number that is added to itself, `total += ...`, waits for each addition, which takes 4 cycles; one in
                 an array, `Z[i, j] += ...` with k inside, for storing and loading it too, 5 cycles more; integers in
                 an array take 1 + 5 cycles
    arithmetic   the multiply-adds at the peak of this machine, for an operation whose multiply-adds are known

An expression that goes along a row can load a whole vector at a time; one with a stride loads one number at a time.
"""

import ast
from collections.abc import Callable, Iterator, Sequence
from types import CodeType
from typing import Any

import numba

from ...compiler.intrinsics import VECTOR_BYTES
from ..sanitizer.syntax import tree_of, updates_of
from ..timing import time_alternating
from .caches import Level

CYCLES_OF_AN_ADDITION, CYCLES_OF_INTEGERS, CYCLES_THROUGH_MEMORY = 4, 1, 5
"""2 to 4 on today's processors; 1 for integers; and a load of what was just stored, 4 or 5 (some of the newest need
none)."""

CLOCK = 3e9
"""A fair guess where the clock cannot be measured."""

STAYS = 0.5
"""An expression of whose steps more than this part are 0 accesses the same element again and again."""

REASSOCIATES = {"reassoc", "fast"}


def predicted(
    rows: list[dict[str, Any]], chain: tuple[str, int] | None, flop: int | None, levels: Sequence[Level], dtype: str,
    limits: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Seconds of a call with the caches as the previous call has left them; keys memory, waits, arithmetic, seconds,
    limit (which of them it is), levels (the parts of memory), and waits_for (the variable)."""
    rates = {level: by_count["1"] for level, by_count in limits["bandwidth"].items()}
    names = [level.name for level in levels]
    parts = {names[0]: _at_the_top(rows, rates.get(names[0], rates["L1"]))}
    for above, below in zip(levels, [*names[1:], "memory"], strict=True):
        lines = sum(row["misses_again"][above.name] for row in rows)
        parts[below] = lines * above.line / rates.get(below, rates["memory"])["read"]
    seconds = {"memory": sum(parts.values())}
    if chain is not None:
        seconds["waits"] = chain[1] / (limits["clock"] or CLOCK)
    if flop is not None:
        seconds["arithmetic"] = flop / limits["peak"][dtype]["1"]
    limit = max(seconds, key=lambda name: seconds[name])
    none = {"waits": None, "arithmetic": None}
    return {
        **none, **seconds, "seconds": seconds[limit], "limit": limit, "levels": parts,
        "waits_for": chain[0] if chain else None,
    }  # fmt: skip


def _at_the_top(rows: list[dict[str, Any]], rate: dict[str, float]) -> float:
    """Loads and stores in pairs move at the rate of copying; what remains at that of reading, or writing."""
    loaded = sum(row["loads"] * _moved(row) for row in rows)
    stored = sum(row["stores"] * _moved(row) for row in rows)
    both = min(loaded, stored)
    return float(2 * both / rate["copy"] + (loaded - both) / rate["read"] + (stored - both) / rate["write"])


def _moved(row: dict[str, Any]) -> int:
    """Bytes that an access occupies."""
    along = row["stride"] is None or abs(row["stride"]) <= row["itemsize"]
    return int(row["itemsize"]) if along else max(VECTOR_BYTES, int(row["itemsize"]))


def longest_chain(
    kernel: Callable[..., Any], functions: list[CodeType], rows: list[dict[str, Any]]
) -> tuple[str, int] | None:
    """The number that additions wait for longest, and how many cycles; None if there is none."""
    of_floats = [row for row in rows if row["dtype"].startswith("float")]  # in a register, integers hardly wait
    waits = _sums_in_memory(rows)
    if not REASSOCIATES & _fastmath(kernel):
        waits += _sums_in_variables(functions, of_floats)
    return max(waits, key=lambda wait: wait[1], default=None)


def _sums_in_memory(rows: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """`Z[i, j] += ...`, where one access after the other is to the same element."""
    return [
        (f"an element of {row['array']}", _cycles_in_memory(row["dtype"]) * min(row["loads"], row["stores"]))
        for row in rows
        if row["stride"] == 0 and row["stride_share"] > STAYS and row["loads"] and row["stores"]
    ]


def _cycles_in_memory(dtype: str) -> int:
    return CYCLES_THROUGH_MEMORY + (CYCLES_OF_AN_ADDITION if dtype.startswith("float") else CYCLES_OF_INTEGERS)


def unpredicted(kernel: Any, functions: list[CodeType]) -> list[str]:
    """What a kernel does that takes time, and is not predicted."""
    loops = [loop for code in functions if (tree := tree_of(code)) for block in _blocks(tree) for loop in block]
    calls = any(isinstance(node, ast.Call) for loop in loops for node in ast.walk(loop))
    parallel = getattr(kernel, "targetoptions", {}).get("parallel")
    return [
        "other arithmetic",
        "branches",
        *(["calls"] if calls else []),
        *(["the start of threads"] if parallel else []),
    ]


def _sums_in_variables(functions: list[CodeType], rows: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """`total += ...` in the innermost loops.

    How often a line is executed follows from its accesses, or from those of the lines next to it.
    """
    accesses: dict[tuple[str, int], int] = {}
    for row in rows:
        key = row["file"], row["line"]
        accesses[key] = accesses.get(key, 0) + row["loads"]
    chains: dict[tuple[CodeType, str], int] = {}
    for code in functions:
        tree = tree_of(code)
        for block in _blocks(tree) if tree else ():
            times = max((_executions(one, code.co_filename, accesses) for one in block), default=0)
            for statement in block:
                if times and (name := _added_to(statement, block)):
                    chains[code, name] = chains.get((code, name), 0) + times
    return [(name, CYCLES_OF_AN_ADDITION * times) for (_, name), times in chains.items()]


def _fastmath(kernel: Any) -> set[str]:
    chosen = getattr(kernel, "targetoptions", {}).get("fastmath", False)
    return {"fast"} if chosen is True else set(chosen or ())


def _blocks(tree: ast.AST) -> Iterator[list[ast.stmt]]:
    """The bodies of the innermost loops."""
    for loop in ast.walk(tree):
        if isinstance(loop, (ast.For, ast.While)) and not any(
            isinstance(inner, (ast.For, ast.While)) for body in loop.body for inner in ast.walk(body)
        ):
            yield loop.body


def _added_to(statement: ast.stmt, block: list[ast.stmt]) -> str | None:
    """`total` in `total += x`; nothing for a counter, to which something is added that the loop does not change."""
    added = [name for name, family in updates_of(statement) if family]
    if len(added) != 1:
        return None
    value = statement.value if isinstance(statement, (ast.Assign, ast.AugAssign)) else None
    assigned = {node.id for one in block for node in ast.walk(one)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}  # fmt: skip
    assigned.discard(added[0])
    parts = ast.walk(value) if value else ()
    changes = any(isinstance(x, ast.Subscript) or (isinstance(x, ast.Name) and x.id in assigned) for x in parts)
    return added[0] if changes else None


def _executions(statement: ast.stmt, file: str, accesses: dict[tuple[str, int], int]) -> int:
    """How often a statement is executed: its loads, divided by the number of expressions that load."""
    found = [node for node in ast.walk(statement) if isinstance(node, ast.Subscript)]
    of_views = [node.value for node in found]  # A[i] in A[i][j]
    loading = [node for node in found if isinstance(node.ctx, ast.Load) and node not in of_views]
    lines = range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)
    return sum(accesses.get((file, line), 0) for line in lines) // len(loading) if loading else 0


def measured(kernel: Callable[..., Any], arguments: list[Any]) -> float:
    """Seconds of a call of the compiled kernel on these arguments."""
    function = kernel if hasattr(kernel, "py_func") else numba.njit(kernel)
    return time_alternating({"kernel": lambda: function(*arguments)}, rounds=5, seconds=0.01)["kernel"].seconds
