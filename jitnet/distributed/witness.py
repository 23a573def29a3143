"""A small process on each machine, which reports a rank that was killed.

A killed rank cannot report itself. The other ranks wait for it until the launcher ends them, and the launcher does not
say which rank was the first. Each rank therefore keeps a connection to the witness, which the system closes when the
rank ends in any way. The witness then prints one line, and ends the ranks that still run two seconds later. A message
dismisses it when all ranks are done or one has reported an error. It imports nothing from jitnet, so it starts in
milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time

GRACE = 2.0
"""Seconds in which the launcher can end the other ranks."""

START = 60.0
"""Seconds in which all ranks must have connected."""

LEAVE, ENDED = b".", b""


def started(ranks: int, total: int) -> tuple[str, subprocess.Popen[bytes] | None]:
    """Start a witness for this many ranks, and return its address; "" on systems without such addresses.

    total    the number of ranks on all machines
    """
    if sys.platform != "linux":
        return "", None
    server, address = socket.socket(socket.AF_UNIX), f"\0jitnet-{os.getpid()}-{time.monotonic_ns()}"
    with server:
        server.bind(address)
        server.listen(ranks)
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(ranks), str(total)],
            stdin=server.fileno(), stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    return address, process


def connected(address: str, rank: int) -> socket.socket:
    """The connection of a rank. The witness reports its end, unless it was dismissed before."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    connection.sendall(struct.pack("i", rank))
    return connection


def watch(server: socket.socket, count: int, total: int) -> None:
    """Wait until one of this many ranks ends, and report it.

    The launcher then kills the ranks of other machines, too, whose witnesses cannot know that it was the launcher.
    """
    with contextlib.ExitStack() as connections:
        ranks, poll = {}, select.poll()
        server.settimeout(START)
        for _ in range(count):
            connection = connections.enter_context(server.accept()[0])
            (rank,) = struct.unpack("i", connection.recv(4, socket.MSG_WAITALL))
            pid, _, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            ranks[connection.fileno()] = connection, rank, pid
            poll.register(connection, select.POLLIN)
        first = [ranks[file] for file, _ in poll.poll()]
        if any(_last_word(connection) == LEAVE for connection, _, _ in first):
            return
        names = " and ".join(f"rank {rank} (process {pid})" for _, rank, pid in first)
        end = "was killed or crashed" if len(first) == 1 else "were killed or crashed, or ended by the launcher"
        hint = "" if count == total else " (each machine has such a line, and the first one names the cause)"
        sys.stderr.write(f"jitnet: {names} {end}; the training of all ranks ends{hint}\n")
        sys.stderr.flush()
        time.sleep(GRACE)
        for connection, _, pid in ranks.values():
            if _last_word(connection) != ENDED:  # the process id of a rank that has ended can belong to another process
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _last_word(connection: socket.socket) -> bytes | None:
    """The last message of a rank: None while it runs."""
    try:
        return connection.recv(1, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except ConnectionResetError:
        return ENDED


if __name__ == "__main__":
    with contextlib.suppress(TimeoutError, struct.error):  # a rank ended before it connected
        watch(socket.socket(fileno=0), int(sys.argv[1]), int(sys.argv[2]))
