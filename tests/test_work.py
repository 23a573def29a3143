"""The work of a call: numbers computed one at a time, and in SIMD vectors."""

import pytest

from jitnet.lab.machine_code.assembly import functions_of
from jitnet.lab.machine_code.hottest import candidates
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
    functions = functions_of(ASSEMBLY, {})
    counts = dict(zip([str(block.row) for block in functions[0].blocks[1:]], times, strict=True))
    work = work_of([functions], {}, [counts], candidates(functions, {}), moves)
    assert (work.alone, work.together) == (alone, together)
    assert (work.loop and work.loop.loop.header) == loop
