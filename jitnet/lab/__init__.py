"""The lab: instruments that measure and explain compiled loops. Nothing imports it but the command line."""

from .sanitizer.checking import CheckError, check

__all__ = ["CheckError", "check"]
