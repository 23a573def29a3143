"""`jitnet grade` on a folder: the table of a class, and the files for Gradescope."""

import csv
import io
import json

import pytest
from command import jitnet_command
from small_assignment import HONEST, made

from jitnet.lab.grade import grading


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
    assert rows[0] == ["submission", "points", "of", "add: correct", "first lost point", "disturbed by"]
    assert rows[1][0] == "'=cmd()"
    assert rows[2] == ["anna", "3", "3", "3", "", ""]
    assert "imports os" in rows[3][-2]
    assert "<script" not in html.read_text()
    assert "To repeat these tests: --seed 5" in html.read_text()


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
