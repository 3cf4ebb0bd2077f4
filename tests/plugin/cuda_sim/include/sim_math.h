// The mathematical functions of CUDA C, by the host's. Their last bits are the host's too: accuracy on a GPU is another question.
#pragma once
#define SIM_MATH1(name)                                              \
  extern "C" double name(double);                                   \
  extern "C" float name##f(float);                                  \
  SIM_FN float name(float x) { return __builtin_##name##f(x); }
#define SIM_MATH2(name)                                              \
  extern "C" double name(double, double);                           \
  extern "C" float name##f(float, float);                           \
  SIM_FN float name(float x, float y) { return __builtin_##name##f(x, y); }
SIM_MATH1(acos) SIM_MATH1(acosh) SIM_MATH1(asin) SIM_MATH1(asinh) SIM_MATH1(atan) SIM_MATH1(atanh) SIM_MATH1(cbrt) SIM_MATH1(ceil)
SIM_MATH1(cos) SIM_MATH1(cosh) SIM_MATH1(erf) SIM_MATH1(erfc) SIM_MATH1(exp) SIM_MATH1(exp2) SIM_MATH1(expm1) SIM_MATH1(fabs)
SIM_MATH1(floor) SIM_MATH1(lgamma) SIM_MATH1(log) SIM_MATH1(log10) SIM_MATH1(log1p) SIM_MATH1(log2) SIM_MATH1(logb)
SIM_MATH1(nearbyint) SIM_MATH1(rint) SIM_MATH1(round) SIM_MATH1(sin) SIM_MATH1(sinh) SIM_MATH1(sqrt) SIM_MATH1(tan) SIM_MATH1(tanh)
SIM_MATH1(tgamma) SIM_MATH1(trunc)
SIM_MATH2(atan2) SIM_MATH2(copysign) SIM_MATH2(fdim) SIM_MATH2(fmax) SIM_MATH2(fmin) SIM_MATH2(fmod) SIM_MATH2(hypot)
SIM_MATH2(nextafter) SIM_MATH2(pow) SIM_MATH2(remainder)
extern "C" {
double fma(double, double, double);
float fmaf(float, float, float);
double ldexp(double, int);
float ldexpf(float, int);
double frexp(double, int *);
float frexpf(float, int *);
double modf(double, double *);
float modff(float, float *);
void sincosf(float, float *, float *);
void sincos(double, double *, double *);
}
SIM_FN float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
SIM_FN float ldexp(float a, int b) { return __builtin_ldexpf(a, b); }
SIM_FN float rsqrtf(float x) { return 1.0f / __builtin_sqrtf(x); }
SIM_FN double rsqrt(double x) { return 1.0 / __builtin_sqrt(x); }
SIM_FN float rsqrt(float x) { return rsqrtf(x); }
SIM_FN float exp10f(float x) { return (float)__builtin_pow(10.0, x); }
SIM_FN double exp10(double x) { return __builtin_pow(10.0, x); }
SIM_FN float sinpif(float x) { return (float)__builtin_sin(3.14159265358979323846 * x); }
SIM_FN float cospif(float x) { return (float)__builtin_cos(3.14159265358979323846 * x); }
SIM_FN float __expf(float x) { return __builtin_expf(x); }
SIM_FN float __logf(float x) { return __builtin_logf(x); }
SIM_FN float __fdividef(float a, float b) { return a / b; }
SIM_FN float __saturatef(float x) { return x < 0 ? 0 : x > 1 ? 1 : x; }
#define SIM_EXACT(name, T, expression) SIM_FN T name(T a, T b) { return expression; }
SIM_EXACT(__fadd_rn, float, a + b) SIM_EXACT(__fsub_rn, float, a - b) SIM_EXACT(__fmul_rn, float, a * b) SIM_EXACT(__fdiv_rn, float, a / b)
SIM_EXACT(__dadd_rn, double, a + b) SIM_EXACT(__dsub_rn, double, a - b) SIM_EXACT(__dmul_rn, double, a * b) SIM_EXACT(__ddiv_rn, double, a / b)
SIM_FN float __fsqrt_rn(float x) { return __builtin_sqrtf(x); }
SIM_FN double __dsqrt_rn(double x) { return __builtin_sqrt(x); }
SIM_FN float __frcp_rn(float x) { return 1.0f / x; }
SIM_FN double __drcp_rn(double x) { return 1.0 / x; }
SIM_FN float __fmaf_rn(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
SIM_FN double __fma_rn(double a, double b, double c) { return __builtin_fma(a, b, c); }
SIM_FN int __float2int_rn(float x) { return (int)__builtin_rintf(x); }
SIM_FN int __float2int_rz(float x) { return (int)x; }
SIM_FN int __float2int_rd(float x) { return (int)__builtin_floorf(x); }
SIM_FN float __int2float_rn(int x) { return (float)x; }
SIM_FN float __double2float_rn(double x) { return (float)x; }
SIM_FN int abs(int x) { return x < 0 ? -x : x; }
SIM_FN long long llabs(long long x) { return x < 0 ? -x : x; }
SIM_FN long labs(long x) { return x < 0 ? -x : x; }
#define isnan(x) __builtin_isnan(x)
#define isinf(x) __builtin_isinf_sign(x)
#define isfinite(x) __builtin_isfinite(x)
#define signbit(x) __builtin_signbit(x)
#define SIM_MINMAX(T)                               \
  SIM_FN T min(T a, T b) { return b < a ? b : a; }  \
  SIM_FN T max(T a, T b) { return a < b ? b : a; }
SIM_MINMAX(int) SIM_MINMAX(unsigned) SIM_MINMAX(long) SIM_MINMAX(unsigned long) SIM_MINMAX(long long) SIM_MINMAX(unsigned long long)
SIM_FN float min(float a, float b) { return __builtin_fminf(a, b); }
SIM_FN float max(float a, float b) { return __builtin_fmaxf(a, b); }
SIM_FN double min(double a, double b) { return __builtin_fmin(a, b); }
SIM_FN double max(double a, double b) { return __builtin_fmax(a, b); }
