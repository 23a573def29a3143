"""A grader for assignments: submissions run in a process that the grader never trusts.

assignment.py   the file assignment.toml: kernels, their problems, tests with points, limits
language.py     what the source of a submission may contain, decided without running it
child.py        the process in which a submission runs: it calls a function on memory that belongs to the grader
board.py        that memory: arguments of a call, with guards around them
parent.py       the grader's side: it draws the inputs, starts the clock, stops the process and looks at the memory
judging.py      the tests: correct, no race, vectorized, speed
grading.py      all tests of a submission, and all submissions of a folder
output.py       results as text, JSON, Gradescope's JSON, CSV and HTML
new.py          the files of a new assignment
"""
