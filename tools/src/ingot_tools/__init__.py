"""The ``ingot`` command: which devices there are, whether they work, how an op runs, a demo."""
