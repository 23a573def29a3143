"""Mutation testing: makes one small change to the code at a time, and runs the tests of the changed file.

    python tests/campaign/mutants.py [--count 300] [--seed 0] [--only FILE] [--list] [--jobs N] [--out FILE.jsonl]

Each mutant is a copy of the checkout with one change. Loops first run as plain Python, which takes a second; compiled
code uses an empty cache folder. A mutant is killed if a test fails, or takes several times as long as without the
change. Mutants that change no result are in equivalent.txt, with reasons. With --out, a later call continues and
retries the survivors. The exit status is 1 if fewer than 95 % are killed.
"""

import argparse
import contextlib
import hashlib
import importlib
import itertools
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutations import Mutant, is_sound, mutants
from suites import TESTS

ROOT = Path(__file__).resolve().parents[2]
KERNELS = "jitnet/kernels/"
EQUIVALENT = Path(__file__).with_name("equivalent.txt")
ENOUGH = 0.95

ALWAYS = [
    ("jitnet/training/checkpoint.py", "history.epochs % self.every == 0", "history.epochs + self.every == 0"),
    ("jitnet/training/loop.py", "history.epochs < self.plan", "history.epochs <= self.plan"),
    ("jitnet/compiler/cache_folder.py", "30 * DAY", "30 + DAY"),
    ("jitnet/kernels/gather.py", "masked_load(source", "load(source"),
]
"""Mutants that survived before: file, old text, new text. Every sample contains them."""

OTHERS = {"__init__", "__main__", "types", "mpi", "graph_svg", "history", "interruption", "legend", "markup", "plots"}
"""Names of files without a table entry: pictures, names, and what needs a signal or several processes."""

WITHOUT = ("cli/", "kernels/cuda/", "compiler/cuda/", "backend/cuda", "lab/")
"""Folders whose files need no table entry: the command line, GPUs, and the lab, of which the table has some files."""


def files_without_tests() -> list[str]:
    """Files of the engine without tests in the table."""
    package = ROOT / "jitnet"
    found = [file.relative_to(package) for file in package.rglob("*.py") if file.stem not in OTHERS]
    engine = [f"jitnet/{file}" for file in found if not str(file).startswith(WITHOUT)]
    return sorted(set(engine) - set(TESTS))


def sample(count: int, seed: int, only: str | None = None) -> list[Mutant]:
    """Mutants of all files, or of one: more for large files, at least two for each.

    A hash of each change selects the sample, so an edit of a file does not change the rest of the sample.
    """
    files = {file: mutants(ROOT, file) for file in TESTS if only in (None, file)}
    total = sum(len(found) ** 0.5 for found in files.values())
    chosen: list[Mutant] = []
    for file, found in files.items():
        source = (ROOT / file).read_bytes()
        wanted = max(2, round(count * len(found) ** 0.5 / total))
        first = [m for f, old, new in ALWAYS if f == file for m in found if old in m.before and new in m.after][:2]
        found.sort(key=lambda mutant: hashlib.blake2b(f"{seed} {mutant.key}".encode()).digest())
        sound = (m for m in [*first, *(m for m in found if m not in first)] if is_sound(m, source))
        chosen += itertools.islice(sound, max(wanted, len(first)))
    return chosen


def equivalent() -> dict[tuple[str, ...], str]:
    """The entries of equivalent.txt: (file, function, before, after) -> reason."""
    known: dict[tuple[str, ...], str] = {}
    for block in EQUIVALENT.read_text(encoding="utf-8").split("\n\n"):
        lines = [line for line in block.strip().splitlines() if not line.startswith("#")]
        if lines:
            where, before, after, *reason = lines
            assert before[:2] == "- ", block
            assert after[:2] == "+ ", block
            assert reason, block
            known[(*where.split(" ", 1), before[2:], after[2:])] = " ".join(reason)
    return known


@dataclass
class Run:
    """One stage of tests in its own process, forked from this one, in which slow imports are done."""

    folder: Path
    tests: list[str]
    environment: dict[str, str]
    seconds: float
    """Limit of CPU time; the limit of wall-clock time is ten times as high, since the machine may be busy."""
    pid: int = 0
    output: Any = None
    began: float = 0.0

    def start(self) -> None:
        self.output = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.began = time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            self._child()

    def _child(self) -> None:
        status = 70
        try:
            os.setsid()
            signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job has none
            for stream in (1, 2):
                os.dup2(self.output.fileno(), stream)
            resource.setrlimit(resource.RLIMIT_CPU, (int(self.seconds) + 1, int(self.seconds) + 5))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            os.chdir(self.folder)
            os.environ.update(
                self.environment, PYTHONPATH=str(self.folder), PYTHONDONTWRITEBYTECODE="1",
                PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",  # loading plugins takes longer than most tests
            )  # fmt: skip
            sys.path[:] = [str(self.folder), *(p for p in sys.path if Path(p).resolve() != Path(__file__).parent)]
            sys.dont_write_bytecode = True
            import pytest

            status = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-m", "not release", *self.tests]))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def poll(self) -> tuple[str, float] | None:
        """None while it runs; then the result, "passed" or the failure, and the CPU time."""
        pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        late = time.monotonic() - self.began > 10 * self.seconds
        if pid == 0 and not late:
            return None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # with its child processes
        if pid == 0:
            os.wait4(self.pid, 0)
            return "time", self.seconds
        self.output.seek(0)
        text = self.output.read()
        self.output.close()
        code = os.waitstatus_to_exitcode(status)
        failed = [line for line in text.splitlines() if line.startswith(("FAILED", "ERROR"))]
        if code == 0 and " passed" in text:  # a mutant may end the process, with any status
            how = "passed"
        elif code in (-signal.SIGXCPU, -signal.SIGKILL):
            how = "time"
        else:
            how = failed[0].split(" - ")[0] if failed else f"status {code}: {text[-300:]}"
        return how, usage.ru_utime + usage.ru_stime


class Limits:
    """Limits of CPU seconds for stages of tests: several times the time without a mutation, measured when needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[tuple[str, ...], float] = {}

    def of(self, file: str, tests: list[str]) -> float:
        key = (file if file.startswith(KERNELS) else "", *tests)
        if key not in self._known:
            run = Run(self.folder, tests, environment_for(file, self.folder), 1800)
            run.start()
            while (ended := run.poll()) is None:
                time.sleep(0.05)
            how, seconds = ended
            if how != "passed":
                raise SystemExit(f"without a mutation, {' '.join(tests)} fails: {how}")
            print(f"{file}: {seconds:.1f} s for {' '.join(tests)}", flush=True)
            self._known[key] = 4 * seconds + 10
        return self._known[key]


def environment_for(file: str, folder: Path) -> dict[str, str]:
    """Machine code of a mutated file of kernels is not cached."""
    if not file.startswith(KERNELS):
        return {}
    shutil.rmtree(folder / "cache", ignore_errors=True)
    return {"JITNET_CACHE_DIR": str(folder / "cache")}


@dataclass
class Trial:
    """One mutant, which goes through the test stages of its file."""

    mutant: Mutant
    limits: Limits
    repeat: int = 1
    slot: Path = ROOT
    stage: int = 0
    seconds: float = 0.0
    run: Run | None = None

    def begin(self) -> None:
        source = self.slot / self.mutant.file
        source.write_bytes(self.mutant.apply((ROOT / self.mutant.file).read_bytes()))
        for compiled in (source.parent / "__pycache__").glob(f"{source.stem}.*.pyc"):
            compiled.unlink()
        self._next_run()

    def _next_run(self) -> None:
        file = self.mutant.file
        tests = TESTS[file][self.stage // self.repeat]
        limit = self.limits.of(file, tests)
        self.run = Run(self.slot, tests, environment_for(file, self.slot), limit)
        self.run.start()

    def poll(self) -> str | None:
        """None, or the verdict: "survived" or the failed test."""
        assert self.run
        ended = self.run.poll()
        if ended is None:
            return None
        how, seconds = ended
        self.seconds += seconds
        if how == "passed" and self.stage + 1 < len(TESTS[self.mutant.file]) * self.repeat:
            self.stage += 1
            self._next_run()
            return None
        shutil.copy2(ROOT / self.mutant.file, self.slot / self.mutant.file)
        return "survived" if how == "passed" else how


def work(trials: list[Trial], slots: list[Path]) -> Iterator[tuple[Trial, str]]:
    """Run trials, as many at a time as there are copies of the checkout, and yield each with its verdict."""
    waiting, free = trials[::-1], slots[:]
    running: list[Trial] = []
    try:
        while waiting or running:
            while waiting and free:
                trial = waiting.pop()
                trial.slot = free.pop()
                running.append(trial)
                trial.begin()
            for trial in running[:]:
                verdict = trial.poll()
                if verdict is not None:
                    running.remove(trial)
                    free.append(trial.slot)
                    yield trial, verdict
            time.sleep(0.02)
    finally:
        for trial in running:
            with contextlib.suppress(ProcessLookupError, AttributeError):
                os.killpg(trial.run.pid, signal.SIGKILL)  # type: ignore[union-attr]


@contextlib.contextmanager
def copies(count: int) -> Iterator[list[Path]]:
    """Temporary copies of the files that the tests need."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        slots = [Path(folder) / f"copy{i}" for i in range(count)]
        for slot in slots:
            leave_out = shutil.ignore_patterns(".git", ".venv", "shared", "__pycache__", "*.egg-info")
            shutil.copytree(ROOT, slot, ignore=leave_out)
        yield slots


def tried(path: Path | None) -> dict[tuple[str, ...], dict[str, Any]]:
    """Results of an earlier call, the latest for each mutant."""
    if path is None or not path.exists():
        return {}
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {(one["file"], one["function"], one["before"], one["after"]): one for one in found}


def table(results: list[dict[str, Any]]) -> list[str]:
    """Counts by file, and the total."""
    lines = [f"{'file':<34}{'mutants':>8}{'killed':>8}{'equivalent':>12}{'survived':>10}"]
    for name in [*TESTS, "total"]:
        count = Counter(one["verdict"] for one in results if name in (one["file"], "total"))
        if total := sum(count.values()):
            killed, same, left = (count[verdict] for verdict in ("killed", "equivalent", "survived"))
            lines.append(f"{name.removeprefix('jitnet/'):<34}{total:>8}{killed:>8}{same:>12}{left:>10}")
    return lines


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300, help="approximate number of mutants")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample")
    parser.add_argument("--only", metavar="FILE", choices=TESTS, help="only this file, such as jitnet/step.py")
    parser.add_argument("--list", action="store_true", help="list the mutants without running tests")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each stage before a mutant counts as survived")
    parser.add_argument("--jobs", type=int, default=1, help="number of parallel runs")
    parser.add_argument("--out", type=Path, metavar="FILE", help="append JSON lines; continue from existing ones")
    options = parser.parse_args(arguments)
    chosen, same = sample(options.count, options.seed, options.only), equivalent()
    if files_without_tests():
        print("no tests are listed for", ", ".join(files_without_tests()))
    if options.list:
        for mutant in chosen:
            print(mutant, "(equivalent)" if mutant.key in same else "")
        return 0
    before = tried(options.out)
    done = [before[m.key] for m in chosen if m.key not in same and before.get(m.key, {}).get("verdict") == "killed"]
    results = done + [{"file": m.file, "verdict": "equivalent"} for m in chosen if m.key in same]
    known = {(one["file"], one["function"], one["before"], one["after"]) for one in done}
    left = [mutant for mutant in chosen if mutant.key not in same and mutant.key not in known]
    for module in ("numba", "numpy", "pytest", "hypothesis"):  # otherwise every run would import them again
        importlib.import_module(module)
    with copies(options.jobs + 1) as (untouched, *slots):
        limits = Limits(untouched)
        began = time.monotonic()
        trials = [Trial(mutant, limits, options.repeat) for mutant in left]
        for i, (trial, verdict) in enumerate(work(trials, slots), 1):
            mutant = trial.mutant
            result = {
                "file": mutant.file, "function": mutant.function, "line": mutant.line, "before": mutant.before,
                "after": mutant.after, "verdict": "survived" if verdict == "survived" else "killed",
                "by": "" if verdict == "survived" else verdict, "seconds": round(trial.seconds, 2),
            }  # fmt: skip
            results.append(result)
            if options.out:
                with options.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(result, ensure_ascii=False) + "\n")
            rest = (time.monotonic() - began) / i * (len(left) - i) / 60
            print(f"{i}/{len(left)}, {rest:.0f} min left: {result['verdict']:<9}{trial.seconds:5.1f} s  {mutant}",
                  flush=True)  # fmt: skip
    print("\n" + "\n".join(table(results)))
    survivors = [one for one in results if one["verdict"] == "survived"]
    for one in survivors:
        print(f"\n{one['file']}:{one['line']} {one['function']}\n- {one['before']}\n+ {one['after']}")
    counted = sum(one["verdict"] != "equivalent" for one in results)
    share = 1 - len(survivors) / max(counted, 1)
    print(f"\nkilled: {100 * share:.1f} % of {counted} mutants that are not equivalent")
    return 0 if share >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
