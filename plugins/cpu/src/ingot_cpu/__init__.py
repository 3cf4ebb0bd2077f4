"""Ingot on the CPU: NumPy kernels, pooled and aligned memory"""
