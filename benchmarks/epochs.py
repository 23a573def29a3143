"""A complete epoch of training, and prediction: `fit` and `predict` compared with other libraries.

    python benchmarks/epochs.py [--threads 2]

60 000 random samples of 784 numbers, 784-128-10, batch 64, SGD, with shuffling, gathering and the recorded loss. JAX
runs the epoch as one compiled scan over the batches; PyTorch and scikit-learn run it in their usual way.
"""

import common

given = common.arguments(__doc__ or "")

import time  # noqa: E402
import warnings  # noqa: E402

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from sklearn.neural_network import MLPClassifier  # noqa: E402

import jitnet  # noqa: E402

N, WIDTHS, M, LR = 60_000, (784, 128, 10), 64, 0.05


def network():
    return jitnet.Network(jitnet.Dense(784, 128, "relu"), jitnet.Dense(128, 10, "softmax"), seed=0)


def of_jitnet(X, y):
    net = network()
    net.fit(X[:M], y[:M], epochs=1, batch_size=M)

    def epoch():
        net.fit(X, y, epochs=1, batch_size=M, optimizer=jitnet.SGD(LR), threads=given.threads)

    return epoch, net.predict


def of_torch(X, y):
    torch.set_num_threads(given.threads)
    x, labels = torch.from_numpy(X), torch.from_numpy(y)
    model = torch.nn.Sequential(torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, fused=True)

    def epoch():
        order, total = torch.randperm(N), torch.zeros(())
        for start in range(0, N, M):
            rows = order[start : start + M]
            optimizer.zero_grad(set_to_none=True)
            loss = torch.nn.functional.cross_entropy(model(x[rows]), labels[rows])
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(rows)
        return total.item()

    def predict(X):
        with torch.inference_mode():
            return model(torch.from_numpy(X)).argmax(1)

    return epoch, predict


def of_jax(X, y):
    x, labels = jnp.asarray(X), jnp.asarray(y)
    start = network()
    parameters = [jnp.array(a) for layer in start.layers for a in (layer.W, layer.b)]

    def forward(parameters, x):
        return jax.nn.relu(x @ parameters[0] + parameters[1]) @ parameters[2] + parameters[3]

    def value(parameters, x, labels):
        scores = jax.nn.log_softmax(forward(parameters, x))
        return -jnp.take_along_axis(scores, labels[:, None], 1).mean()

    def step(parameters, rows):
        loss, grads = jax.value_and_grad(value)(parameters, x[rows], labels[rows])
        return [p - LR * g for p, g in zip(parameters, grads, strict=True)], loss

    @jax.jit
    def run(parameters, key):
        order = jax.random.permutation(key, N)[: N // M * M].reshape(-1, M)
        return jax.lax.scan(step, parameters, order)

    seeds = iter(range(10**9))

    def epoch():
        nonlocal parameters
        parameters, losses = run(parameters, jax.random.key(next(seeds)))
        return float(losses.mean())

    answer = jax.jit(lambda parameters, x: forward(parameters, x).argmax(1))
    return epoch, lambda X: np.asarray(answer(parameters, X))


def of_sklearn(X, y):
    model = MLPClassifier((128,), solver="sgd", momentum=0, alpha=0, batch_size=M, learning_rate_init=LR, max_iter=1)
    warnings.simplefilter("ignore")
    model.fit(X[:256], y[:256])

    def epoch():
        model.fit(X, y)

    return epoch, model.predict


def main():
    rng = np.random.default_rng(0)
    X = rng.random((N, 784), np.float32)
    y = (X[:, : 7840 // 10] @ rng.standard_normal((784, 10)).astype(np.float32)).argmax(1)
    makers = {"jitnet": of_jitnet, "JAX, scan": of_jax, "PyTorch": of_torch, "scikit-learn": of_sklearn}
    everyone = {}
    for name, make in makers.items():
        common.say(name)
        everyone[name] = make(X, y)
        everyone[name][0]()
    rounds = 5
    epochs = {name: [] for name in everyone}
    for _ in range(rounds):
        for name, (epoch, _) in everyone.items():
            start = time.perf_counter()
            epoch()
            epochs[name].append(time.perf_counter() - start)
    rows = []
    measured = {"epoch, s": {name: float(np.median(times)) for name, times in epochs.items()}}
    for label, part in (("predict 1 row, s", X[:1]), ("predict 10 000 rows, s", X[:10_000])):
        common.say(label)
        measured[label] = common.time_alternating(
            {name: (lambda predict=predict, part=part: predict(part)) for name, (_, predict) in everyone.items()},
            given.rounds,
        )
    for label, times in measured.items():
        best = min((seconds, who) for who, seconds in times.items() if who != "jitnet")
        rows.append(
            {"what": label}
            | {who: f"{seconds:.3g}" for who, seconds in times.items()}
            | {"× best peer": f"{best[0] / times['jitnet']:.2f} ({best[1]})"}
        )
    common.publish("epochs", given, rows)


if __name__ == "__main__":
    main()
