"""Indices of the arrays in a loop's source: which elements its iterations access, and in which order."""

import ast

from ..sanitizer.syntax import array_of, assigned, names_in, parts_of
from .reductions import updates
from .sources import Loop, function_of, nest_of


def comes_back(file: str, line: int) -> str | None:
    """The variable of an outer loop that writes the same elements again in each iteration; or None.

    In `for k: for j: z[j] += x[k]*w[k, j]`, z[j] does not depend on k: the loop over k returns to all of z.
    """
    nest = nest_of(file, line)
    if len(nest) < 2:
        return None
    sources = _sources_of_names(function_of(file, line) or nest[0])
    written = [
        node for node in ast.walk(nest[-1]) if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)
    ]
    for target in written:
        known, new = set[str](), names_in(target)
        while new:
            known |= new
            new = set().union(*(sources.get(name, set()) for name in new)) - known
        for loop in reversed(nest[:-1]):
            if isinstance(loop, ast.For) and not names_in(loop.target) & known:
                return ast.unparse(loop.target)
    return None


def _sources_of_names(function: ast.AST) -> dict[str, set[str]]:
    """Name -> the names that it is computed from."""
    sources: dict[str, set[str]] = {}
    for target, value in assigned(function):
        for name in names_in(target) if isinstance(target, (ast.Name, ast.Tuple)) else ():
            sources.setdefault(name, set()).update(names_in(value))
    return sources


def walks_columns(file: str, line: int) -> bool:
    """True if the loop on that line moves down a column: its variable is in an index, but not in the last one."""
    nest = nest_of(file, line)
    return bool(nest) and isinstance(nest[-1], ast.For) and _walks_columns(names_in(nest[-1].target), nest[-1])


def _walks_columns(variables: set[str], loop: Loop) -> bool:
    return any(
        variables & set().union(*map(names_in, index[:-1])) and not variables & names_in(index[-1])
        for index in map(_index_of, _elements(loop))
    )


def _elements(loop: Loop) -> list[ast.Subscript]:
    """X[i, k], and X[i][k] without X[i]."""
    found = [node for node in ast.walk(loop) if isinstance(node, ast.Subscript)]
    rows = {id(node.value) for node in found}
    return [node for node in found if id(node) not in rows]


def _index_of(element: ast.Subscript) -> list[ast.expr]:
    """i and k of X[i, k], and of X[i][k]."""
    row = _index_of(element.value) if isinstance(element.value, ast.Subscript) else []
    return [*row, *parts_of(element.slice)]


def swappable(file: str, line: int) -> bool:
    """True if a loop around the one on that line can take its place, so that each lane of a vector has its own sum.

    In `for i: for j: total = 0; for k: total += x[i, k]*w[k, j]`, the loop over j can, which goes along rows of w; the
    loop over i would move down columns of x.
    """
    nest = nest_of(file, line)
    outer = [loop for loop in nest[:-1] if isinstance(loop, ast.For)]
    return bool(nest) and isinstance(nest[-1], ast.For) and any(_could_be_inner(loop, nest[-1]) for loop in outer)


def _could_be_inner(outer: ast.For, inner: ast.For) -> bool:
    variables, inside = names_in(outer.target), list(ast.walk(inner))
    ids = set(map(id, inside))
    stored = (node for node in ast.walk(outer) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    begun = {node.id for node in stored if id(node) not in ids}
    elements = [node for node in inside if isinstance(node, ast.Subscript)]
    own = set(updates(inner)) <= begun and all(
        variables & names_in(node) for node in elements if isinstance(node.ctx, ast.Store)
    )
    views = begun & {node.value.id for node in elements if isinstance(node.value, ast.Name)}
    steps = [
        part is index[-1] and _has_step_1(variables, part)
        for index in map(_index_of, _elements(inner))
        for part in index
        if variables & names_in(part)
    ]
    return own and not views and not begun & names_in(inner.iter) and bool(steps) and all(steps)


def _has_step_1(variables: set[str], index: ast.expr) -> bool:
    """True for `j` and `j + k`, not for `j*n`."""
    others = (n for n in ast.walk(index) if isinstance(n, ast.BinOp) and not isinstance(n.op, (ast.Add, ast.Sub)))
    return not any(variables & names_in(node) for node in others)


def reads_what_it_writes(file: str, line: int) -> bool:
    """True if the loop on that line reads other elements of an array that it writes: D[i, j] += D[i, k]."""
    nest = nest_of(file, line)
    elements = _elements(nest[-1]) if nest else []
    written = [(array_of(node), ast.unparse(node)) for node in elements if isinstance(node.ctx, ast.Store)]
    read = [(array_of(node), ast.unparse(node)) for node in elements if isinstance(node.ctx, ast.Load)]
    return any(array == other and element != text for array, element in written for other, text in set(read))


def recurs_in_memory(file: str, line: int) -> bool:
    """True if the loop on that line reads a neighbor, along its variable, of an element that it writes: H[i, j - 1]."""
    nest = nest_of(file, line)
    if not nest or not isinstance(nest[-1], ast.For):
        return False
    variables, elements = names_in(nest[-1].target), _elements(nest[-1])

    def parts(element: ast.Subscript) -> tuple[str, list[str], list[str]]:
        """The array, and its indices without the variable and with it."""
        index = _index_of(element)
        others = [ast.unparse(part) for part in index if not variables & names_in(part)]
        return array_of(element), others, [ast.unparse(part) for part in index if variables & names_in(part)]

    written = [parts(element) for element in elements if isinstance(element.ctx, ast.Store)]
    read = [parts(element) for element in elements if isinstance(element.ctx, ast.Load)]
    return any(one[:2] == other[:2] and one[2] != other[2] for one in written if one[2] for other in read if other[2])
