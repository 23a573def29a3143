"""Ends the process before the function is defined."""

import sys

sys.exit(0)
