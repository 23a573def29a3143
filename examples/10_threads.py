# %% [markdown]
"""Lesson 10. Threads: when are two cores twice as fast, and when are they wrong?
=================================================================================

`prange` distributes the iterations of a loop over threads. We see which loops gain and which do not, watch threads lose
counts because they write to the same element, and see how jitnet gives the same bits with any number of threads and
machines.

Lines that begin with `# >` show what the lesson prints; the times are those of your machine.
"""

# %%
from functools import partial, reduce

import numba
import numpy as np
from _course import ANSWERS, BLUE, check, effect, new_figure, save, watched

import jitnet.lab
from jitnet.backend import threads
from jitnet.kernels import LADDERS
from jitnet.lab.formatting import duration
from jitnet.lab.timing import time_alternating

most = numba.get_num_threads()
rng = np.random.default_rng(0)
print(f"threads: {most}" + (", so nothing below can be gained or lost" if most == 1 else ""))

# %% [markdown]
# What scales
# -----------
# Rows of Z = X·W do not depend on one another, so each thread computes some of them. Starting a parallel loop and
# waiting for the slowest thread takes microseconds. With n cores, a product that takes much longer than that becomes
# nearly n times as fast. A product that takes a microsecond becomes slower. Therefore jitnet uses threads only if there
# is enough work. A loop that only reads and writes memory, such as relu for large matrices, gains until it reaches the
# memory bandwidth, which takes only a few cores. All this is true while the cores are idle: if other programs keep them
# busy, the threads wait for one another, and every gain can turn into a loss. In that case close other programs, and
# run this cell again.

# %%


def matrix(rows, columns):
    return rng.standard_normal((rows, columns)).astype(np.float32)


def product(rung, n):
    return partial(LADDERS["matmul"][rung], matrix(n, n), matrix(n, n), matrix(n, n))


work = {
    "long product (512³)": product("packed_parallel", 512),
    "short product (16³)": product("blocked_parallel", 16),
    "short product, by jitnet.matmul": partial(jitnet.matmul, matrix(16, 16), matrix(16, 16)),
    "relu, 3000 × 3000": partial(LADDERS["relu"]["parallel"], matrix(3000, 3000), matrix(3000, 3000)),
}


def at(count, call):
    with threads(count):
        return time_alternating({"": call})[""].best


gain = {}
with watched(most) as watch:
    for name, call in work.items():
        one, all_of_them = at(1, call), at(most, call)
        gain[name] = one / all_of_them
        print(f"{name}: {duration(one)} on 1 thread, {duration(all_of_them)} on {most}: gain {gain[name]:.2f}")
measured = ", ".join(f"the {name} {effect(gain[name])}" for name in ("long product (512³)", "short product (16³)"))
conclusion = f"{most} threads instead of one" + ("" if watch.reasons else f": {measured}")
print(conclusion)

# %% [markdown]
# A race
# ------
# How often does each digit occur among forty million? Every iteration adds 1 to one of ten counters: it reads,
# increments and writes back. If two threads read the same old value, one of the two additions is lost without an error
# or a warning. The count is too small, and differs from run to run. Sometimes it is right, which makes such a bug hard
# to find. One thread always counts correctly; several threads try five times below.
#
# `jitnet check` always finds the bug: it runs the Python source, treats every iteration as a thread, and records which
# iteration reads and writes each element. The first five digits of π are enough.

# %%
# > 1 thread counts 40000000 of 40000000


@numba.njit(parallel=True)
def count(digits, counters):
    for i in numba.prange(digits.size):
        counters[digits[i]] += 1


def counted(loop, digits, shape):
    counters = np.zeros(shape)
    loop(digits, counters)
    return int(counters.sum())


digits = rng.integers(0, 10, 40_000_000, np.uint8)
with threads(1):
    print(f"1 thread counts {counted(count, digits, 10)} of {digits.size}")
print("several threads count", *(counted(count, digits, 10) for _ in range(5)))

# %%
# > iterations 1 and 3 share counters[1]

try:
    jitnet.lab.check(count, np.array([3, 1, 4, 1, 5]), np.zeros(10))
except jitnet.lab.CheckError as error:
    race = error.report.errors[0]
    print("iterations {} and {} share".format(*race.iterations), race.array + str(race.element))

# %% [markdown]
# The fix
# -------
# Every iteration of the parallel loop has its own counters, and a serial loop adds them up afterwards. All kernels of
# jitnet follow this rule: a parallel loop runs over the elements of the output, and one thread writes each of them.

# %%
# > counters of their own: 40000000 of 40000000


@numba.njit(parallel=True)
def count_by_parts(digits, counters):
    size = digits.size // len(counters)
    for part in numba.prange(len(counters)):
        for i in range(part * size, (part + 1) * size):
            counters[part, digits[i]] += 1


print(f"counters of their own: {counted(count_by_parts, digits, (100, 10))} of {digits.size}")

# %% [markdown]
# The same bits
# -------------
# A sum of floating-point numbers depends on its order. If each thread adds a part of the sum, the last digits change
# with the number of threads. In jitnet each sum has one order, whichever thread computes it, so training gives the same
# bits.

# %%
# > trained with 1 thread and with several: the same bits: True
trained = []
for how_many in (1, most):
    net = jitnet.Network(jitnet.Dense(64, 512, "relu"), jitnet.Dense(512, 10, "softmax"), seed=0)
    net.fit(*jitnet.data.digits(), epochs=2, batch_size=256, optimizer=jitnet.Adam(0.003), threads=how_many)
    trained.append(net.theta.copy())
print(f"trained with 1 thread and with several: the same bits: {np.array_equal(*trained)}")

# %% [markdown]
# The same sum on several machines
# --------------------------------
# Machines that train together share no memory. Each computes the gradient of a part of the batch, and they exchange
# messages until all have the sum: an all-reduce. The usual algorithm is a ring: each machine adds its numbers to those
# that it receives and passes the sum on. The order of the additions, and with it the bits of the sum, depends on the
# number of machines. jitnet instead splits every batch into eight blocks, for any number of machines, and adds them in
# pairs: 0 + 1, 2 + 3, ..., then the sums of those, and so on. A machine with blocks 2 and 3 can do its part of the tree
# alone. Two, four or eight machines do the same additions, so `fit(..., comm=MPI.COMM_WORLD)` gives the same bits.

# %%
# > in a ring of 2, 4 and 8 machines: the same bits: False
# > in a tree of eight blocks: the same bits: True


def tree(parts):
    return tree(parts[: len(parts) // 2]) + tree(parts[len(parts) // 2 :]) if len(parts) > 1 else parts[0]


ring, blocks = partial(reduce, np.add), matrix(8, 1000)
for name, add in {"a ring of 2, 4 and 8 machines": ring, "a tree of eight blocks": tree}.items():
    sums = [add([add(mine) for mine in np.split(blocks, machines)]) for machines in (2, 4, 8)]
    print(f"in {name}: the same bits: {all(np.array_equal(sums[0], other) for other in sums)}")

# %% [markdown]
# The plot
# --------

# %%
figure = new_figure(8, 3, conclusion)
axis = figure.subplots()
bars = axis.barh(list(gain), list(gain.values()), color=BLUE)
axis.bar_label(bars, fmt="{:.2f}", padding=4, bbox={"fc": "white", "ec": "none", "pad": 1})
axis.axvline(1, color="black", label="no gain")
axis.axvline(most, color="black", linestyle="--", label="as many times as threads")
axis.set(xlabel="times as fast as one thread", xlim=(0, 1.15 * max(most, *gain.values())))
axis.invert_yaxis()
figure.legend(loc="outside lower center", ncols=2)
save(figure, "10_threads")

# %% [markdown]
# Exercises
# ---------
# 1. Starting a parallel loop takes 5 µs. How long must the work take on one thread so that two threads need 0.55 of the
#    time?
# 2. Add up 1, −1 and 10⁻²⁰ from the left, and then from the right. Which order is right?
# 3. From how many FLOP on does jitnet use threads? Find the number in compiler/threads.py.
# 4. count_by_parts skips digits if their number is not a multiple of the number of parts. Write
#    `bounds(size, parts, part)`, which returns the start and stop of a part, 0 ≤ part < parts, so that each number is
#    in exactly one part, and sizes differ by at most one. Check it:
#    `python examples/10_threads.py --check my_answer.py`.

# %% [markdown]
# Answers
# -------


# %%
def bounds(size, parts, part):
    return part * size // parts, (part + 1) * size // parts


if ANSWERS:
    print(f"answer 1: t/2 + 5 = 0.55·t, so t = {5 / 0.05:.0f} µs")
    print(f"answer 2: {(1 - 1) + 1e-20}, and {1 + (-1 + 1e-20)}: the first")
    print(f"answer 3: {jitnet.compiler.threads.LEAST_FLOP}")
    print(f"answer 4: {check(bounds)}")
