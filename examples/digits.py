"""Learn to read handwritten digits, and look at the result.

    python examples/digits.py [FILE.png]

Trains 64-128-64-10 on four fifths of the digits on board, prints how well it reads the rest, and draws the misread
ones beside the learning curve. Needs matplotlib: pip install 'jitnet[cli]'.
"""

import sys

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

import jitnet

X, y = jitnet.data.digits()
train, test = jitnet.data.split(X, y, test=0.2, seed=0)
net = jitnet.Network(
    jitnet.Dense(64, 128, "relu", init="he"),
    jitnet.Dense(128, 64, "relu", init="he"),
    jitnet.Dense(64, 10, "softmax"),
    seed=0,
)
history = net.fit(*train, epochs=30, batch_size=32, optimizer=jitnet.Adam(3e-3, weight_decay=3e-4), validation=test)
print(net, net.evaluate(*test))

predicted = net.predict(test[0])
misread = np.flatnonzero(predicted != test[1])
shown = [*misread, *np.flatnonzero(predicted == test[1])][:24]
print(f"misread: {len(misread)} of {len(predicted)}")

figure = Figure(figsize=(11, 4.2), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1.35, 1])
left.suptitle(f"Digits never seen in training: the {len(misread)} misread ones (framed), and some others")
for axis, i in zip(left.subplots(3, 8).flat, shown, strict=True):
    axis.imshow(test[0][i].reshape(8, 8), cmap="gray_r")
    wrong = i in misread
    axis.set_title(f"{predicted[i]}, is {test[1][i]}" if wrong else str(predicted[i]), fontsize=9)
    axis.set(xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set(visible=wrong, linewidth=2)
axis = right.subplots()
axis.plot(range(1, 31), history.validation_accuracy, color="#0072b2", marker="o", markersize=3)
axis.set(title="Share of unseen digits read right", xlabel="epoch", ylim=(0.9, 1))
axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
axis.grid(alpha=0.3)
figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "digits.png", dpi=110)
