"""Believes that inputs with the same size are the same inputs."""

known = {}


def add(x, y, result):
    if x.shape not in known:
        known[x.shape] = x + y
    result[...] = known[x.shape]
