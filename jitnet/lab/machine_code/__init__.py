"""Reads machine code: how `explain` finds out what the compiler made of a loop."""
