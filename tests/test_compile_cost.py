"""Compile cost: measured in real processes with empty and warm caches, break-even computed another way, and plots."""

import json
import re
from fractions import Fraction

import pytest
from cases import slow
from command import jitnet_command

import jitnet
from jitnet import backend, cli
from jitnet.kernels import LADDERS
from jitnet.lab import compile_cost, plots
from jitnet.lab.worker import NoAnswerError

COSTS = {"missing": 1, "ready": 0.9, "first": 0.2, "error": None, "call": 0.01}
"""The result that a process would return."""


def answers(monkeypatch, interpreted=0.5, **changes):
    """Simulates the processes: one runs interpreted code; then, for each rung, one compiles and others load."""
    asked = []

    def ask(function, *arguments, environment):
        asked.append((function.__name__, arguments, environment["JITNET_CACHE_DIR"]))
        if len(asked) == 1:
            return COSTS | {"missing": 0, "ready": 0.0, "call": interpreted}
        same = [folder for _, _, folder in asked[:-1]].count(asked[-1][2])
        return COSTS | ({"missing": 0, "ready": 0.1 * same, "first": 0.02} if same else {}) | changes

    monkeypatch.setattr(compile_cost, "ask", ask)
    return asked


@pytest.mark.parametrize("interpreted", [0.5, 0.03, 0.010001, 0.01, 0.001])
@pytest.mark.parametrize("ready", [0, 0.4, 7.3])
@pytest.mark.parametrize("first", [0.01, 0.2, 0.5])
def test_break_even_is_the_first_call_without_a_higher_total_cost(ready, first, interpreted):
    """The first call at which the total cost is not higher, in exact fractions; and no earlier call."""
    call = Fraction("0.01")
    ready, first, interpreted = (Fraction(str(number)) for number in (ready, first, interpreted))

    def is_ahead(n):
        return ready + first + (n - 1) * call <= n * interpreted

    n = compile_cost.break_even(ready, first, call, interpreted)
    if n is None:
        assert not is_ahead(1)
        assert not is_ahead(10**9)
    else:
        assert is_ahead(n)
        assert n == 1 or not is_ahead(n - 1)


@pytest.mark.release
def test_costs_of_an_operation_are_measured_in_real_processes(tmp_path):
    """The command has its old name here; the user's cache is neither read nor written."""
    picture = tmp_path / "cost.png"
    result = jitnet_command(
        "ledger", "relu", "--size", "8", "--dtype", "float64", "--json", "--plot", picture,
        JITNET_CACHE_DIR=str(tmp_path / "cache"),
    )  # fmt: skip
    found = json.loads(result.stdout)
    assert "measuring 1/9: relu, interpreted" in result.stderr
    assert (found["what"], found["kind"], found["dtype"], found["shape"]) == ("relu", "operation", "float64", [8, 8, 8])
    assert [row["name"] for row in found["rows"]] == ["njit", "parallel"]
    assert found["best"] == "njit"
    for row in found["rows"]:
        keys = "compile_seconds", "load_seconds", "first_call_seconds", "warm_first_call_seconds", "call_seconds"
        assert all(row[key] > 0 for key in keys)
        ready, load, first, warm_first, call = (row[key] for key in keys)
        assert row["break_even"] == compile_cost.break_even(ready, first, call, found["interpreted_seconds"])
        assert row["break_even_warm"] == compile_cost.break_even(load, warm_first, call, found["interpreted_seconds"])
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert result.stderr.splitlines()[-1] == f"plot in {picture}"
    assert not (tmp_path / "cache").exists()
    text = compile_cost.as_text(found)
    assert text.startswith("Compile cost of relu 8x8, float64, ")
    assert all(word in text for word in ("interpreted", "njit", "parallel", "break-even"))


@pytest.mark.slow
def test_costs_of_a_backend_list_its_kernels(monkeypatch):
    monkeypatch.setattr(compile_cost, "WARM", 1)
    heard = []
    found = compile_cost.account("njit", "4x3x2", report=lambda *news: heard.append(news))
    assert heard == [
        (0, 3, "njit, interpreted"), (1, 3, "njit, empty cache"), (2, 3, "njit, warm cache"), (3, 3, "")
    ]  # fmt: skip
    (row,) = found["rows"]
    kernels = found["kernels"]
    names = ["gather", "layer", "softmax", "cross_entropy", "delta", "gradients", "sgd"]
    assert [one["operation"] for one in kernels] == names
    assert {one["rung"] for one in kernels} == {"njit"}
    for key in ("compile_seconds", "load_seconds"):
        assert 0 < sum(one[key] for one in kernels) <= row[key]
    subject = "Compile cost of a training step of 3-2-10, batch 4, backend njit, float32"
    assert compile_cost.as_text(found).startswith(subject)


@pytest.mark.slow  # processes that compile
def test_process_reports_whether_kernels_were_cached(tmp_path):
    costs = [
        compile_cost.ask(compile_cost.costs_of_rung, "relu", "njit", (2, 2, 2), "float32",
                   environment={"JITNET_CACHE_DIR": str(tmp_path)}) for _ in range(2)
    ]  # fmt: skip
    assert [found["missing"] for found in costs] == [1, 0]
    assert costs[0]["error"] is None


def test_every_rung_is_measured_with_an_empty_and_a_warm_cache(monkeypatch):
    """Each rung has its own cache folder, which is empty only for the first process."""
    asked = answers(monkeypatch)
    found = compile_cost.account("matmul_nt", "8x4x2")
    rungs = [name for name, kernel in LADDERS["matmul_nt"].items() if hasattr(kernel, "py_func")]
    expected = ["python"] + [rung for rung in rungs for _ in range(1 + compile_cost.WARM)]
    assert [arguments[1] for _, arguments, _ in asked] == expected
    assert {arguments[2:] for _, arguments, _ in asked} == {((8, 4, 2), "float32")}
    assert len({folder for _, _, folder in asked}) == 1 + len(rungs)
    assert found["best"] == "packed"  # a product of this size gets no threads
    assert backend.get("fast").kernels["matmul_nt"] is LADDERS["matmul_nt"][found["best"]]
    row = found["rows"][0]
    assert (row["compile_seconds"], row["load_seconds"], row["call_seconds"]) == (0.9, pytest.approx(0.2), 0.01)
    assert row["break_even"] == 3  # 0.9 + 0.2 + 2·0.01 ≤ 3·0.5
    assert row["break_even_warm"] == 1


def test_size_too_large_for_the_interpreter_is_noted(monkeypatch):
    asked = answers(monkeypatch)
    monkeypatch.setattr(compile_cost.ladder, "PATIENCE", 0.01)
    found = compile_cost.account("matmul", 4096)
    assert found["asked"] == [4096] * 3
    assert max(found["shape"]) <= 128
    assert asked[0][1][2] == tuple(found["shape"])
    text = " ".join(compile_cost.as_text(found).split())  # line breaks depend on the length of the CPU's name
    assert "a smaller size than 4096x4096x4096, for which the interpreter takes too long" in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"error": "1 of 4 wrong"}, "njit, empty cache is wrong: 1 of 4 wrong"),
        ({"missing": 0}, "was not stored in .*, so loading it cannot be measured; set TMPDIR"),
        ({"missing": 1}, "was not stored in .*, so loading it cannot be measured; set TMPDIR"),
    ],
)
def test_impossible_measurements_are_reported(changes, message, monkeypatch):
    answers(monkeypatch, **changes)
    with pytest.raises(jitnet.Error, match=message):
        compile_cost.account("relu", 4)


def test_killed_process_is_reported(monkeypatch):
    def dies(*_, **__):
        raise NoAnswerError("the process was ended by SIGKILL")

    monkeypatch.setattr(compile_cost, "ask", dies)
    with pytest.raises(jitnet.Error, match=r"relu, interpreted could not be measured: .* SIGKILL; jitnet doctor looks"):
        compile_cost.account("relu", 4)


def test_wrong_rung_is_reported(monkeypatch):
    monkeypatch.setitem(LADDERS["relu"], "njit", lambda Z, A: A.fill(1))
    assert "wrong, first at" in compile_cost.costs_of_rung("relu", "njit", (3, 3, 3), "float32")["error"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["matmull"], "(did you mean 'matmul'?)"), (["fsat"], "(did you mean 'fast'?)"),
        (["numpy"], "backend 'numpy' compiles nothing, so there is no compile cost; take njit, parallel, fast"),
        (["relu", "--size", "3x4"], "size is '3x4', but must be"), (["relu", "--size", "0"], "size is '0'"),
        (["fast", "--size", "99999x99999x1"], "is too large"), (["relu", "--dtype", "int8"], "unknown dtype 'int8'"),
        (["relu", "--plot", "nowhere/cost.png"], "nowhere"),
        (["relu", "--plot", "cost.doc"], "no plot can be written to cost.doc"),
    ],
)  # fmt: skip
def test_errors_are_one_line_with_status_2(arguments, message, capsys):
    assert cli.main(["compile-cost", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.slow  # a separate process; test_machine.py tests the same message
def test_disabled_jit_is_an_error():
    result = jitnet_command("compile-cost", "relu", status=2, NUMBA_DISABLE_JIT="1")
    assert result.stderr == "jitnet: NUMBA_DISABLE_JIT is set, so nothing is compiled; unset it\n"


def test_table_has_the_costs_and_break_even_numbers(monkeypatch):
    answers(monkeypatch, interpreted=0.012)
    found = compile_cost.account("relu", 4)
    head, interpreted, njit, parallel = compile_cost.table(found)
    assert head == ("", ["compile", "load", "first call", "later call", "break-even", "if loaded"])
    assert interpreted == ("interpreted", ["", "", "", "12 ms", "", ""])
    assert njit == ("njit", ["900 ms", "200 ms", "200 ms", "10 ms", "545", "105"])  # (0.9 + 0.2 − 0.01) / 0.002
    assert parallel == ("parallel", njit[1])
    lines = compile_cost.as_text(found).splitlines()
    assert f"{'interpreted':19}{'12 ms':>40}" in lines
    assert f"{'njit':19}{'900 ms':>9}{'200 ms':>9}{'200 ms':>11}{'10 ms':>11}{'545':>11}{'105':>10}" in lines
    assert max(map(len, lines)) <= 80
    assert any(re.search("later call +break-even +if loaded$", line) for line in lines)
    text = compile_cost.as_text(found | {"disturbed_by": ["other processes used 1.4 of 2 cores"]})
    above, below = text.split("break-even ", 1)
    assert "Other processes used 1.4 of 2 cores, so" in above  # readers begin at the top
    assert "uncertain" not in below


@pytest.mark.parametrize("interpreted", [slow(5.0), slow(0.5), 0.012, slow(0.001)])
def test_plot_is_drawn_for_every_kind_of_break_even(interpreted, monkeypatch, tmp_path):
    """Break-even at the first call, after a few calls, after many, and never."""
    answers(monkeypatch, interpreted)
    found = compile_cost.account("relu", 4)
    assert ("never" in compile_cost.as_text(found)) == (interpreted == 0.001)
    plots.draw_compile_cost(found, tmp_path / "cost.png")
    assert (tmp_path / "cost.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "start"),
    [slow("a.PNG", b"\x89PNG"), ("a.svg", b"<?xml"), slow("a.pdf", b"%PDF"), slow("a.jpg", b"\xff\xd8\xff")],
)
def test_file_extension_selects_the_format(name, start, monkeypatch, tmp_path):
    answers(monkeypatch)
    plots.draw_compile_cost(compile_cost.account("relu", 4), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)
