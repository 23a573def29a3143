"""Measurements that take milliseconds, for tests that check everything except the speed."""

import functools

from jitnet.lab import ladder, timing


def measure_briefly(patch):
    briefly = functools.partial(timing.time_alternating, rounds=9, seconds=0.003)
    patch.setattr(timing, "time_alternating", briefly)
    patch.setattr(ladder, "time_alternating", briefly)
    patch.setattr(ladder, "PATIENCE", 0.05)
