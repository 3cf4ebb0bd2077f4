"""A simulated CUDA driver under unmodified pycuda: CUDA C compiled for the host, no GPU.

``build`` makes it (kept in the user's cache folder), ``use`` puts it into a process: see there. README.md tells what it
finds and what it cannot. It is no GPU: what passes on it was *simulated*, not tested on CUDA.
"""
