"""The fix of a race: it follows from what iterations do to the same elements, and from the statement that writes them.

In the terms of compilers, a flow dependence is a read of what another iteration wrote, an anti-dependence a write of
what another one has read, and an output dependence a second write. A recurrence has flow dependences alone, an update
in place also anti-dependences, a sum both flow and output dependences, a shared buffer all but flow dependences.
"""

import ast
from collections.abc import Iterator

from .findings import FIXES, Finding
from .syntax import array_of, assigned_by, is_shape, statements_in

FLOW, ANTI, OUTPUT = ("writes", "reads"), ("reads", "writes"), ("writes", "writes")
"""What one iteration did to an element, and another one does to it."""

_PURE = {"len", "int", "abs", "min", "max"}
"""Functions that give the same for the same arguments, other than numba.get_thread_id or a random number."""


class Dependences:
    """Those of one array in one prange loop. Its findings have one fix, which follows from all kinds seen so far."""

    def __init__(self, array: str) -> None:
        self.array = array
        self.kinds: set[tuple[str, str]] = set()
        self.findings: list[Finding] = []
        self.is_read = False
        """True if an iteration also reads an element that it writes."""
        self.index = ""
        """"one", "data" or "" for the element that is written: see `_index_of`."""
        self.is_update = False
        self.is_recurrence = False
        """True if it is computed from itself in another way than a reduction: `s[0] = (a * s[0] + c) % m`."""

    def add(
        self, kind: tuple[str, str], finding: Finding, is_read: bool,
        tree: ast.FunctionDef | None, line: int, loop: int,
    ) -> None:  # fmt: skip
        """One more, of a write in this line of a function; `is_read`: an iteration that writes it reads it, too."""
        if finding in self.findings and kind in self.kinds and is_read <= self.is_read:
            return
        self.findings.append(finding)
        self.kinds.add(kind)
        self.is_read |= is_read
        if tree is not None and not self.is_update:
            self._look_at(tree, line, loop)
        for known in self.findings:
            known.fix = FIXES[self.fix].replace("ARRAY", self.array)

    def _look_at(self, tree: ast.FunctionDef, line: int, loop: int) -> None:
        """The statement that writes."""
        inside = [s for s in statements_in(tree) if s.lineno <= line <= (s.end_lineno or 0)]
        pairs = list(assigned_by(inside[-1])) if inside else []
        if len(pairs) == 1 and isinstance(pairs[0][0], ast.Subscript):
            (target, value), same = pairs[0], ast.unparse(pairs[0][0])
            others = [
                node
                for node in ast.walk(value)
                if isinstance(node, ast.Subscript) and array_of(node) == array_of(target)
            ]
            is_own = all(ast.unparse(node) == same for node in others)
            self.index = _index_of(target, next((s for s in statements_in(tree) if s.lineno == loop), tree))
            self.is_update = is_own and (bool(others) or isinstance(inside[-1], ast.AugAssign))
            self.is_recurrence = is_own and bool(others) and not _reduces(value, same)

    @property
    def fix(self) -> str:
        """The key of the fix."""
        kinds = self.kinds
        if OUTPUT in kinds and FLOW not in kinds and self.is_read:
            return "racing buffer"
        if self.index == "one" and kinds != {ANTI}:
            return "recurrence" if self.is_recurrence else "racing result"
        if OUTPUT in kinds:
            if not self.is_update:
                return "race"
            return "racing table" if self.index == "data" else "racing sum"
        if ANTI in kinds:
            return "racing neighbors"
        return "recurrence in place" if self.is_read else "recurrence"


def _reduces(value: ast.expr, name: str) -> bool:
    """Whether an expression is `name + x - y`, `x * name`, `max(name, x)`, ..."""
    if isinstance(value, ast.Call):
        return any(ast.unparse(part) == name for part in value.args)
    return name in (*_operands(value, ast.Add, ast.Sub), *_operands(value, ast.Mult, ast.Div))


def _operands(value: ast.expr, kind: type[ast.operator], inverse: type[ast.operator]) -> Iterator[str]:
    """The terms of a sum, or the factors of a product, without those that are subtracted or divide."""
    if isinstance(value, ast.BinOp) and isinstance(value.op, (kind, inverse)):
        yield from _operands(value.left, kind, inverse)
        if isinstance(value.op, kind):
            yield from _operands(value.right, kind, inverse)
    else:
        yield ast.unparse(value)


def _index_of(target: ast.expr, loop: ast.AST) -> str:
    """How a subscript names its element: "one" for all iterations, "data" as in h[int(x[i])] or h[i % n], or ""."""
    parts: list[ast.AST] = []
    while isinstance(target, ast.Subscript):
        parts += ast.walk(target.slice)
        target = target.value
    if any(isinstance(node, ast.Slice) or (isinstance(node, ast.Constant) and node.value is ...) for node in parts):
        return ""
    names = {node.id for node in parts if isinstance(node, ast.Name)}
    changing = {node.id for node in ast.walk(loop) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    changing |= {node.arg for node in ast.walk(loop) if isinstance(node, ast.arg)}  # of a function that the loop calls
    calls = [node.func for node in parts if isinstance(node, ast.Call)]
    if names.isdisjoint(changing) and all(isinstance(call, ast.Name) and call.id in _PURE for call in calls):
        return "one"
    computed = [
        value
        for s in statements_in(loop)
        for to, value in assigned_by(s)
        if isinstance(to, ast.Name) and to.id in names
    ]
    parts += [node for value in computed for node in ast.walk(value)]
    of_data = (isinstance(node, ast.Subscript) and not is_shape(node.value) for node in parts)
    of_threads = (isinstance(node, ast.Call) and "get_thread_id" in ast.unparse(node.func) for node in parts)
    return "data" if any(of_data) or any(of_threads) or any(isinstance(node, ast.Mod) for node in parts) else ""
