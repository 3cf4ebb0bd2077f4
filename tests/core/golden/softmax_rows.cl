#pragma OPENCL FP_CONTRACT OFF
static inline float ig_maximum_float32(float a, float b) { return a > b || a != a ? a : b; }
static inline float ig_exp_float32(float x) {
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
  return (p * as_float((h + 127) << 23)) * as_float((n - h + 127) << 23);
}
typedef struct {
  int n0;
  int each;
  int n1;
  int whole1;
  int c0;
  int o0;
  int c1;
  int o1;
  int c2;
} Arguments;
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void ingot_softmax(__global const float *restrict x0, __global float *restrict x1, const Arguments args) {
  const int n0 = args.n0;
  const int each = args.each;
  const int n1 = args.n1;
  const int whole1 = args.whole1;
  const int c0 = args.c0;
  const int o0 = args.o0;
  const int c1 = args.c1;
  const int o1 = args.o1;
  const int c2 = args.c2;
  const int start0 = (int)get_global_id(0) * each;
  const int end0 = start0 + each;
  const int stop0 = (end0 < n0) ? end0 : n0;
  for (int q0 = start0; q0 < stop0; q0++) {
    float a0_0[16];
    #pragma unroll
    for (int q = 0; q < 16; q++) a0_0[q] = -INFINITY;
    for (int k0 = 0; k0 < whole1; k0 += 16) {
      #pragma unroll
      for (int l0 = 0; l0 < 16; l0++) {
        const int i1_0 = k0 + l0;
        a0_0[l0] = ig_maximum_float32(a0_0[l0], x0[o0 + ((q0 * c1) + i1_0)]);
      }
    }
    for (int k1 = whole1; k1 < n1; k1++) {
      a0_0[k1 - whole1] = ig_maximum_float32(a0_0[k1 - whole1], x0[o0 + ((q0 * c1) + k1)]);
    }
    #pragma unroll
    for (int l1 = 0; l1 < 8; l1++) {
      a0_0[l1] = ig_maximum_float32(a0_0[l1], a0_0[l1 + 8]);
    }
    #pragma unroll
    for (int l2 = 0; l2 < 4; l2++) {
      a0_0[l2] = ig_maximum_float32(a0_0[l2], a0_0[l2 + 4]);
    }
    #pragma unroll
    for (int l3 = 0; l3 < 2; l3++) {
      a0_0[l3] = ig_maximum_float32(a0_0[l3], a0_0[l3 + 2]);
    }
    #pragma unroll
    for (int l4 = 0; l4 < 1; l4++) {
      a0_0[l4] = ig_maximum_float32(a0_0[l4], a0_0[l4 + 1]);
    }
    const float s0_0 = a0_0[0];
    float a1_0[16];
    #pragma unroll
    for (int q = 0; q < 16; q++) a1_0[q] = 0.0f;
    for (int k2 = 0; k2 < whole1; k2 += 16) {
      #pragma unroll
      for (int l5 = 0; l5 < 16; l5++) {
        const int i1_1 = k2 + l5;
        a1_0[l5] = a1_0[l5] + ig_exp_float32((x0[o0 + ((q0 * c1) + i1_1)] - s0_0));
      }
    }
    for (int k3 = whole1; k3 < n1; k3++) {
      a1_0[k3 - whole1] = a1_0[k3 - whole1] + ig_exp_float32((x0[o0 + ((q0 * c1) + k3)] - s0_0));
    }
    #pragma unroll
    for (int l6 = 0; l6 < 8; l6++) {
      a1_0[l6] = a1_0[l6] + a1_0[l6 + 8];
    }
    #pragma unroll
    for (int l7 = 0; l7 < 4; l7++) {
      a1_0[l7] = a1_0[l7] + a1_0[l7 + 4];
    }
    #pragma unroll
    for (int l8 = 0; l8 < 2; l8++) {
      a1_0[l8] = a1_0[l8] + a1_0[l8 + 2];
    }
    #pragma unroll
    for (int l9 = 0; l9 < 1; l9++) {
      a1_0[l9] = a1_0[l9] + a1_0[l9 + 1];
    }
    const float s1_0 = a1_0[0];
    for (int i1_2 = 0; i1_2 < n1; i1_2++) {
      x1[o1 + ((q0 * c2) + i1_2)] = ig_exp_float32((x0[o0 + ((q0 * c1) + i1_2)] - s0_0)) * (1.0f / s1_0);
    }
  }
}
