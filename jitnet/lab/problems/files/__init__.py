"""The problems of jitnet, one per file, each in this order: formula, inputs, reference, sizes, work, loops."""
