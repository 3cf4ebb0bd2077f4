"""Whole programs: what a compiler above recorded, simplified, fused, planned and lowered for one device.

It knows kernels, buffers and layouts; never a tensor or a tape. `graph` says what a program is, `lift` makes one from plans
that ran, `stages` takes it to a `Program`.
"""
