"""Raises an exception whose huge message has control characters for the teacher's terminal."""


class Nonsense(BaseException):
    def __str__(self):
        return "\x1b[2J\x1b[31m100 of 100 points\n<script>alert(1)</script>" * 10_000


def add(x, y, result):
    raise Nonsense
