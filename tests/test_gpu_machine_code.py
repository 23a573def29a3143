"""Parts of `explain --backend cuda` on hand-written PTX and SASS: occupancy, loads and stores, loops, machine code."""

import importlib.util

import pytest

if importlib.util.find_spec("numba_cuda") is None:
    pytest.skip("numba-cuda is not installed (pip install 'jitnet[cuda]')", allow_module_level=True)


from jitnet.lab.gpu import disassembly
from jitnet.lab.gpu.divergence import Flow
from jitnet.lab.gpu.hottest import Access, access, hottest, multiply_adds
from jitnet.lab.gpu.occupancy import resident

pytestmark = pytest.mark.usefixtures("ptx_once")


@pytest.mark.parametrize(
    ("capability", "threads", "registers", "shared", "blocks", "warps", "limits"),
    [
        ((9, 0), 256, 128, 17920, 2, 16, "registers"),  # 4096 per warp; the 16384 of a quarter hold 4, so 16 warps
        ((9, 0), 64, 78, 5632, 12, 24, "registers"),  # rounded to 80, 2560 per warp; 6 per quarter
        ((9, 0), 64, 33, 0, 24, 48, "registers"),  # rounded to 40, 1280 per warp; 12 per quarter
        ((9, 0), 32, 80, 0, 24, 24, "registers"),  # the quarters together could hold 25, but each holds 6
        ((9, 0), 1024, 33, 0, 1, 32, "registers"),  # rounded to 40; 12 per quarter, 48 warps; a block needs 32
        ((9, 0), 1024, 32, 0, 2, 64, "registers and threads"),
        ((9, 0), 64, 32, 49 << 10, 4, 8, "shared memory"),  # 228 / 49
        ((8, 0), 64, 32, 49 << 10, 3, 6, "shared memory"),  # 164 / 49
        ((8, 0), 32, 16, 0, 32, 32, "number of blocks"),
        ((8, 6), 256, 24, 0, 6, 48, "threads"),  # 1536 of them
        ((9, 0), 1024, 255, 0, 0, 0, "registers"),  # it cannot be started
    ],
)
def test_occupancy_by_hand(capability, threads, registers, shared, blocks, warps, limits):
    found = resident(capability, threads, registers, shared)
    assert (found.blocks, found.warps, found.limits) == (blocks, warps, limits)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%rd1];", Access(True, "global", 16)),
        ("ld.global.nc.f32 %f1, [%rd1];", Access(True, "global", 4)),
        ("@%p1 st.shared.f32 [%rd1], %f1;", Access(False, "shared", 4)),
        ("ld.local.f64 %fd1, [%rd1];", Access(True, "local", 8)),
        ("ld.param.u64 %rd1, [param_0];", None),
        ("LDG.E.128.CONSTANT R4, desc[UR4][R2.64]", Access(True, "global", 16)),
        ("@!P0 LDG.E R4, desc[UR4][R2.64]", Access(True, "global", 4)),
        ("LDS R4, [R2+0x40]", Access(True, "shared", 4)),
        ("STL.64 [R1], R4", Access(False, "local", 8)),
        ("LDC R1, c[0x0][0x28]", None),
        ("fma.rn.f32 %f1, %f2, %f3, %f4;", None),
    ],
)
def test_loads_and_stores_are_parsed(text, expected):
    assert access(text) == expected


def test_multiply_adds_are_parsed():
    for text, number in (
        ("fma.rn.f32 %f1, %f2, %f3, %f4;", 1), ("FFMA R1, R2, R3, R4", 1), ("@P0 FFMA R1, R2, R3, R4", 1),
        ("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%f1}, {%r1}, {%r2}, {%f2};", 32),
        ("HMMA.1688.F32.TF32 R4, R8, R2, R4", 32), ("mul.f32 %f1, %f2, %f3;", 0), ("IMAD R1, R2, R3, R4", 0),
    ):  # fmt: skip
        assert multiply_adds(text) == number, text


TWO_WAYS = """
.visible .entry kernel()
{
	mov.u32 	%r1, %ntid.x;
	mov.u64 	%rd2, 0;
$OUTER:
	ld.global.f32 	%f9, [%rd8];
$INNER:
	setp.gt.s32 	%p1, %r1, 5;
	@%p1 bra 	$WIDE;
	ld.global.f32 	%f1, [%rd1];
	ld.global.f32 	%f2, [%rd1+4];
	bra.uni 	$MEET;
$WIDE:
	ld.global.v2.f32 	{%f1, %f2}, [%rd1];
$MEET:
	fma.rn.f32 	%f3, %f1, %f2, %f3;
	setp.ne.s64 	%p2, %rd1, 0;
	@%p2 bra 	$INNER;
	setp.ne.s64 	%p3, %rd2, 0;
	@%p3 bra 	$OUTER;
	ret;
}
""".replace("$", "$L_")


def test_innermost_loop_has_its_most_frequent_path():
    flow = Flow(TWO_WAYS)
    loop = hottest(flow)
    assert loop.depth == 2
    assert [text.split()[0] for text, _ in loop.instructions] == [
        "setp.gt.s32", "@%p1", "ld.global.v2.f32", "fma.rn.f32", "setp.ne.s64", "@%p2",
    ]  # fmt: skip
    assert loop.left_out == 3
    assert loop.loads("global") == [8]
    assert [text.split()[0] for text, _ in loop.around] == ["ld.global.f32", "setp.ne.s64", "@%p3"]
    assert flow.parting == {}
    assert set(Flow(TWO_WAYS.replace("%ntid.x", "%tid.x")).parting) == {2}


def test_predicated_writes_depend_on_the_thread():
    text = """
.visible .entry kernel()
{
	mov.u32 	%r1, %tid.x;
	setp.gt.s32 	%p1, %r1, 3;
	mov.u32 	%r2, 0;
	@%p1 mov.u32 	%r2, 1;
	setp.eq.s32 	%p2, %r2, 0;
	@%p2 bra 	$L_END;
	bar.sync 	0;
$L_END:
	ret;
}
"""
    assert len(Flow(text).barriers_that_some_threads_miss()) == 1
    assert Flow(text.replace("%tid.x", "%ctaid.x")).barriers_that_some_threads_miss() == []


def test_backward_jump_is_not_always_a_loop():
    flow = Flow("""
.visible .entry kernel()
{
	@%p1 bra 	$L_RARE;
$L_MEET:
	add.f32 	%f1, %f1, %f2;
	ret;
$L_RARE:
	mul.f32 	%f1, %f1, %f1;
	bra.uni 	$L_MEET;
}
""")
    assert flow.loops() == {}
    assert hottest(flow).depth == 0


COPIES_FIRST = """
.visible .entry kernel()
{
$OUTER:
$COPY:
	@%p1 bra 	$DONE;
	ld.global.v4.f32 	{%f1, %f2, %f3, %f4}, [%rd1];
	bra.uni 	$COPY;
$DONE:
	fma.rn.f32 	%f5, %f6, %f7, %f5;
	fma.rn.f32 	%f5, %f6, %f7, %f5;
	@%p3 bra 	$END;
	bra.uni 	$OUTER;
$END:
	ret;
}
""".replace("$", "$L_")


def test_outer_loop_can_be_the_hottest():
    text = TWO_WAYS.replace("fma.rn.f32 	%f3, %f1, %f2, %f3;", "mov.f32 	%f3, %f1;")
    loop = hottest(Flow(text.replace("ld.global.f32 	%f9, [%rd8];", "fma.rn.f32 	%f9, %f9, %f9, %f9;")))
    assert loop.depth == 1
    assert [text.split()[0] for text, _ in loop.instructions] == ["fma.rn.f32", "setp.ne.s64", "@%p3"]
    assert loop.around == []
    loop = hottest(Flow(COPIES_FIRST))
    assert (loop.depth, loop.multiply_adds) == (1, 2)
    assert [text.split()[0] for text, _ in loop.instructions] == ["fma.rn.f32", "fma.rn.f32", "@%p3", "bra.uni"]


SASS = """
	.section	.text.__cuda_sm20_div_s64,"ax",@progbits
.text.__cuda_sm20_div_s64:
        /*0000*/                   RET.REL.NODEC R20 `(kernel) ;
	.section	.text._Zkernel,"ax",@progbits
.text._Zkernel:
	//## File "/a/b.py", line 7
        /*0000*/                   LDC R1, c[0x0][0x28] ;
        /*0010*/              @!P0 EXIT ;
        /*0018*/                   MOV R2, R3 ;
.L_x_1:
	//## File "/a/b.py", line 9
        /*0020*/                   LDS.128 R4, [R2] ;
        /*0030*/                   FFMA R9, R4, R5, R9 ;
        /*0040*/               @P1 BRA `(.L_x_1) ;
        /*0050*/                   EXIT ;
.L_x_2:
        /*0060*/                   BRA `(.L_x_2);
"""


def test_machine_code_is_parsed():
    graph = disassembly.graph_of(SASS)
    loop = hottest(graph)
    assert loop.depth == 1
    assert [(text, place[1]) for text, place in loop.instructions] == [
        ("LDS.128 R4, [R2]", 9), ("FFMA R9, R4, R5, R9", 9), ("@P1 BRA `(.L_x_1)", 9),
    ]  # fmt: skip
    assert loop.loads("shared") == [16]
    assert graph.end in graph.next[0]  # through the EXIT of some threads
