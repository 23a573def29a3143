"""Kernels broken on purpose, at least one in every file of kernels: does a test fail?

    python tests/campaign/broken_kernels.py [--only PATTERN] [--list]

Each fault is one that a person could write: a missing bias, a wrong sign, an edge that is left out, a barrier that is
gone. A copy of the checkout gets one fault at a time, and runs the tests that are named beside it: loops as plain
Python, GPU kernels in the PTX interpreter. The exit status is 1 if a fault survives. `mutants.py` draws its changes at
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
"""CPU seconds for the tests of a fault; each takes a few."""

TABLE = Path(__file__).with_name("kernel_faults.txt")


class Fault(NamedTuple):
    file: str
    """Below jitnet/kernels."""
    correct: str
    """What is there once, and `wrong` instead of it."""
    wrong: str
    tests: str
    """A file of tests."""
    which: str
    """Those to run, as `pytest -k` takes them."""


def faults() -> list[Fault]:
    """Those of the table."""
    found = []
    for block in TABLE.read_text(encoding="utf-8").split("\n\n")[1:]:
        where, *lines = block.rstrip("\n").split("\n")
        file, tests, which = where.split(" ", 2)
        correct, wrong = ("\n".join(line[2:] for line in lines if line[0] == sign) for sign in "-+")
        found.append(Fault(file, correct, wrong, tests, which))
    return found


def broken(fault: Fault) -> bytes:
    """The source of the file with this fault."""
    source = (ROOT / "jitnet/kernels" / fault.file).read_text(encoding="utf-8")
    if (count := source.count(fault.correct)) != 1:
        raise SystemExit(f"{fault.file} contains {fault.correct!r} {count} times, but it must be there once")
    return source.replace(fault.correct, fault.wrong).encode()


def outcome(folder: Path, file: str, tests: str, which: str, limit: float = LIMIT) -> tuple[str, float]:
    """How these tests end: "passed", or what failed; and the CPU time."""
    run = Run(folder, [tests, "-k", which], environment_for(file, folder), limit)
    run.start()
    while (ended := run.poll()) is None:
        time.sleep(0.02)
    if not ended[0].startswith(("passed", "time", "FAILED", "ERROR")):
        raise SystemExit(f"{tests} -k '{which}': {ended[0]}")  # no such test, for example
    return ended


def check_without_faults(folder: Path, chosen: list[Fault]) -> None:
    """The same tests pass as long as nothing is broken."""
    for tests in dict.fromkeys(fault.tests for fault in chosen):
        which = " or ".join(dict.fromkeys(f"({fault.which})" for fault in chosen if fault.tests == tests))
        how, _ = outcome(folder, "jitnet/kernels/", tests, which, 10 * LIMIT)
        if how != "passed":
            raise SystemExit(f"without any fault, {tests} fails: {how}")


def verdicts(chosen: list[Fault]) -> Iterator[tuple[Fault, str, float]]:
    """Each fault, the test that saw it or "passed", and the CPU time."""
    with copies(1) as (folder,):
        check_without_faults(folder, chosen)
        for fault in chosen:
            file = f"jitnet/kernels/{fault.file}"
            (folder / file).write_bytes(broken(fault))
            yield (fault, *outcome(folder, file, fault.tests, fault.which))
            (folder / file).write_bytes((ROOT / file).read_bytes())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="PATTERN", default="", help="those in files of this name, such as ^cuda/")
    parser.add_argument("--list", action="store_true", help="list the faults, and run nothing")
    options = parser.parse_args()
    chosen = [fault for fault in faults() if re.search(options.only, fault.file)]
    print(f"{len(chosen)} faults, about {sum(10 if 'cuda' in fault.file else 4 for fault in chosen)} s", flush=True)
    if options.list:
        for fault in chosen:
            print(f"{fault.file}: {fault.correct!r} -> {fault.wrong!r}")
        return 0
    for module in ("numba", "numpy", "pytest"):  # what every run would import once more
        importlib.import_module(module)
    survived = 0
    for fault, how, seconds in verdicts(chosen):
        survived += how == "passed"
        end = "SURVIVED" if how == "passed" else how.removeprefix("FAILED tests/")
        print(f"{fault.file:<22}{seconds:5.1f} s  {' '.join(fault.wrong.split())[:60]:<62}{end}", flush=True)
    print(f"\n{len(chosen) - survived} of {len(chosen)} faults made a test fail")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
