"""Every kind of file that jitnet reads, damaged or forged, gives a one-line error or a valid result.

    python tests/campaign/fuzz.py [--count 137000] [--seed 0] [--minutes 5] [--case NUMBER] [--kind model]

Models, checkpoints, data (NPZ, CSV, IDX, gzipped too), measurements of a machine and compiled kernels (file_kinds.py)
are changed (damage.py) and read in a process with a limit of 2 GiB more memory. Errors are: an undocumented exception,
a message that is empty or has several lines, a crash, more than 5 s of CPU or 1 GiB of memory, executed code,
parameters that differ from the file's, and a network that is changed by a rejected file.
"""

import os
import re
import resource
import select
import signal
import struct
import sys
import time
import warnings

import trials  # before NumPy
from trials import TrialError, choose

import damage  # isort: skip
from file_kinds import KINDS, SHARES, check  # isort: skip
import numpy as np

import jitnet

GIB = 1 << 30
DOCUMENTED = (jitnet.Error, FileNotFoundError, IsADirectoryError, PermissionError)
SECONDS = 5


def one_case(kinds, number, seed, only):
    """Damage a file, read it and check the result; returns what happened, or raises TrialError."""
    rng = np.random.default_rng((seed, number))
    shares = np.array(SHARES) / sum(SHARES)
    kind, contents = kinds[only or KINDS[int(rng.choice(len(KINDS), p=shares))].__name__.lower()]
    content = kind.mutated(rng, choose(rng, contents))
    for _ in range(int(rng.integers(3)) if rng.random() < 0.2 else 0):
        content = damage.in_bytes(rng, content)
    kind.path.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        kind.read(kind.path)
        outcome = "accepted"
    except DOCUMENTED as error:
        outcome, said = "refused", str(error)
        check(len(said) > 20 and not re.search(r" is no[^:]*:\s*$", said), f"an error without a message: {said!r}")
        check(len(said) < 2000, f"an error of {len(said)} characters: {said[:100]} ...")
        check(said.isprintable(), f"an error of more than one line, or with control characters: {said!r}")
    finally:
        if kind.marker.exists():
            kind.marker.rmdir()
            raise TrialError("code from the file was executed")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    check(grown < GIB, f"{grown / GIB:.1f} GiB of memory")
    return outcome


def serve(place, seed, only, questions, answers):
    """Runs in a process of its own: answers each number with the result of its case."""
    warnings.simplefilter("ignore")
    os.environ["JITNET_CACHE_DIR"] = str(place)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    kinds = {}
    for make in KINDS:
        kind = make(place)
        kind.path.unlink(missing_ok=True)
        kinds[make.__name__.lower()] = kind, list(kind.originals())
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2 * GIB, used + 2 * GIB))
    while question := os.read(questions, 8):
        number = struct.unpack("<q", question)[0]
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # its signal ends this process
        try:
            answer = one_case(kinds, number, seed, only)
        except TrialError as error:
            answer = f"wrong: {error}"
        except Exception as error:
            while (trace := error.__traceback__).tb_next:
                error.__traceback__ = trace.tb_next
            code = trace.tb_frame.f_code
            answer = f"wrong: {type(error).__name__} in {code.co_filename}:{trace.tb_lineno}: {error}"
        signal.setitimer(signal.ITIMER_PROF, 0)
        os.write(answers, struct.pack("<I", len(answer := answer[:3000].encode(errors="replace"))) + answer)
    return 0


class Fuzzer:
    """Gives the cases to a process, which is replaced when it dies or uses too much memory."""

    def __init__(self, place, seed, only):
        self.place, self.seed, self.only, self.process = place, seed, only, None

    def start(self):
        questions, self.questions = os.pipe()
        self.answers, answers = os.pipe()

        def answer_all():
            os.close(self.questions)  # otherwise the pipe would stay open after the end of this script
            os.close(self.answers)
            return serve(self.place, self.seed, self.only, questions, answers)

        self.process = trials.fork(answer_all, self.place / "errors")
        os.close(questions)
        os.close(answers)

    def stop(self):
        if self.process:
            os.close(self.questions)
            os.close(self.answers)
            trials.end(self.process)
            self.process = None

    def __call__(self, number, rng):
        if not self.process:
            self.start()
        os.write(self.questions, struct.pack("<q", number))
        ready = select.select([self.answers], [], [], 120)[0]
        head = os.read(self.answers, 4) if ready else b""
        if not head:
            until = time.monotonic() + 5
            while (
                ready
                and time.monotonic() < until
                and not os.waitid(os.P_PID, self.process, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            ):
                time.sleep(1e-3)
            ended = os.waitid(os.P_PID, self.process, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            self.stop()
            if not ended:
                raise TrialError("no answer for two minutes")
            if ended.si_status == signal.SIGPROF:
                raise TrialError(f"more than {SECONDS} s of CPU")
            said = (self.place / "errors").read_text().strip().splitlines()[-1:]
            raise TrialError(f"the process died, status {ended.si_status}: {said}")
        answer = os.read(self.answers, struct.unpack("<I", head)[0]).decode()
        if answer.startswith("wrong: "):
            if "GiB" in answer:
                self.stop()  # the process does not return memory to the system
            raise TrialError(answer[7:])
        return 1, answer


def main():
    given = trials.arguments(__doc__, 137_000, "files", kind=[kind.__name__.lower() for kind in KINDS])
    with trials.scratch() as place:
        fuzzer = Fuzzer(place, given.seed, given.kind)
        try:
            return trials.run(given, "files", 5e-3, fuzzer)
        finally:
            fuzzer.stop()


if __name__ == "__main__":
    sys.exit(main())
