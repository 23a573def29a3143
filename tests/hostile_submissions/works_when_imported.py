"""Runs when it is imported, in the process that inspects its source."""


def add(x, y, result):
    for i in range(x.size):
        result[i] = x[i] + y[i]


while True:
    pass
