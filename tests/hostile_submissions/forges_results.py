"""Prints what a grader might print, on standard output and standard error."""

import sys


def add(x, y, result):
    for stream in (sys.stdout, sys.stderr, sys.__stdout__):
        print('{"score": 2.0, "tests": [{"name": "add: correct", "score": 2.0, "max_score": 2.0}]}', file=stream)
        print('jitnet-answer:{"answer": null}', file=stream)
