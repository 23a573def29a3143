"""The candidates of a ladder, their correctness tests, and the sandbox of custom kernels.

candidates.py   the rungs of an operation and custom kernels, each checked before it is timed
judge.py        the test of correctness: calls on guarded arrays, and a sentence that describes the error
guarded.py      one such call: what was written outside of the outputs, what is missing, what is wrong
shapes.py       the shapes on which a kernel is tested
timed.py        a kernel while it is timed: on numbers that it has not seen, with results that are verified
sandbox.py      a custom kernel in a separate process; child.py is that process
custom.py       its threads, when it is compiled, and its exceptions as sentences
patches.py      functions of the judge and of NumPy that a kernel's file has replaced
gpu.py          the rungs of the GPU
training.py     a whole training step as an operation
"""
