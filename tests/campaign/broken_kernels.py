"""Kernels broken on purpose, at least one in every file of kernels: does a test fail?

    python tests/campaign/broken_kernels.py [--only PATTERN] [--list]

Each bug is one that a person could write: a missing bias, a wrong sign, an edge that is left out, a barrier that is
gone. A copy of the checkout gets one bug at a time, and runs the tests that are named beside it: loops as plain
Python, GPU kernels in the PTX interpreter. The exit status is 1 if a bug survives. `mutants.py` draws its changes at
random; these are chosen.
"""

import argparse
import importlib
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mutants import ROOT, Run, copies, environment_for

LIMIT = 120
"""CPU seconds for the tests of a bug; each takes a few."""

TABLE = Path(__file__).with_name("kernel_bugs.txt")


class Bug(NamedTuple):
    file: str
    """Below jitnet/kernels."""
    correct: str
    """What is there once, and `wrong` instead of it."""
    wrong: str
    tests: str
    """A file of tests."""
    which: str
    """Those to run, as `pytest -k` takes them."""


def bugs() -> list[Bug]:
    """Those of the table."""
    found = []
    for block in TABLE.read_text(encoding="utf-8").split("\n\n")[1:]:
        where, *lines = block.rstrip("\n").split("\n")
        file, tests, which = where.split(" ", 2)
        correct, wrong = ("\n".join(line[2:] for line in lines if line[0] == sign) for sign in "-+")
        found.append(Bug(file, correct, wrong, tests, which))
    return found


def broken(bug: Bug) -> bytes:
    """The source of the file with this bug."""
    source = (ROOT / "jitnet/kernels" / bug.file).read_text(encoding="utf-8")
    if (count := source.count(bug.correct)) != 1:
        raise SystemExit(f"{bug.file} contains {bug.correct!r} {count} times, but it must be there once")
    return source.replace(bug.correct, bug.wrong).encode()


def outcome(folder: Path, file: str, tests: str, which: str, limit: float = LIMIT) -> tuple[str, float]:
    """How these tests end: "passed", or what failed; and the CPU time."""
    run = Run(folder, [tests, "-k", which], environment_for(file, folder), limit)
    run.start()
    while (ended := run.poll()) is None:
        time.sleep(0.02)
    if not ended[0].startswith(("passed", "time", "FAILED", "ERROR")):
        raise SystemExit(f"{tests} -k '{which}': {ended[0]}")  # no such test, for example
    return ended


def check_without_faults(folder: Path, chosen: list[Bug]) -> None:
    """The same tests pass as long as nothing is broken."""
    for tests in dict.fromkeys(bug.tests for bug in chosen):
        which = " or ".join(dict.fromkeys(f"({bug.which})" for bug in chosen if bug.tests == tests))
        how, _ = outcome(folder, "jitnet/kernels/", tests, which, 10 * LIMIT)
        if how != "passed":
            raise SystemExit(f"without any bug, {tests} fails: {how}")


def verdicts(chosen: list[Bug]) -> Iterator[tuple[Bug, str, float]]:
    """Each bug, the test that saw it or "passed", and the CPU time."""
    with copies(1) as (folder,):
        check_without_faults(folder, chosen)
        for bug in chosen:
            file = f"jitnet/kernels/{bug.file}"
            (folder / file).write_bytes(broken(bug))
            yield (bug, *outcome(folder, file, bug.tests, bug.which))
            (folder / file).write_bytes((ROOT / file).read_bytes())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="PATTERN", default="", help="those in files of this name, such as ^cuda/")
    parser.add_argument("--list", action="store_true", help="list the bugs, and run nothing")
    options = parser.parse_args()
    chosen = [bug for bug in bugs() if re.search(options.only, bug.file)]
    print(f"{len(chosen)} bugs, about {sum(10 if 'cuda' in bug.file else 4 for bug in chosen)} s", flush=True)
    if options.list:
        for bug in chosen:
            print(f"{bug.file}: {bug.correct!r} -> {bug.wrong!r}")
        return 0
    for module in ("numba", "numpy", "pytest"):  # what every run would import once more
        importlib.import_module(module)
    survived = 0
    for bug, how, seconds in verdicts(chosen):
        survived += how == "passed"
        end = "SURVIVED" if how == "passed" else how.removeprefix("FAILED tests/")
        print(f"{bug.file:<22}{seconds:5.1f} s  {' '.join(bug.wrong.split())[:60]:<62}{end}", flush=True)
    print(f"\n{len(chosen) - survived} of {len(chosen)} bugs made a test fail")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
