// float16 as CUDA C has it: a struct of its bits, converted by software, computed in float32 (each operation rounded once).
#pragma once
#ifndef CUDA_SIM_FP16
#define CUDA_SIM_FP16
SIM_FN float sim_half_to_float(unsigned short h) {
  const unsigned sign = (unsigned)(h & 0x8000) << 16, rest = h & 0x7FFF;
  if (rest >= 0x7C00) return sim_bits<float>(sign | 0x7F800000u | (rest & 0x3FF) << 13);
  const float v = rest < 0x400 ? (float)rest * 0x1p-24f : sim_bits<float>((rest << 13) + 0x38000000u);
  return sim_bits<float>(sim_bits<unsigned>(v) | sign);
}
SIM_FN unsigned short sim_float_to_half(float f) {
  const unsigned bits = sim_bits<unsigned>(f), sign = bits >> 16 & 0x8000, rest = bits & 0x7FFFFFFF;
  if (rest > 0x7F800000) return sign | 0x7FFF;
  if (rest >= 0x477FF000) return sign | 0x7C00;  // 65520 and more
  if (rest < 0x38800000) {                       // subnormal: the addition rounds
    const float shifted = sim_bits<float>(rest) + 0.5f;
    return sign | (unsigned short)(sim_bits<unsigned>(shifted) - 0x3F000000u);
  }
  const unsigned odd = rest >> 13 & 1;
  return sign | (unsigned short)((rest - 0x38000000u + 0xFFF + odd) >> 13);
}
SIM_FN unsigned short sim_double_to_half(double d) {  // rounded once: to odd first, where the float is not exact
  float f = (float)d;
  unsigned bits = sim_bits<unsigned>(f);
  if ((double)f != d && d == d && !(bits & 1)) {
    const bool beyond = __builtin_fabs((double)f) > __builtin_fabs(d);
    if (beyond) bits -= 1; else bits |= 1;
    f = sim_bits<float>(bits);
  }
  return sim_float_to_half(f);
}
struct __align__(2) __half {
  unsigned short __x;
  __half() = default;
  __half(float f) : __x(sim_float_to_half(f)) {}
  __half(double d) : __x(sim_double_to_half(d)) {}
  __half(int i) : __x(sim_float_to_half((float)i)) {}
  operator float() const { return sim_half_to_float(__x); }
};
struct __align__(4) __half2 { __half x, y; };
typedef __half half;
typedef __half2 half2;
SIM_FN float __half2float(__half h) { return sim_half_to_float(h.__x); }
SIM_FN __half __float2half(float f) { return __half(f); }
SIM_FN __half __float2half_rn(float f) { return __half(f); }
SIM_FN __half __double2half(double d) { return __half(d); }
SIM_FN unsigned short __half_as_ushort(__half h) { return h.__x; }
SIM_FN __half __ushort_as_half(unsigned short v) { __half h; h.__x = v; return h; }
SIM_FN __half2 __floats2half2_rn(float a, float b) { return {__half(a), __half(b)}; }
SIM_FN float __low2float(__half2 h) { return h.x; }
SIM_FN float __high2float(__half2 h) { return h.y; }
extern "C" {  // libdevice's, which the plugin's kernels declare themselves
__attribute__((weak, visibility("hidden"))) float __nv_half2float(unsigned short h) { return sim_half_to_float(h); }
__attribute__((weak, visibility("hidden"))) unsigned short __nv_float2half_rn(float f) { return sim_float_to_half(f); }
}
#endif
