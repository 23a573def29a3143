"""A small process beside the ranks of one machine, which reports a rank that was killed.

A killed process says nothing, and the others wait for it in vain until the launcher ends them, who does not say which
one was the first. Run as a script with pid:rank for each rank, it waits for the first of them to end, prints one line,
and ends those that are still there two seconds later. Ranks that end in order terminate it before. It imports nothing
of jitnet: it starts in some milliseconds.
"""

import os
import select
import signal
import subprocess
import sys
import time

GRACE = 2.0
"""Seconds in which the launcher can end the other ranks."""


def started(ranks: "dict[int, int]") -> "subprocess.Popen[bytes] | None":
    """A witness for these processes, pid -> rank; None on systems that cannot wait for other processes."""
    if not hasattr(os, "pidfd_open"):
        return None
    words = [f"{pid}:{rank}" for pid, rank in ranks.items()]
    return subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, *words],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def watch(ranks: "dict[int, int]") -> None:
    """Wait until one of these processes ends, and report it."""
    files, ended = {}, []
    for pid in ranks:
        try:
            files[os.pidfd_open(pid)] = pid
        except ProcessLookupError:
            ended.append(pid)
    poll = select.poll()
    for file in files:
        poll.register(file, select.POLLIN)
    first = ended or [files[file] for file, _ in poll.poll()]
    names = " and ".join(f"rank {ranks[pid]} (process {pid})" for pid in first)
    sys.stderr.write(f"jitnet: {names} was killed or crashed; the training of all ranks ends\n")
    sys.stderr.flush()
    time.sleep(GRACE)
    for file in files:
        try:
            signal.pidfd_send_signal(file, signal.SIGKILL)
        except ProcessLookupError:
            continue


if __name__ == "__main__":
    watch({int(pid): int(rank) for pid, _, rank in (word.partition(":") for word in sys.argv[1:])})
