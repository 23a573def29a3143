"""Samples of threads that wait for work are not part of the shares of source lines."""

import numpy as np
import pytest

from jitnet.lab import explain, listing
from jitnet.lab.machine_code.assembly import functions_of
from jitnet.lab.machine_code.waiting import samples_that_wait

MAPS = """\
00400000-00500000 r-xp 00000000 08:01 1 /usr/bin/python3.11
7f0000000000-7f0000001000 r-xp 00000000 08:01 2 /usr/lib/x86_64-linux-gnu/libgomp.so.1.0.0
7f0000001000-7f0000002000 r-xp 00000000 08:01 3 /lib/numba/np/ufunc/omppool.cpython-311-x86_64-linux-gnu.so
7f0000002000-7f0000003000 r-xp 00000000 08:01 4 /lib/scipy/_decomp_update.cpython-311-x86_64-linux-gnu.so
7f0000003000-7f0000004000 rw-p 00000000 00:00 0
"""


def test_samples_in_libraries_of_threads_are_counted(tmp_path):
    maps = tmp_path / "maps"
    maps.write_text(MAPS)
    addresses = [0x400010, 0x7F0000000000, 0x7F0000000FFF, 0x7F0000001000, 0x7F0000002000, 0x7F0000003000]
    assert samples_that_wait(np.array(addresses, np.uint64), maps) == 3


def test_shares_are_those_of_the_samples_that_do_not_wait():
    functions = functions_of("f:\n\taddq %rax, %rbx\n\tretq\n")
    run = {"missing": None, "samples": {"count": 100, "waiting": 60, "rows": [{"1": 30}]}}
    found = explain._sampled_lines([functions], run)
    assert (found["samples"], found["waiting"]) == (40, 60)
    assert found["elsewhere"] == pytest.approx(1 / 4)
    title = " ".join(listing.profile_of({"lines": found, "measured": None}))
    assert "by 40 samples of its run, without the 60% in which threads wait for work:" in title
    run["samples"]["waiting"] = 100
    assert explain._sampled_lines([functions], run) is None
