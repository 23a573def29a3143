"""The grader: a submission gets only the points that it has earned, and cannot stop the grader."""

import os
import re
import sys
import tempfile
from pathlib import Path

import pytest
from small_assignment import ADDITION, HONEST, SPEED, graded, made

from jitnet.lab import explain
from jitnet.lab.grade import assignment, inspection, judging, output, page, parent, table
from jitnet.lab.grade.language import Language
from jitnet.lab.worker import ask

HERE = Path(__file__).parent
HOSTILE = sorted((HERE / "hostile_submissions").glob("*.py"))
EXAMPLES = HERE.parent / "examples" / "assignments"

NO_JIT = {"NUMBA_DISABLE_JIT": "1"}

IN_THE_LANGUAGE = ("changes_its_inputs", "is_lazy_when_timed", "remembers_contents", "spoils_its_inputs", "writes_far")
"""Submissions whose behavior is not visible in their source."""

CORRECT = ("patches_the_clock", "works_before_the_clock", "is_lazy_when_timed")
"""Submissions that pass the test of correctness and get its points, but none for speed."""

RIGHT = (
    "calls_numpy", "calls_jitnet", "hides_a_call", "renames_a_module", "lets_numba_evaluate", "works_when_imported",
    "reaches_through_a_method", "uses_format", "matches_a_class",
)  # fmt: skip
"""Submissions that only the language checks can find."""

TRIED = [path for path in HOSTILE if path.stem not in RIGHT]
CHEAP = ("forges_answers", "works_in_a_thread", "shrinks_the_memory", "reads_the_heap")


@pytest.fixture(scope="module")
def addition(tmp_path_factory):
    return made(tmp_path_factory.mktemp("addition"))


@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: path.stem)
def test_language_refuses_submissions_that_could_cheat(path):
    error = Language().error_of(path.read_bytes())
    assert (error is None) == (path.stem in IN_THE_LANGUAGE)


GUARD = "if __name__ == '__main__':\n    "


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def add(x):\n    try:\n        pass\n    finally:\n        pass\n", "uses try, which is not part of the"),
        ("def add(x):\n    with open(x):\n        pass\n", "uses with, which is not part of the language of this"),
        ("def add(x):\n    yield x\n", "language of this assignment (line 2)"),
        ("from numba import njit\nfrom math import exp as njit\n", "imports two things as njit"),
        ("from numba import njit, prange\n@njit(parallel=True, nogil=True)\ndef add(x):\n    pass\n", None),
        (
            "def add(x):\n    return x @ x\n",
            "uses @, which is not allowed in this assignment; write the loops (line 2)",
        ),
        ("import numpy as np\ndef add(x: np.ndarray, y: list[str] | None) -> np.array:\n    s: object = x\n", None),
        ("import numpy as np\ndef add(x: np.ndarray(3)):\n    pass\n", "uses numpy.ndarray, which this assignment"),
        ("import numpy as np\ndef add(x: np.dot):\n    pass\n", "uses numpy.dot, which this assignment"),
        ("def add(x: str(3), y: (z := str)):\n    pass\n", "uses str, which this assignment does not allow (line 1)"),
        ("def add(x: __builtins__):\n    pass\n", "uses the name __builtins__"),
        (f"{GUARD}import os\n    os.remove('x')\n", None),
        (f"{GUARD}pass\nelse:\n    x = 3\n", "does something outside of its functions"),
        (f"def add(x):\n    {GUARD}    x.dot(x)\n", "uses .dot, which this assignment does not allow"),
        (f"{GUARD}import os as np\nimport numpy as np\ndef add(x):\n    np.dot(x, x)\n", "uses numpy.dot, which"),
        (
            "import numpy as np\nA = np.random.rand(3)\ndef add(A):\n    A[0] = 1\n",
            "calls np.random.rand() outside of its functions; write it below if __name__ == '__main__' (line 2)",
        ),
        (
            "import numpy as np\nbuf = np.zeros(9)\ndef add(x):\n    buf[0] = x[0]\n",
            "makes buf outside of its functions by np.zeros(); make it in the function that uses it (line 2)",
        ),
        ("for i in open('x'):\n    pass\n", "does something outside of its functions; write it below if"),
        ("with open('x') as f:\n    f.read()\n", "does something outside of its functions; write it below if"),
        ("@nb.njit\ndef add(x):\n    pass\n", "uses nb.njit without an import; write import numba as nb at the top"),
        ("def add(x):\n    x.sort()\n", "uses .sort, which"),
        ("def add(nb):\n    nb.sort()\n", "uses .sort, which"),
        ("class A:\n    pass\n", "uses class, which is not part of the language of this assignment (line 1)"),
        (f"__name__ = '__main__'\n{GUARD}pass\n", "uses the name __name__; names with two underscores belong to"),
        ("def add(x):\n    global __name__\n", "uses the name __name__"),
        ("import numba as __name__\n", "uses the name __name__"),
        ("def __name__(x):\n    pass\n", "uses the name __name__"),
    ],
)
def test_language_errors_say_what_is_wrong(source, said):
    error = Language().error_of(source.encode())
    assert error is said is None or said in error


@pytest.mark.parametrize(
    "path", [pytest.param(p, marks=() if p.stem in CHEAP else pytest.mark.slow) for p in TRIED], ids=lambda p: p.stem
)
def test_hostile_submissions_get_no_points_without_language_checks(path, tmp_path, monkeypatch):
    """With `imports = ["*"]`, only the confined process protects the grader."""
    monkeypatch.setattr(parent, "COMPILING", 3.0)
    text = ADDITION.replace('["numba"]', '["*"]\nseconds = 2\nmemory = 0.5')
    victim = Path(tempfile.gettempdir(), f"hostile-victim-{os.getpid()}")
    victim.write_text("whole")
    try:
        result = graded(made(tmp_path, text + SPEED * (path.stem not in CHEAP)), path)
        assert result["points"] == (3 if path.stem in CORRECT else 0), result
        assert victim.read_text() == "whole"
        assert not list(Path(tempfile.gettempdir()).glob("forged*"))
        output.as_text(result).encode()
    finally:
        victim.unlink()


def test_honest_submission_gets_its_points(addition, tmp_path):
    path = tmp_path / "anna.py"
    path.write_text(f"{HONEST}\n{GUARD}add(0, 0, 0)  # it never runs here\n")
    result = graded(addition, path)
    assert (result["points"], result["of"]) == (3, 3), result
    assert not result["unfenced"] or os.name != "posix"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (HONEST.replace("+ y[i]", "+ y[i] * 1.00001"), "expected"),
        ("def add(x, y, result):\n    raise ValueError('a\x1bb')\n", "ValueError"),
        ("def add(x, y, result:\n", "has a syntax error in line 1: "),
        ("(" * 50_000, "has a syntax error in line 1: too many nested parentheses"),
        ("x = " + "-" * 90_000 + "1", "parsed"),
        ("if " + "-" * 300 + "1:\n    pass\n", "outside of its functions"),
        ("\0", "source code string cannot contain null bytes"),
        ("# coding: hex\n", "'hex' is not a text encoding"),
        ("x" * 200_000, "bytes"),
    ],
)  # fmt: skip
def test_errors_of_a_submission_are_reported(source, said, addition, tmp_path):
    path = tmp_path / "ben.py"
    path.write_text(source)
    result = graded(addition, path)
    text = output.as_text(result)
    assert result["points"] == 0
    assert said in text
    assert "\x1b" not in text
    assert ("Hint: one loop" in text) == (said in ("expected", "ValueError"))  # the hint of the failed test


def test_line_of_a_class_is_a_sentence_about_a_missing_function(addition, tmp_path):
    path = tmp_path / "carla.py"
    path.write_text(HONEST.replace("def add", "def addition"))
    line = output.row_of(graded(addition, path))
    assert line.startswith("carla.py: 0 of 3 points; add does not load: carla.py has no function 'add'"), line


def test_measured_speed_is_shown_if_it_passes():
    test = assignment.Test("speed", 2, of="naive", reach=0.5)
    passed = {"kernel": "add", "test": f"add: {test.title}", "check": "speed", "points": 2, "of": 2, "passed": True}
    passed["hint"] = ""
    tests = [passed | {"said": "1.0 ms, 80% of the speed of naive"}, passed | {"check": "correct", "said": "right"}]
    found = {"submission": "anna.py", "points": 4, "of": 4, "tests": tests, "unfenced": "", "disturbed_by": []}
    found |= {"refused": "", "note": ""}
    lines = output.as_text(found).splitlines()[2:]
    row = "✓    2 of 2  add: at least 50% of the speed of naive"
    assert lines == [row, "    1.0 ms, 80% of the speed of naive", row]
    assert output.row_of(found) == "anna.py: 4 of 4 points"
    tests[0]["said"] = f"{'a' * 37} {'b' * 38}"
    assert output.as_text(found).splitlines()[3] == "    " + tests[0]["said"]  # exactly 80 columns
    tests[0]["said"] = "1.0 ms, 80% of the speed of naive"
    tests[0] |= {"test": "add: speed", "passed": False}
    assert output.row_of(found) == "anna.py: 4 of 4 points; add fails 'speed': 1.0 ms, 80% of the speed of naive"
    tests[0] |= {"check": "correct", "said": "is wrong: 1 of 5 wrong"}
    assert output.row_of(found) == "anna.py: 4 of 4 points; add is wrong: 1 of 5 wrong"
    tests[0] |= {"check": "speed"}
    tests[0]["said"] = tests[1]["said"] = "it is slow " * 9
    lines = output.row_of(found).splitlines()
    assert max(map(len, lines)) <= 80
    assert " ".join(line.removeprefix("    ") for line in lines).count("it is slow") == 9  # nothing is cut
    assert "as above" not in output.as_text(found)
    tests[1]["passed"] = False
    assert output.as_text(found).splitlines()[-1] == "    as above"  # a lost test has a reason
    assert "<p>as above</p>" in page.as_html([found | {"assignment": "Addition", "seed": 1}])


FORGING = """
import numba


def add(x, y, result):
    for i in numba.prange(x.size):
        result[i // 2] = x[i] + y[i]
    print('\\njitnet-answer:{"answer": null}')
"""


@pytest.mark.slow
def test_printed_answers_are_ignored(tmp_path):
    """The sanitizer runs the kernel in the process that sends the answer."""
    path = tmp_path / "emil.py"
    path.write_text(FORGING)
    assert Language().error_of(path.read_bytes()) is None
    passed, said = ask(
        inspection.has_no_race, str(path), "add", "vector_add", "float32", True, 1 << 30, environment=NO_JIT
    )
    assert passed is False
    assert said.startswith("race")


QUADRATIC = """
import numba
@numba.njit{parallel}
def prefix_sum(x, y):
    for again in range({times}):
        if x.size:
            y[0] = x[0]
    for i in {loop}(x.size):
        s = 0.0
        for k in range(i + 1):
            s += x[k]
        y[{index}] = s
"""


@pytest.mark.parametrize(
    ("loop", "parallel", "index", "times", "passed", "said"),
    [
        ("range", "", "i", 1, True, "no two iterations touch the same element"),
        ("numba.prange", "(parallel=True)", "i", 1, True, "no two iterations touch the same element"),
        ("numba.prange", "(parallel=True)", "i // 2", 1, False, r"race: y\[0\] is written by iteration 0 .*"),
        ("range", "", "i", 8_000, True, "no two iterations touch the same element"),
        (
            "numba.prange",
            "(parallel=True)",
            "i // 2",
            8_000,
            None,
            r"not judged: .* more than 5,000 accesses, given x .*",
        ),
    ],
)
def test_what_takes_long_is_no_race(loop, parallel, index, times, passed, said, tmp_path, monkeypatch):
    """Sums of up to 1009 numbers read 1009·1010/2 = 509 545 of them, more than the sanitizer may; of 65 only 2145."""
    monkeypatch.setattr(inspection.confinement, "limit", lambda *_: None)
    monkeypatch.setattr(inspection, "ACCESSES", 5_000)
    path = tmp_path / "dora.py"
    path.write_text(QUADRATIC.format(loop=loop, parallel=parallel, index=index, times=times))
    found = inspection.has_no_race(str(path), "prefix_sum", "prefix_sum", "float32", loop != "range", 1 << 30)
    assert found[0] is passed
    assert re.fullmatch(said, found[1])


@pytest.mark.slow
@pytest.mark.skipif(not explain.is_readable(), reason="explain cannot parse the code of this machine")
def test_only_a_compiled_vector_loop_is_vectorized(tmp_path):
    solution, plain = EXAMPLES / "matmul" / "solution.py", tmp_path / "plain.py"
    plain.write_text(HONEST)
    product = "matmul", "float32", [48, 48, 48], 1 << 31
    assert ask(inspection.scalar_loop_in, str(solution), "reordered", *product) is None
    assert "not vectorized" in ask(inspection.scalar_loop_in, str(solution), "naive", *product)
    assert "not compiled" in ask(inspection.scalar_loop_in, str(plain), "add", *product)


DECOYS = """
import numba
import numpy as np

@numba.njit
def deeper(x, y, result):
    few = min(x.size, 2)
    idle = np.zeros(y.size, x.dtype)
    i = 0
    while i < x.size:
        result[i] = x[i] + y[i]
        i += 1 + (result[i] > 1e30)
    for a in range(few):
        for b in range(few):
            for c in range(few):
                for d in range(y.size):
                    idle[d] = y[d] * y[d]
    if idle[7] > 1e30:
        result[0] = idle[7]

@numba.njit
def for_small_sizes(x, y, result):
    large = min(x.size // 1000, 1)
    for a in range(1 - large):
        for b in range(1 - large):
            for i in range(x.size):
                result[i] = x[i] + y[i]
    i = x.size * (1 - large)
    while i < x.size:
        result[i] = x[i] + y[i]
        i += 1 + (result[i] > 1e30)
"""


@pytest.mark.slow
@pytest.mark.skipif(not explain.can_run(), reason="calls are counted on Linux and x86-64 only")
@pytest.mark.parametrize(("name", "line"), [("deeper", 10), ("for_small_sizes", 29)])
def test_idle_vectorized_loop_does_not_hide_the_hottest_loop(name, line, tmp_path):
    path = tmp_path / "decoys.py"
    path.write_text(DECOYS)
    found = ask(inspection.scalar_loop_in, str(path), name, "vector_add", "float32", [4096], 1 << 31)
    assert found.startswith(f"its hottest loop (line {line}) is not vectorized: one number at a time")


def test_submission_that_breaks_the_grader_stops_no_other(addition, tmp_path, monkeypatch):
    def failing(*_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(judging.Judge, "_error_on", failing)
    path = tmp_path / "\x1b[31mfred.py"
    path.write_text(HONEST)
    result = graded(addition, path)
    assert (result["points"], result["of"]) == (0, 3)
    assert "Too many open files" in result["tests"][0]["said"]
    assert "\x1b" not in output.as_text(result) + table.as_table(addition, [result]) + page.as_html([result])


def test_link_to_the_solution_is_refused(addition, tmp_path):
    solution, link = tmp_path / "solution.py", tmp_path / "carl.py"
    solution.write_text(HONEST)
    link.symlink_to(solution)
    assert graded(addition, link)["points"] == 0
    os.mkfifo(tmp_path / "pipe.py")
    assert graded(addition, tmp_path / "pipe.py")["points"] == 0


FENCED = """
import ctypes, fcntl, mmap, os, signal, socket, resource, subprocess, tempfile, threading

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p

def limit_of_the_grader():  # the lower half of the address of the new limit is 0, as if there were none
    place = ctypes.c_void_p(1 << 32)
    libc.mmap(place, ctypes.c_size_t(4096), 3, 0x100022, -1, ctypes.c_size_t(0))
    if libc.prlimit(os.getppid(), resource.RLIMIT_CORE, place, None):
        raise OSError(ctypes.get_errno(), "")

def seal_the_memory():
    for number in range(3, 64):
        try:
            fcntl.fcntl(number, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
        except OSError:
            continue
        return
    raise OSError

def attempts():
    yield limit_of_the_grader
    yield seal_the_memory
    yield lambda: fcntl.fcntl(0, fcntl.F_SETOWN, os.getppid())
    yield lambda: fcntl.fcntl(0, fcntl.F_SETSIG, signal.SIGKILL)
    yield lambda: open(os.path.join(tempfile.gettempdir(), "forged"), "w")
    yield lambda: open(__file__, "a")
    yield lambda: os.listdir("/")
    yield lambda: open("/etc/passwd")
    yield lambda: open("/proc/%d/mem" % os.getppid(), "rb")
    yield lambda: os.fork()
    yield lambda: subprocess.run(["true"])
    yield lambda: os.execv("/bin/true", ["true"])
    yield lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    yield lambda: os.kill(os.getppid(), signal.SIGCONT)
    yield lambda: os.chmod(__file__, 0o777)
    yield lambda: os.chown(__file__, -1, -1)
    yield lambda: os.setsid()
    yield lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 50, 1 << 50))
    yield lambda: os.sched_setaffinity(0, range(os.cpu_count()))
    yield lambda: os.memfd_create("forged")
    yield lambda: bytearray(1 << 31)

def add(x, y, result):
    for number, attempt in enumerate(attempts()):
        try:
            attempt()
        except (OSError, ValueError, MemoryError):
            continue
        raise AssertionError(f"attempt {number} was not stopped")
    assert "SECRET" not in os.environ
    thread = threading.Thread(target=lambda: result.__setitem__(..., x + y))  # threads are allowed
    thread.start()
    thread.join()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="processes are confined only on Linux")
def test_fence_of_the_process_blocks_every_attempt(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "token")
    path = tmp_path / "dora.py"
    path.write_text(FENCED)
    result = graded(made(tmp_path / "free", ADDITION.replace('["numba"]', '["*"]\nmemory = 1')), path)
    assert result["unfenced"] or result["points"] == 3, result
