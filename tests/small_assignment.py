"""An assignment of one kernel, and its grades."""

from jitnet.lab.grade import assignment, grading

ADDITION = """
title = "Addition"
imports = ["numba"]
[[kernel]]
name = "add"
problem = "vector_add"
[[kernel.test]]
check = "correct"
points = 3
hint = "one loop"
"""

SPEED = """
[[kernel.test]]
check = "speed"
of = "naive"
shapes = [[300000]]
reach = 0.5
points = 2
"""

HONEST = "def add(x, y, result):\n    for i in range(x.size):\n        result[i] = x[i] + y[i]\n"


def made(folder, text=ADDITION):
    folder.mkdir(exist_ok=True)
    (folder / "assignment.toml").write_text(text)
    return assignment.load(folder)


def graded(wanted, path, seed=1):
    return grading.grade(wanted, path.name, path, seed)
