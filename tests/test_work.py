"""The work of a call: numbers computed one at a time, and in SIMD vectors."""

import pytest

from jitnet.lab.machine_code.assembly import functions_of
from jitnet.lab.machine_code.hottest import candidates, hottest
from jitnet.lab.machine_code.work import work_of

ASSEMBLY = """\
f:
# %bb.0:
\tmovabsq\t$expf, %rbx
.LBB0_1:                                # =>This Inner Loop Header: Depth=1
\tvmovss\t(%rdi,%rax,4), %xmm0
\tvmovss\t8(%rsp), %xmm3
\tvmulss\t%xmm0, %xmm1, %xmm2
\tvfmadd231ss\t%xmm0, %xmm1, %xmm2
\tjne\t.LBB0_1
.LBB0_2:                                # =>This Inner Loop Header: Depth=1
\tvmovups\t(%rdi,%rax,4), %ymm0
\tvfmadd213ps\t(%rsi), %ymm0, %ymm1
\tvpaddd\t%ymm0, %ymm1, %ymm2
\tvmovups\t%ymm1, (%rsi)
\tjne\t.LBB0_2
# %bb.3:
\tcallq\t*%rbx
\tvaddss\t%xmm0, %xmm1, %xmm2
\tretq
"""


@pytest.mark.parametrize(
    ("times", "moves", "alone", "together", "loop"),
    [
        ((1, 100, 50, 0), False, 3 * 100, 16 * 50, "BB0_1"),
        ((1, 0, 50, 1), False, 10 + 1, 16 * 50, None),
        ((1, 100, 50, 1), True, 100, 50 * (8 + 8 + 8), "BB0_1"),
        ((0, 0, 0, 0), False, 0, 0, None),
    ],
)
def test_work_of_a_call_by_hand(times, moves, alone, together, loop):
    functions = functions_of(ASSEMBLY)
    counts = dict(zip([str(block.row) for block in functions[0].blocks[1:]], times, strict=True))
    work = work_of([functions], {}, [counts], candidates(functions, {}), moves)
    assert (work.alone, work.together) == (alone, together)
    assert (work.loop and work.loop.loop.header) == loop


def versions(*bodies):
    """The machine code of several loops without a place in a source, as compiled from one line."""
    blocks = [
        f".LBB0_{n}:                                # =>This Inner Loop Header: Depth=1\n{body}\tjne\t.LBB0_{n}\n"
        for n, body in enumerate(bodies, 1)
    ]
    return candidates(functions_of("f:\n# %bb.0:\n" + "".join(blocks) + "# %bb.9:\n\tretq\n"), {})


def test_hottest_version_is_the_one_with_most_arithmetic_per_load():
    """10 multiply-adds that load a number each, in 12 instructions, are slower than 20 with 9 loads, in 30."""
    narrow = "\tvmovups\t(%rax), %zmm0\n" + "\tvfmadd231ps\t(%rbx){1to16}, %zmm0, %zmm1\n" * 10
    wide = "\tvbroadcastss\t(%rbx), %zmm0\n" * 9 + "\tvfmadd231ps\t%zmm0, %zmm2, %zmm1\n" * 20
    assert [hottest(versions(*order)).loop.header for order in ((narrow, wide), (wide, narrow))] == ["BB0_2", "BB0_1"]
