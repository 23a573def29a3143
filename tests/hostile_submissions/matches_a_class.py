"""Reaches attributes by a pattern."""


def add(x, y, result):
    match x:
        case object(base=memory):
            memory[...] = 0
