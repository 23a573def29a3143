"""Lesson 11. The GPU: what does a GPU with thousands of threads wait for?

The product again, by eight loops of jitnet/kernels/cuda/matmul.py, each of which says what one thread does. A GPU can
multiply far faster than its memory can bring numbers, so each rung saves trips to memory. How many can be predicted
with a pencil, and counted: jitnet compiles the loops for a GPU and, instruction by instruction, does what a GPU would
do. No GPU is needed for that; whoever has one sees the speed too.

Lines that begin with `# >` are what the lesson prints where there is no GPU.
"""

# %%
import importlib.util

import numpy as np
from _course import ANSWERS, BLUE, GREEN, ORANGE, new_figure, save, stop

from jitnet.backend import cuda

# %% Is there a GPU?
# > no GPU: what is compiled for one is interpreted, and its trips are counted
obstacle = cuda.obstacle()
if importlib.util.find_spec("numba_cuda") is None:
    stop(f"this lesson needs no GPU, but {obstacle}")

from jitnet.compiler.cuda import device  # noqa: E402
from jitnet.kernels.cuda import LADDERS, matmul, pipelined  # noqa: E402
from jitnet.lab.gpu import running, traffic  # noqa: E402
from jitnet.lab.timing import in_turn  # noqa: E402

if device.SIMULATED:
    stop("Numba's simulator compiles nothing: unset NUMBA_ENABLE_CUDASIM")
without = "no GPU: what is compiled for one is interpreted, and its trips are counted"
print("a GPU: the kernels are counted, and timed on it" if obstacle is None else without)

# %% What we expect of each rung
# For each multiply-add a thread needs a number of A and a number of B. Threads run in blocks, each of which computes a
# tile of C, so many rows high and columns wide.
#
# naive          One thread for each number of C. All comes from global memory, the GPU's own: 2 reads.
# coalesced      The same 2 reads, but threads side by side read numbers side by side, which come in one trip.
# shared         The block first copies a tile of A and one of B into the small, near memory that its threads share.
#                There each number serves a whole row or column of the tile: 2/side reads of global memory.
# blocktile_1d   Each thread computes 8 numbers of a column, so the tile can be larger with as many threads.
# blocktile_2d   Each thread computes a patch of 8 × 8, and the tile is larger still.
# vectorized     The same, but four numbers with one load.
# warptile       The same, but those threads that are served together ask for what lies together.
# pipelined      The same, but the next tile is on its way while this one is multiplied, and a thread computes 8 × 16.
sides = {
    "naive": 1, "coalesced": 1, "shared": matmul.SIDE, "blocktile_1d": matmul.EDGE,
    "blocktile_2d": matmul.BLOCK, "vectorized": matmul.BLOCK, "warptile": matmul.BLOCK,
    "pipelined": pipelined.LARGE.height,
}  # fmt: skip
predicted = {name: 2 / side for name, side in sides.items()}

# %% Are they right?
# The interpreter runs all threads of a block side by side, and stops if one reads what is not there, or what another
# may not have written yet.
# > all eight are right: True
print("Trying and counting all of them takes about a minute on an idle machine (an estimate).", flush=True)
rng = np.random.default_rng(0)
A, B = (rng.standard_normal((65, 65)).astype(np.float32) for _ in range(2))
right = []
for name in sides:
    C = np.full((65, 65), np.nan, np.float32)
    running.run(LADDERS["matmul"][name], A, B, C)
    right.append(np.allclose(C, A.astype(float) @ B, atol=1e-4))
print(f"all eight are right: {all(right)}")

# %% Counted
# The memory sends 32 bytes at a time, 8 numbers, whether one thread wants of them or all eight. 32 threads, a warp, are
# served together: in naive their numbers of A lie a row apart, so 32 bytes are sent for each of them.
# > naive: 2 reads for each multiply-add predicted, 2 counted; 33 bytes are sent for them
# > coalesced: 2 reads for each multiply-add predicted, 2 counted; 5 bytes are sent for them
# > shared: 0.0625 reads for each multiply-add predicted, 0.0625 counted; 0.25 bytes are sent for them
# > blocktile_1d: 0.03125 reads for each multiply-add predicted, 0.03125 counted; 0.125 bytes are sent for them
# > blocktile_2d: 0.015625 reads for each multiply-add predicted, 0.015625 counted; 0.0625 bytes are sent for them
# > vectorized: 0.015625 reads for each multiply-add predicted, 0.015625 counted; 0.0625 bytes are sent for them
# > warptile: 0.015625 reads for each multiply-add predicted, 0.015625 counted; 0.0625 bytes are sent for them
# > pipelined: 0.015625 reads for each multiply-add predicted, 0.015625 counted; 0.0625 bytes are sent for them
counted = {}
for name in sides:
    found = counted[name] = traffic.each("matmul", traffic.count("matmul", name))
    print(f"{name}: {predicted[name]:g} reads for each multiply-add predicted, {found['numbers']:g} counted; "
          f"{found['bytes']:g} bytes are sent for them", flush=True)  # fmt: skip

# %% What is left to wait for
# Why are the last four not alike, then? Because global memory is not all. A multiply-add also needs its numbers from
# shared memory, and is one instruction among others: loads, addresses, comparisons. Each takes a turn.
# > blocktile_2d: 0.625 trips to shared memory for each multiply-add of a warp
# > vectorized: 0.375 trips to shared memory for each multiply-add of a warp
# > warptile: 0.25 trips to shared memory for each multiply-add of a warp
# > pipelined: 0.1875 trips to shared memory for each multiply-add of a warp
for name in list(sides)[-4:]:
    print(f"{name}: {counted[name]['shared']:g} trips to shared memory for each multiply-add of a warp")


# %% With a GPU: the speed
def speed(name, n=2048):
    """GFLOP/s on the GPU, without the way there and back."""
    there = [device.cuda.to_device(rng.standard_normal((n, n)).astype(np.float32)) for _ in range(3)]

    def five():
        for _ in range(5):
            LADDERS["matmul"][name](*there)
        device.stream().synchronize()

    return 5 * 2e-9 * n**3 / in_turn({"": five})[""].seconds


speeds = {name: speed(name) for name in sides} if obstacle is None else {}
for name, gflops in speeds.items():
    print(f"{name}: {gflops:.0f} GFLOP/s")

# %% The picture
figure = new_figure(9, 3.6, "On a GPU, each rung saves trips to memory, until most of what is left is arithmetic")
left, right_axis = figure.subplots(1, 2, sharey=True)
bars = left.barh(list(sides), [found["bytes"] for found in counted.values()], color=BLUE, label="sent")
left.bar_label(bars, [f"{found['bytes']:.3g}" for found in counted.values()], label_type="center", color="white")
left.plot([4 * reads for reads in predicted.values()], list(sides), "D", color=ORANGE, label="of the reads predicted")
left.set(xlabel="bytes from global memory for each multiply-add, logarithmic", xscale="log", xlim=(0.004, 100))
left.legend(loc="lower right")
left.invert_yaxis()
if speeds:
    bars = right_axis.barh(list(sides), list(speeds.values()), color=GREEN)
    right_axis.bar_label(bars, [f"{gflops:.0f}" for gflops in speeds.values()], padding=4)
    right_axis.set(xlabel="GFLOP/s", xlim=(0, 1.2 * max(speeds.values())))
else:
    bars = right_axis.barh(list(sides), [100 * found["useful"] for found in counted.values()], color=GREEN)
    right_axis.bar_label(bars, [f"{found['useful']:.0%}" for found in counted.values()], padding=4)
    right_axis.set(xlabel="% of the instructions that multiply and add", xlim=(0, 100))
save(figure, "11_the_gpu")

# %% Exercises
# 1. A GPU's memory sends 3,000 GB/s. How many GFLOP/s can naive and coalesced reach, if nothing is found in a cache?
# 2. The GPU can do 60,000 GFLOP/s. How large must the side of a tile be, so that memory is no longer the limit?
# 3. Where do the 33 bytes of naive come from?

# %% Answers
if ANSWERS:
    limits = [3000 / counted[name]["bytes"] * 2 for name in ("naive", "coalesced")]
    print(f"answer 1: 2 FLOP for 33 and for 5 bytes: {limits[0]:.0f} and {limits[1]:.0f} GFLOP/s")
    print(f"answer 2: 2 FLOP for 8/side bytes must be 60,000/3,000 = 20 FLOP for each byte: {20 * 8 / 2:g}")
    print(
        f"answer 3: for 32 numbers of A {32 * 32} bytes, for the one of B 32: {(32 * 32 + 32) / 32:g} for each thread"
    )
