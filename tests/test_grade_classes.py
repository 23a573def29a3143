"""`jitnet grade` on a folder: the table of a class, and the files for Gradescope."""

import csv
import io
import json

import pytest
from command import jitnet_command
from small_assignment import ADDITION, HONEST, SPEED, made

from jitnet import checks
from jitnet.lab.grade import grading, output, page


@pytest.fixture
def classroom(tmp_path):
    """An assignment, and submissions of which only anna's is correct."""
    folder = tmp_path / "class"
    (folder / "ben").mkdir(parents=True)
    (folder / "=cmd()").mkdir()
    (folder / "empty").mkdir()
    (folder / "anna.py").write_text(HONEST)
    (folder / "ben" / "work.py").write_text("import os\n")
    (folder / "=cmd()" / "<b>.py").write_text("<script>alert(1)</script>")
    made(tmp_path / "addition")
    return tmp_path / "addition", folder


def test_whole_class_is_graded(classroom, tmp_path):
    table, html = tmp_path / "class.csv", tmp_path / "class.html"
    found = jitnet_command("grade", *classroom, "--csv", table, "--html", html, "--json", "--quiet", "--seed", "5")
    results = json.loads(found.stdout)["results"]
    assert [(r["submission"], r["points"], r["of"]) for r in results] == [
        ("=cmd()", 0, 3), ("anna", 3, 3), ("ben", 0, 3), ("empty", 0, 3)
    ]  # fmt: skip
    rows = list(csv.reader(io.StringIO(table.read_text())))
    assert rows[0] == ["submission", "points", "of", "add: correct", "first lost point", "not judged", "disturbed by"]
    assert rows[1][0] == "'=cmd()"
    assert rows[2] == ["anna", "3", "3", "3", "", "", ""]
    assert "imports os" in rows[3][4]
    text = html.read_text()
    assert "<script" not in text
    assert "<p>4 submissions, median 0 of 3 points</p>" in text
    assert '<td>add: correct</td><td><progress value="1" max="4"></progress></td><td>1 of 4</td>' in text
    assert "To repeat these tests: --seed 5" in text


def test_grades_before_an_interruption_are_kept_for_the_class(classroom, tmp_path, monkeypatch):
    real = grading.grade

    def interrupted(wanted, name, *others):
        if name != "=cmd()":
            raise KeyboardInterrupt
        return real(wanted, name, *others)

    monkeypatch.setattr(grading, "grade", interrupted)
    table = tmp_path / "class.csv"
    found = jitnet_command("grade", *classroom, "--csv", table, "--quiet", status=130)
    assert len(table.read_text().splitlines()) == 2
    assert "=cmd(): 0 of 3 points" in found.stdout
    assert "1 of 4 submissions were graded" in found.stderr


def test_gradescope_results_are_written(classroom, tmp_path):
    folder, submissions = classroom
    results = tmp_path / "results.json"
    work, plain = submissions / "ben" / "work.py", tmp_path / "plain.json"
    found = jitnet_command("grade", folder, work, "--gradescope", results, "--quiet", "--json", plain)
    assert json.loads(plain.read_text())["of"] == 3
    content = json.loads(results.read_text())
    assert (content["score"], content["tests"][0]["max_score"]) == (0, 3)
    assert content["tests"][0]["status"] == "failed"
    assert "imports os" in content["tests"][0]["output"]
    assert "imports os" in found.stdout
    assert "--csv" in jitnet_command("grade", folder, submissions, "--gradescope", results, status=2).stderr


def test_how_many_passed_each_test_is_shown_for_a_class(classroom):
    found = jitnet_command("grade", *classroom, "--quiet").stdout
    assert found.endswith("\n\n4 submissions, median 0 of 3 points; passed by:\n   1 of 4    add: correct\n")


def test_tests_that_were_not_judged_are_not_counted_as_failed():
    def result(points, *passed):
        tests = [{"test": name, "passed": is_passed} for name, is_passed in zip("ab", passed, strict=True)]
        return {"points": points, "of": 4, "tests": tests}

    results = [result(4, True, True), result(1.5, True, None), result(0, False, False), result(3, True, None)]
    assert output.passed_by(results) == [("a", 3, 4), ("b", 1, 2)]
    assert output.median_of(results) == "median 2.25 of 4 points"


UNJUDGED = "not judged: the rung naive takes more than two minutes to compile"


def test_test_that_was_not_judged_does_not_look_like_full_marks():
    judged = {"kernel": "add", "test": "add: correct", "check": "correct", "points": 3, "of": 3, "passed": True}
    speed = {"test": "add: fast", "check": "speed", "points": 0.0, "of": 4, "passed": None, "said": UNJUDGED}
    found = {
        "assignment": "Addition", "submission": "anna.py", "points": 3, "of": 3, "unfenced": "", "disturbed_by": [],
        "tests": [judged | {"said": "right", "hint": ""}, judged | speed | {"hint": ""}], "seed": 1,
    }  # fmt: skip
    points = "3 of 3 points, 1 test not judged"
    assert " ".join(output.row_of(found).split()) == f"anna.py: {points}; add: fast: {UNJUDGED}"
    assert output.as_text(found).splitlines() == [
        f"anna.py: {points}", "", "✓    3 of 3  add: correct", "–    – of 4  add: fast", f"    {UNJUDGED}"
    ]  # fmt: skip
    head, row = csv.reader(io.StringIO(output.as_table([found])))
    assert dict(zip(head, row, strict=True)) == {
        "submission": "anna.py", "points": "3", "of": "3", "add: correct": "3", "add: fast": "not judged",
        "first lost point": "", "not judged": f"add: fast: {UNJUDGED}", "disturbed by": "",
    }  # fmt: skip
    html = page.as_html([found, found])
    assert html.count(f"<td>{points}</td>") == 2
    assert f"<p>{UNJUDGED}</p></td><td>not judged</td></tr>" in html


RUNG = """
import numba
def inputs(shape, dtype, rng):
    return (rng.standard_normal(shape).astype(dtype),)
def reference(x):
    return 2 * x
SHAPES, TIMED = [(3,), (5,)], [(300_000,)]
def flops(shape):
    return shape[0]
def memory(shape, dtype):
    return 2 * shape[0] * dtype.itemsize
@numba.njit
def naive(x, y):
    for i in range(x.size):
        y[i] = 3 * x[i]
RUNGS = (naive,)
"""


def test_wrong_rung_in_the_file_of_a_problem_ends_the_run(tmp_path):
    (tmp_path / "double.py").write_text(RUNG)
    text = ADDITION.replace('problem = "vector_add"', 'problem = "double.py"') + SPEED
    with pytest.raises(checks.Error, match=r"double\.py: the rung naive is wrong: 300000 of 300000 wrong, first at "):
        grading.prepare(made(tmp_path, text), 1)
    (tmp_path / "double.py").write_text(RUNG.replace("3 * x[i]", "2 * x[i]"))
    grading.prepare(made(tmp_path, text), 1)
