"""The files of a new assignment: for the teacher assignment.toml and solution.py, for the students a folder.

The students' folder has a starter file with gaps and the rules, a public test, and copies of problems that are files.
Nothing in it is secret, because the grader draws its numbers and shapes from a new random seed.
"""

import json
import re
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from ... import checks, storage
from .. import problems
from ..problems import Problem
from . import student
from .assignment import FILE, load
from .vocabulary import is_allowed_name

NAIVE = "naive"
"""The name of the plain loop among the rungs of a problem."""

RACES = "  # finds a race with any number of threads; a function with one gets no points"

DIVIDED = "  # for a prange loop that divides the work"


def write(folder: str | Path, specs: Sequence[str], title: str = "") -> list[Path]:
    """Write an assignment with a kernel for each problem into a new folder; returns its files.

    specs    names of problems of jitnet, or files
    """
    place = Path(folder)
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise checks.Error(f"{folder} exists already; name a new folder")
    module = place.resolve().name
    if not module.isidentifier():
        raise checks.Error(f"students cannot import {module!r}; name the folder with letters, digits and _ alone")
    found = {_name_of(spec): (spec, problems.tried(spec)) for spec in specs}
    if len(found) < len(specs):
        raise checks.Error("two problems have the same name; give one of the files another name")
    (place / student.FOLDER).mkdir(parents=True)
    copies = {
        place / below / Path(spec).name: spec
        for spec, _ in found.values() if spec.endswith(".py") for below in ("", student.FOLDER)
    }  # fmt: skip
    for copy, original in copies.items():
        shutil.copyfile(original, copy)
    written = [_written(place / FILE, _assignment(title or module, module, found))]
    wanted = load(place)  # its rules are those of the grader
    about = f"Write your loops in the functions, which do nothing yet.\n\n{student.rules(wanted)}"
    return [
        *written,
        _written(place / "solution.py", _starter(found, "Write the solution in the functions, which do nothing yet.")),
        _written(place / student.FOLDER / wanted.file, _starter(found, about)),
        _written(place / student.FOLDER / student.PUBLIC, student.public_test(wanted)),
        *copies,
    ]


def _written(path: Path, text: str) -> Path:
    storage.put(path, text.encode())
    return path


def _name_of(spec: str) -> str:
    """The name of the kernel for a problem: sum is a function of Python, so it becomes my_sum."""
    name = Path(spec).stem
    return name if is_allowed_name(name) else f"my_{re.sub('[^a-zA-Z0-9_]', '_', name)}"


def _assignment(title: str, module: str, found: dict[str, tuple[str, Problem]]) -> str:
    lines = [
        f"title = {json.dumps(title, ensure_ascii=False)}",
        f'file = "{module}.py"',
        'threads = 1  # a prange runs in order, so a race produces correct results; only "no race" finds it',
        'imports = ["math", "numba", "numpy"]',
    ]
    for name, (spec, problem) in found.items():
        place = Path(spec).name if spec.endswith(".py") else spec
        lines += ["", "[[kernel]]", f'name = "{name}"', f'problem = "{place}"']
        lines += _test("correct", 3, "Which element is wrong? Try the smallest arrays of the public test on paper.")
        rungs = _rungs(problem)
        is_serial = bool(rungs) and not any("parallel" in rung for rung in rungs)
        divide = "" if is_serial else "Which loop divides the result into parts that no two iterations share?"
        target = f"{module}.py:{name} --{'as' if problem.path is None else 'problem'} {place}"
        lines += _test("no race", 0 if is_serial else 3, divide)
        if why := only_naive(spec, problem):
            lines += ["", *textwrap.wrap(why, 110, initial_indent="  # ", subsequent_indent="  # ")]
        elif rung := _within_reach(problem):
            lines += _test("speed", 4, f"jitnet explain {target} shows its machine code.", of=rung, reach=0.5)
    return "\n".join(lines) + "\n"


def _test(check: str, points: int, hint: str, of: str = "", reach: float = 0.0) -> Iterator[str]:
    is_race = check == "no race"
    yield from ("", "  [[kernel.test]]", f'  check = "{check}"{RACES * is_race}')
    if of:
        yield from (f'  of = "{of}"', f"  reach = {reach}")
    yield f"  points = {points}{DIVIDED if is_race and points else ''}"
    if hint:
        yield f'  hint = "{hint}"'


def only_naive(spec: str, problem: Problem) -> str:
    """Why an assignment for this problem has no test of speed, and how to add one; empty if it has one."""
    if _rungs(problem) != [NAIVE]:
        return ""
    return (
        f"There is no test of speed: the only rung of {Path(spec).name} is {NAIVE}, so the plain loop would pass it. "
        'Add a faster rung to its RUNGS, and a test: check = "speed", of = its name, reach = 0.5, points = 4.'
    )


def _rungs(problem: Problem) -> list[str]:
    return [name for name in problem.rungs if name != "numpy"]


def _within_reach(problem: Problem) -> str:
    """The rung that a submission is compared with: the last one without threads.

    For an operation, it is the last rung of plain loops: the rungs above it use SIMD vectors and helpers of jitnet.
    """
    if problem.path is None:
        return "reordered" if "reordered" in problem.rungs else "njit"
    serial = [name for name in _rungs(problem) if "parallel" not in name]
    return serial[-1] if serial else ""


def _starter(found: dict[str, tuple[str, Problem]], about: str) -> str:
    """Functions with holes, below a docstring."""
    parts = [f'"""{about}"""\n\nimport numba\n']
    for name, (_, problem) in found.items():
        what = f"{problem.title.rstrip('.')}.\n\n"
        if problem.statement:
            what += f"{problem.statement}\n\n"
        what += f"Write {' and '.join(problem.results)}, and return nothing.\n"
        docstring = textwrap.indent(what, "    ").lstrip().replace("\\", "\\\\")  # it is not a raw string
        head = f"@numba.njit\ndef {name}({', '.join(problem.parameters)}):"
        parts.append(f'\n{head}\n    """{docstring}    """\n    # your loops\n')
    return "\n".join(parts)
