"""Dropout on the GPU: the hash is that of the CPU, so the same numbers are dropped."""

from typing import Any

from numba import float32, int64, uint32

from ...compiler.cuda.device import block, device, thread
from ...compiler.cuda.registry import FLOAT, INT, INTS, VECTOR, Launch, rung
from ...compiler.types import Matrix, Vector
from .elements import THREADS

SHARE = 4
"""Numbers of a thread, which hashes seed, step and layer once for all of them."""


@device
def mixed(x):
    """`mixed` of the CPU, of the lowest 32 bits of x. A product of 64 bits would take several instructions."""
    x = uint32(x)
    x = uint32(int64(x ^ (x >> 16)) * 0x45D9F3B)
    x = uint32(int64(x ^ (x >> 16)) * 0x45D9F3B)
    return int64(x ^ (x >> 16))


@device
def key_of(clock, layer):
    """The hash of seed, step and layer."""
    key = mixed(clock[0])
    key = mixed(key ^ (clock[0] >> 32))
    key = mixed(key ^ clock[1])
    return mixed(key ^ layer)


def dropout_elements(x: Vector, threshold: int, scale: float, layer: int, clock: Vector, a: Vector) -> None:
    key = key_of(clock, layer)
    first = block() * (SHARE * THREADS) + thread()
    for s in range(SHARE):
        i = first + s * THREADS
        if i < a.size:
            a[i] = scale * x[i] if mixed(key ^ mixed(i)) < threshold else float32(0)


def _blocks(*arguments: Any) -> int:
    return -(-int(arguments[-1].size) // (SHARE * THREADS))


DROPOUT = Launch(dropout_elements, [VECTOR, INT, FLOAT, INT, INTS, VECTOR], THREADS, _blocks)


@rung("dropout", "elements", DROPOUT)
def dropout(X: Matrix, threshold: int, scale: float, layer: int, clock: Vector, A: Matrix) -> None:
    """Dropped numbers become 0; the others are scaled. Reads each number once and writes one, and stores no mask."""
    DROPOUT(X.reshape(X.size), threshold, scale, layer, clock, A.reshape(A.size))
