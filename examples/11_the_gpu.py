# %% [markdown]
"""Lesson 11. The GPU: what does a GPU with thousands of threads wait for?
==========================================================================

Eight loops of jitnet/kernels/cuda/matmul.py compute the product again; each loop describes one thread. A GPU can
multiply far faster than its memory can deliver numbers, so each rung saves memory accesses. We predict their number by
hand and count them: jitnet compiles the loops for a GPU, and an interpreter executes them instruction by instruction.
This needs no GPU; with a GPU, the lesson measures the speed too.

Lines that begin with `# >` show what the lesson prints on a machine without a GPU.
"""

# %%
import importlib.util

import numpy as np
from _course import ANSWERS, BLUE, GREEN, ORANGE, check, new_figure, save, stop

from jitnet.backend import cuda

# %% [markdown]
# Is there a GPU?
# ---------------

# %%
# > no GPU: the compiled kernels are interpreted, and their memory accesses are counted
obstacle = cuda.obstacle()
if importlib.util.find_spec("numba_cuda") is None:
    stop(f"this lesson needs no GPU, but {obstacle}")

from jitnet.compiler.cuda import device  # noqa: E402
from jitnet.kernels.cuda import LADDERS, matmul, pipelined  # noqa: E402
from jitnet.lab.gpu import running, transactions  # noqa: E402
from jitnet.lab.timing import time_alternating  # noqa: E402

if device.SIMULATED:
    stop("Numba's simulator compiles nothing: unset NUMBA_ENABLE_CUDASIM")
without = "no GPU: the compiled kernels are interpreted, and their memory accesses are counted"
print("a GPU: the kernels are counted, and timed on it" if obstacle is None else without)

# %% [markdown]
# What we expect of each rung
# ---------------------------
# For each multiply-add a thread needs a number of A and a number of B. Threads run in blocks, and each block computes
# one tile of C.
#
# - **naive**: One thread per number of C. All numbers come from global memory, the GPU's main memory: 2 reads.
# - **coalesced**: The same 2 reads, but neighboring threads read adjacent numbers, which are loaded together. (The GPU
#   executes 32 neighboring threads at a time, a warp.)
# - **shared**: The block first copies a tile of A and a tile of B into shared memory, which is small and fast. Each
#   number is then used for a whole row or column of the tile: 2/side reads of global memory.
# - **blocktile_1d**: Each thread computes 8 numbers of a column, so the tile can be larger with the same number of
#   threads.
# - **blocktile_2d**: Each thread computes a patch of 8 × 8, and the tile is larger still.
# - **vectorized**: The same, but each load reads four numbers (float4).
# - **warptile**: The same, but the threads of a warp read adjacent numbers of shared memory.
# - **pipelined**: The same, but the next tile is loaded while this one is multiplied, and a thread computes 8 × 16.

# %%
sides = {
    "naive": 1, "coalesced": 1, "shared": matmul.SIDE, "blocktile_1d": matmul.EDGE,
    "blocktile_2d": matmul.BLOCK, "vectorized": matmul.BLOCK, "warptile": matmul.BLOCK,
    "pipelined": pipelined.LARGE.height,
}  # fmt: skip
predicted = {name: 2 / side for name, side in sides.items()}

# %% [markdown]
# Are they right?
# ---------------
# The interpreter runs all threads of a block in parallel. It stops if a thread reads outside of an array, or reads a
# number that another thread may not have written yet.

# %%
# > all eight are right: True
print("Testing and counting all of them takes about a minute on an idle machine (an estimate).", flush=True)
rng = np.random.default_rng(0)
A, B = (rng.standard_normal((65, 65)).astype(np.float32) for _ in range(2))
right = []
for name in sides:
    C = np.full((65, 65), np.nan, np.float32)
    running.run(LADDERS["matmul"][name], A, B, C)
    right.append(np.allclose(C, A.astype(float) @ B, atol=1e-4))
print(f"all eight are right: {all(right)}")

# %% [markdown]
# Counted
# -------
# A memory transaction transfers 32 bytes, 8 numbers, even if only one of them is needed. The accesses of a warp are
# combined. In naive, its threads read numbers of A in different rows, so 32 bytes are transferred for each thread. In
# coalesced, all of them read the same number of A, 32 bytes in all, and adjacent numbers of B, 128 bytes: 160/32 = 5
# bytes for each thread, although its two numbers have 8.

# %%
# > naive: 2 reads for each multiply-add predicted, 2 counted; 33 bytes transferred
# > coalesced: 2 reads for each multiply-add predicted, 2 counted; 5 bytes transferred
# > shared: 0.0625 reads for each multiply-add predicted, 0.0625 counted; 0.25 bytes transferred
# > blocktile_1d: 0.03125 reads for each multiply-add predicted, 0.03125 counted; 0.125 bytes transferred
# > blocktile_2d: 0.015625 reads for each multiply-add predicted, 0.015625 counted; 0.0625 bytes transferred
# > vectorized: 0.015625 reads for each multiply-add predicted, 0.015625 counted; 0.0625 bytes transferred
# > warptile: 0.015625 reads for each multiply-add predicted, 0.015625 counted; 0.0625 bytes transferred
# > pipelined: 0.015625 reads for each multiply-add predicted, 0.015625 counted; 0.0625 bytes transferred
counted = {}
for name in sides:
    found = counted[name] = transactions.each("matmul", transactions.count("matmul", name))
    print(f"{name}: {predicted[name]:g} reads for each multiply-add predicted, {found['numbers']:g} counted; "
          f"{found['bytes']:g} bytes transferred", flush=True)  # fmt: skip

# %% [markdown]
# The remaining costs
# -------------------
# The last four differ although their accesses to global memory are the same. A multiply-add also needs its numbers from
# shared memory, and other instructions (loads, addresses, comparisons) take time too.

# %%
# > blocktile_2d: 0.625 accesses to shared memory for each multiply-add of a warp
# > vectorized: 0.375 accesses to shared memory for each multiply-add of a warp
# > warptile: 0.25 accesses to shared memory for each multiply-add of a warp
# > pipelined: 0.1875 accesses to shared memory for each multiply-add of a warp
for name in list(sides)[-4:]:
    print(f"{name}: {counted[name]['shared']:g} accesses to shared memory for each multiply-add of a warp")


# %% [markdown]
# With a GPU: the speed
# ---------------------


# %%
def speed(name, n=2048):
    """GFLOP/s on the GPU, without the copies to it and back."""
    there = [device.cuda.to_device(rng.standard_normal((n, n)).astype(np.float32)) for _ in range(3)]

    def five():
        for _ in range(5):
            LADDERS["matmul"][name](*there)
        device.stream().synchronize()

    return 5 * 2e-9 * n**3 / time_alternating({"": five})[""].seconds


speeds = {name: speed(name) for name in sides} if obstacle is None else {}
for name, gflops in speeds.items():
    print(f"{name}: {gflops:.0f} GFLOP/s")

# %% [markdown]
# The plot
# --------

# %%
figure = new_figure(9, 3.6, "On a GPU, each rung saves memory accesses, until most of the instructions are arithmetic")
left, right_axis = figure.subplots(1, 2, sharey=True)
bars = left.barh(list(sides), [found["bytes"] for found in counted.values()], color=BLUE, label="transferred")
left.bar_label(bars, [f"{found['bytes']:.3g}" for found in counted.values()], label_type="center", color="white")
left.plot([4 * reads for reads in predicted.values()], list(sides), "D", color=ORANGE, label="predicted from the reads")
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

# %% [markdown]
# Exercises
# ---------
# 1. The memory bandwidth of a GPU is 3,000 GB/s. How many GFLOP/s can naive and coalesced reach without a cache?
# 2. The peak of the GPU is 60,000 GFLOP/s. How large must the side of a tile be so that memory is no longer the limit?
# 3. Where do the 33 bytes of naive come from?
# 4. Write `sectors(addresses)`: each of the 32 threads of a warp reads a float32 number, 4 bytes, at one of these
#    addresses. Memory is divided into sectors of 32 bytes, from address 0 on. Return how many are transferred. Check
#    it: `python examples/11_the_gpu.py --check my_answer.py`.

# %% [markdown]
# Answers
# -------


# %%
def sectors(addresses):
    return len({address // 32 for address in addresses})


if ANSWERS:
    limits = [3000 / counted[name]["bytes"] * 2 for name in ("naive", "coalesced")]
    print(f"answer 1: 2 FLOP for 33 and for 5 bytes: {limits[0]:.0f} and {limits[1]:.0f} GFLOP/s")
    print(f"answer 2: 2 FLOP for 8/side bytes must be 60,000/3,000 = 20 FLOP for each byte: {20 * 8 / 2:g}")
    print(
        f"answer 3: for 32 numbers of A {32 * 32} bytes, for the one of B 32: {(32 * 32 + 32) / 32:g} for each thread"
    )
    print(f"answer 4: {check(sectors)}")
