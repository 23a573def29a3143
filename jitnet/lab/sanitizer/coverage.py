"""Statements of a kernel that no run has executed: what they do was not checked."""

import ast
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from ..loading import body_of
from .findings import BROKEN, Finding, Report
from .syntax import tree_of
from .targets import opened

_MOST = 5
"""Lines that the note names."""


class Coverage:
    """The lines of a kernel that are executed while the `with` block lasts; copies of it have the same code."""

    def __init__(self, kernel: Callable[..., Any]) -> None:
        self._code: CodeType = body_of(opened(kernel)[0]).__code__
        self._lines: set[int] = set()

    def __enter__(self) -> "Coverage":
        self._is_traced = sys.gettrace() is not None  # by a debugger, which must keep working
        if not self._is_traced:
            sys.settrace(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        if not self._is_traced:
            sys.settrace(None)

    def _called(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        return self._line if frame.f_code is self._code else None

    def _line(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        self._lines.add(frame.f_lineno)
        return self._line

    def missing(self) -> list[int]:
        """The other lines; none if they are not known."""
        tree = tree_of(self._code)
        if self._is_traced or tree is None:
            return []
        compiled = {line for _, _, line in self._code.co_lines()}
        return sorted({s.lineno for part in tree.body for s in _statements(part)} & compiled - self._lines)

    def note(self, report: Report) -> None:
        """Add a note on the other lines; none if an error has ended a run."""
        missing = self.missing()
        if missing and not any(e.kind in (*BROKEN, "overflow") for e in report.errors):
            more = f", and {len(missing) - _MOST} more" if len(missing) > _MOST else ""
            lines = f"line{'s' * (len(missing) > 1)} {', '.join(map(str, missing[:_MOST]))}{more}"
            report.add(Finding("not reached", f"no run reached {lines}, so what is there was not checked"))


def _statements(statement: ast.stmt) -> list[ast.stmt]:
    """The statement and those in it, but not those of inner functions."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return [statement]
    inner = [s for child in ast.iter_child_nodes(statement) if isinstance(child, ast.stmt) for s in _statements(child)]
    return [statement, *inner]
