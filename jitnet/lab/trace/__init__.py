"""A microscope for memory: which array elements a kernel accesses, in which order, and which accesses miss caches.

recording.py    every access, recorded while the kernel's own Python source runs
caches.py       the data caches of this machine, or others, simulated by two small compiled loops
figures.py      per source line and array: loads, stores, stride, reuse, misses
prediction.py   the time that follows from these figures, and the measured one
tracing.py      all of this for one kernel
table.py        the table on a terminal, with conclusions
plots.py        the arrays as a film strip
"""
