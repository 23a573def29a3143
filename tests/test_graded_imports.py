"""Imports of a submission that are not allowed: those that nothing uses are left out, and the others named at once."""

import ast
import re
from pathlib import Path

import pytest
from small_assignment import HONEST, graded, made

from jitnet.lab.grade import output
from jitnet.lab.grade.language import Language
from jitnet.lab.grade.parts import parts_of

LEFT_OUT = "is not allowed, and no function uses it, so it was left out"

USING = "import os\nimport numba, time\nfrom sys import path\nfrom functools import cache\n"
USERS = """@cache
def mean(x, last=path):
    return time.time(), os, path
def add(x):
    return [time for _ in x]
"""


def test_import_that_nothing_uses_does_not_run_and_costs_nothing(tmp_path):
    below = "if __name__ == '__main__':\n    print(no_such_module.clock())\n"
    (tmp_path / "anna.py").write_text(f"import numba\nimport no_such_module\n{HONEST}{below}")
    result = graded(made(tmp_path / "addition"), tmp_path / "anna.py")
    assert (result["points"], result["refused"]) == (3, "")
    assert result["note"] == f"line 2: import no_such_module {LEFT_OUT}"
    assert f" Line 2: import no_such_module {LEFT_OUT}." in " ".join(output.as_text(result).split())


@pytest.mark.parametrize(
    ("imports", "kept", "lines"),
    [
        ("import os\nimport os\n", "\n\n", ["line 1: import os", "line 2: import os"]),
        ("import matplotlib.pyplot as plt\r\n", "\n", ["line 1: import matplotlib.pyplot as plt"]),
        ("from . import other\n", "\n", ["line 1: from . import other"]),
        ("import numba, os, sys as system\n", "import numba\n", ["line 1: import os, sys as system"]),
        (
            "from numba import (prange,\n    cuda, objmode)\nx: prange\nimport numba\n",
            "from numba import prange\n\nx: prange\nimport numba\n",
            ["line 1: from numba import cuda, objmode"],
        ),
    ],
)
def test_only_what_is_neither_used_nor_allowed_is_removed(imports, kept, lines):
    more = "def last(x):\n    return numba\n"
    parts = parts_of(f"{imports}{HONEST}{more}".encode(), Language())
    assert parts.error_of("add") is None
    assert parts.source.decode() == f"{kept}{HONEST}{more}"
    assert list(parts.notes) == [f"{line} {LEFT_OUT}" for line in lines]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from os import *\n", ""),
        ("from __future__ import annotations\n", ""),  # it acts without its name
        ("import os\n", "os.curdir = 3\n"),
        ("import os; import sys\n", ""),  # a line that two statements share
        ("", "from numpy import *\n"),
        ("if 3:\n    import os\n", ""),
    ],
)
def test_other_imports_are_refused(before, after):
    assert parts_of(f"{before}{HONEST}{after}".encode(), Language()).error


USING_OS = [
    "def other():\n    return os\n",
    "def other(x=os):\n    pass\n",
    "def other(x: os):\n    pass\n",
    "def other(x) -> os:\n    pass\n",
    "@os\ndef other(x):\n    pass\n",
    "here = os.curdir\ndef other(x):\n    return here\n",
    "here = there = os\nother = there\n",
    "def one():\n    os.remove('x')\nother = numba.njit(one)\n",
    "def two():\n    os.remove('x')\ndef one():\n    two()\nother: object = numba.njit(one)\n",
    "here = 3\nhere = here + os.curdir\ndef other(x):\n    return here\n",
    "here = 3\nhere: int = here + os.curdir\ndef other(x):\n    return here\n",
]


@pytest.mark.parametrize("using", USING_OS)
def test_refused_import_costs_the_functions_that_use_it_and_no_others(using, tmp_path):
    source = f"import numba, os\n{HONEST}{using}if __name__ == '__main__':\n    other()\n".encode()
    parts = parts_of(source, Language())
    assert parts.error_of("add") is None
    assert re.search(
        r"imports os( \(used by \w+\))?; a submission is one file, .* \(line 1\)$", parts.error_of("other")
    )
    assert Language().error_of(parts.source) is None
    assert parts.notes == ()
    assert parts.source.count(b"\n") == source.count(b"\n")  # lines keep their numbers


def test_function_with_a_refused_import_loses_its_points_alone(tmp_path):
    (tmp_path / "anna.py").write_text(f"import time\n{HONEST}\ndef clock():\n    return time.time()\n")
    assert graded(made(tmp_path / "addition"), tmp_path / "anna.py")["points"] == 3


def test_import_in_place_of_a_function_takes_its_points():
    for source in (f"{HONEST}from numpy import add\n", f"from numpy import add\n{HONEST}"):
        assert parts_of(source.encode(), Language()).error_of("add").startswith("uses numpy.add, which this assignment")


@pytest.mark.parametrize("body", ["import os", "getattr(x, 'os')", "globals()['os']", "eval('os')"])
def test_functions_that_could_reach_a_module_are_refused(body):
    parts = parts_of(f"import os\n{HONEST}def other(x):\n    {body}\n".encode(), Language())
    assert parts.error_of("other")
    assert parts.error or b"os" not in parts.source


def test_all_refused_imports_are_named_with_the_functions_that_use_them():
    parts = parts_of((USING + USERS).encode(), Language())
    for name, line in (("mean", 1), ("add", 2)):
        assert parts.error_of(name) == (
            "imports os (used by mean), time (used by mean and add), sys (used by mean), functools (used by "
            f"mean); a submission is one file, which may import math, numba, numpy (line {line})"
        )
    inside = parts_of(f"import time\n{HONEST}def other():\n    import sys, os\n".encode(), Language())
    assert inside.error_of("other").startswith("imports sys, os; a submission is one file")


def test_many_imports_are_read_quickly_and_named_shortly():
    """Thousands of them fit into a submission, which must not fill the memory of the grader."""
    names = [f"a{number}" for number in range(3000)]
    source = "".join(f"import {name}\n" for name in names) + f"def add(x):\n    {'; '.join(names)}\n"
    error = parts_of(source.encode(), Language()).error_of("add")
    assert " and 2992 more; a submission is" in error
    assert len(error) < 400


def test_what_is_left_of_a_hostile_submission_is_allowed():
    paths = sorted((Path(__file__).parent / "hostile_submissions").glob("*.py"))
    assert len(paths) >= 48
    for path in paths:
        parts = parts_of(path.read_bytes(), Language())
        assert parts.error or Language().error_of(parts.source) is None, path
        defined = {node.name for node in ast.parse(parts.source).body if isinstance(node, ast.FunctionDef)}
        assert parts.error or defined.isdisjoint(parts.refused), path
