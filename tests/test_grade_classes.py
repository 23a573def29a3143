"""`jitnet grade` on a folder: the table of a class, and the files for Gradescope."""

import csv
import io
import json
import re
import shlex
import sys
import unicodedata

import pytest
from command import jitnet_command
from small_assignment import ADDITION, HONEST, SPEED, made

from jitnet import checks, cli
from jitnet.cli import grade as cli_grade
from jitnet.lab.grade import grading, judging, output, page, table


@pytest.fixture
def classroom(tmp_path):
    """An assignment, and submissions of which only anna's is correct."""
    folder = tmp_path / "class"
    (folder / "ben").mkdir(parents=True)
    (folder / "=cmd()").mkdir()
    (folder / "empty").mkdir()
    (folder / "anna.py").write_text(HONEST)
    (folder / "ben" / "work.py").write_text("import os\ndef add(x, y, c):\n    os.remove(x)\n")
    (folder / "=cmd()" / "<b>.py").write_text("<script>alert(1)</script>")
    made(tmp_path / "addition")
    return tmp_path / "addition", folder


def test_whole_class_is_graded(classroom, tmp_path):
    path, html = tmp_path / "class.csv", tmp_path / "class.html"
    found = jitnet_command("grade", *classroom, "--csv", path, "--html", html, "--json", "--quiet", "--seed", "5")
    results = json.loads(found.stdout)["results"]
    assert [(r["submission"], r["points"], r["of"]) for r in results] == [
        ("=cmd()", 0, 3), ("anna", 3, 3), ("ben", 0, 3), ("empty", 0, 3)
    ]  # fmt: skip
    rows = list(csv.reader(io.StringIO(path.read_text(encoding=table.ENCODING))))
    assert rows[0] == [
        "submission",
        "points",
        "of",
        "add: correct",
        "first lost point",
        "not judged",
        "disturbed by",
        "note",
    ]
    assert rows[1][0] == "'=cmd()"
    assert rows[2] == ["anna", "3", "3", "3", "", "", "", ""]
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
    assert len(table.read_text(encoding="utf-8-sig").splitlines()) == 2
    assert "=cmd(): 0 of 3 points" in found.stdout
    said = "1 of 4 submissions were graded; to continue with the same tests: --seed "
    monkeypatch.undo()
    command = ["grade", *classroom, "--csv", table, *found.stderr.partition("tests: ")[2].splitlines()[0].split()]
    assert said in found.stderr
    assert command[-4:] == ["--only", "anna", "ben", "empty"]
    said = jitnet_command(*command).stderr
    assert f"{table}: 4 rows: 1 kept, 3 added\n" in said
    assert f"--seed {command[command.index('--seed') + 1]}" in said
    assert [line.partition(",")[0] for line in table.read_text(encoding="utf-8-sig").splitlines()[1:]] == [
        "'=cmd()",
        "anna",
        "ben",
        "empty",
    ]


@pytest.mark.parametrize(
    ("only", "chosen"),
    [
        (["--only", "anna"], {"anna"}),
        (["--only", "class/anna.py", "ben"], {"anna", "ben"}),
        (["--only", "class/ben/work.py", "class/anna.py/"], {"anna", "ben"}),
        (["--only", "ben.py", "--only=-x"], {"ben.py", "-x"}),
        (["--only", unicodedata.normalize("NFC", "jörg")], {unicodedata.normalize("NFD", "jörg")}),
    ],
)
def test_only_takes_names_as_a_shell_and_a_system_write_them(only, chosen, classroom, monkeypatch):
    _, folder = classroom
    for name in ("ben", "-x", unicodedata.normalize("NFD", "jörg")):
        (folder / f"{name}.py").write_text(HONEST)
    monkeypatch.chdir(folder.parent)
    again = []
    monkeypatch.setattr(grading, "prepare", lambda *_: sys.exit())
    monkeypatch.setattr(cli_grade._Run, "end", lambda run: again.append(run._only([name for name, _ in run.found])))
    with pytest.raises(SystemExit):
        cli.main(["grade", *map(str, classroom), "--quiet", *only])
    options = cli.parser().parse_args(["grade", "addition", "class", *shlex.split(again[0])])
    assert set(options.only) == chosen


def test_regrading_one_student_keeps_the_rows_of_the_others(classroom, tmp_path):
    addition, folder = classroom
    table, html = tmp_path / "class.csv", tmp_path / "class.html"
    jitnet_command("grade", *classroom, "--csv", table, "--html", html, "--quiet")
    before = table.read_text(encoding="utf-8-sig").splitlines()
    (folder / "ben" / "work.py").write_text(HONEST)
    for submission in ((folder, "--only", "ben"), (folder / "anna.py",)):
        found = jitnet_command("grade", addition, *submission, "--csv", table)
        assert f"{table}: 4 rows: 1 replaced, 3 kept\n" in found.stderr
    after = table.read_text(encoding="utf-8-sig").splitlines()
    (changed,) = (line for line in after if line not in before)
    assert changed == 'ben,3,3,3,,,,"graded work.py, the only Python file; expected addition.py"'
    assert [line.partition(",")[0] for line in after] == [line.partition(",")[0] for line in before]
    said = jitnet_command("grade", *classroom, "--html", html, "--only", "ben", status=2).stderr
    assert f"{html} exists, and would lose the results of all that --only leaves out; name another file" in said
    assert "did you mean 'ben'" in jitnet_command("grade", *classroom, "--only", "benn", status=2).stderr
    (tmp_path / "addition" / "assignment.toml").write_text(ADDITION + SPEED)
    said = jitnet_command("grade", *classroom, "--csv", table, status=2).stderr
    assert f"{table} exists, but is not a table of this assignment and its tests; name another file" in said
    assert table.read_text(encoding="utf-8-sig").splitlines() == after


@pytest.mark.parametrize(("disturbed", "points"), [(2, "5"), (9, "3")])
def test_speed_that_was_disturbed_is_timed_again_or_left_open(disturbed, points, tmp_path, monkeypatch):
    """The rung takes 1 s. While another program runs, the submission takes 3 s, which is too long, and then 1 s."""
    times = []

    def times_of(self, *_):
        times.append(len(times) < disturbed)
        self.timing_disturbed_by = self.disturbed_by = ["a game"] * times[-1]
        return 1.0 + 2 * times[-1], 1.0

    monkeypatch.setattr(judging.Judge, "_times", times_of)
    monkeypatch.setattr("jitnet.cli.grade.PAUSE", 0)
    made(tmp_path / "addition", ADDITION + SPEED)
    (tmp_path / "class").mkdir()
    for name in ("anna", "ben"):
        (tmp_path / "class" / f"{name}.py").write_text(HONEST)
    path = tmp_path / "class.csv"
    found = jitnet_command("grade", tmp_path / "addition", tmp_path / "class", "--csv", path, "--only", "ben")
    assert len(times) == min(disturbed + 1, 1 + cli_grade.AGAIN)
    repeat = r"repeating disturbed tests of speed \((\d) of at most 3 times\), submission 1 of 1: ben, add, .*, again, "
    assert re.findall(repeat + r"about \d+ s left\n", found.stderr) == ["1", "2", "3"][: len(times) - 1]
    (row,) = csv.DictReader(io.StringIO(path.read_text(encoding=table.ENCODING)))
    assert (row["points"], row["of"]) == (points, points)
    speed = row["add: at least 50% of the speed of naive for (300000,)"]
    if points == "5":
        assert speed == "2"
        assert row["not judged"] == row["disturbed by"] == ""
        assert "busy" not in found.stderr
    else:
        assert speed == "not judged"
        assert "33% of the speed of naive, but a game" in row["not judged"]
        assert re.search(r"machine was busy; run it again when it is idle: --seed \d+ --only ben\n", found.stderr)


@pytest.mark.parametrize(("seconds", "passed"), [(9.0, None), (40.0, False)])
def test_only_a_kernel_that_is_far_too_slow_loses_its_points_on_a_busy_machine(seconds, passed, tmp_path, monkeypatch):
    def times_of(self, *_):
        self.timing_disturbed_by = ["a game"]
        return seconds, 1.0

    monkeypatch.setattr(judging.Judge, "_times", times_of)
    wanted = made(tmp_path, ADDITION + SPEED)
    judge = judging.Judge(wanted, wanted.kernels[0], "", 1)
    assert judge._fast(wanted.kernels[0].tests[1])[0] is passed


def test_points_are_printed_after_each_submission_with_the_time_that_is_left(classroom, monkeypatch):
    printed, real = [], grading.grade

    def grade(*arguments):
        printed.append(sys.stdout.getvalue())
        return real(*arguments) | {"seconds": 60}

    monkeypatch.setattr(grading, "grade", grade)
    monkeypatch.setattr(grading, "seconds_of_each", lambda *_: [0, 2, 4, 4])
    found = jitnet_command("grade", *classroom)
    assert [text.count(" of 3 points") for text in printed] == [0, 1, 2, 3]
    left = [line.partition(", about ")[2] for line in found.stderr.splitlines() if ": add, correct" in line]
    assert left == [""]  # the others do not run
    done = {"seconds": 0, "disturbed_by": [], "tests": []}
    assert grading.left([0, 2, 4, 4], [done]) == ""
    assert grading.left([0, 2, 4, 4], [done, done | {"seconds": 60}]) == ", about 4 min left"
    open_one = {"seconds": 60, "disturbed_by": ["a game"], "tests": [{"check": "speed", "passed": None}] * 2}
    assert grading.left([0, 2, 4, 4], [done, open_one]) == ", about 8 min left, with 2 repeats"  # 30 · (8 + 2 · 4) s


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
        "tests": [judged | {"said": "right", "hint": ""}, judged | speed | {"hint": ""}], "seed": 1, "refused": "",
        "note": "",
    }  # fmt: skip
    points = "3 of 3 points, 1 test not judged"
    assert " ".join(output.row_of(found).split()) == f"anna.py: {points}; add: fast: {UNJUDGED}"
    assert output.as_text(found).splitlines() == [
        f"anna.py: {points}", "", "✓    3 of 3  add: correct", "–    – of 4  add: fast", f"    {UNJUDGED}"
    ]  # fmt: skip
    assert table.row_of(found) == ["anna.py", "3", "3", "3", "not judged", "", f"add: fast: {UNJUDGED}", "", ""]
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


def test_table_opens_in_spreadsheets_and_keeps_its_keys(classroom, tmp_path):
    """Excel needs the byte order mark; a cell is changed only if a spreadsheet would run something."""
    addition, folder = classroom
    names = ["=cmd", "-anna", "@ben", "Müller, Jörg", "=HYPERLINK(1)", "=cmd|' -C calc'!A0", "+a!b"]
    for name in names:
        (folder / f"{name}.py").write_text(HONEST if name == "Müller, Jörg" else "x = 3\n")
    path = tmp_path / "class.csv"
    for options in (["--only", *names[2:]], []):
        found = jitnet_command("grade", addition, folder, "--csv", path, "--quiet", *options)
    assert "11 rows: 5 replaced, 6 added" in found.stderr
    assert path.read_bytes().startswith(b"\xef\xbb\xbfsubmission,")
    keys = {row["submission"] for row in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")))}
    changed = {"'=HYPERLINK(1)", "'=cmd|' -C calc'!A0", "'+a!b", "'=cmd()"}
    assert keys == {"=cmd", "-anna", "@ben", "Müller, Jörg", "anna", "ben", "empty", *changed}


def test_each_student_gets_a_page_with_their_results_alone(classroom, tmp_path):
    addition, folder = classroom
    (folder / "ben" / "work.py").write_text(HONEST.replace("+ y[i]", "- y[i]"))
    pages = tmp_path / "out" / "feedback"
    (folder / f"{'x' * 252}.py").write_text("x = 3\n")
    jitnet_command("grade", addition, folder, "--feedback", pages, "--quiet")
    names = ["=cmd().html", "anna.html", "ben.html", "empty.html", f"{'x' * 40}-5.html"]
    assert sorted(path.name for path in pages.iterdir()) == names
    text = (pages / "ben.html").read_text()
    assert "<h2>ben: 0 of 3 points</h2>" in text
    assert "result[i] = x[i] - y[i]" in text
    assert "Hint: one loop" in text
    assert "Graded work.py, the only Python file; expected addition.py." in text
    assert not any(name in text for name in ("anna", "empty", "cmd()"))
    said = jitnet_command("grade", addition, folder, "--feedback", folder / "feedback", status=2).stderr
    assert "is in the folder of the submissions; name a folder outside of it" in said
    (tmp_path / "file").write_text("")
    said = jitnet_command("grade", addition, folder, "--feedback", tmp_path / "file", status=2).stderr
    assert f"cannot write into the folder {tmp_path / 'file'}: " in said


def test_only_a_result_with_an_open_test_says_that_times_are_uncertain():
    test = {"passed": True, "said": "1.0 ms"}
    found = {"note": "", "unfenced": "", "disturbed_by": ["a game used a core"], "tests": [test]}
    assert output.notes_of(found) == []  # a student can do nothing about it, and no point depends on it
    found["tests"] = [test, test | {"passed": None}]
    assert output.notes_of(found)[0].startswith("A game used a core, so times and ratios are too uncertain")
