"""The contract between Ingot and hardware: hooks, discovery, devices, memory, kernels"""
