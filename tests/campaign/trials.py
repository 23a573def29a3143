"""What these scripts share: numbered cases drawn from a seed, progress output, a summary, and forked processes.

A case depends on (seed, number) alone, so `--case NUMBER` repeats a failed one. This module is imported before NumPy
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
    """What a case found to be wrong, in one line."""


def arguments(about: str, count: int, unit: str, **choices: list[str]) -> argparse.Namespace:
    """The options that all scripts take, and those that pick one of some choices."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=count, metavar="N", help=f"{unit} to try (default {count})")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed that cases are drawn from (default 0)")
    parser.add_argument("--minutes", type=float, metavar="M", help="stop after this many minutes, whatever the count")
    parser.add_argument("--case", type=int, metavar="NUMBER", help="repeat this case alone")
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
    """Try case after case until `--count` units are done; the exit status.

    each      seconds that one unit takes, about: for the estimate
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
    """A line of progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


def length(seconds: float) -> str:
    """A duration for people."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for the files of a script, and for its cache; nothing of the user's is touched."""
    with tempfile.TemporaryDirectory(prefix="jitnet-trials-") as folder:
        yield Path(folder)


def fork(work: Callable[[], int], errors: Path | int) -> int:
    """Start a process that has imported all that this one has, does `work` and ends with the status it returns.

    It leads a process group of its own, so that what it leaves behind can be found; what it prints goes to `errors`.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process:
        with contextlib.suppress(OSError):  # the child may have done so itself
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
    """Kill a process of ours and reap it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)


def check_group_is_gone(process: int) -> None:
    """Check that no process is left of the group that one led."""
    try:
        os.killpg(process, 0)
    except ProcessLookupError:
        return
    os.killpg(process, signal.SIGKILL)
    raise TrialError("a process was left behind")


def choose(rng: np.random.Generator, choices: Any) -> Any:
    """One of them. `rng.choice` would turn a list of mixed things into an array first."""
    return choices[int(rng.integers(len(choices)))]
