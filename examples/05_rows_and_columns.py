# %% [markdown]
"""Lesson 5. Rows, columns, batches: what is a row, what is a column, and what does a product cost?
===================================================================================================

Some books write Z = W·X + b, with a sample in each column; jitnet writes Z = X·W + b, with a sample in each row. They
compute the same numbers. We do it both ways, use wrong shapes on purpose, put many samples into one product, and
predict the time of a product.

Lines that begin with `# >` show what the lesson prints.
"""

# %%
from functools import partial

import numpy as np
from _course import ANSWERS, BLUE, GREEN, ORANGE, PURPLE, check, new_figure, save, watched

import jitnet
from jitnet.lab.timing import time_alternating

X = np.array([[1.0, 2], [3, 4], [5, 6], [7, 8]])  # 4 samples, 2 inputs
W = np.array([[1.0, 0, 2], [0, 1, -1]])  # 2 inputs, 3 units
b = np.array([10.0, 20, 30])

# %% [markdown]
# Rows
# ----
# Each row of X is multiplied by each column of W: Z[i,j] = Σ_k X[i,k]·W[k,j] + b[j]. Sample 0 is (1, 2). Unit 0 takes
# 1·1 + 2·0 and adds 10, unit 1 takes 1·0 + 2·1 and adds 20, unit 2 takes 1·2 + 2·(−1) and adds 30.

# %%
# > X (4, 2) times W (2, 3) gives Z (4, 3)
# > sample 0: [11. 22. 30.]
# > sample 3: [17. 28. 36.]
Z = jitnet.matmul(X, W) + b
print(f"X {X.shape} times W {W.shape} gives Z {Z.shape}")
print(f"sample 0: {Z[0]}")
print(f"sample 3: {Z[3]}")

# %% [markdown]
# Columns
# -------
# The transpose of a product is the product of the transposes in reverse order: (X·W)ᵀ = Wᵀ·Xᵀ. The X of such a book is
# our Xᵀ, and its W is our Wᵀ. Its b is a column, which is added to each column.

# %%
# > W (3, 2) times X (2, 4) gives Z (3, 4)
# > sample 0: [11. 22. 30.]
# > the same numbers: True
columns = jitnet.matmul(W.T, X.T) + b.reshape(3, 1)
print(f"W {W.T.shape} times X {X.T.shape} gives Z {columns.shape}")
print(f"sample 0: {columns[:, 0]}")
print(f"the same numbers: {np.array_equal(columns.T, Z)}")

# %% [markdown]
# Shapes that do not fit
# ----------------------
# The two inner numbers must be equal, because the sum runs over them: (4, 2) times (2, 3) fits, and (2, 3) times (4, 2)
# does not. An error names both shapes; the two numbers that should be equal show which matrix to transpose. A single
# sample is a matrix with one row.

# %%
# > A has shape (2, 3) and B (4, 2), but A·B needs (m, n) and (n, p): columns of A = rows of B
# > X has shape (2,), but the first layer needs (m, 2): one sample per row; for one sample write X.reshape(1, 2)
net = jitnet.Network(jitnet.Dense(2, 3), seed=0)
for attempt in (lambda: jitnet.matmul(W, X), lambda: net.forward([1, 2])):
    try:
        attempt()
    except jitnet.Error as error:
        print(error)

# %% [markdown]
# Batches
# -------
# The rows of a batch are independent: each result is the same as for a batch of one row, to the last bit. A batch is
# cheaper, because a weight that is loaded from memory is used for several rows: each of 64 samples in a batch takes
# less time than a single sample.

# %%
# > row by row the same bits as in a batch: True
rng = np.random.default_rng(0)


def random_matrix(rows, columns):
    return rng.standard_normal((rows, columns)).astype(np.float32)


product = jitnet.kernels.LADDERS["matmul"]["packed"]  # the loop behind jitnet.matmul: inputs, then the output
batch, weights = random_matrix(256, 784), random_matrix(784, 128)
alone = np.concatenate([jitnet.matmul(row.reshape(1, 784), weights) for row in batch])
print(f"row by row the same bits as in a batch: {np.array_equal(alone, jitnet.matmul(batch, weights))}")
sizes, calls = (1, 4, 16, 64, 256), {}
for m in sizes:
    calls[m] = partial(product, batch[:m], weights, np.empty((m, 128), np.float32))
with watched():
    per_sample = [timing.best * 1e6 / m for m, timing in time_alternating(calls).items()]
print("rows in the batch: ", *sizes)
print("µs for each sample:", *(f"{time:.3g}" for time in per_sample))

# %% [markdown]
# What a product costs
# --------------------
# Z has m·p numbers, and each is a sum of n terms: m·n·p multiplications and as many additions, 2·m·n·p FLOP
# (floating-point operations). The time should double with m, with n and with p, and be 8 times as long if all three
# double. We measure 64 × 64 × 64 and predict the others from it. (We take the best of several repetitions, because
# other programs use this machine too.) Expect to be right within a factor of 2: larger matrices are in slower memory.

# %%
# > 512 x 512 x 512: 268435456 FLOP, 512 times those of 64 x 64 x 64
shapes = [(64, 64, 64), (256, 64, 64), (64, 512, 64), (64, 64, 1024), (256, 256, 256), (100, 784, 128), (512, 512, 512)]
calls = {}
for m, n, p in shapes:
    calls[m, n, p] = partial(product, random_matrix(m, n), random_matrix(n, p), np.empty((m, p), np.float32))
with watched() as watch:
    seconds = {shape: timing.best for shape, timing in time_alternating(calls).items()}
flop = {shape: 2 * np.prod(shape) for shape in shapes}
predicted = {shape: seconds[shapes[0]] * flop[shape] / flop[shapes[0]] for shape in shapes}
for shape in shapes:
    name = " x ".join(map(str, shape))
    print(f"{name}: measured {seconds[shape] * 1e6:.4g} µs, predicted {predicted[shape] * 1e6:.4g} µs")
print(f"{name}: {flop[shape]} FLOP, {flop[shape] // flop[shapes[0]]} times those of 64 x 64 x 64")

# %% [markdown]
# The plot
# --------

# %%
close = not watch.reasons and all(0.5 < seconds[shape] / predicted[shape] < 2 for shape in shapes)
title = "The time of a product follows m·n·p, whichever of the three grows"
figure = new_figure(7, 4.4, title if close else "The time of a product: predicted from m·n·p, and measured")
axis = figure.subplots()
line = np.array([min(flop.values()), max(flop.values())])
axis.loglog(line, line * seconds[shapes[0]] * 1e6 / line[0], "k--", label="predicted from 64×64×64")
looks = [(BLUE, "o", ": only m"), (ORANGE, "s", ": only n"), (GREEN, "^", ": only p"), (PURPLE, "D", ""),
         (PURPLE, "X", ""), (PURPLE, "P", "")]  # fmt: skip
for shape, (color, marker, grown) in zip(shapes[1:], looks, strict=True):
    label = "×".join(map(str, shape)) + grown
    axis.loglog(flop[shape], seconds[shape] * 1e6, marker, color=color, markersize=9, label=label)
axis.set(xlabel="2·m·n·p, in FLOP", ylabel="time of X·W in µs")
axis.grid(alpha=0.3)
axis.legend(title="m × n × p", fontsize=9)
save(figure, "05_rows_and_columns")

# %% [markdown]
# Exercises
# ---------
# 1. A layer has 784 inputs and 128 units, and a batch has 64 samples. What are the shapes of X, W and Z, and the FLOP
#    of X·W?
# 2. W is square, and you multiply by Wᵀ by mistake. Do you get an error message?
# 3. With samples in columns, you add b without making it a column. When is that an error, and when is the result
#    silently wrong?
# 4. Write `matmul(A, B)` with three loops. It returns the product, and raises a ValueError if the shapes do not fit.
#    Check it: `python examples/05_rows_and_columns.py --check my_answer.py`.

# %% [markdown]
# Answers
# -------


# %%
def matmul(A, B):
    if A.shape[1] != B.shape[0]:
        raise ValueError(f"{A.shape} times {B.shape}")
    C = np.zeros((A.shape[0], B.shape[1]))
    for i in range(A.shape[0]):
        for j in range(B.shape[1]):
            for k in range(A.shape[1]):
                C[i, j] += A[i, k] * B[k, j]
    return C


if ANSWERS:
    net = jitnet.Network(jitnet.Dense(784, 128), seed=0)
    Z = net.forward(random_matrix(64, 784))
    print(f"answer 1: X (64, 784), W {net.layers[0].W.shape}, Z {Z.shape}: {2 * 64 * 784 * 128} FLOP")
    square = np.array([[0.0, 1], [2, 3]])
    print(f"answer 2: no; the shapes fit. Only the numbers differ: {jitnet.matmul(X, square)[0]}", end=" ")
    print(f"is not {jitnet.matmul(X, square.T)[0]}")
    try:
        columns + b
    except ValueError:
        print("answer 3: (3, 4) + (3,) is an error. With 3 samples, it is none:", end=" ")
    wrong = jitnet.matmul(W.T, X[:3].T) + b
    print(f"sample 0 gets {wrong[:, 0]}, the first number of b for each unit")
    print(f"answer 4: {check(matmul)}")
