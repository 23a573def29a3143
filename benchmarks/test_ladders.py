"""Every rung of every ladder in the registry, timed by pytest-benchmark.

    pytest benchmarks/ -k "matmul and 64x784x128"

Each rung is checked against NumPy, warmed up, and then timed. Groups are operation, sizes and dtype; `extra_info` has
the GFLOP/s of the products. Compare two commits with --benchmark-save and --benchmark-compare. The interpreted rung
runs only at the smallest size, where it takes milliseconds instead of minutes.
"""

import numpy as np
import pytest

from jitnet.kernels import LADDERS
from jitnet.lab import oracle
from jitnet.lab.problems.operations import PRODUCTS

SIZES = [(32, 64, 32), (64, 784, 128), (128, 512, 512)]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize(
    ("operation", "rung"), [(operation, rung) for operation, ladder in LADDERS.items() for rung in ladder]
)
@pytest.mark.benchmark(warmup=True, warmup_iterations=3)
def test_rung(benchmark, operation, rung, size):
    if rung == "python" and size != SIZES[0]:
        pytest.skip("the interpreter would take minutes")
    kernel = LADDERS[operation][rung]
    benchmark.group = f"{operation} {'x'.join(map(str, size))} float32"
    checked = oracle.case(operation, size, "float32")
    kernel(*checked.arguments)
    checked.check()
    arguments = oracle.case(operation, size, "float32").arguments
    with np.errstate(all="ignore"):  # repeated updates overflow, which takes no extra time
        benchmark(kernel, *arguments)
    if operation in PRODUCTS and benchmark.stats:
        benchmark.extra_info["gflops"] = 2e-9 * np.prod(size) / benchmark.stats.stats.median
