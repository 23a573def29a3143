"""A sampling profiler for machine code: where each thread is, many times a second.

Linux samples with its own timer (`perf_event_open` with the event `cpu-clock`), which needs no performance counters
and so works in virtual machines too. A sample is the address of the instruction that a running thread will execute
next; a waiting thread gives none. Some containers and settings (`perf_event_paranoid` above 2) forbid it.
"""

import contextlib
import ctypes
import mmap
import os
import struct
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PAGES = 32
"""Size of the buffer of a thread: 8000 samples."""

_SOFTWARE, _CPU_CLOCK, _ADDRESS, _SAMPLE = 1, 0, 1, 9
_DISABLED, _NO_KERNEL, _NO_HYPERVISOR = 1 << 0, 1 << 5, 1 << 6
_ENABLE, _DISABLE = 0x2400, 0x2401
_HEAD = 1024
"""Where the buffer's first page has the number of bytes written so far."""

_OPEN = 298
"""The system call `perf_event_open` of x86-64."""


class NoSamplesError(Exception):
    """This system does not allow sampling; the message says why."""


class Sampler:
    """Samples all threads that this process has when it is made, while `with` blocks run.

    period      seconds of a thread's running time from sample to sample
    """

    def __init__(self, period: float) -> None:
        self.period = period
        if sys.platform != "linux":
            raise NoSamplesError("only Linux has perf_event_open")
        self._library = ctypes.CDLL(None, use_errno=True)
        self._events: list[tuple[int, mmap.mmap]] = []
        try:
            for thread in Path("/proc/self/task").iterdir():
                self._events.append(self._opened(int(thread.name)))
        except BaseException:
            self.close()
            raise

    def _opened(self, thread: int) -> tuple[int, mmap.mmap]:
        flags = _DISABLED | _NO_KERNEL | _NO_HYPERVISOR
        attributes = struct.pack(
            "<IIQQQQQIIQ", _SOFTWARE, 64, _CPU_CLOCK, int(1e9 * self.period), _ADDRESS, 0, flags, 0, 0, 0
        )
        event = self._library.syscall(_OPEN, attributes, thread, -1, -1, 0)
        if event < 0:
            raise NoSamplesError(f"perf_event_open: {os.strerror(ctypes.get_errno())}")
        try:
            return event, mmap.mmap(event, (1 + PAGES) * mmap.PAGESIZE)
        except OSError as error:
            os.close(event)
            raise NoSamplesError(f"perf_event_open: no memory for samples ({error.strerror})") from None

    def __enter__(self) -> "Sampler":
        for event, _ in self._events:
            self._library.ioctl(event, _ENABLE, 0)
        return self

    def __exit__(self, *error: object) -> None:
        for event, _ in self._events:
            self._library.ioctl(event, _DISABLE, 0)

    def addresses(self) -> NDArray[np.uint64]:
        """All samples so far."""
        found = []
        for _, buffer in self._events:
            at, end = 0, min(struct.unpack_from("<Q", buffer, _HEAD)[0], PAGES * mmap.PAGESIZE)
            while at + 16 <= end:
                kind, _, size = struct.unpack_from("<IHH", buffer, mmap.PAGESIZE + at)
                if kind == _SAMPLE:
                    found.append(struct.unpack_from("<Q", buffer, mmap.PAGESIZE + at + 8)[0])
                at += max(size, 8)
        return np.array(found, np.uint64)

    def close(self) -> None:
        for event, buffer in self._events:
            with contextlib.suppress(OSError):
                buffer.close()
                os.close(event)
        self._events = []
