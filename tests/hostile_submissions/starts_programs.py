"""Starts a program in a new process session."""

import subprocess


def add(x, y, result):
    subprocess.Popen(["sleep", "60"], start_new_session=True)
