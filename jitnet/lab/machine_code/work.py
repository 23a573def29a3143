"""The work of one call, from the number of times that each block of its machine code was executed.

A loop that looks right may do nothing: the counts show which loops compute the result, and how.
"""

from dataclasses import dataclass

from .assembly import Function
from .hottest import CALL, CHEAP, Candidate, calls_in, moves_vectors
from .instructions import Operation, understood


@dataclass(frozen=True)
class Work:
    """Numbers that were computed, or moved if that is all that a function is for."""

    alone: float
    """One number per instruction."""
    together: float
    """Several per instruction."""
    loop: Candidate | None
    """The innermost loop with most of the first; None if no such loop has any."""


def work_of(
    texts: list[list[Function]], links: dict[str, str], executions: list[dict[str, int]], loops: list[Candidate],
    moves: bool = False,
) -> Work:  # fmt: skip
    """The floating-point operations of a call, or with `moves` the numbers that it loaded and stored.

    A call of a function whose machine code is elsewhere, such as exp, counts as 10 operations.
    """
    known = {function.symbol for functions in texts for function in functions}
    of_block: dict[int, float] = {}
    alone = together = 0.0
    for functions, counts in zip(texts, executions, strict=True):
        for function in functions:
            called = {id(i): symbol for i, symbol, _ in calls_in(function, links)}
            for block in function.blocks:
                times = counts.get(str(block.row), 0)
                done = [understood(instruction.text) for instruction in block.instructions]
                elsewhere = [called[id(i)] for i in block.instructions if id(i) in called]
                elsewhere = [s for s in elsewhere if s not in known and not (s or "").startswith(CHEAP)]
                one = 0.0 if moves else float(CALL * len(elsewhere))
                one += sum(_numbers(o, moves) for o in done if not _is_vector(o, moves))
                of_block[id(block)] = times * one
                alone += times * one
                together += times * sum(_numbers(o, moves) for o in done if _is_vector(o, moves))
    in_loop = {id(loop): sum(of_block[id(block)] for block in loop.loop.blocks) for loop in loops}
    most = max(loops, key=lambda loop: in_loop[id(loop)], default=None)
    return Work(alone, together, most if most and in_loop[id(most)] else None)


def _is_vector(operation: Operation, moves: bool) -> bool:
    return moves_vectors(operation) if moves else operation.lanes > 1


def _numbers(operation: Operation, moves: bool) -> float:
    """Floating-point operations of an instruction, or the numbers that it loads and stores."""
    if not moves:
        return operation.lanes * (2 if operation.kind == "fma" else operation.is_arithmetic) * operation.is_float
    if not operation.memory or operation.on_stack or operation.is_constant:
        return 0
    lanes = operation.bits // 8 // (operation.element or 4) if moves_vectors(operation) else 1
    return lanes * (operation.loads + operation.stores) * operation.accesses
