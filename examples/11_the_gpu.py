"""Lesson 11. The GPU: what does a card with thousands of threads wait for?

The product again, by five loops of jitnet/kernels/cuda/matmul.py, each of which says what one thread does. A card can
multiply far faster than its memory can bring numbers, so each rung saves trips to memory. How many can be predicted
with a pencil. With an NVIDIA card we measure the speed; without one the kernels run in Numba's simulator, which is much
too slow to be timed, but lets us count every trip.

Lines that begin with `# >` are what the lesson prints where there is no card.
"""

# %%
import importlib.util
import itertools
import os
import subprocess
import sys

import numpy as np
from _course import ANSWERS, BLUE, ORANGE, new_figure, save, stop

# %% Is there a card?
# That has to be known before Numba is imported: so another process looks.
# > no card: the kernels run in the simulator
look = "from jitnet import gpu; print(gpu.obstacle() or '')"
obstacle = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout.strip()
if importlib.util.find_spec("numba_cuda") is None:
    stop(f"this lesson needs no card, but {obstacle}")
if obstacle:
    os.environ["NUMBA_ENABLE_CUDASIM"] = "1"

from jitnet.kernels.cuda import LADDERS, device, matmul  # noqa: E402
from jitnet.lab.timing import in_turn  # noqa: E402

print("no card: the kernels run in the simulator" if device.SIMULATED else "a card: the kernels are timed on it")

# %% What we expect of each rung
# For each multiply-add a thread needs a number of A and a number of B. Threads run in blocks, each of which computes a
# tile of C, so many rows high and columns wide.
#
# naive          One thread for each number of C. All comes from global memory, the card's own: 2 reads.
# coalesced      The same 2 reads, but threads side by side read numbers side by side, which come in one trip.
# shared         The block first copies a tile of A and one of B into the small, near memory that its threads share.
#                There each number serves a whole row or column of the tile: 2/side reads of global memory.
# blocktile_1d   Each thread computes several numbers of a column, so the tile can be larger with as many threads.
# blocktile_2d   Each thread computes a patch, and the tile is larger still.
#
# On a card the sides are 32, 64 and 128; the simulator, with its few threads, has 4, 8 and 32.
sides = {"naive": 1, "coalesced": 1, "shared": matmul.SIDE, "blocktile_1d": matmul.EDGE, "blocktile_2d": matmul.BLOCK}
predicted = {name: 2 / side for name, side in sides.items()}

# %% Counted, or timed
# > naive: 2 reads of global memory predicted for each multiply-add, counted 2
# > coalesced: 2 reads of global memory predicted for each multiply-add, counted 2
# > shared: 0.5 reads of global memory predicted for each multiply-add, counted 0.5
# > blocktile_1d: 0.25 reads of global memory predicted for each multiply-add, counted 0.25
# > blocktile_2d: 0.0625 reads of global memory predicted for each multiply-add, counted 0.0625
# > all five are right: True
n = 32 if device.SIMULATED else 2048
rng = np.random.default_rng(0)
A, B = (rng.standard_normal((n, n)).astype(np.float32) for _ in range(2))
there = [device.cuda.to_device(matrix) for matrix in (A, B, np.zeros_like(A))]
found, right = {}, []


def count_reads(rung):
    """Reads of arrays that lie on the simulated card: it asks `__getitem__` for each number."""
    kind, ticket = type(there[0]), itertools.count()
    usual = kind.__getitem__
    kind.__getitem__ = lambda array, index: (next(ticket), usual(array, index))[1]
    rung(*there)
    kind.__getitem__ = usual
    return next(ticket) / n**3


def speed(rung):
    """GFLOP/s on the card, without the way there and back."""

    def five():
        for _ in range(5):
            rung(*there)
        device.stream().synchronize()

    return 5 * 2e-9 * n**3 / in_turn({"": five})[""].seconds


for name in sides:
    found[name] = (count_reads if device.SIMULATED else speed)(LADDERS["matmul"][name])
    right.append(np.allclose(there[2].copy_to_host(), A.astype(float) @ B, atol=1e-5 * n))
    what = f"counted {found[name]:g}" if device.SIMULATED else f"{found[name]:.0f} GFLOP/s"
    print(f"{name}: {predicted[name]:g} reads of global memory predicted for each multiply-add, {what}")
print(f"all five are right: {all(right)}")

# %% The picture
unit = "reads of global memory for each multiply-add" if device.SIMULATED else "GFLOP/s"
figure = new_figure(8, 3.4, "On a card, each rung saves trips to memory")
axis = figure.subplots()
bars = axis.barh(list(found), list(found.values()), color=BLUE, label="counted" if device.SIMULATED else "measured")
axis.bar_label(bars, [f"{value:.3g}" for value in found.values()], padding=8)
if device.SIMULATED:
    axis.plot(list(predicted.values()), list(predicted), "D", color=ORANGE, label="predicted")
axis.set(xlabel=f"{unit}, logarithmic", xscale="log")
axis.set_xlim(min(found.values()) / 3, max(found.values()) * 3)
axis.invert_yaxis()
figure.legend(loc="outside lower center", ncols=2)
save(figure, "11_the_gpu")

# %% Exercises
# 1. A card's memory gives 3,000 GB/s. How many GFLOP/s can naive reach at most, if every read goes there?
# 2. The card can do 60,000 GFLOP/s. How large must the side of a tile be, so that memory is no longer the limit?
# 3. A trip brings 32 bytes at least. In naive, 32 threads read numbers of A that lie a row apart; how many bytes are
#    brought, and how many used?

# %% Answers
if ANSWERS:
    print(f"answer 1: 2 FLOP for 8 bytes: {3000 * 2 / 8:g} GFLOP/s, if nothing is found in a cache")
    print(f"answer 2: 2 FLOP for 8/side bytes must be 60,000/3,000 = 20 FLOP for each byte: {20 * 8 / 2:g}")
    print(f"answer 3: {32 * 32} bytes brought, {32 * 4} used")
