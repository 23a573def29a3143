"""Which lines of a submission have parallel loops, from its source alone."""

import ast

from .parts import lines_of, names_in


def parallel_lines(tree: ast.Module) -> set[int]:
    """The lines of the functions that are compiled with parallel=True."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_parallel(node)]
    given = names_in(nodes)  # fast = numba.njit(parallel=True)(f)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    found = [node for node in functions if node.name in given or any(map(_is_parallel, node.decorator_list))]
    return {line for node in found for line in lines_of(node)}


def _is_parallel(node: ast.AST) -> bool:
    options = [inner for inner in ast.walk(node) if isinstance(inner, ast.keyword) and inner.arg == "parallel"]
    return any(not isinstance(option.value, ast.Constant) or bool(option.value.value) for option in options)


def lines_of_prange(tree: ast.Module) -> set[int]:
    """The lines with the name of prange or pndindex, or with that of a function whose text has it."""
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    users = {node.name for node in functions if any(map(_is_prange, ast.walk(node)))}
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Attribute)]
    return {node.lineno for node in nodes if _is_prange(node) or not users.isdisjoint(names_in([node]))}


def _is_prange(node: ast.AST) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name in ("prange", "pndindex")


def lines_of_single_loops(tree: ast.Module) -> set[int]:
    """The lines of loops that have one iteration for all arrays, if they have one for some.

    Their bounds are numbers, names that are assigned one number and nothing else, or a minimum of 1 and another number.
    """
    nodes = list(ast.walk(tree))
    values: dict[str, ast.expr | None] = {node.arg: None for node in nodes if isinstance(node, ast.arg)}
    once = {id(node.targets[0]): node.value for node in nodes if isinstance(node, ast.Assign)}
    for name in (node for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)):
        values[name.id] = None if name.id in values else once.get(id(name))

    def number(node: ast.expr) -> float | None:
        value = values.get(node.id) if isinstance(node, ast.Name) else node
        return value.value if isinstance(value, ast.Constant) and isinstance(value.value, int | float) else None

    def is_fixed(bound: ast.expr) -> bool:
        if isinstance(bound, ast.Call) and isinstance(bound.func, ast.Name) and bound.func.id == "min":
            return any(one is not None and one <= 1 for one in map(number, bound.args))
        return number(bound) is not None

    calls = [node.iter for node in nodes if isinstance(node, ast.For) and isinstance(node.iter, ast.Call)]
    return {call.lineno for call in calls if all(map(is_fixed, call.args))}
