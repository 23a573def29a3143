"""Would the register tile be faster in C? The same algorithm in C (tile.c), compiled on this machine, for float32.

    python benchmarks/in_c.py [--avx2] [--only 512x512x512]

Needs a C compiler: `cc`, or the one that CC names. The C program can read B in place or copy it into panels; the faster
one counts. The results are compared bit by bit. NumPy and PyTorch are timed in the same rounds.
"""

import ctypes
import os
import subprocess
import tempfile
from pathlib import Path

import common

given = common.arguments(__doc__ or "")

import numpy as np  # noqa: E402
import torch  # noqa: E402

from jitnet.compiler.intrinsics import VECTOR_BYTES  # noqa: E402
from jitnet.compiler.memory import aligned  # noqa: E402
from jitnet.kernels import LADDERS  # noqa: E402
from jitnet.kernels.register_tile import DEPTH, VECTORS  # noqa: E402

SHAPES = [
    (512, 512, 512), (768, 768, 768), (1024, 1024, 1024), (511, 1023, 513), (64, 784, 128), (128, 784, 512),
    (67, 771, 131), (2000, 64, 32), (1, 784, 128),
]  # fmt: skip


def compiled(folder):
    """The function `product` of tile.c."""
    file, cpu = Path(folder) / "tile.so", ["-march=haswell"] if given.avx2 else ["-march=native"]
    source = Path(__file__).with_name("tile.c")
    sizes = [f"-DVECTORS={VECTORS}", f"-DBYTES={VECTOR_BYTES}"]
    compiler = os.environ.get("CC", "cc")
    # -w: GCC warns of copies of more than LANES numbers, in branches that cannot be reached
    subprocess.run([compiler, "-O3", "-w", *cpu, *sizes, "-shared", "-fPIC", "-o", file, source], check=True)
    product = ctypes.CDLL(str(file)).product
    product.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_long] * 4 + [ctypes.c_int]
    return product


def candidates(product, m, k, n):
    rng = np.random.default_rng(0)
    A, B, C, C_of_c, C_of_peers = (aligned(i * j, np.float32).reshape(i, j) for i, j in ((m, k), (k, n), *3 * [(m, n)]))
    A[...], B[...] = rng.standard_normal((m, k)), rng.standard_normal((k, n))
    kernel, (a, b, c) = LADDERS["matmul"]["packed"], map(torch.from_numpy, (A, B, C_of_peers))
    torch.set_num_threads(1)

    def in_c(packed):
        product(A.ctypes.data, B.ctypes.data, C_of_c.ctypes.data, m, k, n, DEPTH, packed)

    kernel(A, B, C)
    for packed in (False, True):
        in_c(packed)
        np.testing.assert_array_equal(C, C_of_c)
    return {
        "jitnet": lambda: kernel(A, B, C),
        "in place": lambda: in_c(False),
        "packed": lambda: in_c(True),
        "NumPy": lambda: np.matmul(A, B, out=C_of_peers),
        "PyTorch": lambda: torch.matmul(a, b, out=c),
    }


def main():
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        product = compiled(folder)
        for shape in SHAPES:
            name = "x".join(map(str, shape))
            if given.only not in name:
                continue
            common.say(name)
            times = common.time_alternating(candidates(product, *shape), given.rounds)
            variant = min("in place", "packed", key=times.__getitem__)
            ours, of_c = times["jitnet"], times.pop(variant)
            flop = 2e-9 * np.prod(shape)
            rows.append({
                "product": name, "jitnet GFLOP/s": f"{flop / ours:.0f}", "C GFLOP/s": f"{flop / of_c:.0f} ({variant})",
                "× C": f"{of_c / ours:.2f}", "× NumPy": f"{times['NumPy'] / ours:.2f}",
                "× PyTorch": f"{times['PyTorch'] / ours:.2f}",
            })  # fmt: skip
    common.publish("in_c", given, rows)


if __name__ == "__main__":
    main()
