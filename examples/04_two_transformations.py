# %% [markdown]
"""Lesson 4. Two transformations: how can S-curves add up to any curve?
=======================================================================

The network is s = σ(x·W1 + b1), y = s·W2 + b2: a matrix, a nonlinear function, and a second matrix. It learns the sine
function, and we look at the contribution of each hidden unit. Then we replace σ, which has values in (0, 1), by tanh,
which has values in (−1, 1). What changes, and what does not?

Lines that begin with `# >` show what the lesson prints.
"""

# %%
import numpy as np
from _course import ANSWERS, BLUE, GREEN, ORANGE, PURPLE, check, new_figure, save

import jitnet
from jitnet import Dense, Network

x = np.linspace(-np.pi, np.pi, 64).reshape(64, 1)
y = np.sin(x)
adam = jitnet.Adam(0.03)  # an optimizer that is faster than plain gradient steps; see lesson 7


def learn(hidden, output="identity", units=3, seed=7, optimizer=adam):
    """A network trained on all 64 points at once, and its loss."""
    net = Network(Dense(1, units, hidden), Dense(units, 1, output), seed=seed, dtype="float64")
    net.fit(x, y, epochs=1000, batch_size=64, optimizer=optimizer, loss="mse")
    return net, net.evaluate(x, y, loss="mse")["loss"]


# %% [markdown]
# Learning the sine
# -----------------
# From −π to π the sine falls, rises and falls. A sigmoid only rises or only falls, so three hidden units should be
# enough. They have 3 + 3 parameters in the first layer and 3 + 1 in the second. The remaining error, the root of the
# loss, is below 0.03; the sine itself goes up to 1.

# %%
# > <Network 1-3-1 (sigmoid, identity), 10 parameters, float64>
net, loss = learn("sigmoid")
print(net)
print(f"remaining error: {np.sqrt(loss):.3f}")

# %% [markdown]
# What the hidden units do
# ------------------------
# Each unit is a ramp from 0 to 1, or from 1 to 0 if its weight is negative: it is steep around one place, where x·W1 +
# b1 = 0, and flat elsewhere. W2 is the height of each ramp in the sum. No unit reaches 0 or 1: the range of σ is open.

# %%
# > all values of the hidden units lie between 0 and 1: True
first, second = net.layers
s = jitnet.sigmoid(jitnet.matmul(x, first.W) + first.b)
parts = s * second.W.T  # column j: what unit j adds to the output
for j in range(3):
    steep = -first.b[j] / first.W[0, j]
    print(
        f"unit {j}: steepest at x = {steep:.2f}, from {parts[0, j]:.2f} at the left to {parts[-1, j]:.2f} at the right"
    )
print(f"all values of the hidden units lie between 0 and 1: {s.min() > 0 and s.max() < 1}")

# %% [markdown]
# σ and tanh are one curve
# ------------------------
# tanh is σ stretched: σ(z) = ½ + ½·tanh(z/2). A network with tanh can therefore compute the same function: halve W1, b1
# and W2, and add half of each unit's old W2 to the second bias. Both can learn the same functions, but not equally
# fast.

# %%
# > differs from the same network with tanh by less than 1e-12: True
other = Network(Dense(1, 3, "tanh"), Dense(3, 1), dtype="float64")
other.layers[0].W, other.layers[0].b = first.W / 2, first.b / 2
other.layers[1].W, other.layers[1].b = second.W / 2, second.b + second.W.sum() / 2
difference = np.abs(other.forward(x) - net.forward(x)).max()
print(f"differs from the same network with tanh by less than 1e-12: {difference < 1e-12}")

# %% [markdown]
# What changes: the speed of training
# -----------------------------------
# Near z = 0 the derivative of tanh is 1, that of σ only ¼, so less of delta passes back through σ. The values of σ have
# the mean ½, not 0, so every change of W2 also lifts or lowers the whole curve. Eight networks of each kind train for
# 1000 plain gradient steps with the same learning rate. Each network with tanh reaches a smaller loss than the network
# with σ that started with the same weights.

# %%
# > tanh reaches a smaller loss than sigmoid with 8 of 8 seeds
reached = {
    hidden: [learn(hidden, units=4, seed=seed, optimizer=jitnet.SGD(0.1))[1] for seed in range(8)]
    for hidden in ("sigmoid", "tanh")
}
print("loss after 1000 steps:", *(f"{hidden} {np.mean(losses):.4f}" for hidden, losses in reached.items()))
farther = sum(t < s for s, t in zip(reached["sigmoid"], reached["tanh"], strict=True))
print(f"tanh reaches a smaller loss than sigmoid with {farther} of 8 seeds")

# %% [markdown]
# What changes: the range of the output
# -------------------------------------
# In the last layer the range matters. σ is never below 0, so on the negative half of the sine it can at best stay near
# 0. The loss is then at least the mean of min(y, 0)², about ¼. tanh reaches both halves.

# %%
# > the smallest possible loss with values in (0, 1): 0.246
# > a sigmoid at the output stays above it: True
# > a tanh at the output goes below it: True
least = np.mean(np.minimum(y, 0) ** 2)
with_sigmoid, with_tanh = learn("tanh", "sigmoid")[1], learn("tanh", "tanh")[1]
print(f"the smallest possible loss with values in (0, 1): {least:.3f}")
print(f"loss with sigmoid at the output: {with_sigmoid:.3f}; with tanh: {with_tanh:.3f}")
print(f"a sigmoid at the output stays above it: {with_sigmoid > least}")
print(f"a tanh at the output goes below it: {with_tanh < least}")

# %% [markdown]
# The plot
# --------

# %%
figure = new_figure(10, 3.4, "Three S-curves (left), each with its weight (middle), add up to the sine (right)")
left, middle, right = figure.subplots(1, 3)
styles = [(BLUE, "-"), (ORANGE, "--"), (GREEN, ":")]
for j, (color, style) in enumerate(styles):
    left.plot(x, s[:, j], color=color, linestyle=style, linewidth=2, label=f"unit {j}")
    middle.plot(x, parts[:, j], color=color, linestyle=style, linewidth=2, label=f"unit {j} · {second.W[j, 0]:.1f}")
right.plot(x, y, color="black", marker=".", linestyle="", markersize=4, label="sine")
right.plot(x, net.forward(x), color=PURPLE, linewidth=2, label=f"sum of all three {second.b[0]:+.1f}")
left.set(title="hidden units s", ylabel="value", ylim=(-0.05, 1.4), yticks=[0, 0.5, 1])
middle.set(title="their parts s·W2", ylim=(None, 1.5 * parts.max()))
right.set(title="output y = s·W2 + b2", ylim=(-1.2, 2))
for axis in (left, middle, right):
    axis.set(xlabel="input x")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8, loc="upper left")
save(figure, "04_two_transformations")

# %% [markdown]
# Exercises
# ---------
# 1. Remove the σ (activation "identity"). What is the best result of two matrices in sequence?
# 2. How small is the error with one hidden unit, two, and three?
# 3. At which z is the derivative of σ largest, and how large is it there? Answer the same for tanh.
# 4. Two sigmoids make a bump. Write `bump(left, right)`, which returns W1 (1, 2), b1 (2,), W2 (2, 1) and b2 (1,) of a
#    network σ(x·W1 + b1)·W2 + b2 that gives 1 between left and right, and 0 elsewhere, within 0.01; points within 0.1
#    of left and right do not count. Check it: `python examples/04_two_transformations.py --check my_answer.py`.

# %% [markdown]
# Answers
# -------


# %%
def bump(left, right):
    steep = 100
    return [[steep, steep]], [-steep * left, -steep * right], [[1], [-1]], [0]


if ANSWERS:
    line = np.mean((y - x * (x * y).mean() / (x * x).mean()) ** 2)
    print(
        f"answer 1: two matrices are one, a straight line: loss {learn('identity')[1]:.4f}; the best line: {line:.4f}"
    )
    errors = [np.sqrt(min(learn("sigmoid", units=n, seed=seed)[1] for seed in range(8))) for n in (1, 2, 3)]
    print("answer 2: best of eight seeds:", ", ".join(f"{error:.3f}" for error in errors))
    z = np.linspace(-4, 4, 801)
    derivatives = [np.gradient(f(z), z) for f in (jitnet.sigmoid, jitnet.tanh)]
    print("answer 3:", " and ".join(f"{d.max():.2f} at z = {abs(z[d.argmax()]):.0f}" for d in derivatives))
    print(f"answer 4: {check(bump)}")
