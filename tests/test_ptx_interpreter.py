"""The PTX interpreter: results of instructions computed by hand, and detection of errors in kernels."""

import importlib.util
import math

import numpy as np
import pytest

from jitnet.lab.gpu.arithmetic import matrix_product, meaning
from jitnet.lab.gpu.memory import GlobalMemory, KernelError
from jitnet.lab.gpu.program import Program, blocks_of
from jitnet.lab.gpu.ptx_interpreter import UnknownInstructionError, execute

ENTRY = """
.version 9.5
.target sm_90
.visible .shared .align 16 .b8 tile[512];
.visible .entry kernel(
	.param .u64 k_param_0, .param .u64 k_param_1, .param .u64 k_param_2, .param .u64 k_param_3,
	.param .u64 k_param_4, .param .u64 k_param_5, .param .u64 k_param_6
)
{
	.reg .pred 	%p<4>;
	.reg .f32 	%f<9>;
	.reg .b32 	%r<9>;
	.reg .b64 	%rd<9>;
	ld.param.u64 	%rd1, [k_param_4];
	mov.u32 	%r1, %tid.x;
	mov.u32 	%r2, %ctaid.x;
	mov.u32 	%r3, %ntid.x;
	mad.lo.s32 	%r4, %r2, %r3, %r1;
	mul.wide.s32 	%rd2, %r4, 4;
	add.s64 	%rd3, %rd1, %rd2; // the address of its number
	cvt.rn.f32.s32 	%f1, %r4;
	mul.wide.s32 	%rd4, %r1, 4;
	mov.u64 	%rd5, tile;
	add.s64 	%rd6, %rd5, %rd4;
"""


def run(body, count=70, threads=35, blocks=2, **how):
    numbers = np.full(count, np.nan, np.float32)
    entered = execute(Program(ENTRY + body + "\nret;\n}"), blocks, threads, [numbers], **how)
    return numbers, entered


def test_every_thread_writes_its_number():
    numbers, entered = run("st.global.f32 [%rd3], %f1;")
    np.testing.assert_array_equal(numbers, np.arange(70))
    assert entered.tolist() == [4]  # two warps in each block, the second with three threads


def test_divergent_threads_reconverge():
    """Threads with an index below 10 run as many iterations of a loop, the others none."""
    numbers, entered = run("""
	mov.f32 	%f2, 0f00000000;
	setp.ge.s32 	%p1, %r1, 10;
	@%p1 bra 	$L__BB0_2;
	mov.u32 	%r5, 0;
$L__BB0_1:
	setp.ge.s32 	%p2, %r5, %r1;
	@%p2 bra 	$L__BB0_2;
	add.f32 	%f2, %f2, 0f40000000;
	add.s32 	%r5, %r5, 1;
	bra.uni 	$L__BB0_1;
$L__BB0_2:
	@!%p1 st.global.f32 	[%rd3], %f2;""")
    expected = np.where(np.arange(70) % 35 < 10, np.arange(70) % 35 * 2.0, np.nan)
    np.testing.assert_array_equal(numbers, expected)
    assert entered.max() == 2 * 10  # one warp of each block loops


def test_threads_exchange_numbers_through_shared_memory():
    exchange = """
	st.shared.f32 	[%rd6], %f1;
	bar.sync 	0;
	ld.shared.v2.f32 	{%f2, %f3}, [tile+8];
	st.global.f32 	[%rd3], %f3;"""
    numbers, _ = run(exchange)
    np.testing.assert_array_equal(numbers, np.repeat([3, 38], 35))
    backwards, _ = run(exchange, order=[1, 0])
    np.testing.assert_array_equal(backwards, numbers)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("st.global.f32 [%rd3+4], %f1;", "thread 34 of block 1: writes memory outside of all arrays: st.global"),
        ("ld.global.f32 %f2, [%rd3+-4];", "thread 0 of block 0: reads memory outside of all arrays"),
        ("ld.global.f32 %f2, [%rd2];", "thread 0 of block 0: reads memory outside of all arrays"),
        ("ld.global.v2.f32 {%f2, %f3}, [%rd3];", "thread 1 of block 0: reads an address that is not a multiple of 8"),
        ("st.global.f32 [%rd1], %f1;", "writes a number that another thread writes, too"),
        ("st.shared.f32 [%rd6+380], %f1;", "thread 33 of block 0: writes shared memory outside of its 512 bytes"),
        ("ld.global.v4.f32 {%f2, %f3, %f4, %f5}, [%rd1+272];", "reads memory outside of all arrays"),  # 2 of 4 are
        (
            "st.global.f32 [%rd3], %f1;\nsetp.eq.s32 %p1, %r4, 36;\n@%p1 st.global.f32 [%rd1+12], %f1;",
            "thread 1 of block 1: writes a number that another thread writes, too",
        ),
        ("ld.shared.v2.f32 {%f2, %f3}, [%rd6];", "thread 1 of block 0: reads an address that is not a multiple of 8"),
        ("ld.shared.f32 %f2, [%rd6];", "thread 0 of block 0: reads shared memory that was never written"),
        ("st.shared.f32 [tile], %f1;", "writes shared memory that another thread uses, with no barrier in between"),
        (
            "st.shared.f32 [%rd6], %f1;\nld.shared.f32 %f2, [tile];",
            "thread 1 of block 0: reads shared memory that another thread uses, with no barrier in between",
        ),
        (
            "st.shared.f32 [%rd6], %f1;\nbar.sync 0;\nld.shared.f32 %f2, [tile];\nst.shared.f32 [%rd6], %f1;",
            "thread 0 of block 0: writes shared memory that another thread uses, with no barrier in between",
        ),
        (
            "st.shared.f32 [%rd6], %f1;\nbar.sync 0;\nld.shared.f32 %f2, [tile];\nsetp.eq.s32 %p1, %r1, 34;\n"
            "@%p1 st.shared.f32 [tile], %f1;",  # by a thread that read it, but others read it too
            "thread 34 of block 0: writes shared memory that another thread uses, with no barrier in between",
        ),
        (
            "setp.gt.s32 %p1, %r1, 3;\n@%p1 bra $L__BB0_9;\nbar.sync 0;\n$L__BB0_9:",
            "a barrier that some threads of block 0 do not reach",
        ),
        (
            "setp.gt.s32 %p1, %r1, 3;\n@%p1 bra $L__BB0_9;\nbar.sync 0;\nret;\n$L__BB0_9:\nbar.sync 0;",
            "a barrier that some threads of block 0 do not reach",
        ),
        (
            "setp.gt.s32 %p1, %r1, 3;\n@%p1 mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%f2, %f3, %f4, %f5}, "
            "{%r5, %r6, %r7, %r8}, {%r5, %r6}, {%f2, %f3, %f4, %f5};",
            "thread 32 of block 0: only a part of a warp multiplies matrices",
        ),
    ],
)  # fmt: skip
def test_errors_of_a_kernel_are_reported(body, message):
    with pytest.raises(KernelError) as caught:
        run(body)
    assert message in str(caught.value)


def test_shared_memory_can_be_reused_after_a_barrier():
    numbers, _ = run("""
	st.shared.f32 	[%rd6], %f1;
	bar.sync 	0;
	ld.shared.f32 	%f2, [tile+8];
	bar.sync 	0;
	st.shared.f32 	[%rd6], %f2;
	bar.sync 	0;
	ld.shared.f32 	%f3, [tile];
	st.global.f32 	[%rd3], %f3;""")
    np.testing.assert_array_equal(numbers, np.repeat([2, 37], 35))


def test_threads_can_return_early():
    numbers, _ = run("setp.gt.s32 %p1, %r1, 3;\n@%p1 ret;\nst.global.f32 [%rd3], %f1;")
    np.testing.assert_array_equal(numbers, np.where(np.arange(70) % 35 > 3, np.nan, np.arange(70)))


def test_blocks_run_in_the_requested_order():
    seen = []
    run("st.global.f32 [%rd3], %f1;", order=[1, 0], watch=lambda access: seen.append(access.addresses[0] % 256))
    assert seen == [4 * 35, 0]


def test_arrays_are_unchanged_after_an_error():
    numbers = np.zeros(70, np.float32)
    body = "st.global.f32 [%rd3], 0f3F800000;\nsetp.eq.s32 %p1, %r2, 1;\n@%p1 st.global.f32 [%rd3+4], %f1;\nret;\n}"
    with pytest.raises(KernelError, match="block 1"):
        execute(Program(ENTRY + body), 2, 35, [numbers], order=[0, 1])
    assert not numbers.any()


def test_views_share_the_addresses_of_their_array():
    whole = np.arange(12, dtype=np.float32)
    memory = GlobalMemory([whole[2:], whole[:5], whole.copy()])
    later, first, apart = (memory.address(array) for array in memory._arrays)
    assert later - first == 8
    assert apart - first >= 48
    assert apart % 256 == 0


def test_only_whole_warps_can_multiply_matrices():
    """One warp can branch while the others multiply; a divergent warp is an error."""
    product = (
        "@%p1 mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%f2, %f3, %f4, %f5}, {%r5, %r5, %r5, %r5}, "
        "{%r5, %r5}, {%f1, %f1, %f1, %f1};\n@%p1 st.global.f32 [%rd3], %f2;"
    )
    numbers, _ = run(f"setp.ge.s32 %p1, %r1, 32;\n{product}", 64, 64, 1)
    np.testing.assert_array_equal(numbers, np.where(np.arange(64) < 32, np.nan, np.arange(64)))
    with pytest.raises(KernelError, match="thread 32 of block 0: only a part of a warp multiplies matrices"):
        run(f"setp.ge.s32 %p1, %r1, 33;\n{product}", 64, 64, 1)


@pytest.mark.parametrize(
    "unknown",
    [
        "popc.b32 %r5, %r1;", "mul.hi.u32 %r5, %r1, %r1;", "add.cc.s32 %r5, %r1, %r1;", "add.rp.f32 %f2, %f1, %f1;",
        "setp.eq.ftz.f32 %p1, %f1, %f1;", "cvt.rzi.s32.f32 %r5, %f1;", "cvt.sat.s32.s64 %r5, %rd2;",
        "cvt.f64.f32 %rd8, %f1;", "bar.warp.sync -1;", "bar.sync 1;", "ld.local.f32 %f2, [%rd3];",
    ],
)  # fmt: skip
def test_unknown_instructions_are_an_error(unknown):
    with pytest.raises(UnknownInstructionError, match=unknown.split()[0]):
        run(unknown)


def test_wrong_number_of_arguments_is_an_error():
    with pytest.raises(ValueError, match="7 parameters, and 8 numbers"):
        execute(Program(ENTRY + "ret;\n}"), 1, 1, [np.zeros(3, np.float32), 1.0])


F = np.float32
NAN, INF, TINY = F(np.nan), F(np.inf), np.finfo(F).tiny


@pytest.mark.parametrize(
    ("opcode", "operands", "expected"),
    [
        ("div.s64", (-7, 2), -3), ("rem.s64", (-7, 2), -1), ("rem.u32", (7, 4), 3),
        ("div.u32", (2**32 - 1, 2), 2**31 - 1),
        ("mul.lo.s64", (2**62, 4), 0), ("mul.wide.s32", (-(2**31), 2), -(2**32)), ("mad.lo.s32", (3, 4, 5), 17),
        ("shl.b32", (1, 31), 2**31), ("shl.b32", (1, 32), 0), ("shr.s32", (-8, 1), -4), ("shr.s32", (-8, 40), -1),
        ("shr.u64", (2**63, 63), 1), ("shr.u32", (2**31, 99), 0), ("not.b64", (0,), 2**64 - 1),
        ("xor.pred", (True, True), 0),
        ("min.s64", (-1, 3), -1), ("max.s64", (-1, 3), 3), ("neg.s64", (5,), -5), ("selp.b64", (1, 2, False), 2),
        ("cvt.s64.s32", (-1,), -1), ("cvt.u64.u32", (2**32 - 1,), 2**32 - 1), ("cvt.u32.u64", (2**32 + 5,), 5),
        ("setp.lt.u64", (2**63, 1), False), ("setp.lt.s64", (-(2**62), 1), True), ("setp.hi.u32", (3, 2), True),
        ("setp.lt.f32", (NAN, 1), False), ("setp.leu.f32", (NAN, 1), True), ("setp.ne.f32", (NAN, 1), False),
        ("setp.neu.f32", (NAN, 1), True), ("setp.geu.f32", (1, 2), False), ("setp.ge.f32", (2, 2), True),
        ("max.f32", (NAN, 1), 1), ("copysign.f32", (-1, 2), -2), ("abs.f32", (-0.0,), 0.0),
        ("fma.rn.f32", (1 + 2**-12, 1 + 2**-12, -1 - 2**-11), 2.0**-24),  # a rounded product would lose it
        ("fma.rm.f32", (1, 1, -(2**-60)), 1 - 2**-24), ("add.rz.f32", (1, -(2**-60)), 1 - 2**-24),
        ("cvt.sat.f32.f32", (1.5,), 1), ("cvt.sat.f32.f32", (-2,), 0), ("cvt.sat.f32.f32", (NAN,), 0),
        ("cvt.rn.f32.s32", (2**24 + 1,), 2**24), ("ex2.approx.ftz.f32", (-3,), 0.125),
        ("ex2.approx.ftz.f32", (-130,), 0),
        ("rcp.approx.ftz.f32", (4,), 0.25), ("rcp.approx.ftz.f32", (2**-127,), INF),
        ("div.rn.f32", (1, 3), F(1) / F(3)), ("sqrt.rn.f32", (2,), F(math.sqrt(2))),
    ],
)  # fmt: skip
def test_instructions_have_the_results_computed_by_hand(opcode, operands, expected):
    means = meaning(tuple(opcode.split(".")))
    values = [np.array([operand]).astype(kind) for operand, kind in zip(operands, means.operands, strict=True)]
    with np.errstate(all="ignore"):
        result = means.function(*values)
    assert result.dtype == means.result
    assert result[0] == means.result(expected)


@pytest.mark.parametrize(("kind", "width"), [("b32", 32), ("b64", 64)])
def test_bits_are_inserted_at_a_different_position_in_each_thread(kind, width):
    """Almost all of 64 bits are set: float64 cannot represent such a mask."""
    ones, u = 2**width - 1, meaning(("bfi", kind)).result
    a, b = np.array([ones, 0, 0b1011, ones, 5, 5], u), np.array([0, ones, 0, 0, 7, 0], u)
    first, count = np.array([[0, 0, 8, width - 3, 2, 256], [width, width - 1, 3, 9, 0, 3]], np.uint32)
    found = meaning(("bfi", kind)).function(a, b, first, count)
    assert found.dtype == u
    assert found.tolist() == [ones, 2 ** (width - 1), 0b011 << 8, 0b111 << (width - 3), 7, 5]


@pytest.mark.parametrize(
    ("x", "bits"),
    [
        (1 + 2**-10, 1 + 2**-10), (1 + 2**-11, 1 + 2**-10), (1 + 2**-12, 1), (-1 - 2**-11, -1 - 2**-10), (0, 0),
    ],
)  # fmt: skip
def test_numbers_are_rounded_to_tf32(x, bits):
    rounded = meaning(("cvt", "rna", "tf32", "f32")).function(np.array([x], F))
    assert rounded.view(F)[0] == bits


def test_matrix_product_of_two_warps():
    """Elements are assigned to lanes as in the PTX ISA."""
    rng = np.random.default_rng(0)
    A, B, C = (rng.integers(-9, 9, shape).astype(F) for shape in ((2, 16, 8), (2, 8, 8), (2, 16, 8)))
    lanes = [(lane // 4, lane % 4) for lane in range(32)]
    a = [[[A[w, g + 8 * (h % 2), t + 4 * (h // 2)] for g, t in lanes] for w in range(2)] for h in range(4)]
    b = [[[B[w, t + 4 * h, g] for g, t in lanes] for w in range(2)] for h in range(2)]
    c = [[[C[w, g + 8 * (h // 2), 2 * t + h % 2] for g, t in lanes] for w in range(2)] for h in range(4)]
    a, b = ([np.array(x, F).view(np.uint32) + np.uint32(0x1FFF) for x in group] for group in (a, b))  # cut off
    found = matrix_product(a, b, [np.array(x, F) for x in c])
    D = A @ B + C
    for h in range(4):
        for w in range(2):
            expected = [D[w, g + 8 * (h // 2), 2 * t + h % 2] for g, t in lanes]
            np.testing.assert_array_equal(found[h][w], expected)


@pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="needs jitnet[cuda]")
@pytest.mark.parametrize("operation", ["matmul", "layer", "delta", "descend"])
@pytest.mark.usefixtures("ptx_once")
def test_each_missing_barrier_of_a_product_is_found(operation):
    """So each barrier of the products is needed."""
    from jitnet.compiler.cuda.registry import recording
    from jitnet.kernels.cuda import LADDERS
    from jitnet.lab import oracle
    from jitnet.lab.gpu.compiling import ptx_of

    seen = 0
    for rung in LADDERS[operation].values():
        case = oracle.case(operation, (40, 70, 36), "float32")
        with recording() as calls:
            rung.body(*case.arguments)
        launch, blocks, arguments = calls[0]
        text = ptx_of(launch, (9, 0), lines=True)
        pieces = text.split("bar.sync")
        for missing in range(1, len(pieces)):
            kept = [piece if n != missing else piece.partition(";")[2] for n, piece in enumerate(pieces)]
            broken = "".join(piece if n == 0 or n == missing else "bar.sync" + piece for n, piece in enumerate(kept))
            with pytest.raises(KernelError, match="no barrier in between"):
                execute(Program(broken), blocks, launch.threads, arguments)
            seen += 1
    assert seen >= 2


def test_places_have_the_letters_of_a_path():
    text = '.file 1 "/k\\303\\274rse/a.py"\n.entry f(\n)\n{\n.loc 1 7 0\nret;\n}\n'
    assert blocks_of(text)[0][0][0].place == ("/kürse/a.py", 7)
