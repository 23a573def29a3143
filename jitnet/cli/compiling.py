"""Compile in two processes: the second begins with a part of the register tile, and continues from the end of the list.

Each stores machine code in the cache and loads what the other has stored, so they need no communication. Only the
command line does this, because a library should not start processes that a program does not expect.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator

from ..backend import cpu, thread_choice
from ..compiler.jit import compile_for
from ..lab.worker import command
from ..process import disturbance, progress


@contextlib.contextmanager
def in_two_processes(show: progress.Progress) -> Iterator[None]:
    """Within it, kernels are compiled by this process and by another one, if there are two cores."""
    if thread_choice.cpus() > 1:
        cpu.helper_process, show.processes = second_process, 2
    try:
        yield
    finally:
        cpu.helper_process = contextlib.nullcontext


@contextlib.contextmanager
def second_process(kernels: list[cpu.KernelId]) -> Iterator[None]:
    """Meanwhile another process compiles these kernels, the last one first. It ends with the `with`, or with us."""
    nothing = subprocess.DEVNULL
    asked = [*command("jitnet.cli.compiling"), json.dumps(kernels)]
    try:
        child = subprocess.Popen(asked, stdin=nothing, stdout=nothing, stderr=nothing)
    except OSError:  # no memory, or no permission, for a second process
        yield
        return
    with child:
        disturbance.HELPERS.add(child.pid)
        try:
            yield
        finally:
            child.kill()
            disturbance.HELPERS.discard(child.pid)


def main() -> None:
    """The second process. If it fails, the first one compiles everything."""
    for kernel in reversed(json.loads(sys.argv[1])):
        compile_for(*cpu.kernel_and_signature(kernel))
