"""Predicted cycles: the output of llvm-mca and OSACA, dependency chains worked out by hand, and missing programs."""

import json
import os
import shutil
import stat
from pathlib import Path

import pytest
from command import jitnet_command

import jitnet
from jitnet.lab import doctor, explain
from jitnet.lab.machine_code import analyzers, cycles, measurement, sampling
from jitnet.lab.machine_code.assembly import functions_of
from jitnet.lab.machine_code.hottest import candidates, hottest
from jitnet.lab.machine_code.x86 import understood

OUTPUTS = Path(__file__).parent / "outputs"

DOT = """\
vmovss -4(%rcx,%rbp,4), %xmm1
vfmadd231ss (%rdx,%rbp,4), %xmm1, %xmm0
vmovss (%rcx,%rbp,4), %xmm2
vfmadd231ss 4(%rdx,%rbp,4), %xmm2, %xmm0
addq $2, %rbp
cmpq %rbp, %r13
jne .LBB0_3""".splitlines()
"""The loop of the stored outputs: total += x[i] * y[i], two at a time."""


def loop_of(*instructions):
    """The loop of these instructions, whose header is .LBB0_3; `.LBB0_4` alone is the label of a branch in it."""
    member = ":    #   in Loop: Header=BB0_3 Depth=1"
    body = "\n".join(text + member if text.startswith(".L") else f"\t{text}" for text in instructions)
    text = f"f:\n.LBB0_3:    # =>This Inner Loop Header: Depth=1\n{body}\n"
    return candidates(functions_of(text), {})[0]


def test_a_loop_that_starts_threads_is_none_of_the_candidates():
    """Their loop is a function of its own."""
    text = "f:\n.LBB0_3:    # =>This Inner Loop Header: Depth=1\n\tmovabsq ${}, %rax\n\tcallq *%rax\n\tjne .LBB0_3\n"
    found = [candidates(functions_of(text.format(name)), {}) for name in ("sin", "numba_parallel_for")]
    assert [len(loops) for loops in found] == [1, 0]


def chain_of(instructions, latencies, loads):
    """Cycles of the dependency chain of each iteration."""
    found = analyzers.Analysis("", "", [{} for _ in instructions], latencies=latencies, loads=loads)
    return sum(cycles._in_chain([understood(text) for text in instructions], found))


def program(folder, name, *lines):
    """An executable shell script."""
    file = folder / name
    file.write_text("\n".join(["#!/bin/sh", *lines]) + "\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


@pytest.mark.parametrize(("version", "loading"), [(14, 5), (19, 7)])
def test_output_of_llvm_mca_is_parsed(version, loading):
    text = (OUTPUTS / f"llvm-mca-{version}.json").read_text()
    found = analyzers.from_llvm(text, "llvm-mca", "sapphirerapids", ["scalar"])
    assert found.width == 6
    assert found.latencies == [loading, loading + 4, loading, loading + 4, 1, 1, 1]
    assert found.loads == {"scalar": loading}
    assert found.model == ("sapphirerapids" if version == 19 else "skylake-avx512")  # LLVM 14 knows the name only
    operations = [understood(text) for text in DOT]
    port, does = cycles._busiest_port(operations, found)
    ports = 3 if version == 19 else 2  # ports that load: two in LLVM 14, which has Skylake's model
    assert does == "loads"
    assert sum(row.get(port, 0) for row in found.pressure) == pytest.approx(4 / ports, abs=0.02)
    assert sum(cycles._in_chain(operations, found)) == 8  # two multiply-adds, one after the other
    assert sum(cycles._delivered(operations, found)) == pytest.approx(1)  # all six slots: compare and jump fuse


def test_units_of_a_group_of_ports_have_digits():
    """LLVM 14 numbers them by control characters: Zn3FPP45.\\u0000."""
    text = (OUTPUTS / "llvm-mca-14-znver3.json").read_text()
    assert r"Zn3Load.\u0002" in text
    found = analyzers.from_llvm(text, "llvm-mca", "znver3", ["scalar"])
    ports = {port for row in found.pressure for port in row}
    assert {"Zn3FPP45.0", "Zn3FPP45.1", "Zn3Load.0", "Zn3Load.1", "Zn3Load.2", "Zn3FPP0"} <= ports
    assert all(port.isprintable() for port in ports)
    assert found.model == "znver3"


def test_output_of_osaca_is_parsed():
    found = analyzers.from_osaca((OUTPUTS / "osaca-0.7.txt").read_text(), "OSACA", "sapphirerapids", len(DOT))
    assert found.chain == [0, 4, 0, 4, 0, 0, 0]
    assert found.pressure[1] == {"port 0": 0.5, "port 1": 0.5, "port 2": 0.33, "port 3": 0.33, "port 11": 0.33}
    assert (found.program, found.model, found.unknown) == ("OSACA", "sapphirerapids", 0)
    assert cycles._busiest_port([understood(text) for text in DOT], found)[1] == "loads"
    assert cycles._delivered([understood(text) for text in DOT], found) is None
    division = "  1 | 1.00   10.00 |             | 0.33 ||  4.0 |  4.0 |   vdivps %zmm0, %zmm1, %zmm1"
    head = "     |  0   -  0DV  |  1   - 1DV  |  2   ||  CP  | LCD  |"
    found = analyzers.from_osaca(f"{head}\n{division}\n", "", "", 1)
    assert found.pressure == [{"port 0": 1, "port 0DV": 10, "port 2": 0.33}]
    found = analyzers.from_osaca(f"{head}\n  1 |      |      |     ||    |     | X vnew %zmm0, %zmm1\n", "", "", 1)
    assert found.unknown == 1
    with pytest.raises(ValueError, match="zip"):  # a row without the last port
        analyzers.from_osaca(f"{head}\n  1 | 1.00   10.00 |      ||    |     | vnew %zmm0, %zmm1\n", "", "", 1)


@pytest.mark.parametrize(
    ("instructions", "latencies", "loads", "expected"),
    [
        (["addq $1, %rax", "cmpq %rax, %rcx", "jne .LBB0_3"], [1, 1, 1], {}, 1),
        (["vmovaps %zmm0, %zmm1", "vmulps %zmm1, %zmm2, %zmm3", "vaddps %zmm3, %zmm4, %zmm0"], [1, 4, 3], {}, 8),
        # a sum of loaded numbers waits only for the addition; a chain through an address also waits for the load
        (["vaddss (%rax), %xmm0, %xmm0", "addq $4, %rax"], [9, 1], {"scalar": 5}, 4),
        (["movq (%rax), %rax"], [5], {}, 5),
        # a sum in memory: load, add, store at an address that does not change
        (["vaddss (%rax), %xmm1, %xmm0", "vmovss %xmm0, (%rax)"], [9, 1], {"scalar": 5}, 10),
        (["vaddss (%rax), %xmm1, %xmm0", "vmovss %xmm0, (%rax)", "addq $4, %rax"], [9, 1, 1], {"scalar": 5}, 1),
        (["vxorps %xmm0, %xmm0, %xmm0", "vaddss %xmm1, %xmm0, %xmm0"], [1, 4], {}, 0),
        # a chain that goes through two iterations before it closes
        (["vaddss %xmm1, %xmm3, %xmm2", "vaddss %xmm0, %xmm3, %xmm1", "vmovaps %xmm2, %xmm0"], [4, 4, 1], {}, 4.5),
    ],
)
def test_dependency_chain_has_the_cycles_computed_by_hand(instructions, latencies, loads, expected):
    assert chain_of(instructions, latencies, loads) == pytest.approx(expected)


def test_ports_are_described_by_their_instructions():
    texts = ["vfmadd231ps (%rax), %zmm1, %zmm2", "vmovups %zmm2, (%rcx)", "vdivps %zmm2, %zmm3, %zmm3", "addq $4, %rax"]
    uses = {
        "a": ([0, 2], "multiply-adds"),
        "b": ([0], "loads"),
        "c": ([1], "stores"),
        "d": ([0, 1], "loads and stores"),
    }
    uses |= {"FPDivider": ([2], "divisions and roots"), "e": ([3], "integers and jumps"), "f": ([2, 3], "arithmetic")}
    pressure = [{name: 1.0 for name, (users, _) in uses.items() if n in users} for n in range(4)]
    found = analyzers.Analysis("", "", pressure)
    for name, (_, does) in uses.items():
        assert cycles._use_of(name, [understood(text) for text in texts], found) == does


@pytest.mark.parametrize("divider", ["SKXFPDivider", "port 0DV"])
def test_divider_is_shown_unless_it_is_the_busiest_port(divider):
    operations = [understood(text) for text in ("vsqrtps %zmm2, %zmm3", "vfmadd231ps %zmm3, %zmm1, %zmm2")]
    found = analyzers.Analysis("", "", [{divider: 12, "p0": 2}, {"p0": 11}])
    assert cycles._divider(operations, found, "p0") == {"name": divider, "cycles": 12}
    assert cycles._divider(operations, found, divider) is None
    assert cycles._divider(operations, analyzers.Analysis("", "", [{"p0": 2}, {"p0": 11}]), "p0") is None


def run_of(loop, times):
    """A run of the loop that took so many times the eight predicted cycles."""
    return {
        "missing": None, "executions": [{str(loop.loop.head.row): 100}], "seconds": times * 8 * 100 / 2e9, "clock": 2e9,
        "samples": None, "no_samples": "forbidden", "size": [4, 5, 6],
        "size_in_words": "4 × 6", "bytes": 10**9, "threads": 1, "disturbed_by": [],
    }  # fmt: skip


def test_missing_analyzer_is_reported(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = cycles.predicted(loop_of(*DOT), "sapphirerapids")
    assert "pip install osaca" in found["missing"]
    assert found["cycles"] is None
    assert cycles.limit_of(found, "memory") == "memory"
    (item,) = doctor.EXAMINATIONS["analyzer"]()
    assert (item.state, item.fix.split()[-1]) == ("note", "osaca")


@pytest.mark.skipif(os.name == "nt", reason="needs shell scripts")
def test_errors_of_an_analyzer_are_reported(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    stored = OUTPUTS / "llvm-mca-19.json"
    script = program(
        tmp_path, "llvm-mca-99", f'case "$*" in *znver4*) cat {stored};; *--version*) echo "LLVM version 99.0.1";;',
        '*icelake-client*|*skylake*) echo "error: an unsupported instruction of $2." >&2; exit 1;;',
        "*) echo \"'$2' is not a recognized processor\" >&2; exit 1;; esac",
    )  # fmt: skip
    assert analyzers.found() == str(script)  # the newest
    found = cycles.predicted(loop_of(*DOT), "znver6")
    assert found["missing"] is None
    assert found["model"] == "sapphirerapids"  # whose ports the stored output has
    assert found["notes"] == ["llvm-mca 99.0.1 has no tables of znver6; these are those of sapphirerapids"]
    assert (found["chain"]["cycles"], found["limit"]) == (8, "dependency chain")
    assert cycles.limit_of(found, "memory") == "the dependency chain"
    missing = cycles.predicted(loop_of(*DOT), "pentium")["missing"]
    assert "cannot analyze this loop for pentium: '-mcpu=pentium' is not a recognized processor; a newer" in missing
    assert "not understood" not in missing
    missing = cycles.predicted(loop_of(*DOT), "tigerlake")["missing"]
    assert "for icelake-client, the nearest to tigerlake that it knows: error: an unsupported instruction of" in missing
    assert "of -mcpu=icelake-client; a newer version" in missing
    unsupported = "error: found an unsupported instruction in it.\nnote: instruction: \tvaddps\t%zmm0, %zmm1, %zmm2"
    program(tmp_path, "llvm-mca-99", f"echo '{unsupported}' >&2; exit 1")
    missing = cycles.predicted(loop_of(*DOT), "znver4")["missing"]
    assert "unsupported instruction in it: vaddps %zmm0, %zmm1, %zmm2; a newer version" in missing
    program(tmp_path, "llvm-mca-99", "echo '{}'")
    assert "is not understood" in cycles.predicted(loop_of(*DOT), "znver4")["missing"]
    program(tmp_path, "osaca", "echo no tables")
    assert "is not understood" in cycles.predicted(loop_of(*DOT), "znver4", "osaca")["missing"]
    assert "knows no processor like pentium" in cycles.predicted(loop_of(*DOT), "pentium", "osaca")["missing"]


def test_unknown_analyzer_is_an_error(tmp_path):
    with pytest.raises(jitnet.Error, match="--analyzer perl6 is not on the PATH"):
        analyzers.found("perl6")
    with pytest.raises(jitnet.Error, match="neither llvm-mca nor osaca"):
        analyzers.found(str(program(tmp_path, "other", "")))


@pytest.mark.parametrize("name", ["llvm-mca", "osaca"])
def test_installed_analyzer_predicts_the_chain(name):
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    found = cycles.predicted(loop_of(*DOT), "skylake-avx512", name)
    assert found["missing"] is None
    assert found["chain"]["cycles"] == 8
    assert found["port"]["does"] == "loads"
    assert found["port"]["cycles"] == pytest.approx(2, abs=0.05)
    assert found["limit"] == "dependency chain"
    calls = cycles.predicted(loop_of("callq *%rbx", *DOT[4:]), "skylake-avx512", name)
    assert any("the work inside 1 call is not counted" in note for note in calls["notes"])


@pytest.mark.slow  # a process that compiles
def test_explain_command_has_the_predicted_cycles(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def total(x):\n    t = x[0]\n    for i in range(x.size):\n        t += x[i]\n    return t\n")
    if analyzers.found() is None:
        pytest.skip("neither llvm-mca nor osaca is installed")
    found = json.loads(
        jitnet_command("explain", f"{file}:total", "--types", "float32[::1]", "--json", "--quiet", "--no-run").stdout
    )
    assert found["cycles"]["limit"] == "dependency chain"
    assert found["lines"]["lines"][0]["source"] == "t += x[i]"
    assert sum(line["share"] for line in found["lines"]["lines"]) == pytest.approx(1)


USERS = """\
from numba import njit, prange

@njit
def two_loops(x, y):
    for _ in range(200):
        for i in range(1, x.size):
            x[i] = x[i - 1] * 0.5 + y[i]
    for i in range(x.size):
        y[i] = 2 * x[i]

@njit(parallel=True)
def rows(X, total):
    for i in prange(X.shape[0]):
        sum = X[i, 0]
        for j in range(1, X.shape[1]):
            sum = sum * 0.5 + X[i, j]
        total[i] = sum

@njit
def fails(x):
    for i in range(x.size):
        if x[i] > 0:
            raise ValueError("a positive number")
        x[i] += 1
"""


@pytest.fixture(scope="module")
def users(tmp_path_factory):
    file = tmp_path_factory.mktemp("users") / "users.py"
    file.write_text(USERS)
    return file


def multiplications(found):
    """Source iterations per iteration of the compiled loop: each source iteration multiplies once."""
    done = [understood(instruction["text"]) for instruction in found["instructions"]]
    return sum(o.lanes for o in done if o.kind in ("multiply", "fma"))


@pytest.mark.slow  # compiles and runs for seconds
def test_iterations_and_lines_are_measured(users):
    request = explain.request_for(f"{users}:two_loops", arguments="ones(1003), ones(1003)", run=1)
    (answer,) = explain.answers([request])
    found = explain._explained(request["target"], answer)
    taken = found["measured"]
    assert taken["missing"] is None, taken
    assert 200 * 1002 - 200 * multiplications(found) < taken["iterations"] * multiplications(found) <= 200 * 1002
    assert taken["bytes"] == 2 * 8 * 1003
    assert taken["threads"] == 1
    if found["cycles"]["missing"] is None:
        assert found["cycles"]["limit"] == "dependency chain"
        assert found["cycles"]["cycles"] / 4 < taken["cycles"] < 10 * found["cycles"]["cycles"]  # machine may be busy
    if taken["samples"] is None:
        pytest.skip(taken["no_samples"])
    assert found["lines"]["samples"] == taken["samples"]
    first = found["lines"]["lines"][0]
    assert first["source"] == "x[i] = x[i - 1] * 0.5 + y[i]"
    assert first["share"] > 0.5
    assert sum(line["share"] for line in found["lines"]["lines"]) + found["lines"]["elsewhere"] == pytest.approx(1)
    (_, loops), (executed,) = explain._loops(answer), answer["run"]["executions"]
    hot = {str(loop.loop.head.row) for loop in loops if loop.place[1] == found["loop"]["line"]}
    answer["run"]["executions"] = [{row: n for row, n in executed.items() if row not in hot}]
    samples, answer["run"]["samples"] = answer["run"]["samples"], None
    assert explain._explained(request["target"], answer)["loop"]["source"] == "for i in range(x.size):"
    answer["run"] |= {"executions": [{}], "samples": samples}  # simulates a run in another version of the loop
    found = explain._explained(request["target"], answer)
    assert "Not measured: this loop did not run" in explain.as_text(found)
    assert found["lines"]["samples"]


@pytest.mark.slow  # compiles and runs for seconds
def test_parallel_loop_is_measured(users):
    found = explain.explain(f"{users}:rows", arguments="ones((67, 1003)), zeros(67)", run=1)
    taken, each = found["measured"], multiplications(found)
    assert taken["missing"] is None, taken
    assert 67 * (1002 - each) < taken["iterations"] * each <= 67 * 1002
    if taken["samples"] is None:
        pytest.skip(taken["no_samples"])
    assert found["lines"]["lines"][0]["source"] == "sum = sum * 0.5 + X[i, j]"


@pytest.mark.slow  # compiles the same functions
def test_function_that_raises_is_still_explained(users):
    result = jitnet_command("explain", f"{users}:fails", "--args", "ones(9)", "--quiet")
    assert "Not measured: running the function failed: ValueError: a positive number." in result.stdout
    assert "early exit" in result.stdout


@pytest.mark.slow
def test_run_that_crashes_is_reported(tmp_path):
    file = tmp_path / "crash.py"
    file.write_text("def crash(x):\n    for i in range(x.size):\n        x[10**15 * (i + 1)] = 1.0\n")
    found = explain.explain(f"{file}:crash", arguments="ones(9)", run=1)
    assert "running it failed: it crashed (SIGSEGV); jitnet check" in found["measured"]["missing"]
    assert found["verdicts"]


@pytest.mark.parametrize(
    ("times", "limit", "calls", "size", "said"),
    [
        (1.1, "busiest port", 0, 10**9, "the prediction holds: the busiest port is the limit"),
        (0.5, "busiest port", 0, 0, "tables of P do not fit this processor"),
        (0.5, "dependency chain", 0, 0, "its next run begins before the chain ends"),
        (4, "front end", 2, 10**9, "the rest is spent in 2 calls"),
        (4, "front end", 0, 10**9, "so memory is the limit"),
        (2, "front end", 0, 10**9, "or the tables do not fit this processor"),  # 16 bytes in 16 cycles
        (1.5, "front end", 0, 48 << 10, "though the data fit into the L1 cache"),
    ],
)
def test_measurement_is_compared_with_the_prediction(times, limit, calls, size, said):
    prediction = {"missing": None, "program": "P", "cycles": 8.0, "limit": limit, "blocks": 1}
    loop = loop_of(*["callq *%rbx"] * calls, *DOT)
    run = run_of(loop, times) | {"bytes": size}
    taken = measurement.measured(loop, 0, run, prediction, 48 << 10)
    assert taken["cycles"] == pytest.approx(times * 8)
    assert measurement._bytes(loop) == 4 * 4
    assert said in taken["means"]
    assert taken["limit"] == ("memory" if "memory" in said else None)
    assert measurement.in_words(taken).startswith("4 × 6, 1 thread: 100 iterations in ")
    rows = {str(instruction.row): 10 for instruction in loop.loop.instructions[:2]} | {"10000": 5}
    run |= {"samples": {"count": 25, "seconds": 1e-3, "rows": [rows]}, "calls": 4}
    sampled = measurement.measured(loop, 0, run, prediction, 48 << 10)
    assert sampled["cycles"] == pytest.approx(times * 8 if calls else 20 * 1e-3 / 4 * 2e9 / 100)
    assert calls or measurement.in_words(sampled).endswith(": 100 iterations in 5 ms of CPU time, 2.00 GHz")
    less = measurement.measured(loop, 0, run, prediction | {"cycles": 1e9, "blocks": 2}, 48 << 10)
    assert "some of the loop's blocks only" in less["means"]
    disturbed = measurement.measured(loop, 0, run | {"samples": None, "disturbed_by": ["noise"]}, prediction, 48 << 10)
    assert disturbed["limit"] is None
    assert ("not idle" in disturbed["means"]) == (not calls)
    run["executions"] = [{}]
    assert "do not reach its line" in measurement.measured(loop, 0, run, prediction, 48 << 10)["missing"]
    other = measurement.measured(loop, 0, run, prediction, 48 << 10, others=9)["missing"]
    assert "another version of it did, 9 iterations" in other


def test_updates_at_an_index_from_memory_explain_a_measurement():
    loop = loop_of("movzbl (%rsi), %edi", "incq (%r15,%rdi,8)", "incq %rsi", "jne .LBB0_3")
    prediction = {"missing": None, "program": "P", "cycles": 1.0, "limit": "front end", "blocks": 1}
    run = {"disturbed_by": [], "bytes": 10**9}
    assert "waits for its store" in measurement._meaning(9, prediction, loop, run, 48 << 10)[1]
    assert "the prediction holds" in measurement._meaning(1, prediction, loop, run, 48 << 10)[1]


def test_of_equal_versions_the_one_that_ran_is_the_hottest():
    text = "f:\n" + "".join(
        f".LBB0_{n}:    # =>This Inner Loop Header: Depth=1\n\tvaddps (%rax), %ymm1, %ymm1\n\tjne .LBB0_{n}\n"
        for n in (3, 4)
    )
    found = candidates(functions_of(text), {})
    assert [hottest(found, iterations=ran).loop.header for ran in ((), (0, 7), (7, 0))] == ["BB0_3", "BB0_4", "BB0_3"]


def test_sampling_is_an_error_where_it_is_unsupported(monkeypatch):
    monkeypatch.setattr(sampling.sys, "platform", "darwin")
    with pytest.raises(sampling.NoSamplesError, match="only Linux"):
        sampling.Sampler(0.001)
