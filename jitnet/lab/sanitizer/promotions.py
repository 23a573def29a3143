"""Where a float32 becomes a float64: the first expression that mixes it with another number, and its fix."""

import ast
import functools
import itertools
import linecache
import sys
from types import CodeType
from typing import Any, NamedTuple

from .findings import FIXES
from .places import frame_of_kernel

_STARTS = {ast.Add: "0", ast.Sub: "0", ast.Mult: "1"}
"""Operation of an update -> what its variable begins with."""


class Promotion(NamedTuple):
    """The operation that does it."""

    code: CodeType
    instruction: int
    line: int

    @property
    def file(self) -> str:
        return self.code.co_filename


def promotion_here() -> Promotion:
    frame = frame_of_kernel()
    return Promotion(frame.f_code, frame.f_lasti // 2, frame.f_lineno)


@functools.cache
def expression_of(promotion: Promotion) -> str:
    """The source of the operation; its line, if Python does not know more; "" without a source."""
    text = linecache.getline(promotion.file, promotion.line)
    if sys.version_info >= (3, 11):
        positions = itertools.islice(promotion.code.co_positions(), promotion.instruction, None)
        line, end_line, start, end = next(positions, (None,) * 4)
        if line == end_line == promotion.line:
            text = text.encode()[start:end].decode()  # columns are bytes
    return text.strip()


@functools.cache
def fix_of(promotion: Promotion | None, array: str) -> str:
    """How to keep a float32 that is stored in this array."""
    of_array = "numpy.float32" if " " in array else f"{array}.dtype.type"  # "an array" has no name
    try:
        (statement,) = ast.parse(expression_of(promotion) if promotion else "").body
    except (SyntaxError, ValueError):
        statement = ast.Pass()
    value: Any = getattr(statement, "value", None)
    instead = f"write {of_array}({{0}}) instead of {{0}}"
    if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
        start = _STARTS.get(type(statement.op), "its value")
        begin = f"begin {statement.target.id} with {of_array}({start})"
        return instead.format(ast.unparse(value)) if _is_constant(value) else begin
    for side in (value.left, value.right) if isinstance(value, ast.BinOp) else ():
        if _is_constant(side):
            return instead.format(ast.unparse(side))
    return FIXES["float64"].replace("ARRAY.dtype.type", of_array)


def _is_constant(node: ast.AST) -> bool:
    """0.5 or -0.5."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
    return isinstance(node, ast.Constant)
