"""A strict pretend accelerator: what the contract means, executable"""
