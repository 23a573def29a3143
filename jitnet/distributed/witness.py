"""A small process beside the ranks of one machine, which reports a rank that was killed.

A killed process says nothing, and the others wait for it in vain until the launcher ends them, who does not say which
one was the first. Each rank keeps a connection to the witness, which the system closes when the rank ends in any way.
The witness then prints one line, and ends the ranks that are still there two seconds later. When all are done, or one
of them has reported an error, a word sends the witness away. It imports nothing of jitnet: it starts in milliseconds.
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


def started(ranks: int) -> tuple[str, subprocess.Popen[bytes] | None]:
    """A witness for so many ranks, and the address to connect to; "" on systems without such addresses."""
    if sys.platform != "linux":
        return "", None
    server, address = socket.socket(socket.AF_UNIX), f"\0jitnet-{os.getpid()}-{time.monotonic_ns()}"
    with server:
        server.bind(address)
        server.listen(ranks)
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(ranks)],
            stdin=server.fileno(), stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    return address, process


def connected(address: str, rank: int) -> socket.socket:
    """The connection of a rank. The witness reports its end, unless it was sent away before."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    connection.sendall(struct.pack("i", rank))
    return connection


def watch(server: socket.socket, count: int) -> None:
    """Wait until one of so many ranks ends, and report it."""
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
        were = "was" if len(first) == 1 else "were"
        sys.stderr.write(f"jitnet: {names} {were} killed or crashed; the training of all ranks ends\n")
        sys.stderr.flush()
        time.sleep(GRACE)
        for connection, _, pid in ranks.values():
            if _last_word(connection) != ENDED:  # the number of one that has ended can be that of another process
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _last_word(connection: socket.socket) -> bytes | None:
    """What a rank said last: None while it runs."""
    try:
        return connection.recv(1, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except ConnectionResetError:
        return ENDED


if __name__ == "__main__":
    with contextlib.suppress(TimeoutError, struct.error):  # a rank ended before it connected
        watch(socket.socket(fileno=0), int(sys.argv[1]))
