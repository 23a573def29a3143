"""What the compiler makes of a kernel for the card, PTX and machine code: that needs neither a card nor a driver."""

import re
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from unittest import mock

from ...kernels.cuda.device import cuda
from ...kernels.cuda.ladders import Launch


@contextmanager
def pretended(cc: tuple[int, int]) -> Iterator[None]:
    """A card of that compute capability, as far as Numba asks for one before it compiles what kernels call."""
    card = types.SimpleNamespace(compute_capability=cc)
    with mock.patch("numba.cuda.dispatcher.get_current_device", return_value=card):
        yield


def ptx_of(launch: Launch, cc: tuple[int, int]) -> str:
    """The PTX of a kernel for that compute capability, such as (9, 0)."""
    with pretended(cc):
        code, _ = cuda.compile(
            launch.body, launch.signature, cc=cc, device=False, abi="numba", output="ptx", launch_bounds=launch.bounds
        )
    return str(code)


class MachineCode(NamedTuple):
    """What the assembler made of PTX."""

    registers: int
    """That a thread needs."""
    spilled: int
    """Bytes of a thread that found no register and live in memory."""
    size: int
    """Bytes of the whole."""


def assembled(text: str, cc: tuple[int, int]) -> MachineCode:
    """PTX turned into machine code for that compute capability, by the assembler of the CUDA packages (nvJitLink)."""
    from cuda.bindings import nvjitlink

    handle = nvjitlink.create(3, [f"-arch=sm_{cc[0]}{cc[1]}", "-verbose", "-O3"])
    try:
        nvjitlink.add_data(handle, nvjitlink.InputType.PTX, text.encode(), len(text.encode()), "kernel")
        nvjitlink.complete(handle)
        log = bytearray(nvjitlink.get_info_log_size(handle))
        nvjitlink.get_info_log(handle, log)
        told = log.decode()
        registers, spilled = re.search(r"Used (\d+) registers", told), re.search(r"(\d+) bytes spill stores", told)
        assert registers, told
        assert spilled, told
        return MachineCode(int(registers[1]), int(spilled[1]), nvjitlink.get_linked_cubin_size(handle))
    finally:
        nvjitlink.destroy(handle)
