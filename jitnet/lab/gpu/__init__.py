"""Tools for GPU kernels that need no GPU: they compile a kernel, run its PTX, and judge its machine code.

compiling.py         from a kernel to PTX and machine code
disassembly.py       machine code as text, by nvdisasm
program.py           a parser for PTX
control_flow.py      the graph of its blocks, and its loops
divergence.py        branches that depend on the thread, and barriers that some threads miss
running.py           run a rung: compile it, and interpret its PTX
ptx_interpreter.py   all threads of some blocks together, an array for each register
arithmetic.py        what each instruction computes
memory.py            what loads and stores read and write, and races between threads
transactions.py      how many sectors and banks they touch
occupancy.py         how many blocks a multiprocessor can hold at a time
hottest.py           the hottest loop, in PTX or in machine code
verdicts.py          what is good and bad about it, with evidence and a fix
explaining.py        all of this next to the source
"""
