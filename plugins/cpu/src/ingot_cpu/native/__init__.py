"""Native kernels by LLVM: from a definition to machine code of this processor, without a C toolchain.

    definition + layouts ─ codegen ─ recipe ─▶ bind, collapse, legalize (the contract's) ─ elementary ─ nest ─▶ LLVM IR
                         ─ jit ─▶ machine code (kept on disk) ─ kernel ─▶ a Python function in C's calling convention

`codegen` is the door: it says which definitions NumPy keeps. `nest` writes loops over explicit vectors; `emit` is the text of
one function and `rows` its operators; `elementary` has exp, log and their like. `tile` writes small products of matrices,
`gemm` hands others to BLAS; `streaming` says which results go past the caches. `runtime.c` holds what calls the kernels: the
entry from Python, the replay of programs, the thread pool.
"""
