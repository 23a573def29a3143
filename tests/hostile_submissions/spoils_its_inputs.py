"""Correct results, but it overwrites its inputs."""


def add(x, y, result):
    for i in range(x.size):
        result[i] = x[i] + y[i]
        x[i] = 0
