"""The checks of `jitnet doctor`: each yields items, and an item may hold the command that fixes it."""

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

OK, NOTE, WRONG = "ok", "note", "wrong"
"""States. Wrong: it does not work, or costs much speed. A note is good to know, such as a missing optional package."""


@dataclass(frozen=True)
class Item:
    """The result of one check."""

    name: str
    state: str
    finding: str
    fix: str | None = None
    """The command that fixes it, if there is one, for this shell and this Python."""


def unset(*names: str) -> str:
    """The command that removes environment variables."""
    return " & ".join(f"set {name}=" for name in names) if os.name == "nt" else f"unset {' '.join(names)}"


def export(name: str, value: str | Path) -> str:
    """The command that sets an environment variable."""
    return f'set "{name}={value}"' if os.name == "nt" else f"export {name}={_quoted(value)}"


def pip_install(*requirements: str, anew: bool = False) -> str:
    """The command that installs packages for this Python and no other."""
    usual, here = shutil.which("python"), Path(sys.executable)
    python = "python" if usual and Path(usual).parent == here.parent and os.path.samefile(usual, here) else str(here)
    options = ["--force-reinstall"] if anew else []
    return " ".join(_quoted(word) for word in (python, "-m", "pip", "install", *options, *requirements))


def _quoted(word: str | Path) -> str:
    return subprocess.list2cmdline([str(word)]) if os.name == "nt" else shlex.quote(str(word))
