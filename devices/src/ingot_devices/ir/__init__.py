"""The kernel IR, in two levels: *definition* (what to compute) and *program* (how a device runs it)."""
