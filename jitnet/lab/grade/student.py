"""The files for the students: the starter file with the rules in its docstring, and the public test.

Both follow from the settings of an assignment, so that they agree with the grader.
"""

import json
import textwrap
from collections.abc import Iterable
from pathlib import Path

from ... import checks, storage
from .assignment import Assignment, Kernel, Test
from .output import number
from .parts import parameters_of
from .vocabulary import NUMPY

FOLDER = "student"

PUBLIC = "test_public.py"

WIDTH = 100
"""Columns of the rules."""

HEADING = "The rules, as the grader applies them:"

PUBLIC_TEST = '''\
"""The public test: python test_public.py, or pytest. The grader tries more shapes, with other numbers."""

import signal
from pathlib import Path

import {module}

from jitnet.lab import problems
from jitnet.lab.benchmark.judge import error_of{races}
from jitnet.lab.grade.language import Language
from jitnet.lab.grade.parts import parts_of

HERE = Path(__file__).parent
SOURCE = (HERE / "{module}.py").read_bytes()
RULES = parts_of(SOURCE, Language({language}))
for note in RULES.notes:
    print(note)


def check(name, problem):
    error = RULES.error_of(name)
    assert error is None, f"{{name}}: {{error}}"
    for dtype in problem.dtypes:
        for shape in problem.shapes:
            error = error_of(getattr({module}, name), problem, shape, dtype)
            assert error is None, f"{{name}} {{error}}, in {{dtype}}"
    print(f"{{name}} is right for the public shapes")

{check_races}{tests}

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ^C ends a compiled loop too, which Python cannot interrupt
{calls}
'''

CHECK_RACES = """
def check_races(name, problem, dtype, divided):
    passed, said = without_race(getattr({module}, name), problem, dtype, SOURCE, divided)
    assert passed is not False, f"{{name}}: {{said}}"

"""

TEST = """
def test_{name}():
    check("{name}", problems.load({place}))
"""

TEST_RACES = """\
    check_races("{name}", problems.load({place}), "{dtype}", divided={divided})
"""


def public_test(assignment: Assignment) -> str:
    """The text of test_public.py: what the grader refuses, and the shapes of the problems in the graded dtypes."""
    module, language = Path(assignment.file).stem, assignment.language
    lists = [language.modules, *([] if language.numpy == NUMPY else [language.numpy])]
    tests = [_tests(kernel) for kernel in assignment.kernels]
    has_races = any("check_races" in test for test in tests)
    calls = "\n".join(f"    test_{kernel.name}()" for kernel in assignment.kernels)
    return PUBLIC_TEST.format(
        module=module, language=", ".join(map(_tuple, lists)), tests="\n".join(tests), calls=calls,
        races="\nfrom jitnet.lab.grade.inspection import without_race" if has_races else "",
        check_races=CHECK_RACES.format(module=module) if has_races else "",
    )  # fmt: skip


def _tests(kernel: Kernel) -> str:
    """The tests of a kernel: its numbers; and races and indices outside of arrays, if the assignment tests them."""
    cases = {
        (test.dtype or kernel.problem.dtypes[0], test.points > 0): None
        for test in kernel.tests
        if test.check == "no race"
    }
    races = [
        TEST_RACES.format(name=kernel.name, place=_place(kernel), dtype=dtype, divided=divided)
        for dtype, divided in cases
    ]
    return TEST.format(name=kernel.name, place=_place(kernel)) + "".join(races)


def _tuple(texts: Iterable[str]) -> str:
    listed = [json.dumps(text) for text in texts]
    return f"({', '.join(listed)}{',' * (len(listed) == 1)})"


def _place(kernel: Kernel) -> str:
    """How the public test names the problem; a file is next to it."""
    return f'HERE / "{Path(kernel.spec).name}"' if kernel.spec.endswith(".py") else f'"{kernel.spec}"'


def rules(assignment: Assignment) -> str:
    """What submissions may do, and the tests with their points, for the end of the starter file's docstring."""
    limits = assignment.limits
    sentences = [
        *_language(assignment),
        f"A submission runs on {checks.count(limits.threads, 'thread')}. One call may take {limits.seconds:g} seconds "
        f"and {limits.memory:g} GiB of memory.",
        "A function that is not correct gets no other points.",
    ]
    if any(test.check == "no race" for kernel in assignment.kernels for test in kernel.tests):
        sentences[-1] += " One with a race is not correct."
    lines = [f"{number(assignment.points)} points:", ""]
    for kernel in assignment.kernels:
        lines += [f"    {kernel.name + ':':15} {number(t.points):>3}  {_goal(kernel, t)}" for t in kernel.tests]
    listed = [textwrap.fill(text, WIDTH, initial_indent="- ", subsequent_indent="  ") for text in sentences]
    return "\n".join([HEADING, "", *listed, "", *lines, ""])


def _language(assignment: Assignment) -> list[str]:
    language = assignment.language
    if language.is_free:
        return ["You may import and use anything."]
    texts = [f"You may import {checks.joined(language.modules) or 'nothing'}."]
    if "numpy" in language.modules:
        texts.append(f"Of NumPy, you may use {', '.join(language.numpy)}.")
    texts.append("No @, methods such as .sum, classes, with, try, generators, getattr or names with two underscores.")
    texts.append('Outside of functions, call nothing; code below if __name__ == "__main__": never runs in the grader.')
    texts.append("Such a call and a syntax error cost the points of all functions.")
    texts.append("Any other import costs the points of the functions that use it,")
    texts.append("and `import *` those of all functions.")
    return [" ".join(texts)]


def _goal(kernel: Kernel, test: Test) -> str:
    """`correct in float32 and float64`, `at least 50% of the speed of naive for (512, 512, 512)`."""
    if test.check == "correct":
        return test.title if test.dtype else f"{test.title} in {checks.joined(kernel.problem.dtypes)}"
    if test.check == "no race" and test.points:
        return f"{test.title}, with a prange loop that divides the work"
    if test.check == "speed":
        dtype = "" if test.dtype else f" in {kernel.problem.dtypes[0]}"
        return test.title + ("" if test.shapes else f" for {kernel.problem.timed[0]}") + dtype
    return test.title


def update(assignment: Assignment) -> tuple[list[Path], list[str]]:
    """Write the public test again, and the rules in the starter file; returns what was written, and what to know.

    If `file` has another name now, the starter file gets it.
    """
    folder = assignment.path.parent / FOLDER
    starter, test = folder / assignment.file, folder / PUBLIC
    if not (starter.suffix == ".py" and starter.stem.isidentifier()):
        raise checks.Error(
            f"{assignment.path}: file is {assignment.file!r}, which the public test cannot import; expected letters, "
            "digits and _, then .py"
        )
    others = [path for path in sorted(folder.glob("*.py")) if path not in (starter, test) and _has_rules(path)]
    is_missing, notes = not starter.exists(), []
    if is_missing and len(others) != 1:
        raise checks.Error(f"there is no starter file {starter}; jitnet assignment new writes one")
    text = (others[0] if is_missing else starter).read_text(encoding="utf-8")
    before, heading, after = text.partition(HEADING)
    _, quotes, rest = after.partition('"""')
    if not (heading and quotes):
        raise checks.Error(f"{starter} has no rules; end its docstring with the line {HEADING!r}")
    for path, content in ((starter, before + rules(assignment) + quotes + rest), (test, public_test(assignment))):
        storage.put(path, content.encode())
    if is_missing:
        others[0].unlink()
        notes.append(f"{others[0]} is {starter.name} now, as in {assignment.path.name}")
    elif others:
        listed = checks.joined([str(path) for path in others])
        notes.append(f"{listed} has the rules of a starter file, too; if it is an old one, delete it")
    absent = [kernel.name for kernel in assignment.kernels if not parameters_of(text.encode(), kernel.name)]
    if absent:
        notes.append(f"{starter} has no {checks.joined(absent)}, which {assignment.path.name} names; add it there")
    return [starter, test], notes


def _has_rules(path: Path) -> bool:
    return HEADING.encode() in path.read_bytes()
