"""Small calls: single operations compared with NumPy, and a network's output for one sample with only its kernels.

python benchmarks/calls.py
"""

import common

given = common.arguments(__doc__ or "")

import numpy as np  # noqa: E402

import jitnet  # noqa: E402
from jitnet import backend  # noqa: E402
from jitnet.step import Workspace  # noqa: E402


def sigmoid(Z):
    return 1 / (1 + np.exp(-Z))


def softmax(Z):
    e = np.exp(Z - Z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def relu(Z):
    return np.maximum(Z, 0)


IN_NUMPY = {"sigmoid": sigmoid, "softmax": softmax, "tanh": np.tanh, "relu": relu}


def operations():
    """Name, jitnet's function, NumPy's, and their arguments."""
    rng = np.random.default_rng(0)
    for m, n, p in ((16, 16, 16), (100, 77, 33)):
        A, B = rng.random((m, n), np.float32), rng.random((n, p), np.float32)
        yield f"matmul {m}x{n}x{p}", jitnet.matmul, np.matmul, (A, B)
    for name, in_numpy in IN_NUMPY.items():
        for shape in ((10,), (4, 10)):
            yield f"{name} {shape}", getattr(jitnet, name), in_numpy, (rng.random(shape, np.float32),)


def answers():
    """Name, the call, and a function that only runs its kernels."""
    layers = jitnet.Dense(64, 32, "sigmoid"), jitnet.Dense(32, 10, "softmax")
    net, (images, labels) = jitnet.Network(*layers, seed=0), jitnet.data.digits()
    net.fit(images, labels, epochs=1)  # like most networks that predict; an untrained one also has to find its task
    X = images[:1].astype(np.float32)
    net.forward(X)  # compiles the kernels
    bound = backend.get("fast").bound(net.pass_forward(X, Workspace(net.layers, 1, net.dtype)), net.dtype)

    def kernels():
        for kernel, arguments in bound:
            kernel(*arguments)

    yield "forward of one sample, 64-32-10", lambda: net.forward(X), kernels
    yield "predict of one sample, 64-32-10", lambda: net.predict(X), kernels


def main():
    rows = []
    for name, ours, numpys, arguments in operations():
        np.testing.assert_allclose(ours(*arguments), numpys(*arguments), rtol=1e-5)
        calls = {"jitnet": lambda f=ours, a=arguments: f(*a), "other": lambda f=numpys, a=arguments: f(*a)}
        rows.append((name, "NumPy", common.time_alternating(calls, given.rounds)))
    for name, call, kernels in answers():
        rows.append((name, "its kernels", common.time_alternating({"jitnet": call, "other": kernels}, given.rounds)))
    table = [
        {
            "call": name, "jitnet µs": f"{1e6 * times['jitnet']:.2f}", "compared with": who,
            "its µs": f"{1e6 * times['other']:.2f}", "difference µs": f"{1e6 * (times['jitnet'] - times['other']):.2f}",
            "× as long": f"{times['jitnet'] / times['other']:.2f}",
        }
        for name, who, times in rows
    ]  # fmt: skip
    common.publish("calls", given, table)


if __name__ == "__main__":
    main()
