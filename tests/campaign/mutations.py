"""Mutations of Python source: an inverted operator, a number off by one, a missing statement.

`mutants(file)` parses a file with `ast` and lists every mutation. Each replaces a few characters, and line numbers do
not change. Code that does not affect results is left out: docstrings, annotations, error messages, decorators, hints
such as `prefetch`.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

COMPARISONS = {
    ast.Lt: ("<=", ">"), ast.LtE: ("<", ">="), ast.Gt: (">=", "<"), ast.GtE: (">", "<="), ast.Eq: ("!=",),
    ast.NotEq: ("==",), ast.Is: ("is not",), ast.IsNot: ("is",), ast.In: ("not in",), ast.NotIn: ("in",),
}  # fmt: skip
ARITHMETIC = {
    ast.Add: ("+", ("-",)), ast.Sub: ("-", ("+",)), ast.Mult: ("*", ("+", "/")), ast.Div: ("/", ("*",)),
    ast.FloorDiv: ("//", ("*", "/")), ast.Mod: ("%", ("+", "*")), ast.Pow: ("**", ("*",)), ast.LShift: ("<<", (">>",)),
    ast.RShift: (">>", ("<<",)), ast.BitAnd: ("&", ("|",)), ast.BitOr: ("|", ("&",)), ast.BitXor: ("^", ("&",)),
}  # fmt: skip
HINTS = {"prefetch", "wide", "widen", "warn", "_warn_once"}
SYMMETRIC = {"isinstance", "min", "max", "zip", "Path"}
"""Calls whose arguments are not swapped: swapping changes nothing, or fails immediately."""


@dataclass(frozen=True)
class Mutant:
    file: str
    function: str
    line: int
    before: str
    after: str
    start: int
    end: int
    text: str
    """The text that replaces the bytes from start to end."""

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.file, self.function, self.before, self.after

    def apply(self, source: bytes) -> bytes:
        return source[: self.start] + self.text.encode() + source[self.end :]

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.function}: {self.before}  →  {self.after}"


class _Finder(ast.NodeVisitor):
    def __init__(self, file: str, source: bytes) -> None:
        self.file, self.source = file, source
        self.starts = [0]
        for line in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.kernel = file.startswith("jitnet/kernels/")
        self.names: list[str] = []
        self.found: list[Mutant] = []

    def at(self, node: ast.AST) -> tuple[int, int]:
        return (
            self.starts[node.lineno - 1] + node.col_offset,  # type: ignore[attr-defined]
            self.starts[node.end_lineno - 1] + node.end_col_offset,  # type: ignore[attr-defined]
        )

    def text(self, node: ast.AST) -> str:
        start, end = self.at(node)
        return self.source[start:end].decode()

    def put(self, start: int, end: int, text: str) -> None:
        """Record a mutant; removed text keeps its line ends, so that no line moves."""
        text += "\n" * (self.source[start:end].count(b"\n") - text.count("\n"))
        line = self.source.count(b"\n", 0, start)
        tail = self.source.find(b"\n", end)
        head, rest = self.starts[line], self.source[end : len(self.source) if tail < 0 else tail].decode()
        before = self.source[head:end].decode() + rest
        after = self.source[head:start].decode() + text + rest
        lines = [" ".join(x.split()) for x in (before, after)]
        if lines[0] != lines[1]:
            name = ".".join(self.names) or "<module>"
            self.found.append(Mutant(self.file, name, line + 1, lines[0], lines[1], start, end, text))

    def between(self, left: ast.AST, right: ast.AST, old: str, new: str) -> None:
        """Replace the operator between two operands."""
        start, end = self.at(left)[1], self.at(right)[0]
        match = re.search(old, self.source[start:end].decode())
        assert match, (self.file, self.text(left), old)
        self.put(start + match.start(), start + match.end(), new)

    # Code that is mutated, and code that is not.

    def visit_body(self, node: ast.AST) -> None:
        self.names.append(node.name)  # type: ignore[attr-defined]
        for child in node.body:  # type: ignore[attr-defined]
            self.visit(child)
        self.names.pop()

    visit_ClassDef = visit_body

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.names.append(node.name)
        for default in [*node.args.defaults, *(d for d in node.args.kw_defaults if d)]:
            self.visit(default)
        self.names.pop()
        self.visit_body(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self.visit(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        pass

    def visit_Assert(self, node: ast.Assert) -> None:
        pass

    # The mutations.

    def visit_Compare(self, node: ast.Compare) -> None:
        for left, right, operator in zip([node.left, *node.comparators], node.comparators, node.ops, strict=False):
            old = {"Is": r"is\b", "IsNot": r"is\s+not", "In": r"in\b", "NotIn": r"not\s+in"}
            symbols = {"Lt": "<", "LtE": "<=", "Gt": ">", "GtE": ">=", "Eq": "==", "NotEq": "!="}
            name = type(operator).__name__
            for new in COMPARISONS[type(operator)]:
                self.between(left, right, old.get(name) or re.escape(symbols[name]), new)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if isinstance(node.left, ast.JoinedStr) or isinstance(node.right, ast.JoinedStr):
            return
        if type(node.op) in ARITHMETIC:
            old, others = ARITHMETIC[type(node.op)]
            for new in others:
                self.between(node.left, node.right, re.escape(old), new)
        if isinstance(node.op, (ast.Add, ast.Sub)) or (self.kernel and isinstance(node.op, ast.Mult)):
            for part in (node.left, node.right):  # without one term or factor
                self.put(*self.at(node), f"({self.text(part)})")
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        old, others = ARITHMETIC[type(node.op)]
        for new in others[:1]:
            self.between(node.target, node.value, re.escape(old + "="), new + "=")
        self.put(*self.at(node), "pass")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, (ast.Not, ast.USub)):
            self.put(*self.at(node), f"({self.text(node.operand)})")
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in pairwise(node.values):
            self.between(left, right, rf"\b{old}\b", new)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self.put(*self.at(node), str(not node.value))
        elif isinstance(node.value, int):
            for new in (node.value + 1, node.value - 1):
                self.put(*self.at(node), str(new) if new >= 0 else f"({new})")
        elif isinstance(node.value, float):
            self.put(*self.at(node), repr(node.value * 1.5 or 1.0))

    def condition(self, node: ast.If | ast.While | ast.IfExp) -> None:
        self.put(*self.at(node.test), f"(not ({self.text(node.test)}))")
        count = len(self.found)
        self.generic_visit(node)
        if isinstance(node, ast.IfExp) and isinstance(node.test, ast.Compare):
            compared = {self.text(node.test.left), self.text(node.test.comparators[0])}
            if compared == {self.text(node.body), self.text(node.orelse)}:  # a maximum: < and <= are the same
                same = [m for m in self.found[count:] if m.text in ("<=", ">=")]
                self.found = [m for m in self.found if m not in same]

    visit_If = visit_While = visit_IfExp = condition

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Call) or self.name_of(node.value) in HINTS:
            return
        self.put(*self.at(node), "pass")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if all(isinstance(target, (ast.Subscript, ast.Attribute)) for target in node.targets):
            self.put(*self.at(node), "pass")
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        self.put(*self.at(node), "pass")

    def visit_Delete(self, node: ast.Delete) -> None:
        self.put(*self.at(node), "pass")

    def visit_Break(self, node: ast.Break) -> None:
        self.put(*self.at(node), "continue")

    def visit_Continue(self, node: ast.Continue) -> None:
        self.put(*self.at(node), "break")

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
            self.put(*self.at(node.value), "None")
        self.generic_visit(node)

    @staticmethod
    def name_of(call: ast.Call) -> str:
        return getattr(call.func, "attr", "") or getattr(call.func, "id", "")

    def visit_Call(self, node: ast.Call) -> None:
        name = self.name_of(node)
        if name in HINTS or name.endswith("Error"):
            return
        arguments = node.args
        plain = not any(isinstance(argument, ast.Starred) for argument in arguments)
        if plain and name not in SYMMETRIC:
            for left, right in pairwise(arguments):
                start, end = self.at(left)[0], self.at(right)[1]
                gap = self.source[self.at(left)[1] : self.at(right)[0]].decode()
                self.put(start, end, self.text(right) + gap + self.text(left))
        if name in ("min", "max") and isinstance(node.func, ast.Name):
            self.put(*self.at(node.func), "max" if name == "min" else "min")
        if self.kernel and name in ("masked_load", "masked_store") and isinstance(node.func, ast.Name):
            self.put(self.at(node.func)[0], self.at(arguments[-1])[1], self.whole(node, name.removesuffix("_part")))
        if self.kernel and name in ("range", "prange"):
            self.off_by_one(arguments)
        self.generic_visit(node)

    def whole(self, node: ast.Call, name: str) -> str:
        """The same call without a mask."""
        start, end = self.at(node.args[0])[0], self.at(node.args[-2])[1]
        return f"{name}({self.source[start:end].decode()}"

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if self.kernel:
            places = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            for place in places:
                if isinstance(place, ast.Slice):
                    self.off_by_one([edge for edge in (place.lower, place.upper) if edge])
                else:
                    self.off_by_one([place])
        self.generic_visit(node)

    def off_by_one(self, places: list[ast.expr]) -> None:
        for place in places:
            if isinstance(place, (ast.Name, ast.BinOp, ast.Attribute, ast.Subscript)):
                for change in (" + 1", " - 1"):
                    self.put(*self.at(place), self.text(place) + change)


def mutants(root: Path, file: str) -> list[Mutant]:
    """Every mutant of a file that is valid Python; mutants with the same text within a function are numbered."""
    source = (root / file).read_bytes()
    finder = _Finder(file, source)
    finder.visit(ast.parse(source))
    return list(_numbered(finder.found))


def _numbered(found: list[Mutant]) -> Iterator[Mutant]:
    seen: Counter[tuple[str, ...]] = Counter()
    places = set()
    for mutant in sorted(found, key=lambda one: one.start):
        place = mutant.start, mutant.end, mutant.text
        if place in places:
            continue
        places.add(place)
        seen[mutant.key] += 1
        times = seen[mutant.key]
        yield mutant if times == 1 else replace(mutant, after=f"{mutant.after}  #{times}")


def is_sound(mutant: Mutant, source: bytes) -> bool:
    """True if the mutated source is valid Python."""
    try:
        ast.parse(mutant.apply(source))
    except SyntaxError:
        return False
    return True
