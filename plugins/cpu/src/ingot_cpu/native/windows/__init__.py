"""Convolutions in two dimensions as native code: what `ingot_cpu.convolution` registers above NumPy's.

    geometry   what is asked for, cut into chunks that stay in the cache
    code       the words that the parts are written in: vectors of 16 floats, 16×16 transposes, addresses
    product    rows times a packed panel, held in registers
    parts      what every kernel is made of: pack weights, gather pixels, scatter results
    direct, winograd, panels    the kernels: any window; 3×3 by F(4×4, 3×3), tile after tile or panel after panel
    turned, weights             the gradients of the input at a stride, and of the weight
    planes, plane_weights       the same where a group has few channels; `grid` has their geometry
    tail                        what a program computes of the results before they go to memory
    pooling                     the greatest of each window
"""
