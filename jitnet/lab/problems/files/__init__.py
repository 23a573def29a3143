"""Ten problems, one per file. Each is read from top to bottom: formula, inputs, reference, sizes, work, loops."""
