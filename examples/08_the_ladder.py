# %% [markdown]
"""Lesson 8. Climbing the ladder: why is one loop ten thousand times as fast as another?
========================================================================================

Seven loops of jitnet/kernels/matmul.py compute the product Z = X·W. Each adds or replaces one idea. All do the same
multiplications, so we can predict the effect of an idea from three numbers of your machine: the clock, the
bandwidth of the L1 cache, and the peak of multiply-adds. Then we measure.

Lines that begin with `# >` show what the lesson prints; the times are those of your machine, on one thread.
"""

# %%
import inspect

import numpy as np
from _course import ANSWERS, BLUE, ORANGE, check, new_figure, save, say

import jitnet
from jitnet.lab import explain, ladder, machine
from jitnet.lab.trace import caches, plots, tracing

# %% [markdown]
# The peaks of this machine
# -------------------------
# A core computes with the numbers in its registers. They come from memory through caches; the L1 cache is the smallest
# and fastest. Simple loops measure the peaks once and save them (`jitnet machine` shows all of them).

# %%
SIZE = 192  # so that rows are whole cache lines and whole vectors, and each tile is whole
limits = machine.limits()
clock = limits["clock"] or 3e9  # it can be measured only on some processors; 3 GHz is a fair guess for the others
cache = limits["bandwidth"]["L1"]["1"]["copy"]
peak = limits["peak"]["float32"]["1"]
print(f"{clock / 1e9:.2f} GHz, L1 cache {cache / 1e9:.0f} GB/s, peak {peak / 1e9:.0f} GFLOP/s")

# %% [markdown]
# What we expect of each rung
# ---------------------------
# A multiply-add is two floating-point operations (2 FLOP), so each prediction is 2 divided by the time of a
# multiply-add.
#
# - **python**: The interpreter looks up names, and wraps and unwraps every number as an object: about 200 ns.
# - **njit**: The same loop, compiled. There is no interpreter, but each multiply-add waits for the previous one, as all
#   of them add to the same sum: 4 clock cycles on most of today's processors.
# - **unrolled**: Four sums side by side. While one of them waits, the other three go on: one multiply-add per cycle.
# - **reordered**: A row of sums instead of four: the loop over k is outside, the loop over j inside. The additions go
#   into different sums and need not wait, and the numbers are adjacent in memory, so a vector instruction processes 4,
#   8 or 16 at once. Now the memory accesses limit the speed: z[j] is read, w[j] is read, z[j] is written, 12 bytes.
# - **blocked**: Four rows and four k at once: for 16 multiply-adds, four numbers of W and four sums are read, and four
#   sums are written. That is 3 bytes for each. The cache could deliver more than the peak needs, so the peak is the
#   limit.
# - **tiled**: The sums of six rows stay in registers until they are complete, and only numbers of W and X are read.
#   Almost only multiply-adds remain: the peak again, now without the memory accesses that keep a loop below it.
# - **packed**: The same tile, but the columns of W that it reads are first copied next to each other, if this saves
#   time: if W is large, or if its rows do not begin on cache lines. Neither is the case here: the peak again.

# %%
predicted = {
    "python": 2 / 200e-9,
    "njit": 2 / (4 / clock),
    "unrolled": 2 / (1 / clock),
    "reordered": min(2 / (12 / cache), peak),
    "blocked": min(2 / (3 / cache), peak),
    "tiled": peak,
    "packed": peak,
}

# %% [markdown]
# Measured
# --------
# `measure` first compares a loop with float64, and then times it, alternating with the others. (This takes about ten
# seconds, and a few more the first time.) The first step, which removes the interpreter, gains most. The others compute
# without waiting, in vectors, and with fewer memory accesses. Once a loop is near the peak, nothing is left to gain. A
# prediction within a factor of 2 is good: it means that we know what limits the loop.

# %%
# > all seven are right: True
result = ladder.measure("matmul", SIZE, threads=1, limits=limits)
rungs = {rung["name"]: rung for rung in result["rungs"] if rung["name"] in predicted}
print(f"all seven are right: {all(rung['checked'] for rung in rungs.values())}")
below = None
for name, rate in predicted.items():
    measured = rungs[name]["gflops"]
    print(f"{name:10} predicted {rate / 1e9:8.3g} GFLOP/s, measured {measured:8.3g}", end="")
    if below:
        print(
            f"; gain predicted {rate / predicted[below]:6.1f}, measured {measured / rungs[below]['gflops']:6.1f}",
            end="",
        )
    print()
    below = name
say(result["disturbed_by"])
if not result["disturbed"]:
    steps = [("python", "njit"), ("njit", "reordered"), ("reordered", "packed")]
    first, waits, accesses = (rungs[after]["gflops"] / rungs[before]["gflops"] for before, after in steps)
    print(f"from python to packed: {rungs['packed']['speedup']:.0f} times as fast")
    print(f"    compiled × {first:.0f}, without waiting and in vectors × {waits:.1f}, fewer accesses × {accesses:.1f}")

# %% [markdown]
# The plot
# --------

# %%
figure = new_figure(8, 4.2, f"X·W, {SIZE} × {SIZE} × {SIZE}, on one thread: one idea per rung, predicted and measured")
axis = figure.subplots()
speeds = [rungs[name]["gflops"] for name in predicted]
bars = axis.barh(list(predicted), speeds, color=BLUE, label="measured")
axis.bar_label(bars, [f"{speed:.3g} GFLOP/s" for speed in speeds], label_type="center", color="white")
rates = [rate / 1e9 for rate in predicted.values()]
axis.plot(rates, list(predicted), "D", color=ORANGE, label="predicted", markersize=8)
if not result["disturbed"]:
    axis.axvline(peak / 1e9, color="black", linestyle="--", label="peak of this machine")
axis.set(
    xscale="log", xlabel="GFLOP/s, logarithmic; longer is faster", xlim=(min(speeds) / 20, max(*speeds, peak / 1e9) * 2)
)
axis.invert_yaxis()
figure.legend(loc="outside lower center", ncols=3)
save(figure, "08_the_ladder")

# %% [markdown]
# Down to the instruction
# -----------------------
# Z[i,j] is a sum of terms X[i,k]·W[k,j], and one line of each loop adds such a term. The compiler turns this line into
# multiply-add instructions, whose names show what we predicted. On x86-64, `vfmadd...ss` (scalar) is one multiply-add,
# and `vfmadd...ps` (packed) is 8 at once in a %ymm register, or 16 in a %zmm register. `explain` counts the loads and
# stores too, and the accumulators, which are the sums.
#
# - **njit** has one sum, in a register. **unrolled** has four of them.
# - **reordered** has whole vectors of sums, which are loaded and stored for every multiply-add.
# - **blocked** has four times as many multiply-adds for these loads and stores.
#
# `jitnet explain matmul.njit` shows all instructions of the loop, each next to its line of Python.
#
# How to read an instruction, such as `vfmadd231ps -28(%r8,%r13,4), %zmm4, %zmm8`: count the operands from the right, so
# 1 is the target %zmm8. The digits 231 mean operand 1 = 2·3 + 1; 132 means 1 = 1·3 + 2, and 213 means 1 = 2·1 + 3.
# Parentheses are memory, here at the address %r8 + 4·%r13 − 28, where %r13 counts numbers of 4 bytes. `{%k1}` after an
# operand limits it to the lanes of the mask %k1, and `{z}` sets the other lanes to 0. Instructions that end in sd or pd
# are for float64.

# %%
try:
    for found in explain.explain_all({"target": f"matmul.{name}"} for name in list(predicted)[1:5]):
        instructions = [instruction["text"] for instruction in found["instructions"]]
        fused = [text for text in instructions if text.startswith(("vfm", "fm"))]  # x86-64, AArch64
        print(f"{found['target']}: {len(fused)} of {len(instructions)} instructions are multiply-adds:", *fused[:1])
        for verdict in found["verdicts"]:
            if verdict["name"] in ("vectorized", "loads and stores", "accumulators"):
                print(f"    {verdict['name']}: {verdict['answer']}")
except jitnet.Error as error:  # another processor; the rest of the lesson runs anywhere
    print(error)

# %% [markdown]
# Through a microscope
# --------------------
# So far every number came from the cache. Large matrices do not fit into it: here W has 32 rows of 512 numbers, 64 KB.
# `trace` runs the source of a loop, records each memory access, and simulates a cache of 48 KB. The cache stores lines
# of 64 bytes (16 numbers). It has 64 sets of 12 lines, and each address maps to one set.
#
# - **njit** goes down the columns of W in steps of 2048 bytes (32 lines), which all map to 2 of the 64 sets. 24 lines
#   fit and 32 are needed, so each is evicted before the next column needs it: a miss for every number.
# - With **520 columns** the steps are 2080 bytes, and the lines map to all sets. They are still there for the next 15
#   columns.
# - **reordered** goes along the rows of W. One access in 16 is to a new line, whatever the number of columns.
# - **blocked** uses each number of W for four rows, so it goes through W once instead of four times.
#
# `jitnet trace matmul.njit --size 4x32x512` prints this for each line of the source, with the caches of your machine.
# The plot shows njit at several times: the numbers that it has touched, and on the right the misses.

# %%
# > njit, 512 columns: 2.00 loads and 1.031 misses per multiply-add
# > njit, 520 columns: 2.00 loads and 0.065 misses per multiply-add
# > reordered, 512 columns: 2.00 loads and 0.065 misses per multiply-add
# > blocked, 512 columns: 0.50 loads and 0.018 misses per multiply-add
level, traces = caches.parsed(["L1=48K/12"]), []
for name, columns in (("njit", 512), ("njit", 520), ("reordered", 512), ("blocked", 512)):
    arrays = [np.ones(shape, np.float32) for shape in ((4, 32), (32, columns), (4, columns))]
    rung = jitnet.kernels.LADDERS["matmul"][name]
    found = tracing.trace(rung, arrays, "matmul", level, time=False, name=f"matmul.{name}")
    loads, misses = found["loads"] / found["times"], found["misses"]["L1"] / found["times"]
    print(f"{name}, {columns} columns: {loads:.2f} loads and {misses:.3f} misses per multiply-add")
    traces.append(found)

save(plots.film_strip(traces[0]), "08_microscope")

# %% [markdown]
# Exercises
# ---------
# 1. Read four_rows in jitnet/kernels/matmul.py, whose A, B and C are our X, W and Z. How many multiply-adds are in its
#    inner loop for four k at once, and how many numbers of W and Z does that loop read and write for each j?
# 2. X, W and Z have 192² numbers each. How often is each number of W used? At least how many bytes per multiply-add
#    must be read, if everything is read from memory once?
# 3. The compiler does not vectorize the additions of njit, because it may not reorder a sum. Show with three float32
#    numbers that the order matters.
# 4. Write `two_rows(X, W, Z)`, like reordered, but with two rows of Z at a time, so that each number of W is read once
#    for both: `w = W[k]` reads a row. One row may remain at the end. Check it:
#    `python examples/08_the_ladder.py --check my_answer.py`.

# %% [markdown]
# Answers
# -------


# %%
def two_rows(X, W, Z):
    Z[:] = 0
    for i in range(0, X.shape[0], 2):
        for k in range(X.shape[1]):
            w = W[k]
            for row in range(i, min(i + 2, X.shape[0])):
                for j in range(w.size):
                    Z[row, j] += X[row, k] * w[j]


if ANSWERS:
    text = inspect.getsource(jitnet.kernels.matmul.four_rows)
    start = text.index("for j in range(C.shape[1]):  # evaluated from left to right")
    inner = text[start : text.index("for k in range(n - n % 4")]
    print(f"answer 1: {inner.count('*')} multiply-adds; 4 numbers of W and 4 of Z are read, 4 of Z are written")
    print(f"answer 2: {SIZE} times; {2 * 4 * SIZE**2 / SIZE**3:.3f} bytes, of X and W together")
    big, one = np.float32(1e8), np.float32(1)
    print(f"answer 3: (1e8 − 1e8) + 1 = {(big - big) + one}, but (1e8 + 1) − 1e8 = {(big + one) - big}")
    print(f"answer 4: {check(two_rows)}")
