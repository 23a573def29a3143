# %% [markdown]
"""Lesson 3. A network by hand: does the library do what the formulas say?
==========================================================================

The network has one input, one hidden neuron and one output neuron, each with a sigmoid. We compute every number of the
forward and backward pass on paper first, and then with jitnet. The parameters are chosen so that all numbers are short
decimal fractions that floating point represents exactly, so both results must agree to the last digit.

Lines that begin with `# >` show what the lesson prints.
"""

# %%
import numpy as np
from _course import ANSWERS, BLUE, ORANGE, check, new_figure, save

import jitnet

x, y = 2.0, 1.0
w1, b1 = 0.5, -1.0
w2, b2 = 3.0, -1.5

net = jitnet.Network(jitnet.Dense(1, 1, "sigmoid"), jitnet.Dense(1, 1, "sigmoid"), seed=0, dtype="float64")
hidden, output = net.layers
hidden.W, hidden.b, output.W, output.b = [[w1]], [b1], [[w2]], [b2]

# %% [markdown]
# Forward, on paper
# -----------------
# The sigmoid is σ(z) = 1/(1 + e^{−z}). At z = 0 it is 1/(1 + 1) = 0.5, and w1, b1, w2 and b2 are such that both z are
# 0. The loss is half the squared error, so its derivative is the error itself, without a factor of 2.
#
# - z1 = x·w1 + b1 = 2·0.5 − 1 = 0, and a1 = σ(0) = 0.5
# - z2 = a1·w2 + b2 = 0.5·3 − 1.5 = 0, and a2 = σ(0) = 0.5
# - L = ½(a2 − y)² = ½(0.5 − 1)² = 0.125

# %%
a1 = a2 = 0.5
L = 0.125

# %% [markdown]
# Backward, on paper
# ------------------
# delta is ∂L/∂z. The derivative of the sigmoid is a(1 − a), here 0.5·0.5 = 0.25 for both neurons. A weight multiplies
# an input, so its derivative is that input times delta; a bias multiplies 1.
#
# - From the loss, through the sigmoid: delta2 = (a2 − y)·a2(1 − a2) = −0.5·0.25 = −0.125
# - Back along w2, through the sigmoid: delta1 = delta2·w2·a1(1 − a1) = −0.125·3·0.25 = −0.09375
# - dw2 = a1·delta2 = −0.0625, and db2 = delta2 = −0.125
# - dw1 = x·delta1 = −0.1875, and db1 = delta1 = −0.09375

# %%
delta2, delta1 = -0.125, -0.09375
dw2, db2, dw1, db1 = -0.0625, -0.125, -0.1875, -0.09375
on_paper = [L, a1, a2, delta2, delta1, dw2, db2, dw1, db1]

# %% [markdown]
# The same with jitnet
# --------------------
# Each backend uses different loops: interpreted, compiled, vectorized, and NumPy's own. All give the same nine
# numbers: L, a1, a2, delta2, delta1, dw2, db2, dw1, db1.

# %%
# > paper    0.125 0.5 0.5 -0.125 -0.09375 -0.0625 -0.125 -0.1875 -0.09375
# > python   0.125 0.5 0.5 -0.125 -0.09375 -0.0625 -0.125 -0.1875 -0.09375 equal: True
# > njit     0.125 0.5 0.5 -0.125 -0.09375 -0.0625 -0.125 -0.1875 -0.09375 equal: True
# > fast     0.125 0.5 0.5 -0.125 -0.09375 -0.0625 -0.125 -0.1875 -0.09375 equal: True
# > numpy    0.125 0.5 0.5 -0.125 -0.09375 -0.0625 -0.125 -0.1875 -0.09375 equal: True
print(f"{'paper':8}", *on_paper)
first_half = jitnet.Network(jitnet.Dense(1, 1, "sigmoid"), dtype="float64")
first_half.layers[0].W, first_half.layers[0].b = hidden.W, hidden.b
for backend in ("python", "njit", "fast", "numpy"):
    loss, grads = net.gradients([[x]], [[y]], loss="half_squared_error", backend=backend)
    computed = [loss, first_half.forward([[x]], backend)[0, 0], net.forward([[x]], backend)[0, 0]]
    computed += [grads[1].delta[0, 0], grads[0].delta[0, 0]]
    computed += [grads[1].dW[0, 0], grads[1].db[0], grads[0].dW[0, 0], grads[0].db[0]]
    computed = [float(number) for number in computed]
    print(f"{backend:8}", *computed, "equal:", computed == on_paper)

# %% [markdown]
# Which loops computed it
# -----------------------
# The graph of a training step lists its calls in order: the result, the loop that computes it, and its inputs. It
# counts layers from 0: W0 is our w1, A0 our a1, delta0 our delta1, and delta1 our delta2. The first two lines are the
# forward pass, the third is the loss with delta of the output, and the rest is the backward pass. A notebook draws the
# graph. Compare each line with its formula above.

# %%
# > A0 = layer.njit(X, W0, b0)
# > A1 = layer.njit(A0, W1, b1)
# > delta1, losses = half_squared_error.njit(A1, Y)
# > delta0 = delta.njit(delta1, W1, A0)
# > dW1, db1 = gradients.njit(A0, delta1)
# > dW0, db0 = gradients.njit(X, delta0)
graph = net.graph(batch_size=1, loss="half_squared_error", backend="njit")
print(graph)
graph  # noqa: B018  a notebook draws it

# %% [markdown]
# A third way: finite differences
# -------------------------------
# Derivatives can be computed without the chain rule: change one parameter slightly, up and down, and compare the
# losses.

# %%
# > finite differences: dw2 = -0.0625, db2 = -0.125, dw1 = -0.1875, db1 = -0.09375
tried = jitnet.calculus.numerical_gradient(
    lambda theta: net.evaluate([[x]], [[y]], loss="half_squared_error")["loss"], net.theta
)
net.grad[:] = tried  # the layers' dW and db are views of this vector
derivatives = {"dw2": output.dW[0, 0], "db2": output.db[0], "dw1": hidden.dW[0, 0], "db1": hidden.db[0]}
print("finite differences:", ", ".join(f"{name} = {derivative:.9g}" for name, derivative in derivatives.items()))

# %% [markdown]
# A step
# ------
# With the learning rate 1, a step subtracts its derivative from every parameter. If the loss were linear, it would fall
# by the sum of the squared derivatives, 0.0625² + 0.125² + 0.1875² + 0.09375² = 0.0635, from 0.125 to 0.0615. The loss
# is curved upward, so the result is larger.

# %%
# > after a step: w1 = 0.6875, b1 = -0.90625, w2 = 3.0625, b2 = -1.375
# > loss 0.0705 instead of 0.125
net.fit([[x]], [[y]], epochs=1, batch_size=1, optimizer=jitnet.SGD(1.0), loss="half_squared_error")
print(f"after a step: w1 = {hidden.W[0, 0]}, b1 = {hidden.b[0]}, w2 = {output.W[0, 0]}, b2 = {output.b[0]}")
after = net.evaluate([[x]], [[y]], loss="half_squared_error")["loss"]
print(f"loss {after:.4f} instead of {L}")

# %% [markdown]
# The plot
# --------
# Above the arrows are the values of the forward pass, below them the derivatives of L from the backward pass.

# %%
figure = new_figure(10, 2.8, "Values go forward (above the arrows), and the derivatives of L go backward (below)")
axis = figure.subplots()
boxes = [("x", "2", ""), ("z1", "0", "delta1 =\n−0.09375"), ("a1", "0.5", "−0.375"), ("z2", "0", "delta2 =\n−0.125"),
         ("a2", "0.5", "−0.5"), ("L", "0.125", "1")]  # fmt: skip
links = ["· w1 + b1", "σ", "· w2 + b2", "σ", "½(a2 − y)²"]
back = ["dw1 = −0.1875\ndb1 = −0.09375", "· 0.25", "· w2\ndw2 = −0.0625\ndb2 = −0.125", "· 0.25", "· (a2 − y)"]
places = np.cumsum([0, 2.2, 1.3, 2.2, 1.3, 1.7])
for place, (name, value, derivative) in zip(places, boxes, strict=True):
    axis.text(place, 0, name, ha="center", va="center", bbox={"boxstyle": "circle,pad=0.4", "fc": "white"})
    axis.text(place, 0.3, value, ha="center", color=BLUE)
    axis.text(place, -0.3, derivative, ha="center", va="top", color=ORANGE)
for start, stop, forward, derivative in zip(places[:-1], places[1:], links, back, strict=True):
    for height, tail, head, color in ((0.09, start + 0.3, stop - 0.3, BLUE), (-0.09, stop - 0.3, start + 0.3, ORANGE)):
        axis.annotate("", (head, height), (tail, height), arrowprops={"arrowstyle": "->", "color": color})
    axis.text((start + stop) / 2, 0.15, forward, ha="center", fontsize=9, color=BLUE)
    axis.text((start + stop) / 2, -0.15, derivative, ha="center", va="top", fontsize=9, color=ORANGE)
axis.set(xlim=(-0.5, places[-1] + 0.5), ylim=(-0.75, 0.5))
axis.axis("off")
save(figure, "03_by_hand")

# %% [markdown]
# Exercises
# ---------
# 1. With the target y = 0 instead of 1, what are L and delta2?
# 2. With w2 = 0, which of the four derivatives become 0? (b2 = 0, so that z2 stays 0.)
# 3. Why does w1 learn nothing from a sample with x = 0?
# 4. Write `gradients(x, y, w1, b1, w2, b2)`, which returns dw1, db1, dw2 and db2 for any numbers. Check it:
#    `python examples/03_by_hand.py --check my_answer.py`.

# %% [markdown]
# Answers
# -------


# %%
def gradients(x, y, w1, b1, w2, b2):
    a1 = 1 / (1 + np.exp(-(x * w1 + b1)))
    a2 = 1 / (1 + np.exp(-(a1 * w2 + b2)))
    delta2 = (a2 - y) * a2 * (1 - a2)
    delta1 = delta2 * w2 * a1 * (1 - a1)
    return x * delta1, delta1, a1 * delta2, delta2


if ANSWERS:
    hidden.W, hidden.b, output.W, output.b = [[w1]], [b1], [[w2]], [b2]
    loss, grads = net.gradients([[x]], [[0.0]], loss="half_squared_error")
    print(f"answer 1: L = {loss}, delta2 = {grads[1].delta[0, 0]}")
    output.W, output.b = [[0.0]], [0.0]
    _, grads = net.gradients([[x]], [[y]], loss="half_squared_error")
    print(f"answer 2: dw1 = {abs(grads[0].dW[0, 0])}, db1 = {abs(grads[0].db[0])}: nothing passes back through w2 = 0;")
    print(f"          dw2 = {grads[1].dW[0, 0]}, db2 = {grads[1].db[0]} stay")
    output.W, output.b = [[w2]], [b2]
    _, grads = net.gradients([[0.0]], [[y]], loss="half_squared_error")
    print(f"answer 3: dw1 = x·delta1 = 0·({grads[0].delta[0, 0]:.4f}) = {abs(grads[0].dW[0, 0])}")
    print(f"answer 4: {check(gradients)}")
