# %% [markdown]
"""Lesson 6. Depth: what happens to a gradient on its way back through many layers?
===================================================================================

The chain rule turns a chain of layers into a product of matrices. We write it down once in full, see why it is cheaper
to start at the end, and then follow delta through twenty layers. It shrinks, stays or grows by a factor per layer,
which we can predict from the activation and the initialization of the weights.

Lines that begin with `# >` show what the lesson prints.
"""

# %%
import numpy as np
from _course import ANSWERS, BLUE, GREEN, ORANGE, PURPLE, check, new_figure, save

import jitnet
from jitnet import Dense, Network, matmul

rng = np.random.default_rng(0)

# %% [markdown]
# The chain rule is a product of matrices
# ---------------------------------------
# In one layer, a = f(x·W + b). Input k changes z_j by W[k,j], and z_j changes a_j by f'(z_j). As a matrix, this is W·D,
# with the derivatives f' on the diagonal of D. For three layers it is W1·D1·W2·D2·W3·D3. Finite differences, which
# change each input slightly, give the same result.

# %%
# > 3 inputs, 2 outputs: a Jacobian (3, 2)
# > the product agrees with finite differences: True
net = Network(Dense(3, 4, "tanh"), Dense(4, 5, "tanh"), Dense(5, 2, "tanh"), seed=0, dtype="float64")
x, y = rng.standard_normal((1, 3)), np.array([[1.0, 0.0]])
activations, jacobian = [x], np.eye(3)
for layer in net.layers:
    activations.append(jitnet.tanh(matmul(activations[-1], layer.W) + layer.b))
    jacobian = matmul(matmul(jacobian, layer.W), np.diag(1 - activations[-1][0] ** 2))  # tanh' = 1 − tanh²
print(f"3 inputs, 2 outputs: a Jacobian {jacobian.shape}")
outputs = [lambda x: net.forward(x)[0, 0], lambda x: net.forward(x)[0, 1]]
tried = [jitnet.calculus.numerical_gradient(output, x)[0] for output in outputs]
print(f"the product agrees with finite differences: {np.allclose(jacobian.T, tried, rtol=0, atol=1e-10)}")

# %% [markdown]
# Start at the end
# ----------------
# The loss is one number, so its derivative with respect to the last activations is one row, a − y. Multiply that row by
# D3, W3ᵀ, D2, W2ᵀ, ... and it stays one row: delta. A row times a matrix takes n² multiplications. If we started at the
# input, each layer would be a matrix times a matrix, n³. Backpropagation is the chain rule, multiplied from the cheap
# end.

# %%
# > delta of the library is this row, layer by layer: True True True
# > 20 layers of 100: 19000000 multiplications from the input, 190000 from the loss
_, grads = net.gradients(x, y, loss="half_squared_error")
row, agrees = activations[3] - y, []
for l in (2, 1, 0):
    row = row * (1 - activations[l + 1] ** 2)
    agrees.append(np.allclose(row, grads[l].delta, rtol=1e-12))
    row = matmul(row, net.layers[l].W.T)
print("delta of the library is this row, layer by layer:", *agrees)
print(f"20 layers of 100: {19 * 100**3} multiplications from the input, {19 * 100**2} from the loss")

# %% [markdown]
# One factor for each layer
# -------------------------
# Each layer multiplies the size of delta by about √(n · variance of W · mean of f'²). The initialization sets n ·
# variance: 1 with glorot, for layers of equal width, and 2 with he. The mean of f'² is
#
# - at most 1/16 for sigmoid, whose derivative is at most ¼: with glorot, the factor is below √(1·1/16) = 0.25
# - nearly 1 for tanh, while its input is small: with glorot, the factor is a little below 1
# - ½ for relu, which is max(z, 0), with the derivative 1 for one half of the numbers and 0 for the other: with glorot,
#   √(1·½) = 0.71; with he, √(2·½) = 1
#
# From the last layer to the first there are nineteen factors, and 0.25¹⁹ = 4·10⁻¹²: almost nothing reaches the first
# layers of a deep network of sigmoids. This is the vanishing gradient.

# %%
# > sigmoid, glorot: 0.23 for each layer, 1e-12 after nineteen
# > tanh, glorot: 0.92 for each layer, 0.2 after nineteen
# > relu, glorot: 0.71 for each layer, 0.001 after nineteen
# > relu, he: 1.02 for each layer, 1 after nineteen
X, Y = rng.standard_normal((64, 100)), 10 * rng.standard_normal((64, 100))
sizes = {}
for f, init in (("sigmoid", "glorot"), ("tanh", "glorot"), ("relu", "glorot"), ("relu", "he")):
    net = Network(*[Dense(100, 100, f, init=init) for _ in range(20)], seed=0, dtype="float64")
    _, grads = net.gradients(X, Y, loss="half_squared_error")
    size = np.array([np.sqrt(np.mean(gradient.delta**2)) for gradient in grads])
    sizes[f"{f}, {init}"] = size / size[-1]
    left = size[0] / size[-1]
    print(f"{f}, {init}: {left ** (1 / 19):.2f} for each layer, {left:.1g} after nineteen")

# %% [markdown]
# The effect on training
# ----------------------
# Networks of twelve layers learn to classify digits in 20 epochs. With sigmoid, the network is no better than guessing,
# which gets one digit in ten right. With tanh, and with relu and he, more than 8 of 10 are right.

# %%
train, test = jitnet.data.split(*jitnet.data.digits(), test=0.2, seed=0)
for f, init in (("sigmoid", "glorot"), ("tanh", "glorot"), ("relu", "he")):
    widths = [64] + [32] * 11
    hidden = [Dense(n_in, 32, f, init=init) for n_in in widths[:-1]]
    net = Network(*hidden, Dense(32, 10, "softmax"), seed=0)
    net.fit(*train, epochs=20, batch_size=32, optimizer=jitnet.SGD(0.1))
    print(f"12 layers, {f}, {init}: {net.evaluate(*test)['accuracy']:.0%} of the digits right")

# %% [markdown]
# The plot
# --------

# %%
figure = new_figure(7, 4.4, "In the backward pass, delta changes by about the same factor in every layer")
axis = figure.subplots()
for (name, size), color, marker in zip(sizes.items(), (BLUE, GREEN, ORANGE, PURPLE), "osv^", strict=True):
    axis.semilogy(range(1, 21), size, color=color, marker=marker, label=name)
axis.set(xlabel="layer (20 is next to the loss)", ylabel="size of delta, relative to layer 20", xticks=range(20, 0, -2))
axis.invert_xaxis()
axis.grid(alpha=0.3)
axis.legend(loc="lower left")
save(figure, "06_depth")

# %% [markdown]
# Exercises
# ---------
# 1. In a network without activations, predict the factor for each layer if every W from glorot is halved.
# 2. If each sigmoid layer multiplies delta by 0.23, after how many layers is less than a millionth of it left?
# 3. With init="zeros", what is delta in all layers but the last?
# 4. Write `deltas(weights, activations, y)`, which returns delta of each layer, from the first to the last, for layers
#    of tanh and the loss half_squared_error. There is one sample. `activations` has x and the result of each layer, as
#    rows. Check it: `python examples/06_depth.py --check my_answer.py`.

# %% [markdown]
# Answers
# -------


# %%
def deltas(weights, activations, y):
    found = [(activations[-1] - y) * (1 - activations[-1] ** 2)]
    for l in range(len(weights) - 1, 0, -1):
        found.insert(0, found[0] @ weights[l].T * (1 - activations[l] ** 2))
    return found


if ANSWERS:
    net = Network(*[Dense(100, 100, "identity") for _ in range(20)], seed=0, dtype="float64")
    for layer in net.layers:
        layer.W /= 2
    _, grads = net.gradients(X, Y, loss="half_squared_error")
    first, last = (np.sqrt(np.mean(grads[l].delta ** 2)) for l in (0, -1))
    print(f"answer 1: √(¼·1·1) = 0.5; measured {(first / last) ** (1 / 19):.2f}")
    print(f"answer 2: log(10⁻⁶)/log(0.23) = {np.log(1e-6) / np.log(0.23):.1f}, so after 10")
    net = Network(*[Dense(100, 100, "tanh", init="zeros") for _ in range(3)], dtype="float64")
    _, grads = net.gradients(X, Y, loss="half_squared_error")
    print(f"answer 3: {[float(np.abs(gradient.delta).max()) for gradient in grads[:-1]]}: no delta passes W = 0")
    print(f"answer 4: {check(deltas)}")
