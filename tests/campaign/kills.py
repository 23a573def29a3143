"""Kills training, predicting, plotting and compiling at random times: no file is partial, lost or left over.

    python tests/campaign/kills.py [--count 840] [--seed 0] [--minutes 5] [--case NUMBER]

Each case starts a real process that writes files, in half of the cases over older ones, and sends it SIGKILL, SIGTERM
or SIGINT: at a random moment, or shortly after the n-th change in its folder. Every file must then be absent, the
complete old one or the complete new one. The resumed work must give the same bits as an uninterrupted run, without
temporary files, and no process may survive. Processes are forked from this one, which has imported everything, so a
case takes a tenth of a second; plotting and compiling take longer. The seed decides the work and the time of the kill;
the progress of the process by then depends on the machine.
"""

import abc
import contextlib
import io
import os
import signal
import sys
import time

import trials  # before NumPy
from trials import TrialError, choose

import numpy as np  # isort: skip
from matplotlib.backends import backend_agg, backend_pdf, backend_svg  # noqa: F401  (imported once, before the forks)
from matplotlib.figure import Figure

import jitnet
from jitnet import backend, cli, storage
from jitnet.compiler import cache_folder

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
STATUSES = {
    signal.SIGKILL: {0, -signal.SIGKILL},
    signal.SIGTERM: {0, 130, 143, -signal.SIGTERM},
    signal.SIGINT: {0, 130},
}
"""Allowed exit statuses. 0: the process had already finished."""


def train(data, epochs):
    return ["train", data, "--target", "y", "--hidden", "24", "--epochs", str(epochs), "--backend", "numpy", "--quiet"]


class Job(abc.ABC):
    """A command that writes files into a folder."""

    files: tuple[str, ...] = ()

    def __init__(self, place):
        self.place = place
        self.data = place / "data.csv"

    @abc.abstractmethod
    def command(self, folder):
        """The command-line arguments after `jitnet`."""

    def work(self, folder):
        return lambda: cli.main([str(word) for word in self.command(folder)])

    def content(self, file):
        """The content of a complete file, for comparison; TrialError if it is partial. Jobs with `files` define it."""
        raise AssertionError(f"{type(self).__name__} has no files to compare, but {file} was requested")

    def complete(self):
        """Run the job once without a kill: the correct contents, the duration, the number of changes in the folder."""
        folder = self.place / f"complete-{type(self).__name__}"
        folder.mkdir()
        began, changes, seen = time.monotonic(), 0, set()
        process = trials.fork(self.work(folder), self.place / "errors")
        while os.waitpid(process, os.WNOHANG)[0] == 0:
            now = entries(folder)
            changes, seen = changes + (now != seen), now
        self.seconds, self.changes = time.monotonic() - began, max(changes, 1)
        self.right = {name: self.content(folder / name) for name in self.files}

    def prepare(self, folder):
        """Write older files, and return their contents."""
        for name in self.files:
            (folder / name).write_bytes((self.place / "old" / name).read_bytes())
        return {name: self.content(folder / name) for name in self.files}

    def check(self, folder, before, gently):
        """Check the files after a kill. `gently`: ^C and SIGTERM can save the current weights in any complete file."""
        for name in self.files:
            if (folder / name).exists():
                found = self.content(folder / name)
                if not gently and found not in (before.get(name), self.right[name]):
                    raise TrialError(f"{name} is neither the old one nor the new one")
            elif name in before:
                raise TrialError(f"{name} existed before, and is lost")

    def finish(self, folder):
        """Resume the work and compare with a run that was not killed."""
        process = trials.fork(self.work(folder), self.place / "errors")
        if (status := trials.status_of(process)) != 0:
            raise TrialError(f"afterwards, the command ends with status {status}: {tail(self.place / 'errors')}")
        for name in self.files:
            if self.content(folder / name) != self.right[name]:
                raise TrialError(f"afterwards, {name} differs from that of a run that was not killed")
        if left := {name for name, *_ in entries(folder)} - set(self.files):
            raise TrialError(f"left behind: {', '.join(sorted(left))}")


class Training(Job):
    """--save and --checkpoint, resumed if a checkpoint exists."""

    files = ("model.npz", "run.ckpt")

    def command(self, folder, epochs=8):
        resume = ["--resume"] if (folder / "run.ckpt").exists() else []
        return [*train(self.data, epochs), "--save", folder / "model.npz", "--checkpoint", folder / "run.ckpt", *resume]

    def content(self, file):
        if file.name == "model.npz":
            return whole(jitnet.load, file).theta.tobytes()
        about, arrays = whole(lambda path: storage.read(path, "checkpoint"), file)
        return about["step"], [arrays[name].tobytes() for name in sorted(arrays)]

    def check(self, folder, before, gently):
        super().check(folder, before, gently=True)  # a checkpoint can be of any epoch: `finish` checks it
        if not gently and (folder / "model.npz").exists():
            found = self.content(folder / "model.npz")
            if found not in (before.get("model.npz"), self.right["model.npz"]):
                raise TrialError("model.npz is neither the old one nor the new one")


class Prediction(Job):
    """--out."""

    files = ("answers.txt",)

    def command(self, folder):
        words = ["predict", self.place / "old" / "model.npz", self.data, "--backend", "numpy", "--quiet"]
        return [*words, "--out", folder / "answers.txt"]

    def content(self, file):
        return file.read_bytes()


class Picture(Job):
    """--plot."""

    files = ("plot.png",)

    def command(self, folder):
        return [*train(self.data, 2), "--plot", folder / "plot.png"]

    def content(self, file):
        content = file.read_bytes()
        if content[:8] != b"\x89PNG\r\n\x1a\n" or content[-8:-4] != b"IEND":
            raise TrialError(f"{file.name} is partial")
        return content


class Cache(Job):
    """Kernels compiled from an empty cache."""

    operations = ("relu", "gather")

    def command(self, folder):
        return []

    def work(self, folder):
        def compile_and_call():
            os.environ["JITNET_CACHE_DIR"] = str(folder)
            run = backend.get("njit")
            run.compile(self.operations, np.dtype("float32"))
            A = np.empty((3, 4), np.float32)
            run.kernels["relu"](np.arange(-6, 6, dtype=np.float32).reshape(3, 4), A)
            return 0 if A.sum() == 15 else 1

        return compile_and_call

    def complete(self):
        super().complete()
        self.names = sorted(file.name for file in (self.place / "complete-Cache").rglob("*.kernel"))
        if len(self.names) < len(self.operations):
            raise TrialError(f"only these kernels were cached: {self.names}")

    def prepare(self, folder):
        return {}

    def check(self, folder, before, gently):
        for file in folder.rglob("*.kernel"):
            if cache_folder.read_cached(file) is None:
                raise TrialError(f"{file.name} is partial")

    def finish(self, folder):
        for _ in range(2):  # first compiled, then loaded
            process = trials.fork(self.work(folder), self.place / "errors")
            if (status := trials.status_of(process, 120)) != 0:
                raise TrialError(f"afterwards, with the cache, the status is {status}: {tail(self.place / 'errors')}")
        if sorted(file.name for file in folder.rglob("*.kernel")) != self.names:
            raise TrialError("afterwards, the cache has other kernels than after an undisturbed run")
        if left := [file.name for file in folder.rglob("*.tmp")]:
            raise TrialError(f"left behind: {', '.join(left)}")


def whole(read, file):
    try:
        return read(file)
    except jitnet.Error as error:
        raise TrialError(f"{file.name} is partial: {error}") from None


def entries(folder):
    """The current entries of a folder and its subfolders; replacing a file counts as a change."""
    found = set()
    for entry in os.scandir(folder):
        found.add((entry.name, entry.inode()))
        if entry.is_dir():
            found |= entries(entry.path)
    return found


def tail(file):
    return " / ".join(file.read_text().splitlines()[-3:])


def interrupt(job, folder, sent, rng, errors):
    """Start the job, send it a signal at a random time, and wait; returns its exit status."""
    changes = int(rng.integers(1, job.changes + 1)) if rng.random() < 0.6 else None
    delay = rng.exponential(5e-4) if changes else rng.uniform(0, 1.05 * job.seconds)
    seen = entries(folder)
    process = trials.fork(job.work(folder), errors)
    until = time.monotonic() + 3 * job.seconds
    while changes and time.monotonic() < until:
        now = entries(folder)
        changes, seen = changes - (now != seen), now
        if os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break
    time.sleep(delay)
    os.kill(process, sent)  # not reaped yet, so the process id is still valid
    status = trials.status_of(process)
    trials.check_group_is_gone(process)
    return status


def main():
    given = trials.arguments(__doc__, 840, "kills")
    with trials.scratch() as place:
        jobs = prepare(place)

        def kill_one(number, rng):
            job, sent = choose(rng, jobs), choose(rng, SIGNALS)
            folder, errors = place / f"case-{number}", place / f"errors-{number}"
            folder.mkdir()
            before = job.prepare(folder) if rng.random() < 0.5 else {}
            status = interrupt(job, folder, sent, rng, errors)
            if status not in STATUSES[sent]:
                raise TrialError(f"{type(job).__name__} after {sent.name}: exit status {status}: {tail(errors)}")
            try:
                job.check(folder, before, gently=sent != signal.SIGKILL)
                left = [entry for entry in folder.rglob("*") if entry.suffix == ".tmp"]
                if left and status in (0, 130, 143):
                    raise TrialError(f"left behind: {', '.join(file.name for file in left)}")
                for file in left:  # simulates an hour
                    os.utime(file, (time.time() - 7200,) * 2)
                job.finish(folder)
            except TrialError as error:
                raise TrialError(f"{type(job).__name__} after {sent.name}, status {status}: {error}") from None
            return 1, type(job).__name__.lower()

        return trials.run(given, "kills", 0.3, kill_one)


def prepare(place):
    """Prepare the data and older files, and run each job once without a kill."""
    rng = np.random.default_rng(0)
    rows = "".join(f"{a:.3f},{b:.3f},{c:.3f},{i % 3}\n" for i, (a, b, c) in enumerate(rng.standard_normal((120, 3))))
    (place / "data.csv").write_text("a,b,c,y\n" + rows)
    (place / "old").mkdir()
    old = Training(place)
    with contextlib.redirect_stdout(io.StringIO()):  # in this process, so that all imports are done before the forks
        cli.main([str(word) for word in old.command(place / "old", epochs=3)])
    (place / "old" / "answers.txt").write_text("of old\n")
    Figure((1, 1)).savefig(place / "old" / "plot.png")
    jobs = [Training(place), Prediction(place), Picture(place), Cache(place)]
    for job in jobs:
        job.complete()
    return [jobs[0]] * 9 + [jobs[1]] * 6 + [jobs[2]] * 3 + [jobs[3]] * 2


if __name__ == "__main__":
    sys.exit(main())
