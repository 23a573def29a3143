"""Run the lessons of examples/ in this process and read what they print."""

import io
import re
import runpy
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "examples"
LESSONS = sorted(FOLDER.glob("[0-9]*.py"))


def lesson_file(number):
    (file,) = FOLDER.glob(f"{number:02}_*.py")
    return file


def run_here(lesson, *arguments):
    """Exit status, standard output and error of a lesson that runs in this process: kernels are already compiled."""
    printed, errors = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    status = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(lesson), *map(str, arguments)])
        patch.setattr(sys, "stdout", printed)
        patch.setattr(sys, "stderr", errors)
        patch.syspath_prepend(FOLDER)
        patch.delitem(sys.modules, "_course", raising=False)  # the imported module has parsed another command line
        try:
            runpy.run_path(str(lesson), run_name="__main__")
        except SystemExit as ended:
            status = ended.code
        sys.modules.pop("_course", None)
    for stream in (printed, errors):
        stream.seek(0)
    return status, printed.read(), errors.read()


def numbers(text, pattern):
    """All numbers in the lines that match, line by line."""
    lines = [line for line in text.splitlines() if re.search(pattern, line)]
    assert lines, pattern
    return [[float(number) for number in re.findall(r"-?\d+\.?\d*(?:e[+-]?\d+)?", line)] for line in lines]


def answers(text):
    return [block.strip() for block in re.split(r"^answer \d: ", text, flags=re.MULTILINE)[1:]]
