"""Machine code, read: how `explain` knows what became of a loop."""
