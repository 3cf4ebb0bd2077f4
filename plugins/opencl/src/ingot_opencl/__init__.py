"""Ingot on every OpenCL device, through pyopencl"""
