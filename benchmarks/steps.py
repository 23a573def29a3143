"""One training step on a batch in memory: jitnet, NumPy, PyTorch (eager and compiled) and JAX (not with --avx2).

    python benchmarks/steps.py [--threads 2] [--only 64-32-10]

All candidates start with the same weights, and must agree after three steps; a library with other weights than jitnet
and NumPy is left out, with a message. Each uses its library in the fastest way: in-place outputs, few allocations,
donated arrays, whole compiled steps. "µs at peak" is the time of the products' arithmetic at the peak of this machine,
which is measured in the same run.
"""

import itertools
import sys

import common

given = common.arguments(__doc__ or "")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

import jitnet  # noqa: E402
from jitnet import backend, losses  # noqa: E402
from jitnet.compiler.threads import thread_count  # noqa: E402
from jitnet.step import Step, needed  # noqa: E402

CASES = [
    ("784-128-10", 64, "sigmoid", "mse"),
    ("784-128-10", 64, "relu", "cross_entropy"),
    ("784-512-512-10", 128, "relu", "cross_entropy"),
    ("64-32-10", 32, "sigmoid", "mse"),
    ("784-30-10", 10, "sigmoid", "mse"),
]
OPTIMIZERS = {"SGD": jitnet.SGD(0.01), "Adam": jitnet.Adam(1e-3)}
B1, B2, EPSILON = 0.9, 0.999, 1e-8


def candidates(widths, m, f, loss, optimizer, compiled=True):
    """Name -> (function of one step, function that returns the weights)."""
    sizes = [int(n) for n in widths.split("-")]
    rng = np.random.default_rng(0)
    X = rng.random((m, sizes[0]), np.float32)
    Y = np.eye(sizes[-1], dtype=np.float32)[rng.integers(0, sizes[-1], m)]
    last = "softmax" if loss == "cross_entropy" else f
    layers = [jitnet.Dense(a, b, f) for a, b in itertools.pairwise(sizes[:-1])]
    net = jitnet.Network(*layers, jitnet.Dense(*sizes[-2:], last), seed=0)
    start = [(layer.W.copy(), layer.b.copy()) for layer in net.layers]
    lr, adam = optimizer.lr, isinstance(optimizer, jitnet.Adam)
    problem = X, Y, start, f, loss, lr, adam
    everyone = {
        "jitnet": of_jitnet(net, X, Y, loss, optimizer),
        "NumPy": of_numpy(*problem),
        "PyTorch": of_torch(*problem, compiled=False),
    }
    if not given.avx2:  # its products come from Eigen's compiled kernels, which exceeded the peak of 256 bits
        everyone["JAX"] = of_jax(*problem)
    return everyone | ({"PyTorch compiled": of_torch(*problem, compiled=True)} if compiled else {})


def of_jitnet(net, X, Y, loss, optimizer):
    run, which = backend.get("fast"), losses.get(loss, net.layers[-1].activation)
    run.prepare(needed(net, run, len(X), which, optimizer), net.dtype)
    one_step = Step(net, run, len(X), which, optimizer, threads=thread_count())
    one_step.work.X[...], one_step.work.Y[...] = X, Y
    memory, t = optimizer.start(net.theta), itertools.count(1)

    def step():
        return one_step(next(t), memory)

    return step, lambda: [(layer.W, layer.b) for layer in net.layers]


def of_numpy(X, Y, start, f, loss, lr, adam):
    theta = np.concatenate([a.ravel() for pair in start for a in pair])
    grad, mean, square, spare = (np.zeros_like(theta) for _ in range(4))
    W, b, dW, db, at = [], [], [], [], 0
    for w, c in start:
        for flat, into in ((theta, W), (grad, dW)):
            into.append(flat[at : at + w.size].reshape(w.shape))
        for flat, into in ((theta, b), (grad, db)):
            into.append(flat[at + w.size : at + w.size + c.size])
        at += w.size + c.size
    A = [np.empty((len(X), w.shape[1]), np.float32) for w in W]
    delta = [np.empty_like(a) for a in A]
    last, t = len(W) - 1, 0
    one = np.float32(1)

    def activate(a):
        if f == "relu":
            np.maximum(a, 0, out=a)
        else:
            np.negative(a, out=a)
            np.exp(a, out=a)
            np.add(a, one, out=a)
            np.divide(one, a, out=a)

    def step():
        nonlocal t
        x = X
        for l in range(last + 1):
            np.matmul(x, W[l], out=A[l])
            np.add(A[l], b[l], out=A[l])
            if l < last or loss == "mse":
                activate(A[l])
            else:
                np.subtract(A[l], A[l].max(axis=1, keepdims=True), out=A[l])
                np.exp(A[l], out=A[l])
                np.divide(A[l], A[l].sum(axis=1, keepdims=True), out=A[l])
            x = A[l]
        np.subtract(A[last], Y, out=delta[last])
        if loss == "mse":
            value = np.vdot(delta[last], delta[last]) / delta[last].size
            np.multiply(delta[last], np.float32(2 / delta[last].size), out=delta[last])
            delta[last][...] *= A[last] * (one - A[last])
        else:
            value = -np.log((A[last] * Y).sum(axis=1)).mean()
            np.multiply(delta[last], np.float32(1 / len(X)), out=delta[last])
        for l in range(last, -1, -1):
            np.matmul((A[l - 1] if l else X).T, delta[l], out=dW[l])
            np.sum(delta[l], axis=0, out=db[l])
            if l:
                np.matmul(delta[l], W[l].T, out=delta[l - 1])
                a = A[l - 1]
                np.multiply(delta[l - 1], a > 0 if f == "relu" else a * (one - a), out=delta[l - 1])
        t += 1
        if adam:
            mean[...] = np.float32(B1) * mean + np.float32(1 - B1) * grad
            np.multiply(grad, grad, out=spare)
            np.multiply(square, np.float32(B2), out=square)
            np.multiply(spare, np.float32(1 - B2), out=spare)
            np.add(square, spare, out=square)
            np.sqrt(square, out=spare)
            np.divide(spare, np.float32((1 - B2**t) ** 0.5), out=spare)
            np.add(spare, np.float32(EPSILON), out=spare)
            np.divide(mean, spare, out=spare)
            np.multiply(spare, np.float32(lr / (1 - B1**t)), out=spare)
        else:
            np.multiply(grad, np.float32(lr), out=spare)
        np.subtract(theta, spare, out=theta)
        return value

    return step, lambda: list(zip(W, b, strict=True))


def of_torch(X, Y, start, f, loss, lr, adam, compiled):
    torch.set_num_threads(given.threads)
    x, y, labels = torch.from_numpy(X), torch.from_numpy(Y), torch.from_numpy(Y.argmax(1))
    parameters = [torch.tensor(a, requires_grad=True) for pair in start for a in pair]
    kind = torch.optim.Adam if adam else torch.optim.SGD
    optimizer = kind(parameters, lr=lr, fused=True)
    f_ = torch.relu if f == "relu" else torch.sigmoid

    def value():
        a = x
        for l in range(0, len(parameters), 2):
            a = torch.addmm(parameters[l + 1], a, parameters[l])
            if l + 2 < len(parameters) or loss == "mse":
                a = f_(a)
        if loss == "mse":
            return torch.nn.functional.mse_loss(a, y)
        return torch.nn.functional.cross_entropy(a, labels)

    if compiled:
        value = torch.compile(value)

    def step():
        optimizer.zero_grad(set_to_none=True)
        now = value()
        now.backward()
        optimizer.step()
        return now

    def weights():
        return [
            (parameters[l].detach().numpy(), parameters[l + 1].detach().numpy()) for l in range(0, len(parameters), 2)
        ]

    return step, weights


def of_jax(X, Y, start, f, loss, lr, adam):
    x, y = jnp.asarray(X), jnp.asarray(Y)
    parameters = [jnp.array(a) for pair in start for a in pair]
    f_ = jax.nn.relu if f == "relu" else jax.nn.sigmoid

    def value(parameters, x, y):
        a = x
        for l in range(0, len(parameters), 2):
            a = a @ parameters[l] + parameters[l + 1]
            if l + 2 < len(parameters) or loss == "mse":
                a = f_(a)
        if loss == "mse":
            return jnp.mean((a - y) ** 2)
        return -jnp.mean(jnp.sum(y * jax.nn.log_softmax(a), axis=1))

    def update(state, x, y):
        parameters, mean, square, t = state
        now, grads = jax.value_and_grad(value)(parameters, x, y)
        t = t + 1
        if adam:
            mean = [B1 * m + (1 - B1) * g for m, g in zip(mean, grads, strict=True)]
            square = [B2 * v + (1 - B2) * g * g for v, g in zip(square, grads, strict=True)]
            steps = [
                lr * (m / (1 - B1**t)) / (jnp.sqrt(v / (1 - B2**t)) + EPSILON)
                for m, v in zip(mean, square, strict=True)
            ]
        else:
            steps = [lr * g for g in grads]
        return ([p - s for p, s in zip(parameters, steps, strict=True)], mean, square, t), now

    run = jax.jit(update, donate_argnums=0)
    zeros = [jnp.zeros_like(p) for p in parameters] if adam else []
    state = (parameters, zeros, [jnp.zeros_like(p) for p in zeros], jnp.float32(0))

    def step():
        nonlocal state
        state, now = run(state, x, y)
        return now.block_until_ready()

    def weights():
        return [(np.asarray(state[0][l]), np.asarray(state[0][l + 1])) for l in range(0, len(state[0]), 2)]

    return step, weights


def assert_same(weights, reference):
    for ours, theirs in zip(weights, reference, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-4)


def main():
    probe, probe_flop = common.peak_probe(np.float32, given.threads)
    rows = []
    for widths, m, f, loss in CASES:
        for name, optimizer in OPTIMIZERS.items():
            row_name = f"{widths}, batch {m}, {f} + {loss}, {name}"
            if given.only not in row_name:
                continue
            common.say(row_name)
            everyone = candidates(widths, m, f, loss, optimizer)
            for _ in range(3):
                for step, _ in everyone.values():
                    step()
            reference = everyone["jitnet"][1]()
            assert_same(everyone["NumPy"][1](), reference)
            for candidate in [name for name in everyone if name not in ("jitnet", "NumPy")]:
                try:
                    assert_same(everyone[candidate][1](), reference)
                except AssertionError as error:
                    print(f"{candidate} is left out, its weights differ:\n{error}", file=sys.stderr)
                    del everyone[candidate]
            times = common.time_alternating({"peak": probe, **{k: v[0] for k, v in everyone.items()}}, given.rounds)
            sizes = [int(n) for n in widths.split("-")]
            products = [2 * m * a * b for a, b in itertools.pairwise(sizes)]
            flop = 3 * sum(products) - products[0]
            limit = flop * times.pop("peak") / probe_flop
            best = min((seconds, peer) for peer, seconds in times.items() if peer != "jitnet")
            rows.append(
                {"step": row_name}
                | {f"{candidate} µs": f"{1e6 * seconds:.1f}" for candidate, seconds in times.items()}
                | {
                    "× best peer": f"{best[0] / times['jitnet']:.2f} ({best[1]})",
                    "µs at peak": f"{1e6 * limit:.1f}",
                    "fraction of peak": f"{limit / times['jitnet']:.2f}",
                }
            )
    common.publish("steps", given, rows)


if __name__ == "__main__":
    main()
