"""Training uses read-only arrays and memory maps without copying or changing them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from runs import ON_CPU, make, spiral

import jitnet
from jitnet import arrays

X, CODES = spiral()
X = X.astype(np.float32)


def locked(array):
    copy = array.copy()
    copy.flags.writeable = False
    return copy


@pytest.mark.parametrize("backend", [name for name in ON_CPU if name != "python"])
def test_read_only_data_give_the_same_bits(backend, tmp_path):
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    Y = np.eye(3, dtype=np.float32)[CODES]
    ends = []
    for data, targets in ((X, Y), (locked(X), locked(Y)), (mapped, locked(Y))):
        net = make()
        net.fit(data, targets, epochs=2, backend=backend, validation=(data, targets))
        ends.append((net.theta.tobytes(), net.predict(data, backend).tobytes(), net.evaluate(data, targets)["loss"]))
    assert ends[0] == ends[1] == ends[2]
    assert (tmp_path / "X.npy").read_bytes()[-X.nbytes :] == X.tobytes()


def test_read_only_data_are_not_copied(tmp_path):
    np.save(tmp_path / "X.npy", X)
    for data in (X, locked(X), np.load(tmp_path / "X.npy", mmap_mode="r")):
        found = arrays.samples(data, 2, np.dtype(np.float32))
        assert np.shares_memory(found, data)
        assert found.flags.writeable  # Numba then sees one array type and compiles one kernel
        np.testing.assert_array_equal(found, X)
    assert not np.shares_memory(arrays.samples(np.asfortranarray(X), 2, np.dtype(np.float32)), X)


def test_functions_do_not_change_read_only_arrays():
    Z = locked(X)
    np.testing.assert_array_equal(jitnet.tanh(Z), jitnet.tanh(X))
    np.testing.assert_array_equal(Z, X)


PROGRAM = """
import sys, threading, tracemalloc
import numpy as np
import jitnet

def anonymous():  # bytes of this process that are not pages of a file
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon")) / 1024

X = np.load(sys.argv[1], mmap_mode="r")
y = (np.arange(len(X)) % 2).astype(np.int8)
net = jitnet.Network(jitnet.Dense(X.shape[1], 8, "relu"), jitnet.Dense(8, 1, "sigmoid"), seed=0)
net.fit(X[:2000], y[:2000], epochs=1, batch_size=1000, backend="numpy")
before, most, over = anonymous(), 0.0, threading.Event()
def watch():
    global most
    while not over.wait(0.005):
        most = max(most, anonymous() - before)
thread = threading.Thread(target=watch)
thread.start()
tracemalloc.start()
net.fit(X, y, epochs=1, batch_size=1000, backend="numpy")
over.set()
thread.join()
print(most, tracemalloc.get_traced_memory()[1] / 2**20)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory use from /proc")
def test_million_samples_of_a_memory_map_take_less_than_100_MB(tmp_path):
    file = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.float32, (1_000_000, 100))  # 400 MB
    file[::1000] = 1
    file.flush()
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "X.npy")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    of_process, of_arrays = map(float, run.stdout.split())
    assert of_process < 100
    assert of_arrays < 100
    print(run.stdout)


@pytest.mark.parametrize("mode", ["r", "c"])
def test_a_process_checks_only_its_part_of_an_array_in_a_memory_map(tmp_path, monkeypatch, mode):
    np.save(tmp_path / "X.npy", np.zeros((100, 3), np.float32))
    mapped, sizes = np.asarray(np.load(tmp_path / "X.npy", mmap_mode=mode)), []
    net = jitnet.Network(jitnet.Dense(3, 2))
    monkeypatch.setattr(arrays, "_is_finite", lambda array: sizes.append(array.size) or True)
    arrays.inputs(net, mapped, lambda m: slice(20, 30))
    assert sizes == [30]
