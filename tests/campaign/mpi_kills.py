"""Training on several MPI processes of which one fails: all must end soon, and nothing may be lost.

In each case mpiexec starts 2 to 4 processes. One of them is killed at a random time, crashes, raises an exception in a
callback, has bad data, or has another version of jitnet; or rank 0 has a full disk. All processes must then end within
seconds, with one line that names the rank, and the checkpoint must have the bits of an epoch of an undisturbed run on
one process. Needs the extra mpi.
"""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import trials  # before NumPy
from trials import TrialError

import numpy as np  # isort: skip

import jitnet
from jitnet import storage

EPOCHS, PATIENCE = 1000, 10.0
KINDS = ("killed", "crashed", "raised", "bad data", "other version", "full disk")
LINES = {
    "killed": " killed or crashed", "crashed": " killed or crashed", "raised": "ValueError: enough",
    "bad data": "is nan; replace", "other version": "install the same version", "full disk": "cannot write",
}  # fmt: skip


def trained(comm=None, callback=None, bad=False, **options):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((200, 8)), rng.integers(0, 3, 200)
    if bad:
        X[7, 1] = np.nan
    net = jitnet.Network(jitnet.Dense(8, 24, "tanh"), jitnet.Dropout(0.1), jitnet.Dense(24, 3, "softmax"), seed=1)
    options |= {"optimizer": "adam", "backend": "numpy", "reduction": "tree", "callbacks": callback}
    net.fit(X, y, epochs=EPOCHS, comm=comm, **options)


def work(folder, kind, victim, epoch):
    """One rank, which fails by itself unless it is killed from outside."""
    from mpi4py import MPI

    comm, folder = MPI.COMM_WORLD, Path(folder)
    is_victim = comm.rank == victim

    def trouble(net, history):
        if history.epochs == 1:
            (folder / f"pid-{comm.rank}").write_text(str(os.getpid()))
        if not is_victim or history.epochs != epoch:
            return
        (folder / "event").touch()
        if kind == "crashed":
            os.kill(os.getpid(), signal.SIGSEGV)
        if kind == "raised":
            raise ValueError("enough")
        if kind == "full disk":
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))

    if is_victim and kind in ("bad data", "other version"):
        (folder / "event").touch()
    if is_victim and kind == "other version":
        jitnet.__version__ = "0.0.1"
    try:
        trained(comm, trouble, is_victim and kind == "bad data", checkpoint=folder / "run.ckpt")
    except jitnet.Error as error:
        if comm.rank == 0:
            print(f"jitnet: {error}", file=sys.stderr)
        sys.exit(2)


def started(folder, size, words):
    command = [shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")]
    code = "import json, sys, mpi_kills; mpi_kills.work(*json.loads(sys.argv[1]))"
    paths = [str(Path(__file__).parent), str(Path(jitnet.__file__).parents[1])]
    return subprocess.Popen(
        [*command, "-n", str(size), sys.executable, "-c", code, json.dumps([str(folder), *words])],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=(folder / "errors").open("w"),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip


def kill(folder, victim, size, rng):
    """Kill one rank while all of them train."""
    until = time.monotonic() + 60
    while len(list(folder.glob("pid-*"))) < size:
        if time.monotonic() > until:
            raise TrialError("the ranks did not start")
        time.sleep(0.01)
    time.sleep(rng.uniform(0, 0.5))
    (folder / "event").touch()
    os.kill(int((folder / f"pid-{victim}").read_text()), signal.SIGKILL)


def check(folder, kind, victim, process):
    """Wait for the end, and check output, processes and checkpoint."""
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise TrialError("mpiexec did not end") from None
    seconds = time.time() - (folder / "event").stat().st_mtime
    if seconds > PATIENCE:
        raise TrialError(f"it took {seconds:.1f} s to end")
    errors = (folder / "errors").read_text()
    lines = [line for line in errors.splitlines() if line.startswith("jitnet: ")]
    if len(lines) != 1 or f"rank {victim}" not in lines[0] or LINES[kind] not in lines[0]:
        raise TrialError(f"the lines are {lines}")
    for pid in folder.glob("pid-*"):
        if Path(f"/proc/{pid.read_text()}").exists():
            raise TrialError(f"{pid.name} is still running")
    return seconds


def check_checkpoint(folder, kind, epoch, thetas):
    path = folder / "run.ckpt"
    if not path.exists():
        if kind in ("crashed", "raised", "full disk") and epoch > 1:
            raise TrialError("there is no checkpoint")
        return
    about, arrays = storage.read(path, "checkpoint")
    epochs = len(about["history"]["loss"])
    if arrays["theta"].tobytes() != thetas[epochs - 1]:
        raise TrialError(f"the checkpoint of epoch {epochs} has other bits than the undisturbed run")
    if kind in ("crashed", "raised", "full disk") and epochs != epoch - 1:
        raise TrialError(f"the checkpoint is of epoch {epochs}, but the failure was in epoch {epoch}")


def main():
    given = trials.arguments(__doc__, 50, "kills", kind=list(KINDS))
    thetas, durations = [], {}
    trained(callback=lambda net, history: thetas.append(net.theta.tobytes()))
    with trials.scratch() as place:

        def one(number, rng):
            kind = given.kind or KINDS[number % len(KINDS)]
            size, epoch = int(rng.integers(2, 5)), int(rng.integers(1, 40))
            first = int(kind == "other version")  # the others are compared with rank 0
            victim = 0 if kind == "full disk" else int(rng.integers(first, size))
            folder = place / f"case-{number}"
            folder.mkdir()
            process = started(folder, size, (kind, victim, epoch))
            if kind == "killed":
                kill(folder, victim, size, rng)
            seconds = check(folder, kind, victim, process)
            check_checkpoint(folder, kind, epoch, thetas)
            durations[kind] = max(durations.get(kind, 0), seconds)
            return 1, kind

        status = trials.run(given, "kills", 6, one)
        print("longest time to the end: " + ", ".join(f"{kind} {seconds:.1f} s" for kind, seconds in durations.items()))
        return status


if __name__ == "__main__":
    sys.exit(main())
