"""Who takes part in a ladder, and whether they may."""
