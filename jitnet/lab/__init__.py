"""The lab: tools that measure and explain compiled loops. Only the command line imports it."""

from .sanitizer.checking import CheckError, check

__all__ = ["CheckError", "check"]
