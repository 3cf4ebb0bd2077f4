"""PyTorch's function names, over the ops of the contract's table.

Each module takes PyTorch's arguments, normalises them (axes counted from the right, static attributes) and calls
`dispatch`. Nothing is computed here.
"""
