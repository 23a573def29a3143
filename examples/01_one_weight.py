# %% [markdown]
"""Lesson 1. One weight: how can a number learn?
================================================

The smallest network has one input x, one weight w and one output o = x·w, which should equal y. The initial w is wrong,
and the derivative of the loss shows in which direction to change it. Training repeats this step many times.

Lines that begin with `# >` show what the lesson prints. Try to predict each one before you run it. The answers to the
exercises are at the end of the file.
"""

# %%
import numpy as np
from _course import ANSWERS, BLUE, ORANGE, check, new_figure, save

import jitnet

net = jitnet.Network(jitnet.Dense(1, 1, bias=False), seed=0, dtype="float64")  # one layer: 1 input, 1 output
x, y = np.array([[2.0]]), np.array([[3.0]])  # one sample: its input and its target


def at(w):
    """The loss and its derivative for this weight."""
    net.layers[0].W = [[w]]
    loss, grads = net.gradients(x, y, loss="mse")
    return loss, grads[0].dW[0, 0]


# %% [markdown]
# The output, the error, the square
# ---------------------------------
# With x = 2 and w = 0.5 the output is o = x·w = 1. It should be y = 3, so the error o − y is −2. An error of +2 would
# be just as bad, so we look at its square: that is the loss, L = (x·w − y)². It is 0 if o = y, and above 0 otherwise.

# %%
# > o = 1, error = -2, loss = 4
w = 0.5
loss, gradient = at(w)
o = net.forward(x)[0, 0]
print(f"o = {o:g}, error = {o - 3:g}, loss = {loss:g}")

# %% [markdown]
# The derivative
# --------------
# In which direction must w change? Change it by h, measure the change of the loss, and divide by h. The smaller h is,
# the closer the quotient is to the derivative of L. The chain rule gives it exactly: the square gives twice the error,
# and x·w gives x, so ∂L/∂w = 2·(x·w − y)·x = 2·(−2)·2 = −8.

# %%
# > h = 1     change / h = -4
# > h = 0.1   change / h = -7.6
# > h = 0.01  change / h = -7.96
# > derivative = -8
for h in (1, 0.1, 0.01):
    print(f"h = {h:<5g} change / h = {(at(w + h)[0] - loss) / h:.4g}")
print(f"derivative = {gradient:g}")

# %% [markdown]
# A gradient step
# ---------------
# The derivative is negative: the loss falls when w grows. A gradient step subtracts a small part of the derivative from
# w. That part is the learning rate, lr = 0.1: w becomes 0.5 − 0.1·(−8) = 1.3. Then repeat. Each step leaves 1 − 2·lr·x²
# = 0.2 of the error: −2, −0.4, −0.08, ... The steps become shorter, because the derivative becomes smaller. The goal is
# w = 1.5, where x·w is 3.

# %%
# > step 0: w = 0.5     loss = 4
# > step 1: w = 1.3     loss = 0.16
# > step 2: w = 1.46    loss = 0.0064
# > step 3: w = 1.492   loss = 0.000256
# > step 4: w = 1.4984  loss = 1.024e-05
lr, path = 0.1, [w]
for step in range(5):
    loss, gradient = at(path[-1])
    print(f"step {step}: w = {path[-1]:<7.5g} loss = {loss:.4g}")
    path.append(path[-1] - lr * gradient)

# %% [markdown]
# The same with the library
# -------------------------
# `fit` does the same: forward, derivative, step. An epoch is one pass through the data, here one step. After four
# epochs, the weight is the same.

# %%
# > fit: w = 1.4984
net.layers[0].W = [[0.5]]
net.fit(x, y, epochs=4, batch_size=1, optimizer=jitnet.SGD(0.1), loss="mse")
print(f"fit: w = {net.layers[0].W[0, 0]:.5g}")

# %% [markdown]
# The plot
# --------
# The loss as a function of w is a valley, and the steps lead down into it. The dashed line has the slope −8.

# %%
figure = new_figure(6.4, 4.2, "A gradient step leads downhill; where the loss is less steep, the step is shorter")
axis = figure.subplots()
weights = np.linspace(0.2, 2.8, 100)
axis.plot(weights, [at(w)[0] for w in weights], color=BLUE, label="loss (x·w − y)²")
axis.plot([0.3, 0.9], [4 + 8 * 0.2, 4 - 8 * 0.4], color="black", linestyle="--", label="slope at step 0")
losses = [at(w)[0] for w in path[:3]]
axis.plot(path[:3], losses, color=ORANGE, marker="o", label="steps, learning rate 0.1")
for step, sideways in enumerate((10, -3, 4)):
    axis.annotate(
        f"{step}", (path[step], losses[step]), xytext=(sideways, 8 if step else 0), textcoords="offset points"
    )
axis.set(xlabel="weight w", ylabel="loss", xlim=(0.2, 2.8), ylim=(-0.2, 6))
axis.legend(loc="upper center")
save(figure, "01_one_weight")

# %% [markdown]
# Exercises
# ---------
# 1. Which learning rate reaches w = 1.5 in one step?
# 2. Which one makes w jump between 0.5 and 2.5 forever? Where does a step with lr = 0.3 lead?
# 3. What is the derivative at w = 2.5, and in which direction does a step from there lead?
# 4. Now take several samples: x and y are vectors, and the loss is the mean of (x·w − y)². Write `step(w, x, y, lr)`,
#    which returns the weight after one gradient step. `python examples/01_one_weight.py --check my_answer.py` checks
#    it.

# %% [markdown]
# Answers
# -------


# %%
def step(w, x, y, lr):
    return w - lr * np.mean(2 * (x * w - y) * x)


if ANSWERS:
    w, gradient = 0.5, at(0.5)[1]
    print(f"answer 1: 1 − 2·lr·x² = 0, so lr = 0.125: w = {w - 0.125 * gradient:g}")
    there = w - 0.25 * gradient
    print(f"answer 2: 1 − 2·lr·x² = −1, so lr = 0.25: w = {there:g}, then w = {there - 0.25 * at(there)[1]:g}, ...")
    print(f"          lr = 0.3 leads to w = {w - 0.3 * gradient:g}, farther from 1.5 than before")
    print(f"answer 3: derivative = {at(2.5)[1]:g}: the loss rises to the right, so the step leads to the left")
    print(f"answer 4: {check(step)}")
