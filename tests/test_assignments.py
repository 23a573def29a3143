"""Assignments: loading, errors in their files, `jitnet assignment new`, and the bundled examples."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command import jitnet_command
from small_assignment import ADDITION, SPEED, graded, made

from jitnet import checks
from jitnet.lab import estimate, problems
from jitnet.lab.grade import assignment, grading, new, student, submissions
from jitnet.lab.grade.language import Language
from jitnet.lab.grade.vocabulary import NUMPY

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples" / "assignments"


@pytest.mark.parametrize(
    ("old", "written", "said"),
    [
        ('title = "Addition"', "", "no 'title'"),
        ('title = "Addition"', "title = 3", "must be a string"),
        ("points = 3", "points = -1", "points is -1"),
        ('check = "correct"', 'check = "corect"', "did you mean 'correct'"),
        ('problem = "vector_add"', 'problem = "vector_ad"', "did you mean 'vector_add'"),
        ('problem = "vector_add"', 'problem = "missing.py"', "no file"),
        ('name = "add"', 'name = "a b"', "not a name for a function"),
        ("points = 3", "points = 3\nreach = 1", "belong to"),
        ('check = "correct"', 'check = "speed"', "no 'reach'; reach = 0.5 asks"),
        ('check = "correct"', 'check = "speed"\nof = "naive"\nreach = 50', "speed, is 50, but must be a number"),
        ('check = "correct"', 'check = "speed"\nreach = 1.2', "at most 1"),
        ('["numba"]', '["numba"]\nthreads = 9999', "threads is 9999, but this machine has "),
        ('check = "correct"', 'check = "speed"\nreach = 1\nof = "best"', "rung for 'of' 'best'"),
        ("points = 3", "points = 3\nshapes = [[1, 2]]", "lists of 1 whole"),
        ("points = 3", 'points = 3\ndtype = "int8"', "unknown dtype"),
        ("points = 3", "points = 3\nweight = 1", "entry of test 'weight'"),
        ("[[kernel.test]]", "[kernel.test]", "[kernel.test] must be written as [[kernel.test]], because"),
        ('["numba"]', '"numba"', "list of texts"),
        ('["numba"]', '["numba"]\nthreads = 0', "threads is 0"),
        ("title =", "title ", "assignment.toml"),
    ],
)
def test_mistakes_in_an_assignment_are_one_line_errors(old, written, said, tmp_path):
    with pytest.raises(checks.Error) as error:
        made(tmp_path, ADDITION.replace(old, written, 1))
    assert said in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_loading_an_assignment_checks_its_required_entries(tmp_path):
    (kernel,) = made(tmp_path, ADDITION + SPEED).kernels
    assert kernel.tests == (
        assignment.Test("correct", 3, "one loop"), assignment.Test("speed", 2, "", "naive", 0.5, ((300000,),)),
    )  # fmt: skip
    (kernel,) = made(tmp_path, ADDITION + SPEED.replace('of = "naive"', "")).kernels
    assert kernel.tests[1].of == assignment.PEAK


def test_checks_of_the_source_need_an_imports_list(tmp_path):
    with pytest.raises(checks.Error, match="list the modules"):
        made(tmp_path, ADDITION.replace('["numba"]', '["*"]').replace('"correct"', '"no race"'))


def test_new_assignment_compares_with_rungs_that_students_can_write(tmp_path):
    new.write(tmp_path / "first", ["matmul", "sigmoid", "prefix_sum"])
    tests = [test for kernel in assignment.load(tmp_path / "first").kernels for test in kernel.tests]
    assert [test.of for test in tests if test.check == "speed"] == ["reordered", "njit", "four_chains"]
    points = {test.check: test.points for test in tests}
    assert points["no race"] == points["correct"] == 3  # on one thread, a race gives right results
    text = (tmp_path / "first" / "assignment.toml").read_text()
    assert "\nthreads = 1  # a prange runs in order, so a race produces correct results" in text
    assert text.count('check = "no race"  # finds a race with any number of threads') == 3


def test_hints_of_a_new_assignment_are_commands_that_students_can_copy(tmp_path):
    new.write(tmp_path / "first", ["matmul", "prefix_sum"])
    text = (tmp_path / "first" / "assignment.toml").read_text()
    assert "jitnet explain first.py:matmul --as matmul shows its machine code" in text
    assert "jitnet explain first.py:prefix_sum --problem prefix_sum shows" in text


def test_starter_says_what_to_compute(tmp_path):
    new.write(tmp_path / "first", ["prefix_sum", "matmul"])
    starter = (tmp_path / "first" / "student" / "first.py").read_text()
    compile(starter, "first.py", "exec")
    assert "    Formula   y[i] = Σ_{j ≤ i} x[j]\n    Shape     (n,)\n\n    Write y, and return nothing.\n" in starter
    assert "    Shapes    X (m, n_in), W (n_in, n_out), Z (m, n_out); rows contiguous\n\n    Write Z" in starter


PARTS = """title = "Parts"
file = "work.py"
threads = 1
seconds = 4
imports = ["math", "numpy"]
numpy = ["sqrt"]
[[kernel]]
name = "add"
problem = "vector_add"
[[kernel.test]]
check = "correct"
points = 3
[[kernel.test]]
check = "no race"
points = 0
[[kernel.test]]
check = "speed"
of = "naive"
reach = 0.5
points = 2
"""

OLD = f'"""Loops.\n\n{student.HEADING}\nAnything.\n"""\n\ndef add(a, b, c):\n    c[:] = a + b\n'


@pytest.fixture
def handed_out(tmp_path):
    """An assignment with an outdated starter file, and its updated files."""
    wanted = made(tmp_path / "parts", PARTS)
    (tmp_path / "parts" / "student").mkdir()
    (tmp_path / "parts" / "student" / "work.py").write_text(OLD)
    jitnet_command("assignment", "update", tmp_path / "parts")
    return wanted, tmp_path / "parts" / "student"


def test_starter_states_the_rules_of_the_grader(handed_out):
    text = (handed_out[1] / "work.py").read_text()
    assert text.startswith(
        f'"""Loops.\n\n{student.HEADING}\n\n- You may import math and numpy. Of NumPy, you may use sqrt.'
    )
    assert " No @, methods such as .sum, classes," in " ".join(text.split())
    assert (
        " Such a call and a syntax error cost the points of all functions. Any other import costs the points of the "
        "functions that use it, and `import *` those of all functions."
    ) in " ".join(text.split())
    assert "- A submission runs on 1 thread. One call may take 4 seconds and 2 GiB of memory." in text
    assert text.endswith(OLD.partition("Anything.\n")[2])
    rows = [line.split(maxsplit=2) for line in text.splitlines() if line.startswith("    add:")]
    assert rows == [
        ["add:", "3", "correct in float32 and float64"],
        ["add:", "0", "no race"],
        ["add:", "2", f"at least 50% of the speed of naive for {problems.load('vector_add').timed[0]} in float32"],
    ]
    assert "Anything" not in text
    (handed_out[1] / "work.py").write_text("def add(a, b, c):\n    pass\n")
    said = jitnet_command("assignment", "update", handed_out[1].parent, status=2).stderr
    assert "work.py has no rules; end its docstring with the line" in said


def test_update_gives_the_starter_file_its_new_name_and_loses_none(handed_out):
    path, folder = handed_out[1].parent / "assignment.toml", handed_out[1]
    before, edited = (folder / "work.py").read_text(), path.read_text().replace("work.py", "loops.py")
    path.write_text(edited)
    said = jitnet_command("assignment", "update", folder.parent)
    assert f"{folder / 'work.py'} is loops.py now, as in assignment.toml\n" in said.stderr
    assert (sorted(p.name for p in folder.glob("*.py")), (folder / "loops.py").read_text()) == (
        ["loops.py", "test_public.py"], before
    )  # fmt: skip
    assert "\nimport loops\n" in (folder / "test_public.py").read_text()
    (folder / "work.py").write_text(before)
    said = jitnet_command("assignment", "update", folder.parent).stderr
    assert f"{folder / 'work.py'} has the rules of a starter file, too; if it is an old one, delete it" in said
    assert (folder / "work.py").read_text() == before
    path.write_text(edited.replace('"add"', '"plus"'))
    said = jitnet_command("assignment", "update", folder.parent).stderr
    assert f"jitnet: {folder / 'loops.py'} has no plus, which assignment.toml names; add it there\n" in said
    path.write_text(edited.replace("loops.py", "week-2.py"))
    said = jitnet_command("assignment", "update", folder.parent, status=2).stderr
    assert "file is 'week-2.py', which the public test cannot import" in said


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (OLD, None),
        ("import os\n" + OLD, None),
        ("import os\n" + OLD + "    a[os.F_OK]\n", "add: imports os (used by add); a submission is one file"),
        (OLD + "print(3)\n", "add: the file does something outside of its functions"),
        ("import numpy as np\ndef add(a, b, c):\n    np.add(a, b, c)\n", "add: uses numpy.add, which"),
        ("import numpy as np\ndef add(a, b, c):\n    np.exp(a, c)\n", "add: uses numpy.exp, which"),
        (
            "import numpy as np\nf = np.float32\ndef add(a, b, c):\n    c[:] = a + b\n",
            "add: the file uses numpy.float32",
        ),
        ("def add(a, b, c):\n    c[:] = a\n    c += b * (c.itemsize < 8)\n", "add is wrong: "),
    ],
)
def test_public_test_refuses_what_the_grader_refuses(source, said, handed_out, monkeypatch, capsys):
    wanted, folder = handed_out
    (folder / "work.py").write_text(source)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "work", raising=False)
    space = {"__name__": "test_public", "__file__": str(folder / "test_public.py")}
    exec((folder / "test_public.py").read_text(), space)
    monkeypatch.delitem(sys.modules, "work")
    if said is None:
        space["test_add"]()
        result = graded(wanted, folder / "work.py")
        assert result["points"] >= 3
        assert capsys.readouterr().out.startswith(result["note"])  # on an unused import
    else:
        with pytest.raises(AssertionError) as error:
            space["test_add"]()
        assert str(error.value).startswith(said)
        assert "is wrong" not in said or "in float64" in str(error.value)
        assert graded(wanted, folder / "work.py")["points"] == 0


SCAN = """import numba
@numba.njit
def scan(x, y):
    {first}
    for i in range(1, x.size):
        y[i] = y[i - 1] + x[i]
"""


@pytest.mark.parametrize(
    ("first", "said"),
    [
        ("y[0] = x[0]", "scan writes outside its output: 1 number past the end of y, given x (0,)"),
        ("z = x[0]\n    if x.size > 0:\n        y[0] = z", "scan: x[0] is out of bounds for the shape (0,)"),
        ("y[:1] = x[:1]", ""),
    ],
)
def test_public_test_agrees_with_the_grader_on_arrays_of_no_elements(first, said, tmp_path, monkeypatch):
    races = '[[kernel.test]]\ncheck = "no race"\npoints = 0\nhint = "race"\n'
    text = ADDITION.replace('"vector_add"', '"prefix_sum"').replace('name = "add"', 'name = "scan"') + races
    wanted = made(tmp_path, text.replace("imports", 'file = "work.py"\nimports'))
    (tmp_path / "work.py").write_text(SCAN.format(first=first))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "work", raising=False)
    space = {"__name__": "test_public", "__file__": str(tmp_path / "test_public.py")}
    exec(student.public_test(wanted), space)
    monkeypatch.delitem(sys.modules, "work")
    with contextlib.nullcontext() if not said else pytest.raises(AssertionError) as error:
        space["test_scan"]()
    assert not said or str(error.value).startswith(said)
    result = graded(wanted, tmp_path / "work.py")
    assert result["points"] == (0 if said else 3)
    assert not result["tests"][1]["hint"]  # nothing races
    if first == "y[0] = x[0]":  # the guards show it, too
        alone = made(tmp_path, (tmp_path / "assignment.toml").read_text().removesuffix(races))
        assert "writes outside its arrays" in graded(alone, tmp_path / "work.py")["tests"][0]["said"]


@pytest.mark.slow  # loads problems in processes
def test_new_assignment_loads_and_refuses_to_overwrite(tmp_path):
    folder = tmp_path / "first"
    problem = EXAMPLES / "by_hand" / "student" / "forward.py"
    found = jitnet_command("assignment", "new", folder, "--problem", "sum", "--problem", problem, "--title", 'A "b"')
    wanted = assignment.load(folder)
    assert [kernel.name for kernel in wanted.kernels] == ["my_sum", "forward"]
    starter, public = folder / "student" / "first.py", folder / "student" / "test_public.py"
    assert (wanted.file, wanted.title) == (starter.name, 'A "b"')
    assert wanted.language.error_of(starter.read_bytes()) is None
    compile(public.read_text(), public, "exec")
    assert "shows students the rungs" not in found.stderr  # this file has none
    assert f"next: fill the gaps in {folder}/solution.py, then " in found.stderr
    loops = tmp_path / "loops.py"
    loops.write_text((problems.FOLDER / "dot.py").read_text())
    found = jitnet_command("assignment", "new", tmp_path / "third", "--problem", loops)
    assert f"{tmp_path / 'third' / 'student' / 'loops.py'} shows students the rungs naive, " in found.stderr
    assert (folder / "student" / "forward.py").read_text() == problem.read_text()
    assert "exists already" in jitnet_command("assignment", "new", folder, "--problem", "sum", status=2).stderr
    other = tmp_path / "second-week"
    assert "digits and _" in jitnet_command("assignment", "new", other, "--problem", "sum", status=2).stderr


@pytest.mark.parametrize(("rungs", "speed_of"), [("(naive,)", None), ("(naive, lanes)", "lanes"), ("()", None)])
def test_new_assignment_asks_for_speed_only_beyond_the_naive_loop(rungs, speed_of, tmp_path):
    text = (problems.FOLDER / "dot.py").read_text()
    file = tmp_path / "loops.py"
    file.write_text(f"{text[: text.index('RUNGS = ')]}lanes = reordered\nlanes.__name__ = 'lanes'\nRUNGS = {rungs}\n")
    new.write(tmp_path / "lab", [str(file)])
    (kernel,) = assignment.load(tmp_path / "lab").kernels
    assert [test.of for test in kernel.tests if test.check == "speed"] == [speed_of] * (speed_of is not None)
    races = next(test for test in kernel.tests if test.check == "no race")
    assert bool(races.hint) == (rungs == "()")  # a serial loop is not divided
    assert races.points == (3 if rungs == "()" else 0)
    why = new.only_naive(str(file), problems.load(file))
    comment = " ".join(re.findall(r"^  # (.+)$", (tmp_path / "lab" / "assignment.toml").read_text(), re.MULTILINE))
    assert why == comment
    assert why.startswith("There is no test of speed: the only rung of loops.py is naive") == (rungs == "(naive,)")


def test_guide_lists_the_names_of_numpy_that_submissions_may_use():
    guide = (HERE.parent / "docs" / "guide" / "teaching.md").read_text()
    assert set(NUMPY) <= set(re.findall(r"\w+", guide[guide.index("### What submissions may do") :]))


def test_submission_is_a_python_file(tmp_path):
    (tmp_path / "readme.txt").write_text("print me")
    with pytest.raises(checks.Error, match=r"readme.txt is not a Python file; the name of a submission ends with .py"):
        submissions.find(tmp_path / "readme.txt", "lab1.py")
    error = Language().error_of(b"import helper\n")
    assert error.startswith("imports helper; a submission is one file, which may import math, numba, numpy"), error


COMPLETE = [("matmul", 17), ("by_hand", 12)]


@pytest.mark.parametrize(("name", "points"), COMPLETE)
def test_files_of_a_bundled_assignment_are_consistent(name, points):
    wanted = assignment.load(EXAMPLES / name)
    assert wanted.points == points
    folder = EXAMPLES / name / "student"
    assert (folder / "test_public.py").read_text() == student.public_test(wanted)
    assert student.rules(wanted) in (folder / wanted.file).read_text()
    for path in (EXAMPLES / name / "solution.py", folder / wanted.file):
        assert wanted.language.error_of(path.read_bytes()) is None
    for spec in (kernel.spec for kernel in wanted.kernels if kernel.spec.endswith(".py")):
        assert set(problems.load(folder / Path(spec).name).rungs) == {"numpy"}  # loops would give the solution away


@pytest.mark.release
@pytest.mark.parametrize(("name", "points"), COMPLETE)
def test_model_solution_gets_all_points_and_starter_gets_none(name, points):
    wanted = assignment.load(EXAMPLES / name)
    assert graded(wanted, EXAMPLES / name / "student" / wanted.file)["points"] == 0
    for _ in range(3):  # on a busy machine, a loop may be slow once
        result = graded(wanted, EXAMPLES / name / "solution.py")
        assert result["of"] in (points, points - 2)  # only x86-64 has the test "vectorized"
        lost = [test for test in result["tests"] if test["passed"] is False]
        if any(test["check"] != "speed" for test in lost) or not lost:
            break
    assert not lost, (lost, result["disturbed_by"])
    assert 1 / 4 < grading.expected_seconds(wanted, [(name, EXAMPLES / name / "solution.py")]) / result["seconds"] < 3


def test_expected_seconds_follow_from_the_tests_and_from_the_submissions_that_run(tmp_path, monkeypatch):
    wanted = made(tmp_path, ADDITION + SPEED)
    for name, source in (
        ("anna", "import numba\n"),
        ("ben", "import os\ndef add(x, y, result):\n    os.remove(x)\n"),
        ("carla", "def add(\n"),
    ):
        (tmp_path / f"{name}.py").write_text(source)
    found = [(name, tmp_path / f"{name}.py") for name in ("anna", "ben", "carla", "dora")]
    one = grading.CORRECT + assignment.CHECKS["speed"]
    assert grading.expected_seconds(wanted, found) == one  # the others are refused, or have no file
    assert grading.expected_seconds(wanted, found[:1] * 3) == 3 * one
    assert grading.expected(wanted, found) == ""
    assert grading.expected(wanted, found[:1] * 8) == (  # 8 · 4 s
        "this takes about 30 s on an idle machine (an estimate); a slow kernel takes longer, and one that does not end "
        "adds up to 10 s"
    )
    twice = ADDITION.replace("imports", "seconds = 4\nimports") + ADDITION[ADDITION.index("[[kernel.test") :]
    twice = made(tmp_path, twice + "shapes = [[7]]\n")
    assert grading.expected(twice, found[:1] * 8).endswith("adds up to 8 s")
    monkeypatch.setattr(grading.machine, "cached", lambda: None)
    of_peak = made(tmp_path, ADDITION + SPEED.replace('of = "naive"', ""))
    assert grading.expected_seconds(of_peak, found) == one + estimate.LIMITS


ENDLESS = """
import numba


@numba.njit
def add(a, b, c):
    print("begun")
    while a.size:
        c[0] = 0
"""


def test_interrupt_ends_a_public_test_in_a_compiled_loop(tmp_path):
    (tmp_path / "test_public.py").write_text(student.public_test(made(tmp_path / "work", ADDITION)))
    (tmp_path / "work.py").write_text(ENDLESS)
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    command = [sys.executable, "-u", "test_public.py"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "begun\n"
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=20)
        finally:
            process.kill()


@pytest.mark.slow
def test_public_test_fails_for_the_starter_and_passes_for_the_solution(tmp_path):
    for file in (EXAMPLES / "by_hand" / "student").glob("*.py"):
        (tmp_path / file.name).write_text(file.read_text())
    command = [sys.executable, "test_public.py"]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    assert subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True).returncode
    (tmp_path / "layer.py").write_text((EXAMPLES / "by_hand" / "solution.py").read_text())
    assert not subprocess.run(command, cwd=tmp_path, env=environment, check=False).returncode
