"""GPU memory: copies, free memory, and a one-line error if there is not enough."""

import contextlib
from collections.abc import Iterator
from typing import Any

from .. import checks


def to_gpu(array: Any) -> Any:
    """A copy of an array on the GPU."""
    from ..compiler.cuda.device import cuda, stream

    with _room_for(array.nbytes):
        return cuda.to_device(array, stream())


@contextlib.contextmanager
def _room_for(size: int) -> Iterator[None]:
    """Turn the driver's out-of-memory error into a clear one."""
    from numba.cuda.cudadrv.driver import CudaAPIError

    try:
        yield
    except CudaAPIError as error:
        if "OUT_OF_MEMORY" not in str(error):
            raise
        raise checks.Error(
            f"the GPU has no memory for {checks.byte_count(size)}: {checks.byte_count(free_memory())} are free; "
            "take fewer samples at a time, or another backend"
        ) from None


def free_memory() -> float:
    """Free GPU memory in bytes."""
    from ..compiler.cuda import device

    return device.free_memory()
