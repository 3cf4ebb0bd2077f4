"""Checks that belong to no op, by level. Each module has its table ``PROBES``; a probe's docstring says what must hold."""
