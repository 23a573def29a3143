"""Compile GPU kernels to PTX and machine code. This needs no GPU and no driver."""

import functools
import importlib.util
import re
import struct
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from unittest import mock

from ...compiler.cuda.device import cuda
from ...compiler.cuda.registry import Launch


@contextmanager
def pretended(cc: tuple[int, int]) -> Iterator[None]:
    """Pretend to have a GPU of that compute capability: Numba asks for one when it compiles device functions."""
    gpu = types.SimpleNamespace(compute_capability=cc)
    with mock.patch("numba.cuda.dispatcher.get_current_device", return_value=gpu):
        yield


def target_of(cc: tuple[int, int]) -> tuple[int, int] | tuple[int, int, str]:
    """The target of numba-cuda for that compute capability; from 9.0 on, it is architecture-specific (`sm_90a`)."""
    return (*cc, "a") if cc >= (9, 0) else cc


@functools.cache
def ptx_of(launch: Launch, cc: tuple[int, int], lines: bool = False) -> str:
    """The PTX of a kernel for that compute capability, such as (9, 0); with `lines`, it has line numbers."""
    with pretended(cc):
        code, _ = cuda.compile(
            launch.body, launch.signature, cc=target_of(cc), device=False, abi="numba", output="ptx",
            launch_bounds=launch.bounds, lineinfo=lines,
        )  # fmt: skip
    return str(code)


class MachineCode(NamedTuple):
    """A kernel that the assembler made from PTX."""

    registers: int
    """Registers per thread."""
    spilled: int
    """Bytes per thread that are stored in memory for lack of registers."""
    reloaded: int
    """Bytes per thread that are loaded back."""
    stack: int
    """Bytes of local memory per thread: arrays that are not in registers, and spilled values."""
    shared: int
    """Bytes of shared memory per block, including those of the system."""
    size: int
    """Bytes of the kernel's instructions."""
    cubin: bytes
    """The file that a GPU loads."""


HOW_TO_GET = "pip install 'jitnet[cuda]'"


def has_assembler() -> bool:
    return importlib.util.find_spec("cuda.bindings.nvjitlink") is not None and _is_loadable()


@functools.cache
def _is_loadable() -> bool:
    from cuda.bindings import nvjitlink

    try:
        nvjitlink.version()
    except Exception:  # the bindings have a different exception for each missing part
        return False
    return True


def assembled(text: str, cc: tuple[int, int]) -> MachineCode:
    """Assemble PTX for that compute capability with nvJitLink, which comes with the CUDA packages."""
    from cuda.bindings import nvjitlink

    options = [
        "-arch=sm_" + "".join(map(str, target_of(cc))),
        "-verbose",
        "-O3",
        *(["-lineinfo"] if ".loc" in text else []),
    ]
    handle = nvjitlink.create(len(options), options)
    try:
        nvjitlink.add_data(handle, nvjitlink.InputType.PTX, text.encode(), len(text.encode()), "kernel")
        nvjitlink.complete(handle)
        log = bytearray(nvjitlink.get_info_log_size(handle))
        nvjitlink.get_info_log(handle, log)
        cubin = bytearray(nvjitlink.get_linked_cubin_size(handle))
        nvjitlink.get_linked_cubin(handle, cubin)
    finally:
        nvjitlink.destroy(handle)
    log_text = log.decode()

    def figure(pattern: str) -> int:
        found = re.search(pattern, log_text)
        assert found, log_text
        return int(found[1])

    return MachineCode(
        figure(r"Used (\d+) registers"), figure(r"(\d+) bytes spill stores"), figure(r"(\d+) bytes spill loads"),
        figure(r"(\d+) bytes stack frame"), figure(r"(\d+) bytes smem"), _size_of_code(bytes(cubin)), bytes(cubin),
    )  # fmt: skip


def _size_of_code(cubin: bytes) -> int:
    """Bytes in the sections of an ELF file whose names begin with .text."""
    (start,) = struct.unpack_from("<Q", cubin, 40)
    size, count, names = struct.unpack_from("<3H", cubin, 58)
    sections = [struct.unpack_from("<IIQQQQ", cubin, start + n * size) for n in range(count)]
    strings = sections[names][4]
    return sum(length for name, *_, length in sections if cubin.startswith(b".text.", strings + name))
