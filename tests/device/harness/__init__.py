"""The machinery that turns one record into tests: arrays, the library under test, comparison,
derivatives, checks."""
