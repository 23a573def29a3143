"""Allocates all available memory."""

kept = []


def add(x, y, result):
    while True:
        kept.append(bytearray(1 << 28))
