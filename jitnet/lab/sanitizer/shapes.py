"""Which dimensions of a kernel's arguments have the same length, as far as its source shows.

Two dimensions have the same length if a loop variable that runs over one indexes the other. If it indexes another
dimension of the same array, nothing follows, because that can be the very error that arrays that are not square reveal.
"""

import ast
from collections.abc import Mapping
from typing import TypeGuard

from .syntax import is_shape, parts_of

Axis = tuple[str, int]
"""A dimension of the array of that name; -1 for a parameter that is a number."""

SMALLEST = 7
"""A constant index below it lies inside of every array."""


class _UnclearError(Exception):
    """The source does more with arrays than to index them by loop variables."""


def groups(tree: ast.FunctionDef, dims: Mapping[str, int]) -> list[list[Axis]]:
    """The dimensions of the parameters, in groups of one length; none if the source is too complex to tell."""
    try:
        return _Axes(tree, dims).groups()
    except _UnclearError:
        return []


class _Axes:
    def __init__(self, tree: ast.FunctionDef, dims: Mapping[str, int]) -> None:
        self.tree, self.dims = tree, dims
        axes = [(name, axis) for name, count in dims.items() for axis in (range(count) if count else (-1,))]
        self.leader: dict[Axis, Axis] = {axis: axis for axis in axes}
        """Axis -> another one of its group; the first one of a group to itself."""
        self.sizes: dict[str, Axis] = {name: (name, -1) for name, count in dims.items() if not count}
        """Variables that hold a length."""
        self.loops: dict[str, list[Axis]] = {}
        """Loop variable -> what it runs over."""

    def groups(self) -> list[list[Axis]]:
        self._check_uses()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Assign):
                self._assigned(node.targets[0], node.value)
            elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and node.target.id in self.sizes:
                raise _UnclearError
        for node in ast.walk(self.tree):
            if isinstance(node, ast.While):
                raise _UnclearError
            if isinstance(node, ast.For):
                self._loop(node)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in self.dims:
                self._indexed(node.value.id, node.slice)
        found: dict[Axis, list[Axis]] = {}
        for axis in self.leader:
            found.setdefault(self._first(axis), []).append(axis)
        return list(found.values())

    def _check_uses(self) -> None:
        """Arrays may be indexed, and asked for their shape, and nothing else."""
        allowed = 0
        for node in ast.walk(self.tree):
            if isinstance(node, (ast.Subscript, ast.Attribute)):
                is_shape = isinstance(node, ast.Subscript) or node.attr in ("shape", "size", "dtype")
                allowed += is_shape and self._is_array(node.value)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len":
                allowed += self._is_array(node.args[0])
        if allowed < sum(self._is_array(node) for node in ast.walk(self.tree)):
            raise _UnclearError

    def _is_array(self, node: ast.AST) -> TypeGuard[ast.Name]:
        return isinstance(node, ast.Name) and self.dims.get(node.id, 0) > 0

    def _assigned(self, target: ast.expr, value: ast.expr) -> None:
        """`m, n = A.shape`, `n = len(a)`; once."""
        if isinstance(target, ast.Name) and target.id in self.sizes:
            raise _UnclearError
        if isinstance(target, ast.Name) and (axis := self._length(value)):
            self.sizes[target.id] = axis
        elif isinstance(target, ast.Tuple) and is_shape(value) and self._is_array(value.value):
            for number, name in enumerate(target.elts):
                if isinstance(name, ast.Name):
                    self.sizes[name.id] = (value.value.id, number)

    def _length(self, node: ast.expr) -> Axis | None:
        """The dimension whose length an expression is."""
        if isinstance(node, ast.Name):
            return self.sizes.get(node.id)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len":
            array = node.args[0]
            return (array.id, 0) if isinstance(array, ast.Name) and self._is_array(array) else None
        if isinstance(node, ast.Attribute) and node.attr == "size" and isinstance(node.value, ast.Name):
            return (node.value.id, 0) if self.dims.get(node.value.id) == 1 else None
        if isinstance(node, ast.Subscript) and is_shape(node.value) and isinstance(node.value.value, ast.Name):
            number = node.slice.value if isinstance(node.slice, ast.Constant) else None
            return (node.value.value.id, number) if isinstance(number, int) else None
        return None

    def _loop(self, loop: ast.For) -> None:
        call = loop.iter
        if not isinstance(call, ast.Call) or not isinstance(loop.target, ast.Name) or len(call.args) > 2:
            raise _UnclearError
        axis = self._length(call.args[-1])
        if ast.unparse(call.func).rpartition(".")[2] not in ("range", "prange") or axis not in self.leader:
            raise _UnclearError
        self.loops.setdefault(loop.target.id, []).append(axis)

    def _indexed(self, name: str, index: ast.expr) -> None:
        parts = parts_of(index)
        if len(parts) != self.dims[name]:
            raise _UnclearError
        for number, part in enumerate(parts):
            if isinstance(part, ast.Constant) and isinstance(part.value, int) and 0 <= part.value < SMALLEST:
                continue
            if not isinstance(part, ast.Name) or part.id not in self.loops:
                raise _UnclearError
            for other in self.loops[part.id]:
                if other[0] != name:
                    self._unite((name, number), other)

    def _first(self, axis: Axis) -> Axis:
        while self.leader[axis] != axis:
            axis = self.leader[axis]
        return axis

    def _unite(self, one: Axis, other: Axis) -> None:
        first, second = sorted((self._first(one), self._first(other)), key=list(self.leader).index)
        self.leader[second] = first
