"""What an examination finds, and the commands that fix it, in the words of this machine's shell and Python."""

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

OK, NOTE, WRONG = "ok", "note", "wrong"
"""States. Wrong is what does not work, or costs much speed; a note is worth knowing, such as what could be added."""


@dataclass(frozen=True)
class Item:
    """One thing that was looked at."""

    name: str
    state: str
    finding: str
    fix: str | None = None
    """The command that fixes it, where there is one."""


def unset(*names: str) -> str:
    """Forget these variables of the environment."""
    return " & ".join(f"set {name}=" for name in names) if os.name == "nt" else f"unset {' '.join(names)}"


def export(name: str, value: str | Path) -> str:
    """Set a variable of the environment."""
    return f'set "{name}={value}"' if os.name == "nt" else f"export {name}={quoted(value)}"


def pip_install(*requirements: str, anew: bool = False) -> str:
    """Install packages for this Python and no other."""
    usual, here = shutil.which("python"), Path(sys.executable)
    python = "python" if usual and Path(usual).parent == here.parent and os.path.samefile(usual, here) else str(here)
    options = ["--force-reinstall"] if anew else []
    return " ".join(quoted(word) for word in (python, "-m", "pip", "install", *options, *requirements))


def quoted(word: str | Path) -> str:
    """A word as the shell reads it."""
    return subprocess.list2cmdline([str(word)]) if os.name == "nt" else shlex.quote(str(word))
