"""The lab: instruments that measure and explain compiled loops. Nothing imports it but the command line."""
