"""The machinery that turns one record into tests: the library under test, comparison, derivatives, checks."""
