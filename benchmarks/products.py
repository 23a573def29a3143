"""The three products: the register tile compared with the peak of this machine and the BLAS of NumPy and PyTorch.

    python benchmarks/products.py [--threads 2] [--avx2] [--only 512x512x512]

A shape m×k×n means (m, k)·(k, n). NumPy is measured as installed. Where OpenBLAS allows it, OPENBLAS_CORETYPE selects
another kernel: set that variable and compare two runs. PyTorch computes products with MKL; it also contains oneDNN,
whose float32 products are the fourth candidate.
"""

import common

given = common.arguments(__doc__ or "")

import numpy as np  # noqa: E402
import torch  # noqa: E402

import jitnet  # noqa: E402
from jitnet.compiler.memory import aligned  # noqa: E402
from jitnet.kernels import LADDERS  # noqa: E402

CASES = [
    ("float32", "X·W", (512, 512, 512)),
    ("float32", "X·W", (768, 768, 768)),
    ("float32", "X·W", (1024, 1024, 1024)),
    ("float32", "X·W", (511, 1023, 513)),
    ("float32", "X·W", (64, 784, 128)),
    ("float32", "X·W", (128, 784, 512)),
    ("float32", "X·W", (65, 785, 129)),
    ("float32", "X·W", (67, 771, 131)),
    ("float32", "X·W", (2000, 64, 32)),
    ("float32", "X·W", (1000, 10, 300)),
    ("float32", "X·W", (1000, 10, 1000)),
    ("float32", "X·W", (1, 784, 128)),
    ("float32", "X·W", (1000, 64, 1)),
    ("float32", "Xᵀ·delta", (784, 128, 512)),
    ("float32", "Xᵀ·delta", (784, 64, 128)),
    ("float32", "Xᵀ·delta", (784, 512, 128)),
    ("float32", "delta·Wᵀ", (128, 512, 784)),
    ("float32", "delta·Wᵀ", (64, 128, 784)),
    ("float32", "jitnet.matmul, A transposed", (512, 512, 512)),
    ("float32", "jitnet.matmul, B transposed", (512, 512, 512)),
    ("float32", "jitnet.matmul, both unaligned", (512, 512, 512)),
    ("float64", "X·W", (512, 512, 512)),
    ("float64", "X·W", (1024, 1024, 1024)),
]


def with_onednn(a, b):
    """A call that computes a·b by oneDNN's layer; the copy of b in its own layout is made before."""
    weights = b.t().contiguous().to_mkldnn()
    return lambda: torch.ops.mkldnn._linear_pointwise(a, weights, None, "none", [], "")


def candidates(dtype, kind, shape):
    m, k, n = shape
    rng = np.random.default_rng(0)

    def draw(*size, offset=0):
        array = aligned(size[0] * size[1] + offset, dtype)[offset:].reshape(size)
        array[...] = rng.standard_normal(size)
        return array

    offset = 1 if "unaligned" in kind else 0
    A, B = draw(m, k, offset=offset), draw(k, n, offset=offset)
    if kind == "Xᵀ·delta" or "A trans" in kind:
        A = np.ascontiguousarray(A.T).T
    if kind == "delta·Wᵀ" or "B trans" in kind:
        B = np.ascontiguousarray(B.T).T
    C, C_numpy, C_torch = (draw(m, n) for _ in range(3))
    a, b, c = torch.from_numpy(A), torch.from_numpy(B), torch.from_numpy(C_torch)
    torch.set_num_threads(given.threads)
    ladder = {"X·W": "matmul", "Xᵀ·delta": "matmul_tn", "delta·Wᵀ": "matmul_nt"}.get(kind)

    def ours():
        if ladder is None:
            C[...] = jitnet.matmul(A, B)
        elif ladder == "matmul":
            kernel(A, B, C)
        elif ladder == "matmul_tn":
            kernel(A.T, B, C)
        else:
            kernel(A, B.T, C)

    kernel = LADDERS[ladder]["packed" if given.threads == 1 else "packed_parallel"] if ladder else None
    ours()
    exact = A.astype(np.float64) @ B.astype(np.float64)
    bound = 16 * np.finfo(dtype).eps * (np.abs(A.astype(np.float64)) @ np.abs(B.astype(np.float64)))
    assert (np.abs(C - exact) <= bound).all()
    found = {
        "jitnet": (lambda: jitnet.matmul(A, B)) if ladder is None else ours,
        "NumPy": lambda: np.matmul(A, B, out=C_numpy),
        "PyTorch": lambda: torch.matmul(a, b, out=c),
    }
    if torch.backends.mkldnn.is_available() and dtype == "float32":
        found["oneDNN"] = with_onednn(a, b)
        assert (np.abs(found["oneDNN"]().numpy() - exact) <= bound).all()
    return found


def main():
    rows = []
    for dtype, kind, shape in CASES:
        name = f"{kind} {'x'.join(map(str, shape))} {dtype}"
        if given.only not in name:
            continue
        common.say(name)
        probe, probe_flop = common.peak_probe(dtype, given.threads)
        times = common.time_alternating({"peak": probe, **candidates(dtype, kind, shape)}, given.rounds)
        flop = 2 * np.prod(shape)
        peak = probe_flop / times["peak"]
        share = {who: flop / seconds / peak for who, seconds in times.items() if who != "peak"}
        rows.append({
            "product": name, "jitnet GFLOP/s": f"{1e-9 * flop / times['jitnet']:.0f}", "peak": f"{1e-9 * peak:.0f}",
            **{f"{who}, of peak": f"{value:.2f}" for who, value in share.items()},
            **{f"× {who}": f"{times[who] / times['jitnet']:.2f}" for who in share if who != "jitnet"},
        })  # fmt: skip
    common.publish("products", given, rows)


if __name__ == "__main__":
    main()
