# %% [markdown]
"""Lesson 2. A vector, a matrix, and their Jacobians: what does backpropagation save?
=====================================================================================

A layer maps n inputs x to z outputs xᵀW + b. Each output j has its own share of the loss, ℓ_j. The derivatives of every
share with respect to every parameter are the Jacobian, a large array. Training needs only their sums over the outputs,
and backpropagation computes these sums without the Jacobian.

Lines that begin with `# >` show what the lesson prints.
"""

# %%
from functools import partial

import numpy as np
from _course import ANSWERS, BLUE, ORANGE, check, new_figure, save, watched

import jitnet
from jitnet.lab.timing import time_alternating

x = np.array([1.0, 2.0, 3.0])
W = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]])
b = np.array([0.0, 1.0])
y = np.array([2.0, 1.0])

# %% [markdown]
# Forward
# -------
# Output j takes column j of W: 1·1 + 2·0 + 3·1 + 0 = 4 and 1·0 + 2·1 + 3·(−1) + 1 = 0. The targets are 2 and 1, so the
# errors are 2 and −1. The loss is the mean of their squares, (4 + 1)/2 = 2.5. The share of output 0 is ½·2² = 2, and
# that of output 1 is ½·(−1)² = 0.5.

# %%
# > outputs [4. 0.], errors [ 2. -1.]
# > shares of the loss [2.  0.5], loss 2.5
outputs = jitnet.matmul(x.reshape(1, 3), W)[0] + b
errors = outputs - y
print(f"outputs {outputs}, errors {errors}")
print(f"shares of the loss {errors**2 / 2}, loss {(errors**2 / 2).sum()}")

# %% [markdown]
# One output: a vector of derivatives
# -----------------------------------
# Lesson 1 had one weight and one derivative. Output 0 has three weights, 1, 0 and 1, so its share of the loss has three
# derivatives, one for each weight: a vector, the gradient. The chain rule gives each of them: the derivative of
# ½·error² is the error, and weight k multiplies x_k. So the gradient is the error times x: 2·(1, 2, 3). Finite
# differences, which change one weight at a time, agree.

# %%
# > gradient of share 0 by its weights: [2. 4. 6.]
# > by finite differences: [2. 4. 6.]


def share(w):
    """The share of output 0, as a function of its weights."""
    return (x @ w + b[0] - y[0]) ** 2 / 2


print(f"gradient of share 0 by its weights: {errors[0] * x}")
print(f"by finite differences: {jitnet.calculus.numerical_gradient(share, W[:, 0]).round(6)}")

# %% [markdown]
# Two outputs: a row for each bias
# --------------------------------
# With two outputs, each parameter has two derivatives, one for each share: a row. The rows of all biases form a matrix,
# the Jacobian: J[i,j] = ∂ℓ_j/∂b_i. (There is only one sample, so i, which counts samples elsewhere, is free to count
# biases.) Bias i changes only output i, and it is multiplied by 1, so J has the errors on its diagonal and zeros
# elsewhere. The sum over the outputs j, along each row, is db, the gradient of the loss with respect to the bias.

# %%
# > bias Jacobian (2, 2), row by row: [2. 0.] [ 0. -1.]
# > db = [ 2. -1.]
J_b = jitnet.calculus.bias_jacobian(x, W, b, y, loss="mse")
print(f"bias Jacobian {J_b.shape}, row by row:", *(J_b + 0.0))  # + 0.0 turns −0 into 0
print(f"db = {J_b.sum(axis=1)}")

# %% [markdown]
# One input: a row for each of its weights
# ----------------------------------------
# A weight of input 2 multiplies x_2 = 3, while a bias multiplies 1. So the two weights of this input, W[2,0] and
# W[2,1], have the rows of the two biases times 3: another matrix.

# %%
# > weights of input 2, row by row: [6. 0.] [ 0. -3.]
print("weights of input 2, row by row:", *(x[2] * J_b + 0.0))

# %% [markdown]
# All inputs: a stack of matrices
# -------------------------------
# Each of the n inputs has such a matrix of z × z numbers. Their stack is the Jacobian with respect to all weights. It
# has three indices: J[k,i,j] = ∂ℓ_j/∂W[k,i] = x_k·∂ℓ_j/∂b_i. Sliced the other way, the slice of output j has one column
# that is not zero: x times the error of j, the gradient vector above. The sum over the outputs j puts these columns
# side by side: dW.

# %%
# > weight Jacobian (3, 2, 2): 12 numbers, 6 of them zero
# > its matrix for input 2 is the one above: True
# > dW, row by row: [ 2. -1.] [ 4. -2.] [ 6. -3.]
J_W = jitnet.calculus.weight_jacobian(x, W, b, y, loss="mse")
print(f"weight Jacobian {J_W.shape}: {J_W.size} numbers, {(J_W == 0).sum()} of them zero")
print(f"its matrix for input 2 is the one above: {np.array_equal(J_W[2], x[2] * J_b)}")
print("dW, row by row:", *J_W.sum(axis=2))

# %% [markdown]
# Backpropagation
# ---------------
# The sum is x_k times delta_i, for each k and i. Here delta, the derivative of the loss with respect to each output,
# equals db. This is a column times a row, the outer product dW = x·deltaᵀ, and backpropagation computes only this. The
# library agrees to the last digit:

# %%
# > backpropagation: delta = [ 2. -1.], the same dW: True, the same db: True
net = jitnet.Network(jitnet.Dense(3, 2), dtype="float64")
net.layers[0].W, net.layers[0].b = W, b
_, (grads,) = net.gradients(x.reshape(1, 3), y.reshape(1, 2), loss="mse")
same = [np.array_equal(grads.dW, J_W.sum(axis=2)), np.array_equal(grads.db, J_b.sum(axis=1))]
print(f"backpropagation: delta = {grads.delta[0]}, the same dW: {same[0]}, the same db: {same[1]}")

# %% [markdown]
# What backpropagation saves
# --------------------------
# The Jacobian has z times as many numbers as dW: with n = z, memory grows like n³ instead of n². Double n, and the
# Jacobian needs 8 times the memory, dW 4 times. Time grows in the same way, except for small arrays, where the call
# itself takes longest: at n = 256 the outer product is hundreds or thousands of times as fast.

# %%
# > n = z =  16: memory 0.03 MB, 16 times that of dW
# > n = z =  32: memory 0.26 MB, 32 times that of dW
# > n = z =  64: memory 2.10 MB, 64 times that of dW
# > n = z = 128: memory 16.78 MB, 128 times that of dW
# > n = z = 256: memory 134.22 MB, 256 times that of dW
outer_product = jitnet.kernels.LADDERS["matmul_tn"]["packed"]  # Xᵀ·delta; with one sample it is x·deltaᵀ


def sum_of_slices(x, W, b, y):
    return jitnet.calculus.weight_jacobian(x, W, b, y).sum(axis=2)


rng = np.random.default_rng(0)
sizes, times, memory = [16, 32, 64, 128, 256], [], []
with watched():
    for n in sizes:
        X, delta, weights = rng.standard_normal((1, n)), rng.standard_normal((1, n)), rng.standard_normal((n, n))
        dW, layer = np.empty((n, n)), (X[0], weights, delta[0], np.zeros(n))
        both = {"slow": partial(sum_of_slices, *layer), "fast": partial(outer_product, X, delta, dW)}
        times.append([timing.best * 1e6 for timing in time_alternating(both).values()])
        memory.append([jitnet.calculus.weight_jacobian(*layer).nbytes / 1e6, dW.nbytes / 1e6])
        print(f"n = z = {n:3}: memory {memory[-1][0]:.2f} MB, {memory[-1][0] / memory[-1][1]:.0f} times that of dW")
        print(f"n = z = {n:3}: time {times[-1][0]:.1f} µs by the Jacobian, {times[-1][1]:.1f} µs by the outer product")

# %% [markdown]
# The plot
# --------
# Above: slice by slice, the Jacobian of a layer with n = 3 and z = 4, and the sum of the slices. Below: what it costs.

# %%
figure = new_figure(9, 5.6, "The slices of the Jacobian add up to dW, which one outer product gives at once")
above, below = figure.subfigures(2, 1, height_ratios=[2, 3])
weights, target = np.array([[2, 0, 1, -1], [1, 1, -1, 0], [0, 1, 1, 1.0]]), np.array([-2.0, 9, 0, 0])
J = jitnet.calculus.weight_jacobian(x, weights, np.zeros(4), target, loss="half_squared_error") + 0.0
panels = [*np.moveaxis(J, 2, 0), J.sum(axis=2)]
names = [f"output {j}: ∂ℓ{'₀₁₂₃'[j]}/∂W" for j in range(4)] + ["sum: dW = x·deltaᵀ"]
for axis, panel, name in zip(above.subplots(1, 5), panels, names, strict=True):
    axis.imshow(panel, cmap="PuOr", vmin=-40, vmax=40)
    for (k, i), value in np.ndenumerate(panel):
        axis.text(i, k, f"{value:g}", ha="center", va="center")
    axis.set_title(name, fontsize=9)
    axis.set(xlabel="unit i", ylabel="input k", xticks=range(4), yticks=range(3))
for axis, what, values in zip(below.subplots(1, 2), ("time in µs", "memory in MB"), (times, memory), strict=True):
    axis.loglog(sizes, np.array(values)[:, 0], color=ORANGE, marker="s", linestyle="--", label="Jacobian, then the sum")
    axis.loglog(sizes, np.array(values)[:, 1], color=BLUE, marker="o", label="outer product")
    axis.set(xlabel="n = z", ylabel=what, xticks=sizes, xticklabels=sizes)
    axis.minorticks_off()
    axis.grid(alpha=0.3)
    axis.legend()
save(figure, "02_jacobians")

# %% [markdown]
# Exercises
# ---------
# 1. How many numbers does the weight Jacobian of a layer with n = 784 and z = 128 have, and how many does dW have?
# 2. With softmax, each output depends on all elements of xᵀW + b. How many zeros are left in the Jacobian for x, W, b
#    and y above?
# 3. Does the sum of its slices still equal what backpropagation computes?
# 4. Write `weight_jacobian(x, W, b, y)`, which returns J as an array of n × z × z numbers. Each of the z outputs has
#    the share error²/z of the loss. Check it: `python examples/02_jacobians.py --check my_answer.py`.

# %% [markdown]
# Answers
# -------


# %%
def weight_jacobian(x, W, b, y):
    errors = x @ W + b - y
    J = np.zeros((x.size, y.size, y.size))
    for k in range(x.size):
        for j in range(y.size):
            J[k, j, j] = x[k] * 2 * errors[j] / y.size
    return J


if ANSWERS:
    print(f"answer 1: {784 * 128 * 128} and {784 * 128}")
    J = jitnet.calculus.weight_jacobian(x, W, b, y, "softmax", "mse")
    print(f"answer 2: {(J == 0).sum()} of {J.size}")
    net = jitnet.Network(jitnet.Dense(3, 2, "softmax"), dtype="float64")
    net.layers[0].W, net.layers[0].b = W, b
    _, (grads,) = net.gradients(x.reshape(1, 3), y.reshape(1, 2), loss="mse")
    print(f"answer 3: yes; the largest difference is {np.abs(J.sum(axis=2) - grads.dW).max():.0e}")
    print(f"answer 4: {check(weight_jacobian)}")
