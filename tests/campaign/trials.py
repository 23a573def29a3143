"""Code that these scripts share: numbered random cases, progress output, a summary, and forked processes.

A case depends only on (seed, number), so `--case NUMBER` repeats a failed one. This module is imported before NumPy
and Numba: unless the environment sets it, they use one thread, because a process with threads cannot be forked safely.
"""

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402


class TrialError(Exception):
    """The error that a case found, in one line."""


def arguments(about: str, count: int, unit: str, **choices: list[str]) -> argparse.Namespace:
    """The options of all scripts, and additional options with choices."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=count, metavar="N", help=f"{unit} to try (default {count})")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the random cases (default 0)")
    parser.add_argument("--minutes", type=float, metavar="M", help="stop after this many minutes at the latest")
    parser.add_argument("--case", type=int, metavar="NUMBER", help="repeat only this case")
    for name, known in choices.items():
        parser.add_argument(f"--{name}", choices=known, help="only these")
    given = parser.parse_args()
    if given.count < 1:
        parser.error(f"--count is {given.count}, but must be at least 1")
    return given


def run(
    given: argparse.Namespace,
    unit: str,
    each: float,
    trial: Callable[[int, np.random.Generator], tuple[int, str]],
    per_case: int = 1,
) -> int:
    """Run cases until `--count` units are done; returns the exit status.

    each      approximate seconds per unit, for the estimate
    trial     called with the case's number and its own random generator; returns how many units it tried, and of
              what kind; raises TrialError, or anything else, if something is wrong
    per_case  units that count as tried where a case fails
    """
    began, done, number, failures, kinds = time.monotonic(), 0, 0, [], {}
    if given.case is None:
        say(f"{given.count} {unit}, seed {given.seed}: about {length(given.count * each)}")
    spoken = began
    while done < given.count and not (given.minutes and time.monotonic() - began > 60 * given.minutes):
        number = number if given.case is None else given.case
        try:
            units, kind = trial(number, np.random.default_rng((given.seed, number)))
        except Exception as error:
            units, kind = per_case, "failed"
            failures.append(number)
            say(f"case {number} failed: {error if isinstance(error, TrialError) else traceback.format_exc()}")
        done, number, kinds[kind] = done + units, number + 1, kinds.get(kind, 0) + units
        now = time.monotonic()
        if given.case is not None:
            break
        if now - spoken > 10:
            spoken, left = now, (now - began) * (given.count - done) / done
            if given.minutes:
                left = min(left, began + 60 * given.minutes - now)
            say(f"{done} of {given.count} {unit}, {len(failures)} failures, about {length(max(left, 0))} left")
    tried = ", ".join(f"{units} {kind}" for kind, units in sorted(kinds.items()) if kind != "failed")
    repeat = f"; repeat one with --seed {given.seed} --case {failures[0]}" if failures else ""
    print(f"{done} {unit} in {length(time.monotonic() - began)} ({tried}): {len(failures)} failed{repeat}", flush=True)
    return 1 if failures else 0


def say(text: str) -> None:
    """Print a line of progress on standard error."""
    print(text, file=sys.stderr, flush=True)


def length(seconds: float) -> str:
    """A duration as readable text."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder for the files of a script and its cache; the user's files are not used."""
    with tempfile.TemporaryDirectory(prefix="jitnet-trials-") as folder:
        yield Path(folder)


def fork(work: Callable[[], int], errors: Path | int) -> int:
    """Start a process with the imports of this one that calls `work` and ends with the returned status.

    It leads its own process group, so that leftover child processes can be found; its output goes to `errors`.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process:
        with contextlib.suppress(OSError):  # the child may already have done it
            os.setpgid(process, process)
        return process
    status = 70
    try:
        os.setpgid(0, 0)
        target = errors if isinstance(errors, int) else os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(target, 1)
        os.dup2(target, 2)
        status = work()
    except KeyboardInterrupt:
        status = 130
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 70
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def status_of(process: int, seconds: float = 30) -> int:
    """Wait for a process: its exit status, or minus the signal that ended it. TrialError if it does not end."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(2e-4)
    end(process)
    raise TrialError(f"the process did not end within {seconds:g} s")


def end(process: int) -> None:
    """Kill a child process and reap it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)


def check_group_is_gone(process: int) -> None:
    """Check that the process group is empty."""
    try:
        os.killpg(process, 0)
    except ProcessLookupError:
        return
    os.killpg(process, signal.SIGKILL)
    raise TrialError("a process is left over")


def choose(rng: np.random.Generator, choices: Any) -> Any:
    """A random element. `rng.choice` would first convert a list of mixed types to an array."""
    return choices[int(rng.integers(len(choices)))]
