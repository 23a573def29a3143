# %% [markdown]
"""Lesson 12. Your own kernel: is it right, and how fast is it?
===============================================================

Now it is your turn. We write a loop for X·W with a new idea, predict its speed, and pass it to the lab, which tests it
on unusual shapes, compares it with float64, and ranks it among the rungs of jitnet. The first version looks right but
is wrong.

Lines that begin with `# >` show what the lesson prints; the times are those of your machine, on one thread.
"""

# %%
import numba
from _course import ANSWERS, BLUE, GREEN, ORANGE, check, new_figure, save, say

from jitnet.lab import ladder, machine

compiled = numba.njit(fastmath={"contract"}, error_model="numpy")  # as jitnet compiles its own

# %% [markdown]
# The idea
# --------
# For each multiply-add, the rung `reordered` reads z[j] and w[j] and writes z[j]: 12 bytes, all from or to the L1 cache
# (lesson 8). W, with 192 × 192 numbers, is larger than most L1 caches, so the 4 bytes of w[j] come from a larger cache
# first. Both transfers overlap, so the slower one is the limit.
#
# With four k at once, z[j] is read and written once for four multiply-adds. These access six numbers, z[j], four w[j]
# and z[j] again, or 6 bytes per multiply-add. This halves the accesses to L1, and saves none of the others.

# %%
limits = machine.limits()
level = next((name for name, size in limits["caches"].items() if size >= 4 * 192**2), "memory")
near, far = limits["bandwidth"]["L1"]["1"]["copy"], limits["bandwidth"][level]["1"]["read"]


def predicted(near_bytes, far_bytes):
    """GFLOP/s, if a multiply-add moves near_bytes from or to L1, and far_bytes from the cache of W."""
    return min(2 / max(near_bytes / near, far_bytes / far), limits["peak"]["float32"]["1"]) / 1e9


expected = {"reordered": predicted(12, 4), "four_k": predicted(6, 4), "blocked": predicted(3, 1)}
print(f"W is in {level}, with {far / 1e9:.0f} GB/s; L1 has {near / 1e9:.0f} GB/s")


@compiled
def first_try(X, W, Z):
    """Four k at once."""
    for i in range(X.shape[0]):
        z = Z[i]
        z[:] = 0
        for k in range(0, X.shape[1], 4):
            x0, x1, x2, x3 = X[i, k], X[i, k + 1], X[i, k + 2], X[i, k + 3]
            w0, w1, w2, w3 = W[k], W[k + 1], W[k + 2], W[k + 3]
            for j in range(z.size):
                z[j] += x0 * w0[j] + x1 * w1[j] + x2 * w2[j] + x3 * w3[j]


# %% [markdown]
# Right for many sizes
# --------------------
# A kernel has the arguments of a rung, inputs first and outputs last; it writes Z and returns nothing. Ours is right
# for 192 × 192 × 192. If the number of inputs is not a multiple of 4, k + 3 runs past the end. Compiled loops do not
# check indices: they read whatever follows. The lab tests unusual shapes, with guards around the arrays.

# %%
# > first_try is right: False
result = ladder.compare("matmul", {"first_try": first_try}, size=64, threads=1, limits=limits, tell=print)
print(f"first_try is right: {result['rungs'][-1]['checked']}")


# %% [markdown]
# Fixed
# -----
# The fixed version takes blocks of four, and then the remaining k one by one. Every blocked loop needs such a second
# loop. It also adds from left to right, `z[j] = z[j] + x0 * w0[j] + ...`, which is compiled into four fused
# multiply-adds. `z[j] += ...` adds up the four products first, and then z[j]: a multiplication, three fused
# multiply-adds and an addition.

# %%


# > four_k is right: True
@compiled
def four_k(X, W, Z):
    """Like reordered, but four k at once; saves three of four loads and stores of z."""
    n = X.shape[1]
    for i in range(X.shape[0]):
        z = Z[i]
        z[:] = 0
        for k in range(0, n - n % 4, 4):
            x0, x1, x2, x3 = X[i, k], X[i, k + 1], X[i, k + 2], X[i, k + 3]
            w0, w1, w2, w3 = W[k], W[k + 1], W[k + 2], W[k + 3]
            for j in range(z.size):
                z[j] = z[j] + x0 * w0[j] + x1 * w1[j] + x2 * w2[j] + x3 * w3[j]
        for k in range(n - n % 4, n):
            x, w = X[i, k], W[k]
            for j in range(z.size):
                z[j] += x * w[j]


result = ladder.compare("matmul", {"four_k": four_k}, size=192, threads=1, limits=limits)
print(f"four_k is right: {result['rungs'][-1]['checked']}")
speed = {rung["name"]: rung["gflops"] for rung in result["rungs"]}

# %% [markdown]
# Its place on the ladder
# -----------------------
# The prediction is between reordered and blocked, or equal to one of them: blocked also takes four rows, so it uses
# each loaded number of W four times. (From a terminal, with the kernel in mine.py:
# `jitnet ladder matmul --with mine.py:four_k --size 192 --threads 1`.)

# %%
for name, gflops in expected.items():
    print(f"{name:9} predicted {gflops:5.1f} GFLOP/s, measured {speed[name]:5.1f}")
say(result["disturbed_by"])
if not result["disturbed"]:
    order = [sorted(rates, key=rates.get) for rates in (expected, {name: speed[name] for name in expected})]
    print("from slow to fast, predicted and measured:", *map(" ≤ ".join, order), sep="\n    ")

# %% [markdown]
# The plot
# --------

# %%
figure = new_figure(8, 3.6, "X·W, 192 × 192 × 192, on one thread: our own kernel among the rungs")
axis = figure.subplots()
names = ["python", "njit", "reordered", "four_k", "blocked", "packed"]
bars = axis.barh(names, [speed[name] for name in names], color=BLUE, label="measured")
bars[3].set(facecolor=GREEN, edgecolor="black", linewidth=2)
axis.bar_label(bars, [f"{speed[name]:.3g} GFLOP/s" for name in names], label_type="center", color="white")
axis.plot(list(expected.values()), list(expected), "D", color=ORANGE, label="predicted", markersize=8)
axis.set(xscale="log", xlabel="GFLOP/s, logarithmic; longer is faster", xlim=(min(speed.values()) / 20, None))
axis.invert_yaxis()
figure.legend(loc="outside lower center", ncols=2)
save(figure, "12_your_own_kernel")

# %% [markdown]
# Exercises
# ---------
# 1. What do you predict for eight k at once?
# 2. What do you predict for four rows at once, with one k?
# 3. What does the lab say about a kernel that returns X @ W?
# 4. Write `eight_k(X, W, Z)`, with loops over single numbers as in four_k, for any number of inputs. Check it:
#    `python examples/12_your_own_kernel.py --check my_answer.py`. Then measure it:
#    `jitnet ladder matmul --with my_answer.py:eight_k --size 192 --threads 1`.


# %% [markdown]
# Answers
# -------


# %%
def returns(X, W, Z):
    return X @ W


@compiled
def eight_k(X, W, Z):
    n = X.shape[1]
    for i in range(X.shape[0]):
        z = Z[i]
        z[:] = 0
        for k in range(0, n - n % 8, 8):
            x0, x1, x2, x3 = X[i, k], X[i, k + 1], X[i, k + 2], X[i, k + 3]
            x4, x5, x6, x7 = X[i, k + 4], X[i, k + 5], X[i, k + 6], X[i, k + 7]
            w0, w1, w2, w3, w4, w5, w6, w7 = W[k], W[k + 1], W[k + 2], W[k + 3], W[k + 4], W[k + 5], W[k + 6], W[k + 7]
            for j in range(z.size):
                first_four = z[j] + x0 * w0[j] + x1 * w1[j] + x2 * w2[j] + x3 * w3[j]
                z[j] = first_four + x4 * w4[j] + x5 * w5[j] + x6 * w6[j] + x7 * w7[j]
        for k in range(n - n % 8, n):
            for j in range(z.size):
                z[j] += X[i, k] * W[k, j]


if ANSWERS:
    of_L1, of_W = "from or to L1", f"of W from {level}"
    print(f"answer 1: 10 numbers for 8 multiply-adds: 5 bytes {of_L1}, 4 {of_W}: {predicted(5, 4):.1f} GFLOP/s")
    print(f"answer 2: 9 numbers for 4 multiply-adds: 9 bytes {of_L1}, 1 {of_W}: {predicted(9, 1):.1f} GFLOP/s")
    print("answer 3:", end=" ")
    ladder.compare("matmul", {"mine": returns}, size=16, threads=1, limits=limits, tell=print)
    print(f"answer 4: {check(eight_k)}")
