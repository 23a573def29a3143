"""The PTX of every GPU kernel, generated without a GPU or a driver, has the properties that the kernel claims.

Only these tests cover what the simulator cannot run (`SIMULATED` in compiler/cuda/device.py: alignment, warps).
"""

import importlib.util
import re

import pytest

import jitnet

if importlib.util.find_spec("numba_cuda") is None:
    pytest.skip("numba-cuda is not installed (pip install 'jitnet[cuda]')", allow_module_level=True)

from jitnet.kernels.cuda import LADDERS, clock, dropout
from jitnet.kernels.cuda.tensorcore import TF32
from jitnet.lab.gpu.compiling import assembled, has_assembler, ptx_of
from jitnet.lab.gpu.divergence import Flow

pytestmark = pytest.mark.usefixtures("ptx_once")

BY_NAME = {f"{operation}.{name}": rung for operation, ladder in LADDERS.items() for name, rung in ladder.items()}
LAUNCHES = {launch: name for name, rung in reversed(BY_NAME.items()) for launch in rung.launches}
LAUNCHES = {launch: f"clock.{launch.name}" for launches in clock.RECORDED.values() for launch in launches} | LAUNCHES
IDS = [f"{name}-{launch.threads}" for launch, name in LAUNCHES.items()]

OF_EACH_TERM = {
    "naive": 1, "coalesced": 1, "shared": 1, "blocktile_1d": 8, "blocktile_2d": 64, "vectorized": 64, "warptile": 256,
}  # fmt: skip
"""Rung of a product -> minimum multiply-adds of one thread for each term of the sums."""

FUSED_BY_TILE = {(128, 2): 8 * 128, (128, 4): 8 * 32, (256, 4): 8 * 16}
"""The same for `pipelined`: (threads per block, blocks per multiprocessor) -> multiply-adds, with unrolled terms."""

FLOAT4 = ("vectorized", "warptile", "pipelined")

HAS_ASSEMBLER = has_assembler()


def mark_of(rung, cc):
    """A normal run tests one kernel of the second GPU and one kind of product: one compiler generates all of them."""
    if cc == (8, 0) or (rung.endswith(".pipelined") and not rung.startswith("matmul.")):
        return () if rung == "matmul.warptile" else pytest.mark.release
    return pytest.mark.slow if rung.startswith(("matmul_", "layer.", "delta.", "gradients.", "descend.")) else ()


def check_machine_code(code, launch):
    """The registers of a multiprocessor are enough for `min_blocks_per_sm` blocks, and nothing is spilled."""
    threads, min_blocks_per_sm = launch.bounds
    assert -(-code.registers // 8) * 8 * threads * min_blocks_per_sm <= 65536
    assert code.spilled == 0


@pytest.mark.skipif(not HAS_ASSEMBLER, reason="needs nvJitLink: pip install 'jitnet[cuda]'")
def test_assembled_kernel_has_plausible_registers_and_size():
    code = assembled(ptx_of(BY_NAME["matmul.warptile"].launches[0], (9, 0), lines=True), (9, 0))
    assert 80 < code.registers <= 128  # 64 sums; two blocks fit into the registers
    assert code.size > 1000


def count(pattern, text):
    return len(re.findall(pattern, text))


@pytest.mark.parametrize(
    ("launch", "cc"),
    [
        pytest.param(launch, cc, id=f"{label}-{cc[0]}.{cc[1]}", marks=mark_of(name, cc))
        for (launch, name), label in zip(LAUNCHES.items(), IDS, strict=True) for cc in ((8, 0), (9, 0))
    ],
)  # fmt: skip
def test_ptx_has_the_properties_of_its_rung(launch, cc):
    text = ptx_of(launch, cc, lines=True)  # other tests read the same text; line information changes no instruction
    operation, rung = LAUNCHES[launch].split(".")
    assert re.search(r"^\.target (\w+)", text, re.MULTILINE)[1] == {(8, 0): "sm_80", (9, 0): "sm_90a"}[cc]
    assert "local_depot" not in text, "local memory is used instead of registers"
    assert not count(r"\.f64", text), "a float32 kernel computes in float64"
    assert not count(r"\bcall\b", text)
    shared = sum(int(size) for size in re.findall(r"\.shared [^;]*\[(\d+)\];", text))
    assert shared <= 48 * 1024
    assert shared == 0 or count(r"bar\.sync", text)
    assert Flow(text).barriers_that_some_threads_miss() == []
    if HAS_ASSEMBLER:
        check_machine_code(assembled(text, cc), launch)
    product = re.fullmatch("matmul.*|layer|delta|gradients|descend", operation) and launch.name not in (
        "column_sums", "descend_bias",
    )  # fmt: skip
    if product and rung == "tensorcore":
        assert count(r"mma\.sync\.aligned\.m16n8k8\.row\.col\.f32\.tf32\.tf32\.f32", text) == 16  # 2·4 squares, 2 k
        assert count(r"fma\.rn\.f32", text) == 0
    elif product:
        inner = FUSED_BY_TILE[launch.bounds] if rung == "pipelined" else OF_EACH_TERM[rung]
        assert count(r"fma\.rn\.f32", text) >= inner
        assert count(r"\bmul\.f32", text) <= count(r"fma\.rn\.f32", text)  # the sums are fused
    if product and rung in FLOAT4:
        assert count(r"ld\.global\.v4\.f32", text) >= 2
        assert count(r"ld\.shared\.v4\.f32", text) >= 4
        assert count(r"ld\.shared\.f32", text) == 0
    if product and rung in ("warptile", "pipelined"):
        stores = {"warptile": {(256, 2): 16}, "pipelined": {(128, 2): 32, (128, 4): 8, (256, 4): 4}}[rung]
        assert count(r"st\.global\.v4\.f32", text) == stores[launch.bounds]


def test_gpu_has_the_same_operations_as_the_cpu():
    assert set(LADDERS) == set(jitnet.kernels.LADDERS)
    ladder = ["naive", "coalesced", "shared", "blocktile_1d", "blocktile_2d", "vectorized", "warptile", "pipelined"]
    for operation in ("matmul", "matmul_tn", "matmul_nt"):
        assert list(LADDERS[operation]) == [*ladder, "tensorcore"]
    for name, rung in BY_NAME.items():
        assert rung.__doc__, name
        assert (rung.eps == TF32) == name.endswith("tensorcore"), name
        if name.startswith("matmul"):
            assert "Reads " in rung.__doc__, name


def test_dropout_uses_32_bit_multiplications():
    """Four hashes for seed, step and layer, and two per number; a 64-bit product would take several instructions."""
    text = ptx_of(dropout.DROPOUT, (9, 0), lines=True)
    assert count(r"mul\.lo\.[su]32", text) == 2 * (4 + 2 * dropout.SHARE)
    assert count(r"mul\.lo\.[su]64", text) == 0


SAFE = """
{
	mov.u32 	%r1, %tid.x;
	ld.param.u64 	%rd1, [p];
	setp.gt.s32 	%p1, %r1, 5;
	@%p1 bra 	$L__BB0_2;
	add.s32 	%r2, %r1, 1;
$L__BB0_2:
	bar.sync 	0;
	add.s64 	%rd1, %rd1, -1;
	setp.ne.s64 	%p2, %rd1, 0;
	@%p2 bra 	$L__BB0_2;
	ret;
}
"""


@pytest.mark.parametrize(
    ("text", "missed"),
    [
        (SAFE, 0),
        (SAFE.replace("add.s32 	%r2, %r1, 1;", "bar.sync 	0;"), 1),  # in a branch that some threads take
        (SAFE.replace("ld.param.u64 	%rd1, [p];", "cvt.s64.s32 	%rd1, %r1;"), 1),  # varies by thread
        (SAFE.replace("add.s32 	%r2, %r1, 1;", "ret;"), 1),  # some threads have returned
    ],
)
def test_barrier_check_finds_divergent_barriers(text, missed):
    assert len(Flow(text).barriers_that_some_threads_miss()) == missed
