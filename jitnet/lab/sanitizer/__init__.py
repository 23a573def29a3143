"""A sanitizer for compiled loops: a kernel's own Python source runs on arrays that record every access.

findings.py         what was found, as sentences
places.py           the file and line that a kernel is in
races.py            the record of one block of memory: which iterations wrote and read each element; the rules of a race
conflicts.py        the fix of a race, from what iterations do to the same elements
recorded.py         the number of each element of a view in its memory, and whether an index lies inside
arrays.py           arrays that record every access, and share the record of their base, as views share memory
numbers.py          float32 numbers that follow Numba's rules, where float32 · 0.5 is float64
promotions.py       where a float32 becomes a float64, and the fix
syntax.py           the tree of a function, the order of its loads and stores of variables, updates such as s += x
loops.py            facts about a prange loop from its source: reductions, private and carried variables
extremes.py         how to write a search for the largest number in such a loop
stale.py            variables that hold what another iteration left in them
targets.py          the Python function behind a kernel, or why it cannot be checked
instrumented.py     copies of functions in which prange, NumPy and compiled helpers are replaced
argument_copies.py  copies of the arguments that record
arguments.py        arguments for a check: those of a problem, of declared types, or guessed
tails.py            arrays of which the elements after the last whole block are never written
uses.py             how the source uses its parameters, from which their types and dimensions are guessed
shapes.py           which dimensions of the arguments must have the same length
reasons.py          why a result is wrong: the line that wrote it, and a pattern that the numbers confirm
coverage.py         the statements that no run has reached
checking.py         a check: one run or several, with other numbers of threads, and the comparison of their results
"""
