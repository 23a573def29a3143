"""The kinds of files that jitnet reads: valid files, how to damage them, and how to read them (for fuzz.py)."""

import abc
import contextlib
import gzip
import io
import json
import struct

from trials import TrialError, choose

import damage  # isort: skip
import numpy as np

import jitnet
from jitnet import cli, storage
from jitnet.compiler import jit
from jitnet.compiler.cache_folder import write_cached
from jitnet.data import Recipe, read_idx, read_table
from jitnet.kernels import LADDERS
from jitnet.lab import machine


class Kind(abc.ABC):
    """A kind of file: its name on disk, valid examples, and how it is read."""

    file = ""

    def __init__(self, place):
        self.place, self.path, self.marker = place, place / self.file, place / "executed"

    @abc.abstractmethod
    def originals(self):
        """Contents of valid files."""

    def mutated(self, rng, content):
        return damage.in_bytes(rng, content)

    @abc.abstractmethod
    def read(self, path):
        """Read the file as jitnet does, and use the result."""


class Archive(Kind):
    def mutated(self, rng, content):
        if rng.random() < 0.3:
            return damage.in_bytes(rng, content)
        return damage.in_archive(rng, content, self.marker)


class Model(Archive):
    file = "model.npz"

    def originals(self):
        self.rows = self.place / "rows.csv"
        self.rows.write_text("a,b,y\n" + "".join(f"{i % 5},{i % 3},{'xyz'[i % 3]}\n" for i in range(30)))
        numbers = self.place / "numbers.csv"
        numbers.write_text("a,b,y\n" + "".join(f"{i % 5},{i % 3},{i * 1.5}\n" for i in range(30)))
        for data, dtype in ((self.rows, "float32"), (numbers, "float64")):
            command("train", data, "--target", "y", "--hidden", "3", "--epochs", "1", *QUICK, "--dtype", dtype,
                    "--save", self.path)  # fmt: skip
            yield self.path.read_bytes()
        jitnet.Network(jitnet.Dense(4, 3, "relu", bias=False), jitnet.Dense(3, 1, "sigmoid"), seed=0).save(self.path)
        yield self.path.read_bytes()

    def mutated(self, rng, content):
        self.only_bytes = rng.random() < 0.3  # checksums protect these
        if self.only_bytes:
            self.original = content
            return damage.in_bytes(rng, content)
        return damage.in_archive(rng, content, self.marker)

    def read(self, path):
        net = jitnet.load(path)
        with np.errstate(all="ignore"):
            output = net.forward(np.ones((3, net.layers[0].n_in)), backend="numpy")
        check(output.shape == (3, net.layers[-1].n_out), f"an output of {output.shape}")
        if self.only_bytes:
            self.path.with_name("right.npz").write_bytes(self.original)
            right = jitnet.load(self.path.with_name("right.npz"))
            check(net.theta.tobytes() == right.theta.tobytes(), "parameters that differ from the saved ones")
        command("predict", path, self.rows, *QUICK)


class Checkpoint(Archive):
    file = "run.ckpt"
    options = {"batch_size": 8, "optimizer": "adam", "early_stopping": 9, "backend": "numpy"}  # noqa: RUF012

    def fit(self, net, epochs, **more):
        rng = np.random.default_rng(0)
        X, y = rng.standard_normal((24, 4)), np.arange(24) % 3
        return net.fit(X, y, epochs=epochs, validation=(X, y), checkpoint=self.path, **self.options, **more)

    def network(self):
        return jitnet.Network(jitnet.Dense(4, 5, "tanh"), jitnet.Dense(5, 3, "softmax"), seed=1)

    def originals(self):
        self.fit(self.network(), 2)
        yield self.path.read_bytes()

    def read(self, path):
        net = self.network()
        before = net.theta.tobytes()
        try:
            history = self.fit(net, 3, resume=True)
        except jitnet.Diverged:  # from forged, finite weights
            raise
        except jitnet.Error:
            check(net.theta.tobytes() == before, "a rejected file has changed the network")
            raise
        check(len(history.loss) == len(history.seconds) == len(history.validation_loss), "a history of unequal lengths")
        check(bool(np.isfinite(net.theta).all()), "weights that are not finite")


class Data(Archive):
    file = "data.npz"

    def originals(self):
        rng = np.random.default_rng(0)
        for X, y in (
            (rng.standard_normal((20, 3)).astype("f4"), np.arange(20) % 2),
            (rng.integers(0, 255, (12, 2, 2), np.uint8), np.array(["yes", "no"] * 6)),
            (rng.standard_normal((15, 2)), rng.standard_normal((15, 1))),
        ):
            np.savez(self.path, X=X, y=y)
            yield self.path.read_bytes()

    def read(self, path):
        for features in (None, ["1", "2"]):
            table(read_table(path, features=features), learn=features is None)
        command("train", path, "--epochs", "1", "--hidden", "none", *QUICK)


class Csv(Kind):
    file = "data.csv"

    def originals(self):
        yield b"a,b,y\n" + b"".join(b"%d,%d.5,%d\n" % (i, i * i % 7, i % 2) for i in range(24))
        yield b"weight,species,y\n" + b"".join(
            b"%d,%d,%s\n" % (i, i % 3, [b"plum", b'"a, b"'][i % 2]) for i in range(16)
        )
        yield b"1,2,3\n4,5,6\n7,8,9\n2,2,3\n"
        yield b"when,price,y\n" + b"".join(
            b'2024-0%d-1%d,"%d,%03d",%s\n' % (i % 9 + 1, i % 10, i, i, [b"yes", b"no", b""][i % 3]) for i in range(16)
        )

    def mutated(self, rng, content):
        if rng.random() < 0.2:
            return damage.in_bytes(rng, content)
        return damage.in_csv(rng, content.decode())

    def read(self, path):
        target = "y" if b"y" in path.read_bytes()[:40] else "3"
        table(read_table(path, target), learn=True)
        table(read_table(path, target, features=["a", "b"]))
        command("train", path, "--target", target, "--epochs", "1", "--hidden", "none", *QUICK)


class Idx(Kind):
    file = "t-images-idx3-ubyte"

    def originals(self):
        rng = np.random.default_rng(0)
        (self.place / "t-labels-idx1-ubyte").write_bytes(idx(0x08, (np.arange(12) % 3).astype("u1")))
        for code, dtype in ((0x08, "u1"), (0x0D, ">f4"), (0x0B, ">i2")):
            content = idx(code, rng.integers(0, 100, (12, 3, 2)).astype(dtype))
            yield content
            yield gzip.compress(content, mtime=0)

    def mutated(self, rng, content):
        if content[:2] == b"\x1f\x8b":
            inside = gzip.decompress(content)
            if rng.random() < 0.003:
                return damage.gzip_bomb(inside)
            return (
                gzip.compress(self.mutated(rng, inside), mtime=0)
                if rng.random() < 0.4
                else damage.in_bytes(rng, content)
            )
        if rng.random() < 0.5:
            at, number = 4 * int(rng.integers(4)), choose(rng, damage.INTEGERS) % 2**32
            return content[:at] + struct.pack(">I", number) + content[at + 4 :]
        return damage.in_bytes(rng, content)

    def read(self, path):
        read_idx(path)
        table(read_table(path), learn=True)
        command("train", path, "--epochs", "1", "--hidden", "none", *QUICK)


class Machine(Kind):
    file = "machine.json"

    def originals(self):
        rates = {"1": 1e10, "2": 2e10}
        moves = {"read": 1e10, "write": 5e9, "copy": 7e9}
        self.found = {
            "clock": 3e9, "multiply_adds_per_cycle": 2.0, "caches": {"L1": 32768, "L2": 1 << 20},
            "peak": {"float32": rates, "float64": rates}, "measured": "2026-01-01",
            "bandwidth": {level: {"1": moves, "2": moves} for level in ("L1", "L2", "memory")},
        }  # fmt: skip
        machine._measure = lambda report: json.loads(json.dumps(self.found))  # measuring would take seconds
        yield json.dumps(machine._identity() | self.found, indent=1).encode()

    def mutated(self, rng, content):
        if rng.random() < 0.2:
            return damage.in_bytes(rng, content)
        return damage.in_json(rng, content).encode(errors="surrogatepass")

    def read(self, path):
        found = machine.limits()
        machine.as_text(found)
        for dtype in ("float32", "float64"):
            check(np.isfinite(machine.for_threads(found["peak"][dtype], 2)), "a peak that is not a number")


class Kernel(Kind):
    """A file of compiled code: a changed file, or a pickle in its place, must not be used."""

    file = "kernel"

    def originals(self):
        self.kernel, self.signature = LADDERS["relu"]["njit"], "(float32[:,::1], float32[:,::1],)"
        jit.compile_for(self.kernel, self.signature)
        self.path = self.kernel._cache._path(self.signature, self.kernel.targetctx.codegen())
        yield self.path.read_bytes()

    def mutated(self, rng, content):
        if rng.random() < 0.1:
            write_cached(self.path, choose(rng, damage.planted(self.marker)))
            return self.path.read_bytes()
        changed = damage.in_bytes(rng, content)
        return changed if changed != content else b""

    def read(self, path):
        found = self.kernel._cache.load_overload(self.signature, self.kernel.targetctx)
        check(found is None, "a changed file is used as compiled code")


QUICK = ("--backend", "numpy", "--quiet")
KINDS = (Model, Checkpoint, Data, Csv, Idx, Machine, Kernel)
SHARES = (4, 3, 3, 4, 3, 2, 1)


def idx(code, array):
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def check(right, what):
    if not right:
        raise TrialError(what)


def table(found, learn=False):
    """Check that a table has columns of one length, and gives finite X and Y."""
    check(len(found) > 0, "a table without rows")
    check(all(len(found[name].values) == len(found) for name in found.names), "columns of different lengths")
    if learn:
        rows = np.flatnonzero(~found[found.target].missing)
        recipe = Recipe.learn(found, rows, None)
        X, Y = recipe.X(found)[rows], recipe.Y(found, rows=rows)
        check(bool(np.isfinite(X).all()) and len(X) == len(Y), "numbers that are not finite")
        Recipe.from_plain(storage.plain(recipe.plain()))


def command(*words):
    """Run a command in this process; an error must be one line."""
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        status = cli.main([str(word) for word in words])
    said = [line for line in errors.getvalue().splitlines() if line.startswith("jitnet: ")]
    check(status in (0, 2), f"exit status {status} of jitnet {words[0]}")
    check(status == 0 or (said and len(said[-1]) > 20), f"an error without a message: {errors.getvalue()!r}")
