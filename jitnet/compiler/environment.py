"""Finds environment variables that make the import of Numba fail, before the import, and reports each in one line.

Numba reads its environment variables at import. A wrong value ends in a long traceback, or LLVM ends the process. This
module removes such a variable from the environment, and every computation reports it instead; only `jitnet doctor`
continues, and lists it.
"""

import os
import re

ALLOWED = {
    "NUMBA_NUM_THREADS": (r"\s*\+?0*[1-9]\d*\s*", "a whole number, at least 1"),
    "NUMBA_FUNCTION_CACHE_SIZE": (r"\s*\+?\d+\s*", "a whole number, at least 0"),
    "NUMBA_DYLD_WORKAROUND": (r"\s*[+-]?\d+\s*", "a whole number"),
    "NUMBA_CPU_FEATURES": (r"([+-][^\s,+-][^\s,]*(,(?!$)|$))*", "features with + or - before them, as in +avx2,+fma"),
}
"""Variable -> allowed values: a pattern, and a description."""

REFUSED: dict[str, str] = {}
"""Variable -> what is wrong with it."""

for _name, (_pattern, _words) in ALLOWED.items():
    if _name in os.environ and not re.fullmatch(_pattern, os.environ[_name]):
        REFUSED[_name] = f"is {os.environ.pop(_name)!r}, but must be {_words}"
