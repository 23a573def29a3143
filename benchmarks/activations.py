"""sigmoid, tanh and softmax, compared with NumPy, PyTorch and JAX.

python benchmarks/activations.py [--threads 2]
"""

import common

given = common.arguments(__doc__ or "")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

from jitnet.compiler.memory import aligned  # noqa: E402
from jitnet.kernels import LADDERS  # noqa: E402


def candidates(name, shape, dtype):
    Z, A, A_numpy, A_torch = (aligned(shape, dtype) for _ in range(4))
    Z[...] = 3 * np.random.default_rng(0).standard_normal(shape)
    z, a, zj = torch.from_numpy(Z), torch.from_numpy(A_torch), jnp.asarray(Z)
    torch.set_num_threads(given.threads)
    one = Z.dtype.type(1)

    def sigmoid():
        np.negative(Z, out=A_numpy)
        np.exp(A_numpy, out=A_numpy)
        np.add(A_numpy, one, out=A_numpy)
        np.divide(one, A_numpy, out=A_numpy)

    def softmax():
        np.subtract(Z, Z.max(axis=1, keepdims=True), out=A_numpy)
        np.exp(A_numpy, out=A_numpy)
        np.divide(A_numpy, A_numpy.sum(axis=1, keepdims=True), out=A_numpy)

    in_numpy = {"sigmoid": sigmoid, "tanh": lambda: np.tanh(Z, out=A_numpy), "softmax": softmax}[name]
    in_jax = jax.jit({"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "softmax": jax.nn.softmax}[name])
    in_torch = {
        "sigmoid": lambda: torch.sigmoid(z, out=a),
        "tanh": lambda: torch.tanh(z, out=a),
        "softmax": lambda: torch.softmax(z, 1, out=a),
    }[name]
    kernel = LADDERS[name]["polynomial" if given.threads == 1 else "polynomial_parallel"]  # as the backend `fast` does
    kernel(Z, A)
    in_numpy()
    in_torch()
    np.testing.assert_allclose(A, A_numpy, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(A, A_torch, rtol=1e-5, atol=1e-6)
    everyone = {"jitnet": lambda: kernel(Z, A), "NumPy": in_numpy, "PyTorch": in_torch}
    if dtype == "float32":
        np.testing.assert_allclose(A, np.asarray(in_jax(zj)), rtol=1e-5, atol=1e-6)
        everyone["JAX"] = lambda: in_jax(zj).block_until_ready()
    return everyone


def main():
    rows = []
    for dtype in ("float32", "float64"):
        for name in ("sigmoid", "tanh", "softmax"):
            for shape in ((64, 128), (8192, 128)):
                row_name = f"{name} {shape[0]}x{shape[1]} {dtype}"
                if given.only not in row_name:
                    continue
                common.say(row_name)
                times = common.time_alternating(candidates(name, shape, dtype), given.rounds)
                best = min((seconds, who) for who, seconds in times.items() if who != "jitnet")
                rows.append(
                    {"operation": row_name}
                    | {f"{who} ns": f"{1e9 * seconds / np.prod(shape):.3f}" for who, seconds in times.items()}
                    | {"× best peer": f"{best[0] / times['jitnet']:.2f} ({best[1]})"}
                )
    common.publish("activations", given, rows)


if __name__ == "__main__":
    main()
