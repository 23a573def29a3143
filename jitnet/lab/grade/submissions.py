"""What students handed in: the submissions of a folder, and the Python file of each.

Nothing vanishes: what cannot be graded gets a row with the reason, and other files are named.
"""

import os
import stat
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ... import checks
from .language import LONGEST

PYTHON = ".py"

PACKED = (".ipynb", ".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
"""Notebooks and archives: a student's work, but not a Python file."""


@dataclass(frozen=True)
class File:
    """The file of a submission."""

    path: Path
    content: bytes = b""
    error: str = ""
    """Why there is nothing to grade, as a sentence."""
    note: str = ""
    """What a reader of the result should know about it."""


def find(place: str | Path, file: str) -> list[tuple[str, Path]]:
    """Names and paths, of files or folders, of a submission, or of all in a folder.

    In a folder, each Python file, notebook and archive is a submission, and so is each folder. A folder that has a
    file of the wanted name, or nothing but one of these files, is itself a submission.
    """
    path = Path(place)
    if not path.is_dir():
        if not path.exists():
            raise checks.Error(f"there is no submission {place}; expected a Python file, or a folder of submissions")
        if not _is_python(path):
            raise checks.Error(f"{place} is not a Python file; the name of a submission ends with .py")
        return [(path.name, path)]
    found = [entry for entry in _visible(path) if _is_work(entry)]
    if (path / file).is_file() or (len(found) == 1 and not found[0].is_dir()):
        return [(path.resolve().name, path)]
    if not found:
        raise checks.Error(f"{place} has no submissions; expected Python files, or a folder for each student")
    times = Counter(map(_name, found))
    return [(_name(entry) if times[_name(entry)] == 1 else entry.name, entry) for entry in found]


def left_out(place: str | Path, file: str) -> list[str]:
    """Names of the files in a folder of submissions that are none."""
    path = Path(place)
    if not path.is_dir() or (path / file).is_file():
        return []
    return [entry.name for entry in _visible(path) if not _is_work(entry)]


def file_of(path: Path, wanted: str) -> File:
    """The Python file of a submission: the file itself; in a folder, the one of the wanted name, or the only one."""
    if path.is_symlink():
        return File(path, error=f"{path.name} is a link; hand in the file itself")
    if path.is_dir():
        return _file_in(path, wanted)
    if not _is_python(path):
        return File(path, error=f"no {wanted}; found {path.name}: hand in a Python file")
    return _read(path)


def _file_in(folder: Path, wanted: str) -> File:
    if (folder / wanted).exists():
        return file_of(folder / wanted, wanted)
    entries = [entry for entry in sorted(folder.rglob("*")) if _is_shown(entry.relative_to(folder))]
    files = [entry for entry in entries if entry.is_symlink() or not entry.is_dir()]
    python = [entry for entry in files if _is_python(entry)]
    chosen = [entry for entry in python if entry.name == wanted] or python
    names = [str(entry.relative_to(folder)) for entry in chosen]
    if len(chosen) == 1:
        found = file_of(chosen[0], wanted)
        is_other = chosen[0].name != wanted
        note = f"graded {names[0]}, the only Python file; expected {wanted}" if is_other and not found.error else ""
        return File(found.path, found.content, found.error, note)
    if chosen:
        count = "two" if len(chosen) == 2 else str(len(chosen))
        listed = checks.joined(names) if len(names) < 5 else checks.some(names)
        return File(folder / wanted, error=f"{count} Python files, {listed}; keep one")
    there = checks.some([str(entry.relative_to(folder)) for entry in files])
    found_there = f"found {there}: hand in a Python file" if there else "the folder is empty"
    return File(folder / wanted, error=f"no {wanted}; {found_there}")


def _read(path: Path) -> File:
    """The bytes of a file. It may have become a link since: that could lead to the solution."""
    try:
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        return File(path, error=f"{path.name} cannot be read: {error.strerror}")
    with os.fdopen(number, "rb") as file:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            return File(path, error=f"{path.name} is not a file")
        content = file.read(LONGEST + 1)
    return File(path, content, "" if content.strip() else "the file is empty")


def _visible(folder: Path) -> list[Path]:
    return [entry for entry in sorted(folder.iterdir()) if _is_shown(Path(entry.name))]


def _is_shown(path: Path) -> bool:
    """False for what systems add: .DS_Store, __MACOSX, __pycache__."""
    return not any(part.startswith((".", "__")) for part in path.parts)


def _is_python(path: Path) -> bool:
    return path.suffix.lower() == PYTHON


def _is_work(entry: Path) -> bool:
    """Whether it is a submission, and not a file of the course such as README.txt."""
    return entry.is_dir() or _is_python(entry) or entry.suffix.lower() in PACKED


def _name(entry: Path) -> str:
    return entry.name if entry.is_dir() else entry.stem
