"""Reads attributes with a class pattern."""


def add(x, y, result):
    match x:
        case object(base=memory):
            memory[...] = 0
