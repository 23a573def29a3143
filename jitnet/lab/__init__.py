"""The lab: tools that measure and explain compiled loops.

Only `check` is here. Import each tool by its name, as in `from jitnet.lab import ladder`; `import jitnet` imports none.
"""

from .sanitizer.checking import CheckError, check

__all__ = ["CheckError", "check"]
