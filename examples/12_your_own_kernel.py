"""Lesson 12. Your own kernel: is it right, and how fast is it?

Now it is your turn. We write a loop for X·W with an idea of our own, say beforehand what the idea should be worth, and
hand it to the lab, which tries it on awkward shapes, compares it with float64, and ranks it among the rungs of
jitnet. The first version looks right, and is not.

Lines that begin with `# >` are what the lesson prints; the times are those of your machine, on one thread.
"""

# %%
import numba
from _course import ANSWERS, BLUE, ORANGE, new_figure, save

from jitnet.lab import ladder

compiled = numba.njit(fastmath={"contract"}, error_model="numpy")  # as jitnet compiles its own

# %% The idea
# The rung `reordered` reads z[j] and w[j] and writes z[j] for each multiply-add: three numbers, 12 bytes. (Lesson 8.)
# Take four k at once, and z[j] is read and written once for four of them: z[j], four w[j], and z[j] again, six numbers
# for four multiply-adds, 6 bytes for each. So it should be twice as fast as reordered, where memory is the limit.


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


# %% Right for many sizes
# A kernel has the arguments of a rung: inputs first, outputs last; it writes Z and returns nothing. Ours is right for
# 240 × 240 × 240. But what if the number of inputs is no multiple of 4? Then k + 3 runs over the end. Compiled loops do
# not check that: they read what lies behind. The lab has arrays with guards around them, and shapes with odd numbers.
# > first_try is right: False
result = ladder.compare("matmul", {"first_try": first_try}, size=64, threads=1)
mine = result["rungs"][-1]
print(f"first_try is right: {mine['checked']}")
print(f"what is wrong: {mine['fault']}")


# %% Mended
# As many fours as there are, and then the rest, one by one. It is a second loop, and the price of every block.
# > four_k is right: True
@compiled
def four_k(X, W, Z):
    """Like reordered, but four k at once; saves three of four trips of z to memory."""
    n = X.shape[1]
    for i in range(X.shape[0]):
        z = Z[i]
        z[:] = 0
        for k in range(0, n - n % 4, 4):
            x0, x1, x2, x3 = X[i, k], X[i, k + 1], X[i, k + 2], X[i, k + 3]
            w0, w1, w2, w3 = W[k], W[k + 1], W[k + 2], W[k + 3]
            for j in range(z.size):
                z[j] += x0 * w0[j] + x1 * w1[j] + x2 * w2[j] + x3 * w3[j]
        for k in range(n - n % 4, n):
            x, w = X[i, k], W[k]
            for j in range(z.size):
                z[j] += x * w[j]


result = ladder.compare("matmul", {"four_k": four_k}, size=240, threads=1)
serial = {rung["name"]: rung for rung in result["rungs"] if not rung["name"].endswith("parallel")}
speed = {name: rung["gflops"] for name, rung in serial.items() if name != "numpy"}
print(f"four_k is right: {serial['four_k']['checked']}")

# %% Its place on the ladder
# Faster than reordered, and slower than blocked, which takes four rows too. If it is not quite twice as fast: memory
# was not the only limit. From a terminal the same is jitnet ladder matmul --with mine.py:four_k --size 240 --threads 1.
for name, gflops in sorted(speed.items(), key=lambda pair: pair[1]):
    print(f"{name:10} {gflops:8.3g} GFLOP/s")
print(f"four_k over reordered: predicted 2.0, measured {speed['four_k'] / speed['reordered']:.1f}")

# %% The picture
figure = new_figure(8, 3.2, "X·W, 240 × 240 × 240, on one thread: a kernel of our own among the rungs")
axis = figure.subplots()
order = sorted(speed, key=speed.get)
bars = axis.barh(order, [speed[name] for name in order], color=BLUE)
bars[order.index("four_k")].set(color=ORANGE, hatch="//", edgecolor="black")
axis.bar_label(bars, [f"{speed[name]:.2g}" for name in order], padding=3)
axis.set(xscale="log", xlabel="GFLOP/s, logarithmic; longer is faster", xlim=(min(speed.values()) / 5, 400))
axis.invert_yaxis()
save(figure, "12_your_own_kernel")

# %% Exercises
# 1. What should eight k at once be worth, over reordered, if memory is the limit?
# 2. Somebody writes a kernel that returns X @ W. What does the lab say?
# 3. Write a faster one. Which idea of the rung blocked is missing in four_k?


# %% Answers
def returns(X, W, Z):
    return X @ W


if ANSWERS:
    print(f"answer 1: 10 numbers for 8 multiply-adds are {40 / 8:g} bytes, so 12/5 = {12 / 5:g} times as fast")
    wrong = ladder.compare("matmul", {"returns": returns}, size=16, threads=1)["rungs"][-1]
    print(f"answer 2: {wrong['fault']}")
    print("answer 3: four rows at once: each number of W that is read serves four rows; see four_rows in matmul.py")
