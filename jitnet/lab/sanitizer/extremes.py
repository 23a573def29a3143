"""`if x[i] > best: best = x[i]` in a prange loop: Numba takes it for no reduction, but `best = max(best, x[i])`."""

import ast
from collections.abc import Iterator

from .findings import FIXES
from .syntax import assigned_by, is_named, names_in, statements_in

_IS_LARGER = {ast.Gt: True, ast.GtE: True, ast.Lt: False, ast.LtE: False}
"""Comparison -> whether its left side is the larger one."""

_Assigned = list[tuple[ast.expr, ast.expr]]


def fix_of_extreme(loop: ast.For, name: str) -> str:
    """How to search for the largest or smallest number, if the loop assigns this variable in such a search; or ""."""
    count = sum(is_named(to, name) for s in statements_in(loop) for to, _ in assigned_by(s))
    indices = set().union(*(names_in(node.target) for node in ast.walk(loop) if isinstance(node, ast.For)))
    for test, assigned in _choices(loop):
        if not isinstance(test, ast.Compare) or type(test.ops[0]) not in _IS_LARGER or len(test.ops) > 1:
            continue
        if not any(is_named(to, name) for to, _ in assigned):
            continue
        sides = ast.unparse(test.left), ast.unparse(test.comparators[0])
        for to, value in assigned:
            best, number = ast.unparse(to), ast.unparse(value)
            if sides in ((best, number), (number, best)):
                others = [of for other, of in assigned if isinstance(other, ast.Name) and other.id != best]
                if any(names_in(of) & indices for of in others):
                    return FIXES["index of extreme"]
                if count > 1 or name != best:
                    return ""
                function = "max" if _IS_LARGER[type(test.ops[0])] == (sides[0] == number) else "min"
                return f"write {best} = {function}({best}, {number}), of which Numba makes a reduction"
        subscripts = [node.slice for node in ast.walk(test) if isinstance(node, ast.Subscript)]
        if any(name in names_in(index) for index in subscripts):  # if x[i] > x[best]: best = i
            return FIXES["index of extreme"]
    return ""


def _choices(loop: ast.For) -> Iterator[tuple[ast.expr, _Assigned]]:
    """Conditions of a loop, and what is assigned where they are true; `a if t else b` of a variable counts too."""
    for statement in statements_in(loop):
        if isinstance(statement, ast.If):
            for test, branch in ((statement.test, statement.body), (_otherwise(statement.test), statement.orelse)):
                yield test, [pair for s in branch for pair in assigned_by(s)]
        for to, value in assigned_by(statement):
            if isinstance(value, ast.IfExp):
                yield value.test, [(to, value.body)]
                yield _otherwise(value.test), [(to, value.orelse)]


def _otherwise(test: ast.expr) -> ast.expr:
    """`b > a` for `a > b`: what is true where that is not, but for equal numbers, which change no extreme."""
    return ast.Compare(test.comparators[0], test.ops, [test.left]) if isinstance(test, ast.Compare) else test
