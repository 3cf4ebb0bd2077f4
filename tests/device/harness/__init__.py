"""What the behaviour tests share: tensors from NumPy and back, refusals, comparisons."""
