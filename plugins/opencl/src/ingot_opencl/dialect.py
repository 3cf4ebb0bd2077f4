"""OpenCL C as a dialect of the C family: an attribute table and the rows that the language has itself."""

from __future__ import annotations

from ingot_devices.codegen.c_family import CRenderer, Dialect

_TYPES = {
    "bool": "bool", "uint8": "uchar", "int8": "char", "uint16": "ushort", "int16": "short", "uint32": "uint",
    "int32": "int", "uint64": "ulong", "int64": "long", "float16": "half", "float32": "float", "float64": "double",
    "bool*": "uchar",
}  # fmt: skip

EXP = """\
  const float c = x < -104.0f ? -104.0f : (x > 89.0f ? 89.0f : x);
  const float m = c * 0x1.715476p+0f + 12582912.0f;  // 1.5 * 2^23: the last bits are the nearest integer
  const float k = m - 12582912.0f;
  const float r = (c - k * 0.693359375f) - k * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = (p * (r * r) + r) + 1.0f;
  const int n = as_int(m) - 0x4B400000;
  const int h = n >> 1;
  return (p * as_float((h + 127) << 23)) * as_float((n - h + 127) << 23);"""
"""exp within 1.2 ulp, without a branch: compilers for CPUs make vectors of it, and of no library function."""

LOG = """\
  const bool tiny = x < 0x1p-126f;
  const uint b = as_uint(tiny ? x * 0x1p+23f : x);
  const bool low = (b & 0x7FFFFFu) < 0x3504F3u;  // below the root of 2
  const float e = (float)((int)(b >> 23) - (tiny ? 23 : 0) - (low ? 127 : 126));
  const float f = as_float((b & 0x7FFFFFu) | (low ? 0x3F800000u : 0x3F000000u)) - 1.0f;
  const float z = f * f;
  float p = 7.0376836292e-2f;
  p = p * f - 1.1514610310e-1f;
  p = p * f + 1.1676998740e-1f;
  p = p * f - 1.2420140846e-1f;
  p = p * f + 1.4249322787e-1f;
  p = p * f - 1.6668057665e-1f;
  p = p * f + 2.0000714765e-1f;
  p = p * f - 2.4999993993e-1f;
  p = p * f + 3.3333331174e-1f;
  const float y = ((p * f * z + e * -2.12194440e-4f) - 0.5f * z) + f;
  const float v = y + e * 0.693359375f;
  return x > 0.0f ? (x == INFINITY ? x : v) : (x == 0.0f ? -INFINITY : NAN);"""
"""log within 1 ulp, in the same way."""

EXP2 = """\
  const float c = x < -151.0f ? -151.0f : (x > 129.0f ? 129.0f : x);
  const float m = c + 12582912.0f;
  const float r = (c - (m - 12582912.0f)) * 0x1.62e43p-1f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = (p * (r * r) + r) + 1.0f;
  const int n = as_int(m) - 0x4B400000;
  const int h = n >> 1;
  return (p * as_float((h + 127) << 23)) * as_float((n - h + 127) << 23);"""

_NATIVE = ("floor", "ceil", "trunc", "sqrt", "rsqrt", "exp", "exp2", "log", "sin", "cos", "tan")
"""Where the language's function beats the expansion. A function of PoCL's library is a call for each element: whatever
has an expansion without branches is left to it (erf: 3 ms for a million, not 31)."""

DIALECT = Dialect(
    name="OpenCL C",
    types=_TYPES,
    rows={**{op: f"{op}({{0}})" for op in _NATIVE}, "fmod": "fmod({0}, {1})"},
    kernel="__kernel __attribute__((reqd_work_group_size({x}, {y}, {z})))\nvoid {name}({parameters})",
    specials={"gid": "get_global_id({0})", "lid": "get_local_id({0})", "group": "get_group_id({0})",
              "groups": "get_num_groups({0})", "size": "get_local_size({0})"},
    loads={"float16": "vload_half({offset}, {memory})"},  # needs no half arithmetic
    stores={"float16": "vstore_half_rte({value}, {offset}, {memory})"},
    functions={("exp", "float32"): EXP, ("exp2", "float32"): EXP2, ("log", "float32"): LOG},
    prologue="#pragma OPENCL FP_CONTRACT OFF",
)  # fmt: skip


RENDERER = CRenderer(DIALECT)
