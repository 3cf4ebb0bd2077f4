"""``python -m ingot_tools``: the ``ingot`` command where its script is not on the path."""

from .cli import main

main()
