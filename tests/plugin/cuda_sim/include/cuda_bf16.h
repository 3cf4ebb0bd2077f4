// bfloat16 as CUDA C has it: the upper half of a float32, rounded to nearest even.
#pragma once
#ifndef CUDA_SIM_BF16
#define CUDA_SIM_BF16
SIM_FN unsigned short sim_float_to_bfloat16(float f) {
  const unsigned bits = sim_bits<unsigned>(f);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return 0x7FFF;
  return (unsigned short)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}
struct __align__(2) __nv_bfloat16 {
  unsigned short __x;
  __nv_bfloat16() = default;
  __nv_bfloat16(float f) : __x(sim_float_to_bfloat16(f)) {}
  operator float() const { return sim_bits<float>((unsigned)__x << 16); }
};
struct __align__(4) __nv_bfloat162 { __nv_bfloat16 x, y; };
SIM_FN float __bfloat162float(__nv_bfloat16 h) { return h; }
SIM_FN __nv_bfloat16 __float2bfloat16(float f) { return __nv_bfloat16(f); }
SIM_FN __nv_bfloat16 __float2bfloat16_rn(float f) { return __nv_bfloat16(f); }
SIM_FN unsigned short __bfloat16_as_ushort(__nv_bfloat16 h) { return h.__x; }
SIM_FN __nv_bfloat16 __ushort_as_bfloat16(unsigned short v) { __nv_bfloat16 h; h.__x = v; return h; }
#endif
