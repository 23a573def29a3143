"""Breaks kernels on purpose, at least one in every file of kernels, and checks that a test fails.

    python tests/campaign/broken_kernels.py [--only PATTERN] [--list]

Each bug is one that a person could write: a missing bias, a wrong sign, a missing edge case, a missing barrier. A copy
of the checkout gets one bug at a time and runs the tests listed with it: loops as plain Python, GPU kernels in the PTX
interpreter. The exit status is 1 if a bug survives. `mutants.py` chooses its changes at random; these are hand-picked.
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
"""Limit of CPU seconds for the tests of a bug; they usually take a few."""

TABLE = Path(__file__).with_name("kernel_bugs.txt")


class Bug(NamedTuple):
    file: str
    """Path below jitnet/kernels."""
    correct: str
    """Text that occurs once in the file; `wrong` replaces it."""
    wrong: str
    tests: str
    """The file of tests."""
    which: str
    """The expression for `pytest -k`."""


def bugs() -> list[Bug]:
    """All bugs of the table."""
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
    """The result of the tests, "passed" or the failure, and the CPU time."""
    run = Run(folder, [tests, "-k", which], environment_for(file, folder), limit)
    run.start()
    while (ended := run.poll()) is None:
        time.sleep(0.02)
    if not ended[0].startswith(("passed", "time", "FAILED", "ERROR")):
        raise SystemExit(f"{tests} -k '{which}': {ended[0]}")  # for example if no test matches
    return ended


def check_without_bugs(folder: Path, chosen: list[Bug]) -> None:
    """Check that the same tests pass without a bug."""
    for tests in dict.fromkeys(bug.tests for bug in chosen):
        which = " or ".join(dict.fromkeys(f"({bug.which})" for bug in chosen if bug.tests == tests))
        how, _ = outcome(folder, "jitnet/kernels/", tests, which, 10 * LIMIT)
        if how != "passed":
            raise SystemExit(f"without any bug, {tests} fails: {how}")


def verdicts(chosen: list[Bug]) -> Iterator[tuple[Bug, str, float]]:
    """Each bug, the test that failed or "passed", and the CPU time."""
    with copies(1) as (folder,):
        check_without_bugs(folder, chosen)
        for bug in chosen:
            file = f"jitnet/kernels/{bug.file}"
            (folder / file).write_bytes(broken(bug))
            yield (bug, *outcome(folder, file, bug.tests, bug.which))
            (folder / file).write_bytes((ROOT / file).read_bytes())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="PATTERN", default="", help="only bugs in matching files, such as ^cuda/")
    parser.add_argument("--list", action="store_true", help="list the bugs without running tests")
    options = parser.parse_args()
    chosen = [bug for bug in bugs() if re.search(options.only, bug.file)]
    print(f"{len(chosen)} bugs, about {sum(10 if 'cuda' in bug.file else 4 for bug in chosen)} s", flush=True)
    if options.list:
        for bug in chosen:
            print(f"{bug.file}: {bug.correct!r} -> {bug.wrong!r}")
        return 0
    for module in ("numba", "numpy", "pytest"):  # otherwise every run would import them again
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
