# %% [markdown]
"""Lesson 9. Why did it not vectorize? Six small loops, six reasons, and a small change for each.
=================================================================================================

A vector unit applies one instruction to many numbers: 4, 8 or 16 of float32. The compiler uses it whenever it can prove
that the result stays the same, bit for bit. Otherwise it reports the reason, and processes one number at a time. The
loops are in _loops.py, each above its fixed version: keep that file open next to this lesson.

Lines that begin with `# >` show what the lesson prints; words and times are those of your compiler and machine.
"""

# %%
from functools import partial
from pathlib import Path

import _loops
import numpy as np
from _course import ANSWERS, BLUE, ORANGE, check, new_figure, save, watched

import jitnet
from jitnet.lab import explain
from jitnet.lab.timing import time_alternating

# %% [markdown]
# Six reasons
# -----------
# - **total**: A sum has an order. Sixteen partial sums, added up at the end, round differently from one sum. Fix: allow
#   another order, `fastmath={"reassoc", ...}`.
# - **roots**: An exception ends the loop at the first negative number, and no later number may be written. Fix: select
#   a value instead, `a if c else b`, and test for NaN afterwards.
# - **inverse**: An implicit exception: Python raises one for a division by 0, so plain njit does too. Fix:
#   `error_model="numpy"`, in which 1/0 is infinity.
# - **growth**: A call of `math.exp` computes one number at a time. Fix: a function that uses only +, −, × and ÷, such
#   as the polynomial of jitnet/kernels/exponential.py.
# - **doubled**: The index of `x[i // 2]` is calculated. It could be negative, and then Python counts from the end. Fix:
#   use the loop variable itself as the index, `y[2 * i] = y[2 * i + 1] = x[i]`. If y has an odd size, its last number
#   remains, and is written after the loop.
# - **smooth**: A chain: each iteration reads what the previous iteration has written. If this is what you want, there
#   is no fix. If the old neighbor was meant, read from x and write to y; the results are then different.

# %%
names = ["total", "roots", "inverse", "growth", "doubled", "smooth"]

# %% [markdown]
# What the compiler says
# ----------------------
# `explain` compiles a function, reads the compiler's remarks and the machine code, and says what a remark means. (On
# the command line: `jitnet explain examples/_loops.py:total --types "float32[::1], float32[::1]"` shows source and
# instructions.)

# %%
# > whole vectors before: 0 of 6
# > whole vectors after: 6 of 6
here = Path(_loops.__file__)
both = [*names, *(f"{name}_fixed" for name in names)]
try:
    types = "float32[::1], float32[::1]"
    found = explain.explain_all([{"target": f"{here}:{name}", "types": types} for name in both])
    verdict = {name: found["verdicts"][0] for name, found in zip(both, found, strict=True)}
    for name in names:
        print(f"{name}: {verdict[name]['answer']}", *verdict[name]["evidence"].split(". This means: "), sep="\n    ")
        print(f"    fixed: {verdict[name + '_fixed']['answer']}")
    print("whole vectors before:", sum(verdict[name]["answer"].startswith("yes") for name in names), "of 6")
    print("whole vectors after:", sum(verdict[name]["answer"].startswith("yes") for name in both[6:]), "of 6")
except jitnet.Error as error:  # explain reads x86-64 and AArch64; the rest of the lesson runs anywhere
    print(error)

# %% [markdown]
# The gain
# --------
# 4096 numbers fit into the L1 cache, so arithmetic limits the speed. Each fix makes its loop several times as fast, and
# five of the six change results only by rounding.

# %%
# > the same numbers within rounding: total roots inverse growth doubled
x = np.random.default_rng(0).uniform(0.5, 1.5, 4096).astype(np.float32)
results = {name: np.zeros_like(x) for name in both}
with watched() as watch:
    timing = time_alternating({name: partial(getattr(_loops, name), x, results[name]) for name in both})
time = {name: timing[name].best * 1e9 / x.size for name in both}
for name in names:
    before, after = time[name], time[name + "_fixed"]
    print(f"{name}: {before:.3g} ns per number, fixed {after:.3g}: {before / after:.1f} times as fast")
same = [name for name in names if np.allclose(results[name], results[name + "_fixed"], rtol=1e-5)]
print("the same numbers within rounding:", *same)

# %% [markdown]
# The plot
# --------

# %%
faster = sum(time[name] > 1.1 * time[name + "_fixed"] for name in names)
title = "A small change in each of six loops"
figure = new_figure(8, 3.6, title if watch.reasons else f"{title}: {faster} of them are faster")
axis = figure.subplots()
places = np.arange(6)
for shift, color, hatch, label, some in (
    (-0.2, ORANGE, "//", "as written", names),
    (0.2, BLUE, "", "fixed", both[6:]),
):
    bars = axis.barh(places + shift, [time[name] for name in some], 0.38, color=color, hatch=hatch, label=label)
    axis.bar_label(bars, [f"{time[name]:.2g}" for name in some], padding=3)
axis.set(xlabel="ns for each number, logarithmic; shorter is faster", xscale="log", yticks=places, yticklabels=names)
axis.set_xlim(min(time.values()) / 2, max(time.values()) * 2)
axis.invert_yaxis()
figure.legend(loc="outside lower center", ncols=2)
save(figure, "09_why_not_vectors")

# %% [markdown]
# Exercises
# ---------
# 1. total and total_fixed add the same numbers in two orders. Which sum is closer to that of float64?
# 2. For which x do smooth and smooth_fixed agree?
# 3. roots_fixed raises nothing. Which expression, after the call, tests whether x had a negative number?
# 4. Write `sigmoid(x, y)`, compiled and vectorized: y[i] = 1/(1 + e⁻ˣ) for x = x[i]. Check it:
#    `python examples/09_why_not_vectors.py --check my_answer.py`. The answer is the last function of _loops.py.

# %% [markdown]
# Answers
# -------

# %%
if ANSWERS:
    exact = x.sum(dtype=np.float64)
    errors = [abs(results[name][0] - exact) / exact for name in ("total", "total_fixed")]
    print(f"answer 1: errors {errors[0]:.0e} and {errors[1]:.0e}: many short sums lose less than a long one")
    flat = np.full_like(x, 3)
    for name in ("smooth", "smooth_fixed"):
        getattr(_loops, name)(flat, results[name])
    print(f"answer 2: where all numbers are equal: {np.array_equal(results['smooth'], results['smooth_fixed'])}")
    x[7] = -1
    _loops.roots_fixed(x, results["roots"])
    print(f"answer 3: np.isnan(y).any(), which is {np.isnan(results['roots']).any()} if x[7] = -1")
    print(f"answer 4: {check(_loops.sigmoid)}")
