"""The same bits in every configuration: threading layers × numbers of threads × backends × dtypes.

    python tests/campaign/configurations.py [--count 54] [--seed 0] [--minutes 5] [--case NUMBER]

A case is one process with its own threading layer and number of threads, in which the backends njit, parallel and fast
train several networks in float32 and float64: six configurations. The networks have odd widths, some of them large
enough for threads; each is trained with each optimizer, in one run and resumed from a checkpoint. Errors are: bits that
depend on the process, on the number of threads or on resuming; backends that differ by more than rounding.
"""

import importlib
import itertools
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path

import trials  # before NumPy
from trials import TrialError

import numpy as np  # isort: skip

from jitnet import SGD, Adam, Dense, Momentum, Network

BACKENDS = ("njit", "parallel", "fast")
DTYPES = ("float32", "float64")
PER_PROCESS = len(BACKENDS) * len(DTYPES)
THREADS = (1, 2, 5)
LAYERS = {"omp": "omppool", "tbb": "tbbpool", "workqueue": "workqueue"}
OPTIMIZERS = (SGD(0.1, weight_decay=1e-3), Momentum(0.05, nesterov=True), Adam(0.003))
SAMPLES, BATCH, EPOCHS = 203, 101, 2  # the last batch has one sample


def networks(dtype):
    """Small and large networks with all activations."""
    yield Network(Dense(3, 2, "sigmoid"), seed=1, dtype=dtype), "binary_cross_entropy"
    yield Network(Dense(37, 1, "tanh", bias=False), Dense(1, 5, "softmax"), seed=2, dtype=dtype), "cross_entropy"
    yield Network(Dense(65, 131, "relu"), Dense(131, 67), seed=3, dtype=dtype), "mse"
    layers = Dense(131, 257, "sigmoid"), Dense(257, 67, "softmax"), Dense(67, 11, "tanh")
    yield Network(*layers, seed=4, dtype=dtype), "half_squared_error"


def samples(net, seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((SAMPLES, net.layers[0].n_in))
    return X, rng.dirichlet(np.ones(net.layers[-1].n_out), SAMPLES)


def train(seed, folder):
    """Runs in the process of a case: "backend dtype network optimizer" -> checksum of all bits, parameter sums."""
    found = {}
    for backend, dtype in itertools.product(BACKENDS, DTYPES):
        for k, (net, loss) in enumerate(networks(dtype)):
            X, Y = samples(net, seed)
            start = net.theta.copy()
            for optimizer in OPTIMIZERS:
                checkpoint = folder / f"{backend}-{dtype}-{k}-{type(optimizer).__name__}"
                options = {"batch_size": BATCH, "optimizer": optimizer, "loss": loss, "backend": backend}
                options["validation"] = X[:50], Y[:50]
                net.theta[...] = start
                whole = net.fit(X, Y, epochs=EPOCHS, **options)
                theta, output = net.theta.copy(), net.forward(X, backend=backend)
                net.theta[...] = start
                net.fit(X, Y, epochs=1, checkpoint=checkpoint, **options)
                net.theta[...] = 0  # the file must restore the weights
                resumed = net.fit(X, Y, epochs=EPOCHS, checkpoint=checkpoint, resume=True, **options)
                if net.theta.tobytes() != theta.tobytes() or resumed.loss != whole.loss:
                    raise TrialError(f"{checkpoint.name}: a resumed run gives different bits")
                losses = np.array([whole.loss, whole.validation_loss])
                bits = zlib.crc32(theta.tobytes() + output.tobytes() + losses.tobytes())
                found[checkpoint.name] = bits, theta.astype(float).tolist() if theta.size < 5000 else losses.tolist()
    return found


class Configurations:
    """The trial: each case is a process, and must give the bits of the first one."""

    def __init__(self, place, seed):
        layers = [name for name, module in LAYERS.items() if works(module)]
        self.settings = list(itertools.product(["default", *layers], THREADS))
        self.place, self.seed, self.bits, self.values = place, seed, {}, {}

    def __call__(self, number, rng):
        layer, threads = self.settings[number % len(self.settings)]
        if not self.bits and number:
            self(0, rng)  # a case that is repeated alone needs the first one for comparison
        for name, (bits, values) in ask(layer, threads, self.seed, self.place / str(number)).items():
            if self.bits.setdefault(name, bits) != bits:
                raise TrialError(f"{name} with {threads} threads, layer {layer}: different bits from the first process")
            _, dtype, rest = name.split("-", 2)
            one = np.concatenate([np.ravel(value) for value in values])
            other = self.values.setdefault((dtype, rest), one)
            bound = 1e4 * float(np.finfo(dtype).eps)
            if not np.abs(one - other).max() <= bound * np.abs(other).max():
                raise TrialError(
                    f"{name}: differs by {np.abs(one - other).max():.2g} from {BACKENDS[0]}, above {bound:.2g}"
                )
        return PER_PROCESS, f"of layer {layer}"


def environment(layer, threads):
    chosen = {"OMP_WAIT_POLICY": "passive"}  # otherwise threads spin on cores that other threads wait for
    chosen |= {} if layer == "default" else {"NUMBA_THREADING_LAYER": layer}
    inherited = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    inherited.pop("NUMBA_THREADING_LAYER", None)
    return {**inherited, "NUMBA_NUM_THREADS": str(threads), **chosen}


def works(module):
    """Whether Numba can load this threading layer on this machine."""
    try:
        importlib.import_module(f"numba.np.ufunc.{module}")
    except ImportError:
        return False
    return True


def ask(layer, threads, seed, folder):
    """The result of `train` in a process with these settings."""
    folder.mkdir()
    command = [sys.executable, __file__, "--worker", str(folder), str(seed)]
    try:
        result = subprocess.run(
            command, env=environment(layer, threads), capture_output=True, text=True, timeout=900, check=False
        )
    except subprocess.TimeoutExpired:
        raise TrialError(f"{threads} threads, layer {layer}: no end within 15 minutes") from None
    if result.returncode:
        last = " / ".join(result.stderr.strip().splitlines()[-2:])
        raise TrialError(f"{threads} threads, layer {layer}: exit status {result.returncode}: {last}")
    return json.loads((folder / "found.json").read_text())


def main():
    if sys.argv[1:2] == ["--worker"]:
        folder = Path(sys.argv[2])
        (folder / "found.json").write_text(json.dumps(train(int(sys.argv[3]), folder)))
        return 0
    given = trials.arguments(__doc__, 54, "configurations")
    with trials.scratch() as place:
        return trials.run(given, "configurations", 2, Configurations(place, given.seed), PER_PROCESS)


if __name__ == "__main__":
    sys.exit(main())
