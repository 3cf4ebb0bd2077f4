// CUDA's vector types: plain structs of one to four members, aligned as the hardware loads them.
#pragma once
#define SIM_VECTORS(T, name, a2, a4)                                                                       \
  struct name##1 { T x; };                                                                                 \
  struct __attribute__((aligned(a2))) name##2 { T x, y; };                                                 \
  struct name##3 { T x, y, z; };                                                                           \
  struct __attribute__((aligned(a4))) name##4 { T x, y, z, w; };                                           \
  SIM_FN name##1 make_##name##1(T x) { return {x}; }                                                       \
  SIM_FN name##2 make_##name##2(T x, T y) { return {x, y}; }                                               \
  SIM_FN name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; }                                       \
  SIM_FN name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
SIM_VECTORS(signed char, char, 2, 4)
SIM_VECTORS(unsigned char, uchar, 2, 4)
SIM_VECTORS(short, short, 4, 8)
SIM_VECTORS(unsigned short, ushort, 4, 8)
SIM_VECTORS(int, int, 8, 16)
SIM_VECTORS(float, float, 8, 16)
SIM_VECTORS(double, double, 16, 16)
SIM_VECTORS(long, long, 16, 16)
SIM_VECTORS(unsigned long, ulong, 16, 16)
SIM_VECTORS(long long, longlong, 16, 16)
SIM_VECTORS(unsigned long long, ulonglong, 16, 16)
struct uint1 { unsigned x; };
struct __attribute__((aligned(8))) uint2 { unsigned x, y; };
struct __attribute__((aligned(16))) uint4 { unsigned x, y, z, w; };
SIM_FN uint1 make_uint1(unsigned x) { return {x}; }
SIM_FN uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
SIM_FN uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
SIM_FN uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
