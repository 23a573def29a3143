"""The memory accesses of GPU kernels: counted by the interpreter, and equal to the figures in their docstrings."""

import functools
import importlib.util
import json

import numpy as np
import pytest
from cases import release, slow
from command import jitnet_command

if importlib.util.find_spec("numba_cuda") is None:
    pytest.skip("numba-cuda is not installed (pip install 'jitnet[cuda]')", allow_module_level=True)

from jitnet import Error
from jitnet.backend import cuda
from jitnet.lab.gpu import transactions
from jitnet.lab.gpu.ptx_interpreter import Access

pytestmark = pytest.mark.usefixtures("ptx_once")

LANES = np.arange(32)


def counted(addresses, size=4):
    access = Access(None, np.asarray(addresses), size, LANES[: len(addresses)])
    return transactions.sectors(access), transactions.bank_transactions(access)


@pytest.mark.parametrize(
    ("addresses", "size", "sectors", "banks"),
    [
        (4 * LANES, 4, 4, 1),  # adjacent: 128 bytes
        (4 * LANES + 4, 4, 5, 1),  # not aligned to 32 bytes
        (4 * LANES[::-1], 4, 4, 1),
        (8 * LANES, 4, 8, 2),  # every other word: two per bank
        (128 * LANES, 4, 32, 32),  # a column of a matrix with rows of 32 numbers
        (132 * LANES, 4, 32, 1),  # the same with one more number in each row
        (0 * LANES + 64, 4, 1, 1),  # all threads read the same address
        (16 * LANES, 16, 16, 4),  # adjacent float4: one transaction per quarter of a warp
        (16 * (LANES % 8), 16, 4, 4),  # each quarter reads the same eight float4
        (512 * LANES, 16, 32, 32),  # each float4 in the same four banks
        (8 * LANES, 8, 8, 2),
        ([64], 4, 1, 1),
    ],
)
def test_transactions_by_hand(addresses, size, sectors, banks):
    assert counted(addresses, size) == (sectors, banks)


def test_warps_have_separate_transactions():
    access = Access(None, np.zeros(64, np.int64), 4, np.arange(64))
    assert (transactions.sectors(access), transactions.bank_transactions(access)) == (2, 2)


@pytest.fixture(scope="module")
def rungs_of(ptx_once):
    return functools.cache(lambda operation: transactions.ladder(operation)["rungs"])


@pytest.mark.slow
def test_docstrings_have_the_counted_memory_accesses(rungs_of):
    """Reads of each number, memory transactions and loads from shared memory per multiply-add, as in the docstrings."""
    found = {rung["name"]: rung for rung in rungs_of("matmul")}
    sides = {"naive": 1, "coalesced": 1, "shared": 32, "blocktile_1d": 64}
    sides |= dict.fromkeys(("blocktile_2d", "vectorized", "warptile", "pipelined"), 128)
    assert {name: found[name]["numbers"] for name in sides} == {name: 2 / side for name, side in sides.items()}
    assert (found["naive"]["bytes"], found["coalesced"]["bytes"]) == (33, 5)  # 32 + 1 and 4 + 1 sectors for 32 threads
    for name in list(sides)[2:]:
        assert found[name]["bytes"] == 4 * found[name]["numbers"]  # all transferred bytes are used
    assert found["shared"]["shared"] == 2
    assert found["blocktile_1d"]["shared"] == 9 / 8
    by_shared = "shared", "blocktile_1d", "blocktile_2d", "vectorized", "warptile", "pipelined"
    waits = [found[name]["shared"] for name in by_shared]
    assert waits == sorted(waits, reverse=True)
    assert found["warptile"]["shared"] == 16 / 64  # 4 loads of 4 transactions per 64 multiply-adds: no bank conflicts
    assert found["pipelined"]["shared"] == 24 / 128


@pytest.mark.parametrize("operation", [slow("matmul"), release("matmul_tn")])
def test_each_rung_has_fewer_instructions_than_the_previous(rungs_of, operation):
    rungs = rungs_of(operation)
    useful = [rung["useful"] for rung in rungs]
    assert useful[-1] is None  # tensor cores
    assert useful[:-1] == sorted(useful[:-1])
    assert rungs[0]["instructions"] < 10  # Numba's `range` and tests for negative indices would take 30
    assert useful[-2] > 0.7


@pytest.mark.slow  # counts millions of accesses
def test_other_operations_are_counted_per_number_written():
    (found,) = transactions.ladder("sigmoid")["rungs"]
    assert (found["numbers"], found["bytes"], found["shared"]) == (1, 4, 0)
    assert transactions.ladder("update")["operation"] == "sgd"
    (found,) = transactions.ladder("update")["rungs"]
    assert found["numbers"] == 2
    assert transactions.count("softmax", "rows").written_numbers == 2 * 1024 * 1024  # not to shared memory


def test_all_blocks_of_all_launches_are_counted():
    """64 rows: the product reads 2 numbers per 128 multiply-adds, the column sums read delta once per 1280."""
    (found,) = transactions.ladder("gradients")["rungs"]
    assert found["numbers"] == 2 / 128 + 1 / 1280


def test_only_terms_of_the_product_count_as_multiply_adds():
    """An activation has multiply-add instructions, too."""
    (found,) = transactions.ladder("layer")["rungs"]
    assert found["numbers"] == pytest.approx(2 / 128 + 128 / 64 / 128)  # each number of a column loads its bias


def test_unknown_rung_is_an_error():
    with pytest.raises(Error, match="unknown rung of matmul on the GPU 'nosuch'"):
        transactions.count("matmul", "nosuch")


def test_command_counts_memory_transactions():
    result = jitnet_command("ladder", "softmax", "--backend", "cuda", "--count")
    assert result.stderr == "measuring 1/1: counting softmax.rows\n"
    said = " ".join(result.stdout.split())  # for a terminal of any width
    assert "softmax on the GPU, compiled for 9.0: memory transactions per number written, counted, not timed" in said
    result = jitnet_command("ladder", "softmax", "--backend", "cuda", "--count", "--json")
    assert [rung["name"] for rung in json.loads(result.stdout)["rungs"]] == ["rows"]


@pytest.mark.parametrize("wrong", [[], ["--backend", "cuda", "--size", "64"], ["--backend", "cuda", "--plot", "a.png"]])
def test_count_does_not_work_with_plot_or_size(wrong):
    result = jitnet_command("ladder", "softmax", "--count", *wrong, status=2)
    assert result.stderr.endswith(
        "--count needs --backend cuda, and does not work with --plot or --size; leave these out\n"
    )


@pytest.mark.skipif(cuda.obstacle() is None, reason="for machines without a GPU")
def test_counting_needs_no_gpu():
    result = jitnet_command("ladder", "softmax", "--backend", "cuda", status=2)
    assert result.stderr.endswith("or count memory transactions per multiply-add, without a GPU: --count\n")


@pytest.mark.slow  # a separate process; test_explain_gpu.py tests the same message
def test_simulator_setting_is_an_error():
    result = jitnet_command("ladder", "softmax", "--backend", "cuda", "--count", status=2, NUMBA_ENABLE_CUDASIM="1")
    assert "NUMBA_ENABLE_CUDASIM is set" in result.stderr
