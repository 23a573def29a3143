# %% [markdown]
"""Lesson 7. Training for real: how well does a network read digits, and how does training improve it?
======================================================================================================

A network learns to classify handwritten digits of 8 × 8 pixels with three different optimizers. Then we look at its
mistakes. Finally, a smaller network learns to separate the three arms of a spiral, and we watch the decision boundaries
form.

Lines that begin with `# >` show what the lesson prints.
"""

# %%
import numpy as np
from _course import ANSWERS, BLUE, GREEN, ORANGE, check, new_figure, save

import jitnet
from jitnet import Dense, Network

X, y = jitnet.data.digits()  # one digit per row: 64 pixels from 0 (paper) to 1 (ink), and the label
train, test = jitnet.data.split(X, y, test=0.2, seed=0)

# %% [markdown]
# Before training
# ---------------
# Of the 1797 digits, a fifth are test samples, which the network never sees during training. Softmax turns ten outputs
# into ten probabilities, and the loss is the negative log-likelihood of the right digit: cross-entropy. An untrained
# network that gives 1/10 to each digit has a loss of −log(1/10) = 2.303.

# %%
# > 1438 training samples, 359 test samples
# > equal probabilities: loss 2.303
print(f"{len(train[0])} training samples, {len(test[0])} test samples")
ignorant = Network(Dense(64, 10, "softmax", init="zeros"))
print(f"equal probabilities: loss {ignorant.evaluate(*test)['loss']:.3f}")

# %% [markdown]
# Three optimizers
# ----------------
# SGD (stochastic gradient descent) makes one gradient step per batch. Momentum adds the new gradient to nine tenths of
# its last step: where the gradients agree, the step becomes ten times as long. Adam divides the step of each parameter
# by the typical size of its gradient, so that all parameters change at a similar rate. After five epochs, momentum and
# Adam are ahead of SGD here. This is not always so: exercise 1 shows the effect of the learning rate.

# %%
rules = {"SGD(0.1)": jitnet.SGD(0.1), "Momentum(0.1)": jitnet.Momentum(0.1), "Adam(0.003)": jitnet.Adam(0.003)}


def learn(optimizer):
    net = Network(Dense(64, 64, "relu", init="he"), Dense(64, 10, "softmax"), seed=0)
    return net, net.fit(*train, epochs=20, batch_size=32, optimizer=optimizer, validation=test)


nets, histories = {}, {}
for name, optimizer in rules.items():
    nets[name], histories[name] = learn(optimizer)
    after = histories[name].loss
    print(f"loss with {name}: {after[0]:.3f} after 1 epoch, {after[4]:.3f} after 5, {after[19]:.4f} after 20")

# %% [markdown]
# Its mistakes
# ------------
# More than 9 of 10 digits are classified correctly. The confusion matrix shows the mistakes: its rows are the true
# digits, its columns the predicted ones. Correct predictions are on the diagonal.

# %%
net = nets["Momentum(0.1)"]
probabilities, read = net.forward(test[0]), net.predict(test[0])
confusions = np.zeros((10, 10), int)
np.add.at(confusions, (test[1], read), 1)
print(f"right: {np.trace(confusions)} of {confusions.sum()}, accuracy {net.evaluate(*test)['accuracy']:.3f}")

# %% [markdown]
# The worst mistakes
# ------------------
# The worst mistakes have the largest loss: a wrong answer with high confidence leaves little probability for the right
# one.

# %%
given = probabilities[np.arange(len(read)), test[1]]
worst = np.argsort(given)[:6]
for i in worst[:3]:
    print(f"a {test[1][i]} read as {read[i]}: gave the right answer {given[i]:.4f}, loss {-np.log(given[i]):.2f}")

# %% [markdown]
# A spiral, and its decision boundaries
# -------------------------------------
# The inputs are two coordinates, and the classes are three arms that no straight line separates. Of 400 points, a
# quarter are test points. With 32 hidden tanh units, the first boundaries are nearly straight, and less than three
# quarters of the points are right. In the end almost all are right, including the test points: the network has learned
# the arms, not single points.

# %%
rng = np.random.default_rng(0)
t, arm = rng.uniform(0.1, 1, 400), np.arange(400) % 3
angle = 5 * t + 2 * np.pi / 3 * arm + rng.normal(0, 0.1, 400)
known, held_out = jitnet.data.split(np.c_[t * np.cos(angle), t * np.sin(angle)], arm, test=0.25, seed=0)
spiral = Network(Dense(2, 32, "tanh"), Dense(32, 3, "softmax"), seed=0)


kept = {}  # epoch -> all parameters as one vector


class Watch(jitnet.Progress):
    """Saves the parameters of some epochs while a network learns."""

    def epoch(self, history, epochs):
        if history.epochs in (1, 10, 30, 100, 300):
            kept[history.epochs] = spiral.theta.copy()


spiral.fit(*known, epochs=300, batch_size=30, optimizer=jitnet.Adam(0.02), progress=Watch())

# %% [markdown]
# The plots
# ---------

# %%
figure = new_figure(12, 4, "Digits: the loss with three optimizers, the confusion matrix, and the six worst mistakes")
left, middle, right = figure.subfigures(1, 3, width_ratios=[5, 4, 4])
axis = left.subplots()
for (name, history), color, marker in zip(histories.items(), (BLUE, ORANGE, GREEN), "os^", strict=True):
    axis.semilogy(range(1, 21), history.loss, color=color, marker=marker, markersize=4, label=name)
axis.set(xlabel="epoch", ylabel="training loss", xticks=range(0, 21, 5))
axis.grid(alpha=0.3)
axis.legend()
axis = middle.subplots()
axis.imshow(np.where(np.eye(10, dtype=bool), 0, confusions), cmap="Greys", vmax=8)
for (i, j), count in np.ndenumerate(confusions):
    if count:
        axis.text(j, i, count, ha="center", va="center", fontsize=8, weight="normal" if i == j else "bold")
axis.set(xlabel="predicted digit", ylabel="true digit", xticks=range(10), yticks=range(10))
for axis, i in zip(right.subplots(2, 3).flat, worst, strict=True):
    axis.imshow(test[0][i].reshape(8, 8), cmap="gray_r")
    axis.set_title(f"a {test[1][i]}, read as {read[i]}\n({test[1][i]} gets {given[i]:.1%})", fontsize=9)
    axis.set(xticks=[], yticks=[])
save(figure, "07_digits")

figure = new_figure(12, 3, "Decision boundaries between the arms of a spiral, and the accuracy (hollow: test points)")
side = np.linspace(-1.1, 1.1, 200)
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
for axis, (epoch, theta) in zip(figure.subplots(1, 5), kept.items(), strict=True):
    spiral.theta[:] = theta
    areas = spiral.predict(grid).reshape(200, 200)
    share, of_test = (spiral.evaluate(*some)["accuracy"] for some in (known, held_out))
    print(f"spiral after epoch {epoch}: {share:.1%} of the training points right, {of_test:.1%} of the test points")
    axis.contourf(side, side, areas, levels=[-0.5, 0.5, 1.5, 2.5], colors=["#cfe3f2", "#fbe3cf", "#d5efe6"])
    axis.contour(side, side, areas, levels=[0.5, 1.5], colors="black", linewidths=1)
    for k, (color, marker) in enumerate(zip((BLUE, ORANGE, GREEN), "os^", strict=True)):
        for (places, arms), fill in ((known, color), (held_out, "white")):
            axis.plot(*places[arms == k].T, color=color, mfc=fill, marker=marker, linestyle="", markersize=2.5)
    axis.set_title(f"epoch {epoch}: {share:.0%}, test: {of_test:.0%}", fontsize=10)
    axis.set(xlabel="input 0", ylabel="input 1", xticks=[], yticks=[])
save(figure, "07_spiral")

# %% [markdown]
# Exercises
# ---------
# 1. Give SGD a learning rate of 0.5. Is its loss still larger than that of Adam(0.003)?
# 2. How many numbers does each optimizer keep from step to step, for each parameter?
# 3. How many digits does a linear classifier, which is a network without a hidden layer, get right?
# 4. Write `cross_entropy(Z, labels)`: softmax turns each row of Z into probabilities; return the mean of −log of the
#    probabilities of the labels. It must also be right for outputs as large as 2000, whose exponential is infinite.
#    Check it: `python examples/07_training.py --check my_answer.py`.

# %% [markdown]
# Answers
# -------


# %%
def cross_entropy(Z, labels):
    Z = Z - Z.max(axis=1, keepdims=True)  # softmax stays the same, and the largest exponential is 1
    return np.mean(np.log(np.exp(Z).sum(axis=1)) - Z[np.arange(len(Z)), labels])


if ANSWERS:
    print(f"answer 1: no: {learn(jitnet.SGD(0.5))[1].loss[-1]:.4f} after 20 epochs")
    print("answer 2:", ", ".join(f"{name} {len(rule.memory)}" for name, rule in rules.items()))
    straight = Network(Dense(64, 10, "softmax"), seed=0)
    straight.fit(*train, epochs=20, batch_size=32, optimizer=jitnet.Momentum(0.1))
    accuracy = straight.evaluate(*test)["accuracy"]
    print(f"answer 3: {accuracy:.3f} of them, {accuracy * len(read):.0f} digits; ", end="")
    print(f"the network with a hidden layer: {np.trace(confusions)}")
    print(f"answer 4: {check(cross_entropy)}")
