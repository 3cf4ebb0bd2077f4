"""CUDA C as a dialect of the C family: an attribute table and the rows that the language has itself.

No header is included: NVRTC finds none, and what kernels need of one is a line or two. float16 is kept as 16 bits and
converted by the hardware's instructions; bfloat16 is the upper half of a float32, which the shared renderer knows.
"""

from __future__ import annotations

from ingot_devices.codegen.c_family import CRenderer, Dialect

_TYPES = {
    "bool": "bool", "uint8": "unsigned char", "int8": "signed char", "uint16": "unsigned short", "int16": "short",
    "uint32": "unsigned int", "int32": "int", "uint64": "unsigned long long", "int64": "long long",
    "float16": "float", "float32": "float", "float64": "double", "bool*": "unsigned char", "float16*": "unsigned short",
}  # fmt: skip

_UNARY = ("floor", "ceil", "trunc", "sqrt", "exp", "log", "log2", "log10", "log1p", "expm1", "sin", "cos",
          "asin", "atan", "tanh", "erf", "erfc")  # fmt: skip
"""Functions whose stated error (CUDA C++ Programming Guide, mathematical functions) is no worse than the expansion's."""

PROLOGUE = """\
#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fffffff)
#endif
template <typename T, typename S> static __device__ __forceinline__ T ig_bits(S s) {
  T t; static_assert(sizeof(T) == sizeof(S), ""); memcpy(&t, &s, sizeof(T)); return t; }
#ifdef __CUDA_ARCH__
extern "C" __device__ float __nv_half2float(unsigned short);  // of libdevice: assembly would keep accesses apart
extern "C" __device__ unsigned short __nv_float2half_rn(float);
#define ig_half __nv_half2float
#define ig_to_half __nv_float2half_rn
#endif
static __device__ __forceinline__ unsigned int ig_brain(float x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  unsigned short bits; asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(x)); return bits;
#else
  unsigned int bits = ig_bits<unsigned int>(x);
  return x != x ? 0x7fffu : (bits + ((bits >> 16 & 1u) + 0x7fffu)) >> 16;
#endif
}"""
"""A compiler for the host, under which these kernels are tested as well, brings the last two functions itself."""



def _extreme(op: str, sign: str) -> str:
    """The larger or smaller of two; NaN if one of them is: one instruction where there is one."""
    return f"""\
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  float r; asm("{op}.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(x), "f"(y)); return r;
#else
  return x {sign} y || x != x ? x : y;
#endif"""


DIALECT = Dialect(
    name="CUDA C",
    types=_TYPES,
    rows={
        **{op: f"{op}({{0}})" for op in _UNARY},
        "abs": "fabs({0})", "round": "rint({0})", "fma": "fma({0}, {1}, {2})", "fmod": "fmod({0}, {1})",
        "bfloat16_bits": "ig_brain({0})",
    },
    kernel='extern "C" __global__ void __launch_bounds__({x} * {y} * {z}) {name}({parameters})',
    pointer="{const}{type} *{restrict} {name}",
    cast_pointer="({const}{type} *)",
    restrict="__restrict__",
    local="__shared__ {type} {name}[{size}];",
    barrier="__syncthreads();",
    specials={"gid": "(blockIdx.{1} * blockDim.{1} + threadIdx.{1})", "lid": "threadIdx.{1}", "group": "blockIdx.{1}",
              "groups": "gridDim.{1}", "size": "blockDim.{1}"},
    loads={"float16": "ig_half({memory}[{offset}])"},
    stores={"float16": "{memory}[{offset}] = ig_to_half({value})"},
    functions={(f"{op}imum", "float32"): _extreme(op, sign) for op, sign in (("max", ">"), ("min", "<"))},
    bitcast="ig_bits<{type}>({value})",
    mulhi="__{sign}mul64hi({0}, {1})",
    function="static __device__ __forceinline__",
    aligned="{name} = ({const}{type} *)__builtin_assume_aligned({name}, {bytes});",
    prologue=PROLOGUE,
)  # fmt: skip

RENDERER = CRenderer(DIALECT)
