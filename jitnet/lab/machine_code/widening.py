"""Expressions in a source that make a float64 of a float32, by the types that Numba inferred: `1 - x`, `0.1 * x`."""

from typing import Any

from numba import types
from numba.core import ir


def widened(overload: Any) -> list[tuple[str, int, list[str]]]:
    """File and line of each, and the types of its two operands; in the order of the source.

    Those of a prange loop are left out, whose body Numba compiles as another function.
    """
    inferred = getattr(overload.type_annotation, "typemap", {})
    found = []
    for block in inferred and overload.type_annotation.blocks.values():
        for assignment in block.find_insts(ir.Assign):
            made = assignment.value
            if isinstance(made, ir.Expr) and made.op in ("binop", "inplace_binop"):
                of = [types.unliteral(inferred[operand.name]) for operand in (made.lhs, made.rhs)]
                if inferred[assignment.target.name] == types.float64 and types.float32 in of:
                    found.append((made.loc.filename, made.loc.line, list(map(str, of))))
    return sorted(found, key=lambda one: one[:2])
