"""A user's kernel on the ladder: errors are reported, and correct kernels are ranked."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from cases import slow
from command import JITNET, jitnet_command
from custom_kernels import KERNELS
from numba import njit

import jitnet
from jitnet.kernels import LADDERS
from jitnet.lab import ladder
from jitnet.lab.benchmark import custom, judge
from jitnet.lab.problems import of_operation

SHAPES = r"given X \(2, 3\), W \(3, 5\), Z \(2, 5\)$"

BEYOND = r"is out of bounds for the shape \(2, 5\) \(mine.py, line \d+\)$"

ERRORS = {
    "raises": rf"raises ZeroDivisionError: division by zero \(mine.py, line \d+\), {SHAPES}",
    "raises_compiled": r"raises ValueError: not seven \(mine.py, line \d+\), given X \(7, 13\), W \(13, 11\)",
    "exits": rf"raises SystemExit: enough \(mine.py, line \d+\), {SHAPES}",
    "ends": rf"ends the process with status 3, {SHAPES}",
    "crashes": rf"crashes the process: SIGSEGV, {SHAPES}",
    "far_away": rf"crashes the process: SIGSEGV, {SHAPES}",
    "past_the_end": rf"writes outside its output: 5 numbers past the end of Z, {SHAPES[:-1]}; Z\[2, 0\] {BEYOND}",
    "adds_past_the_end": rf"writes outside its output: 5 numbers past the end of Z, {SHAPES[:-1]}; Z\[2, 0\] {BEYOND}",
    "before_the_start": rf"writes outside its output: 1 number before the start of Z, {SHAPES[:-1]}; "
    rf"Z\[-3, 0\] {BEYOND}",
    "into_the_input": rf"changes its input W, {SHAPES}",
    "returns": rf"returns its result, but must write it into Z: Z\[...\] = the result, {SHAPES}",
    "renames": rf"writes nothing into Z; Z = ... names another array, Z\[...\] = ... writes, {SHAPES}",
    "no_last_row": r"never writes 5 numbers of Z, or adds to what is there: "
    r"5 of 10 wrong, first at \(1, 0\): expected \S+, got nan, "
    rf".*{SHAPES[:-1]}; no line writes Z\[1, 0\]$",
    "adds": rf"is right only if Z is 0 before: begin with Z\[...\] = 0, {SHAPES[:-1]}; "
    r"the last write to Z\[0, 0\] is in line \d+ of mine.py: Z\[i, j\] \+= X\[i, k\] \* W\[k, j\]$",
    "racy": r"is not safe: race: Z\[0, 0\] is written by iteration 0 \(line \d+\) "
    r"and read by iteration 1 \(line \d+\) of the prange loop in line \d+ \(mine.py\); divide another loop: let",
    "two": r"has the parameters \(X, Z\), but is called as two\(X, W, Z\), to write Z$",
    "other_types": r"is compiled for other types: it is given \((array\(float32, 2d, C\)(, )?){3}\), "
    r"but takes \((array\(float64, 2d, A\)(, )?){3}\)$",
    "not_compiled": r"does not compile: No implementation .* for add\(array\(float32, 2d.* \(mine.py, line \d+\)$",
    "no_such_name": r"does not compile: NameError: name 'foo' is not defined \(mine.py, line \d+\)$",
    "no_such_function": r"does not compile: AttributeError: .*nothing",
    "wrong_at_an_edge": r"is wrong: 1 of 195 wrong, first at \(2, 64\): expected \S+, got \S+, .* given X \(3, 5\)",
    "wrong_if_large": r"is wrong: 1 of 576 wrong, first at \(9, 9\): .*, given X \(24, 24\)",
    "not_a_number": r"gives NaN: 10 of 10 wrong",
    "reads_beyond": rf"gives NaN, as when it reads outside of its inputs: 10 of 10 .*{SHAPES[:-1]}\. "
    r"It is not safe: X\[2, 0\] is out of bounds for the shape \(2, 3\) \(mine.py, line \d+\); check the bounds",
    "late_crash": r"crashes the process: SIGSEGV, while it was timed$",
    "greedy": rf"raises MemoryError: .*, {SHAPES[:-1]}; it may use \S+ GiB, 75% of the memory here$",
    "greedy_compiled": rf"raises MemoryError: .*, {SHAPES[:-1]}; it may use \S+ GiB, 75% of the memory here$",
    "writes_much": rf"raises OSError: .*File too large.*, {SHAPES[:-1]}; files .* may have at most 100 MiB$",
    "late": r"raises RuntimeError: too late \(mine.py, line \d+\), while it was timed$",
}
RARE = (
    "far_away", "adds_past_the_end", "before_the_start", "raises_compiled", "no_such_name", "no_such_function", "adds",
    "greedy", "late", "not_a_number", "renames", "wrong_at_an_edge", "ends", "exits", "other_types", "writes_much",
)  # fmt: skip
"""Errors that resemble others, tested before a release only. All errors are slow: a process compiles each kernel. The
quick tests in test_judge.py run kernels in this process."""

RIGHT = ["right", "right_parallel", "right_python", "right_object"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    (folder / "mine.py").write_text(KERNELS)
    for name, text in {
        "syntax": "def f(X, W, Z):\n    return (\n", "stops": "\n1 / 0\n", "lacks": "import nothing_there\n",
        "typed": "from numba import njit\n@njit('(float64[:,:], float64[:,:], float64[:,:])')\n"
        "def other_types(X, W, Z):\n    Z[:] = 0\n",
        "aborts": "import os\nos.abort()\n", "empty": "",
    }.items():  # fmt: skip
        (folder / f"{name}.py").write_text(text)
    return folder


def ladder_command(folder, *arguments, environment=None):
    command = [*JITNET, "ladder", "matmul", "--size", "24", "--threads", "1", *arguments]
    environment = {**os.environ, **(environment or {})}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)


def mark_of(name):
    return pytest.mark.release if name in RARE else pytest.mark.slow


@pytest.fixture(scope="module")
def wrong(request):
    """The names of the incorrect kernels that this run selects."""
    here = [item.callspec.params.get("name") for item in request.session.items if hasattr(item, "callspec")]
    return [name for name in ERRORS if name in here]


@pytest.fixture(scope="module")
def reported(folder, wrong, with_peaks):
    """The result of one real command with all kernels that do not hang."""
    files = {"other_types": "typed.py"}
    own = [f"--with={files.get(name, 'mine.py')}:{name}" for name in [*wrong, *RIGHT]]
    return ladder_command(folder, *own, "--json", "--quiet", "--patience", "300", environment=with_peaks)


@pytest.fixture(scope="module")
def rungs(reported):
    return {rung["name"]: rung for rung in json.loads(reported.stdout)["rungs"]}


@pytest.mark.parametrize("name", [pytest.param(name, marks=mark_of(name)) for name in ERRORS])
def test_every_kind_of_error_is_reported(name, reported, rungs):
    assert set(rungs[name]) == {"name", "custom", "checked", "error"}
    assert (rungs[name]["custom"], rungs[name]["checked"]) == (True, False)
    assert re.match(ERRORS[name], rungs[name]["error"]), rungs[name]["error"]
    assert f"jitnet: {name} {rungs[name]['error']}" in reported.stderr.splitlines()


@pytest.mark.slow
def test_errors_do_not_hide_the_other_rungs(wrong, reported, rungs):
    assert reported.returncode == 2
    assert sum(line.startswith("jitnet: ") for line in reported.stderr.splitlines()) == len(wrong)
    assert "Traceback" not in reported.stderr
    assert list(rungs) == [*LADDERS["matmul"], *wrong, *RIGHT]
    assert all(rungs[name]["checked"] and not rungs[name]["custom"] for name in LADDERS["matmul"])


@pytest.mark.slow
def test_correct_kernels_are_ranked(wrong, reported, rungs):
    timed = [rung for rung in rungs.values() if rung["checked"]]
    assert sorted(rung["rank"] for rung in timed) == list(range(1, len(timed) + 1))
    by_speed = sorted(timed, key=lambda rung: rung["gflops"])
    assert [rung["rank"] for rung in by_speed] == list(range(1, len(timed) + 1))
    assert rungs["right"]["idea"] == "Row by row"
    assert rungs["right_python"]["idea"] == "yours, from mine.py"
    assert [name for name in rungs if rungs[name].get("interpreted")] == ["right_python"]
    lines = ladder.as_text(json.loads(reported.stdout) | {"disturbed": False}).splitlines()
    assert max(map(len, lines)) <= 80
    text = " ".join(lines)
    note = "right_python is not compiled by Numba: it is timed as plain Python; decorate it with @numba.njit."
    assert text.count("not compiled by Numba") == text.count(note) == 1
    rank = rungs["right"]["rank"]
    over = f"{rungs['right']['gflops'] / by_speed[rank - 2]['gflops']:.3g}× over {by_speed[rank - 2]['name']}"
    if rank < len(timed):
        over += f", {rungs['right']['gflops'] / by_speed[rank]['gflops']:.2g} of {by_speed[rank]['name']}"
    assert re.search(rf"right is the (\d+\w\w )?(slowest|fastest) of {len(timed)}: {re.escape(over)}", text)
    assert any(line.startswith(f"{by_speed[0]['name']:20}") for line in lines)
    for name in wrong:
        assert any(re.fullmatch(f"{name} +left out: it has an error", line) for line in lines)
    assert all(error in text for error in ladder.errors(json.loads(reported.stdout)))


@pytest.mark.release
def test_hanging_kernel_is_stopped(folder, tmp_path):
    picture = tmp_path / "ladder.png"
    hanging = [f"--with=mine.py:{name}" for name in ("hangs", "hangs_compiled")]
    result = ladder_command(folder, *hanging, "--quiet", "--patience", "2", "--plot", picture)
    assert result.returncode == 2
    assert [re.sub(r"given.*", "", line) for line in result.stderr.splitlines()] == [
        f"jitnet: {name} hangs: no end after 2 seconds, " for name in ("hangs", "hangs_compiled")
    ]
    assert "packed_parallel" in result.stdout
    assert result.stdout.count("hangs: no end after 2 seconds") == 2
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.release
def test_errors_are_reported_immediately(folder, monkeypatch):
    """Each error appears before the next kernel is tested or timed, and only once."""
    monkeypatch.chdir(folder)
    own, heard = {name: f"mine.py:{name}" for name in ("raises", "late")}, []
    found = ladder.compare(
        "matmul", own, 24, threads=1, report=lambda done, total, what: heard.append(what), tell=heard.append
    )
    raises, late = map(heard.index, ladder.errors(found))
    second, third = (
        heard.index("checking: late, importing mine.py:late"),
        heard.index("checking: matmul.python against float64"),
    )
    assert raises < second < third < late
    assert late < len(heard) - 1 - heard[::-1].index("timing, round: python")  # timing restarts for the other kernels
    assert all(heard.count(error) == 1 for error in ladder.errors(found))


@pytest.mark.release
def test_compile_time_does_not_count_as_hanging(folder):
    result = ladder_command(folder, "--with", "mine:slow_to_compile", "--quiet", "--patience", "3")
    assert (result.returncode, result.stderr) == (0, "")
    assert re.search("slow_to_compile (is the|passed the check)", result.stdout)


@pytest.mark.release
def test_error_is_printed_once(folder):
    command = [*JITNET, "ladder", "matmul", "--size", "8", "--threads", "1", "--quiet", "--with", "mine.py:raises"]
    result = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder, check=False
    )
    assert result.stdout.count("raises ZeroDivisionError") == 1
    assert "left out: it has an error" in result.stdout


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.py:f", "there is no file none.py"),
        slow("nothing_there:f", "there is no module 'nothing_there' here, nor one that is installed"),
        ("mine.py", "'mine.py' names no function; write file.py:function or module:function"),
        ("mine.py:", "'mine.py:' names no function"),
        ("mine.py:rihgt", r"mine.py has no function 'rihgt'; known: right, .*did you mean 'right'"),
        slow("mine.py:no_function", r"no_function in mine.py is \[1\], but must be a function"),
        slow("empty.py:f", "empty.py defines no functions"),
        slow("syntax.py:f", r"importing syntax.py: .* \(syntax.py, line 2\)"),
        ("stops.py:f", r"importing stops.py raises ZeroDivisionError: division by zero \(stops.py, line 2\)"),
        slow(
            "lacks.py:f",
            r"importing lacks.py raises ModuleNotFoundError: .*'nothing_there' \(lacks.py, line 1",
        ),
        slow("aborts.py:f", "f crashes the process: SIGABRT, importing aborts.py:f"),
        (7, "mine is 7, but must be a function"),
    ],
)
def test_functions_that_cannot_be_loaded_are_an_error(name, message, folder, monkeypatch):
    monkeypatch.chdir(folder)
    path = list(sys.path)
    with pytest.raises(jitnet.Error, match=message):
        ladder.compare("matmul", {"f" if name == "aborts.py:f" else "mine": name}, 8)
    assert sys.path == path  # this process imported nothing


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--with", "none.py:f"], "there is no file none.py"),
        (["--with", "stops.py:f"], "importing stops.py raises ZeroDivisionError"),
        (["--with", "mine.py:right", "--with", "mine.py:right"], "--with names the same function twice"),
        (["--with", "mine.py:right", "--patience", "0"], "patience is 0.0, but must be a number above 0"),
    ],
)
def test_errors_are_one_line_with_status_2(arguments, message, folder, monkeypatch):
    monkeypatch.chdir(folder)
    result = jitnet_command("ladder", "matmul", "--size", "24", *arguments, "--quiet", status=2)
    assert (result.stdout, result.stderr.count("\n")) == ("", 1)
    assert message in result.stderr


@pytest.mark.slow
def test_closures_and_functions_of_main_can_be_compared(with_peaks):
    """A function that cannot be pickled is an error."""
    script = """
import threading
import numpy as np
from numba import njit
from jitnet.lab import ladder

def blocked_by(width):
    @njit
    def kernel(Z, A):
        for start in range(0, len(Z), width):
            for i in range(start, min(start + width, len(Z))):
                for j in range(Z.shape[1]):
                    A[i, j] = max(Z[i, j], 0)
    return kernel

@njit
def main(Z, A):
    for i in range(len(Z)):
        for j in range(Z.shape[1]):
            A[i, j] = max(Z[i, j], 0)

def wrong(Z, A):
    A[:] = Z

found = ladder.compare("relu", {"closure": blocked_by(5), "main": main, "wrong": wrong}, 8, dtype="float64", threads=1)
print([rung["checked"] for rung in found["rungs"] if rung["custom"]])
print(ladder.errors(found)[0].split(":")[0])
lock = threading.Lock()
def locked(Z, A):
    with lock:
        main(Z, A)
try:
    ladder.compare("relu", {"locked": locked}, 8)
except ValueError as error:
    print(error)
"""
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ, **with_peaks}, check=False
    )
    assert "UserWarning: wrong is wrong" in result.stderr
    assert result.stderr.count("Warning") == 1
    checked, error, unsent = result.stdout.splitlines()
    assert checked == "[True, True, False]"
    assert error == "wrong is wrong"
    assert unsent.startswith(
        "locked cannot be sent to the process that tests it (TypeError: cannot pickle '_thread.lock'"
    )
    assert unsent.endswith("write it into a file and give 'file.py:function'")


def test_missing_scipy_is_reported(monkeypatch):
    """Numba calls SciPy's BLAS for matrix products."""

    @njit
    def product(X, W, Z):
        Z[:] = X @ W

    monkeypatch.setitem(sys.modules, "scipy.linalg.cython_blas", None)
    with pytest.raises(ImportError) as caught:
        product(*np.ones((3, 2, 2)))
    assert custom.in_words(caught.value, product, [], "") == (
        "does not compile: Numba needs SciPy for @, np.dot and numpy.linalg; write the loops, or: pip install scipy"
    )


def test_names_of_custom_kernels_must_be_new():
    with pytest.raises(jitnet.Error, match="matmul has a rung 'packed' already; give yours another name"):
        ladder.compare("matmul", {"packed": np.matmul}, 8)
    with pytest.raises(jitnet.Error, match=r"but must be a dict of names and functions: {'mine': my_matmul}"):
        ladder.compare("matmul", np.matmul, 8)


@pytest.mark.parametrize("operation", LADDERS)
def test_own_rungs_pass_the_check(operation):
    for shape in [(5, 4, 3), (1, 1, 1)]:
        assert judge.error_of(LADDERS[operation]["numpy"], of_operation(operation), shape, np.dtype("float32")) is None


def test_errors_in_outputs_that_are_also_inputs_are_found():
    def renames(grad, lr, decay, theta):
        theta = theta - lr * (grad + decay * theta)

    def returns(grad, lr, decay, theta):
        return theta - lr * (grad + decay * theta)

    sgd, dtype = of_operation("sgd"), np.dtype("float64")
    assert "writes nothing into theta" in judge.error_of(renames, sgd, (2, 3, 5), dtype)
    assert "returns its result, but must write it into theta" in judge.error_of(returns, sgd, (2, 3, 5), dtype)
