"""What surrounds the model: data loading, and handles of hooks."""

from ingot.utils import data, hooks

__all__ = ["data", "hooks"]
