"""Everything that jitnet needs, checked or tried on this machine, with the command that fixes each problem.

A check that raises an exception becomes an item that reports it.
"""

import shutil
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from .. import checks
from ..process.progress import Report, ignore
from .checkup import NOTE, WRONG, Item
from .checkup.hardware import examine_compiler, examine_gpu, examine_load, examine_threads
from .checkup.packages import examine_analyzer, examine_extras, examine_needed, examine_python
from .checkup.settings import examine_cache, examine_settings

EXAMINATIONS: dict[str, Callable[[], Iterator[Item]]] = {
    "python": examine_python, "packages": examine_needed, "settings": examine_settings, "compiler": examine_compiler,
    "threads": examine_threads, "load": examine_load, "cache": examine_cache, "extras": examine_extras,
    "analyzer": examine_analyzer, "GPU": examine_gpu,
}  # fmt: skip


def examine(report: Report = ignore) -> dict[str, Any]:
    """Make all checks.

    Keys: healthy (nothing is wrong), wrong, notes (how many), items: a list of name, state (ok, note or wrong),
    finding, fix (the command that fixes it, or None).
    """
    items: list[Item] = []
    for done, (name, examination) in enumerate(EXAMINATIONS.items()):
        report(done, len(EXAMINATIONS), name)
        try:
            items += examination()
        except Exception as error:  # any exception; the other checks still run
            items.append(Item(name, WRONG, f"could not be examined: {checks.described(error)}"))
    report(len(EXAMINATIONS), len(EXAMINATIONS), "")
    states = [item.state for item in items]
    return {
        "healthy": WRONG not in states, "wrong": states.count(WRONG), "notes": states.count(NOTE),
        "items": [asdict(item) for item in items],
    }  # fmt: skip


def as_text(found: dict[str, Any]) -> str:
    """A table as wide as the terminal."""
    names = max(len(item["name"]) for item in found["items"]) + 2
    space = max(40, shutil.get_terminal_size((80, 24)).columns - 7 - names)
    lines = []
    for item in found["items"]:
        first, *more = textwrap.wrap(item["finding"], space, break_on_hyphens=False) or [""]
        state = "WRONG" if item["state"] == WRONG else item["state"]
        lines.append(f"{state:7}{item['name']:{names}}{first}")
        lines += [" " * (7 + names) + line for line in more]
        if item["fix"]:  # on one line, so that it can be copied
            lines.append(" " * (7 + names) + f"→ {item['fix']}")
    wrong, notes = found["wrong"], found["notes"]
    verdict = "Nothing is wrong" if found["healthy"] else f"{wrong} thing{'s are' if wrong > 1 else ' is'} wrong"
    noted = f"; {notes} note{'s' * (notes > 1)}" if notes else ""
    fixes = " → marks a fix." if any(item["fix"] for item in found["items"]) else ""
    return "\n".join([*lines, "", f"{verdict}{noted}.{fixes}"])
