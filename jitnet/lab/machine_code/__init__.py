"""Reads machine code: how `explain` finds out what the compiler made of a loop.

requests.py       the process that compiles a function, and its answers
compiling.py      that process: it compiles as usual, and records line numbers and LLVM's remarks
widening.py       the expressions that make a float64 of a float32
assembly.py       a parser for the assembly: functions, loops, and instructions with their place in the sources
instructions.py   which of two instruction sets it is: x86.py or aarch64.py
operation.py      what verdicts need to know of an instruction, whatever the processor
hottest.py        the hottest loop, estimated from its instructions, or from a run

copies.py         copies of the machine code that run in this process: one to be timed, and one that counts
running.py        a run of them: iterations, time and samples
sampling.py       where each thread is, many times a second; waiting.py recognizes threads that wait
work.py           the work of a call, from these counts
cycles.py         predicted cycles per iteration, and what limits them
measurement.py    the measured cycles next to them
analyzers.py      llvm-mca and OSACA, if they are installed

facts.py          counts of the loop, and how values flow through it; integers.py has those of its integers
remarks.py        why LLVM did not vectorize it, in plain words
sources.py        the loops of the source; indices.py: their elements; reductions.py: their sums and maxima
verdicts.py       what is good and bad about the loop, with evidence
advice.py         the fix of each verdict, unless the source or the data rule it out
wording.py        parts of their sentences
"""
