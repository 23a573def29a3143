"""What students hand in: nothing vanishes, and each reason says what to do."""

import csv
import io

import pytest
from command import jitnet_command
from small_assignment import HONEST, graded, made

from jitnet.lab.grade import output, submissions


@pytest.fixture
def addition(tmp_path):
    return made(tmp_path / "addition")


def folder_of(place, *files):
    for name in files:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HONEST if name.lower().endswith(".py") else "{}")
    place.mkdir(exist_ok=True)
    return place


@pytest.mark.parametrize(
    ("files", "error", "note"),
    [
        (["add.py"], "", ""),
        (["add.py", "old.py", "notes.txt"], "", ""),
        (["src/add.py", "old.py"], "", ""),
        (["ADD.PY"], "", "graded ADD.PY, the only Python file; expected add.py"),
        (["work/add (1).py", "x.txt"], "", "graded work/add (1).py, the only Python file; expected add.py"),
        (["add (1).py", "add_old.py"], "two Python files, add (1).py and add_old.py; keep one", ""),
        (["a/add.py", "b/add.py", "c/add.py"], "3 Python files, a/add.py, b/add.py and c/add.py; keep one", ""),
        (["add.ipynb", ".DS_Store", "__pycache__/add.py"], "no add.py; found add.ipynb: hand in a Python file", ""),
        ([], "no add.py; the folder is empty", ""),
    ],
)  # fmt: skip
def test_file_of_a_student_is_found_or_the_reason_says_what_to_do(files, error, note, tmp_path):
    found = submissions.file_of(folder_of(tmp_path / "anna", *files), "add.py")
    assert (found.error, found.note) == (error, note)
    assert bool(found.content) is not bool(error)


def test_links_and_empty_files_are_named(tmp_path):
    folder_of(tmp_path, "ben.py").joinpath("empty.py").write_text(" \n")
    (tmp_path / "anna.py").symlink_to(tmp_path / "ben.py")
    (tmp_path / "dora").mkdir()
    (tmp_path / "dora" / "add.py").symlink_to(tmp_path / "ben.py")
    assert submissions.file_of(tmp_path / "anna.py", "add.py").error == "anna.py is a link; hand in the file itself"
    assert submissions.file_of(tmp_path / "dora", "add.py").error == "add.py is a link; hand in the file itself"
    assert submissions.file_of(tmp_path / "empty.py", "add.py").error == "the file is empty"


CLASS = "anna.py", "anna/add.py", "ben.ipynb", "carla.zip", "DORA.PY", "README.txt", "emil/add.ipynb", "fay/mine.py"


def test_every_student_of_a_class_has_a_row(addition, tmp_path):
    table, place = tmp_path / "class.csv", folder_of(tmp_path / "class", *CLASS)
    said = jitnet_command("grade", tmp_path / "addition", place, "--csv", table, "--quiet").stdout
    rows = {row[0]: row for row in csv.reader(io.StringIO(table.read_text(encoding="utf-8-sig")))}
    points = {name: row[1] for name, row in rows.items() if name != "submission"}
    assert points == {"DORA": "3", "anna": "3", "anna.py": "3", "ben": "0", "carla": "0", "emil": "0", "fay": "3"}
    assert rows["ben"][4] == "no addition.py; found ben.ipynb: hand in a Python file"
    assert rows["fay"][-1] == "graded mine.py, the only Python file; expected addition.py"
    assert "ben: 0 of 3 points; no addition.py; found ben.ipynb: hand in a Python file\n" in said
    assert said.endswith("\nleft out, because it is no submission: README.txt\n")


@pytest.mark.parametrize("file", ["mine.py", "mine.ipynb", "addition.py"])
def test_folder_of_a_student_graded_alone_gets_the_same_as_in_its_class(file, addition, tmp_path):
    anna, _ = folder_of(tmp_path / "class" / "anna", file), folder_of(tmp_path / "class" / "ben", "addition.py")
    ((name, path),) = submissions.find(anna, addition.file)
    assert (name, path) == submissions.find(tmp_path / "class", addition.file)[0]
    result = graded(addition, path)
    assert result["points"] == (3 if file.endswith("py") else 0)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "the file is empty"),
        ("def add(\n", "the file has a syntax error in line 1: '(' was never closed"),
        (
            "import time\nprint(time.time())\n" + HONEST,
            "the file does something outside of its functions; write it below if __name__ == '__main__' (line 2)",
        ),
        (
            "from time import *\n" + HONEST,
            "the file imports time; a submission is one file, which may import numba; for a test of your own, write it "
            "below if __name__ == '__main__' (line 1)",
        ),
        ("class A:\n    pass\n", "the file uses class, which is not part of the language of this assignment (line 1)"),
    ],
)
def test_error_of_the_whole_file_is_not_one_of_a_function(source, said, addition, tmp_path):
    (tmp_path / "anna.py").write_text(source)
    result = graded(addition, tmp_path / "anna.py")
    assert " ".join(output.row_of(result).split()) == f"anna.py: 0 of 3 points; {said}"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "(x, y, result)",
            "(x, y)",
            "; its parameters are (x, y), but must be (a, b, c); the result is written into c",
        ),
        ("x[i]", "x[x.size // 2 + i]", "; x[5] is out of bounds for the shape (5,) (ben.py, line 5)"),
    ],
)
def test_errors_of_a_compiled_submission_name_their_cause(old, new, said, addition, tmp_path):
    path = tmp_path / "ben.py"
    path.write_text(f"import numba\n@numba.njit\n{HONEST.replace(old, new)}")
    assert graded(addition, path)["tests"][0]["said"].endswith(said)


def test_messages_name_the_file_that_was_handed_in(addition, tmp_path):
    path = tmp_path / "dora's work.py"
    path.write_text(HONEST.replace("+ y[i]", "- y[i]"))
    said = graded(addition, path)["tests"][0]["said"]
    assert "is in line 3 of dora's work.py: result[i] = x[i] - y[i]" in said, said
