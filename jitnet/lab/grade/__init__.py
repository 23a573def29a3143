"""A grader for assignments: submissions run in a process that the grader never trusts.

assignment.py   the file assignment.toml: kernels, their problems, tests with points, limits
submissions.py  what students handed in: the Python file of each submission, or why there is none
language.py     what the source of a submission may contain, decided without running it
vocabulary.py   the syntax, functions and attributes of that language
parts.py        a submission without what is not allowed
child.py        the process in which a submission runs: it calls a function on memory that belongs to the grader
board.py        that memory: arguments of a call, with guards around them
parent.py       the grader's side: it draws the inputs, starts the clock, stops the process and looks at the memory
calls.py        calls of a kernel, and its first error in words
judging.py      the tests: correct, no race, vectorized, speed
inspection.py   tests that read the source or the machine code of a submission, in processes of their own
parallel_loops.py  which lines of a submission have parallel loops
grading.py      all tests of a submission, and all submissions of a folder
output.py       results as text and as Gradescope's JSON; page.py: as HTML; table.py: as CSV
new.py          the files of a new assignment
student.py      those for the students: the rules and the public test
"""
