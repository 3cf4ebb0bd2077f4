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
  int n1;
  int c0;
  int c1;
  int o0;
  int c2;
  int o1;
  int n0;
} Arguments;
__kernel __attribute__((reqd_work_group_size(256, 1, 1)))
void ingot_softmax(__global const float *restrict x0, __global float *restrict x1, const Arguments args) {
  const int n1 = args.n1;
  const int c0 = args.c0;
  const int c1 = args.c1;
  const int o0 = args.o0;
  const int c2 = args.c2;
  const int o1 = args.o1;
  const int n0 = args.n0;
  __local float m0_0[256];
  __local float m1_0[256];
  for (int p0 = (int)get_group_id(0); p0 < n0; p0 += (int)get_num_groups(0)) {
    float s0_0 = -INFINITY;
    for (int i1_0 = (int)get_local_id(0); i1_0 < n1; i1_0 += 256) {
      s0_0 = ig_maximum_float32(s0_0, x0[o0 + ((p0 * c1) + i1_0)]);
    }
    m0_0[(int)get_local_id(0)] = s0_0;
    barrier(CLK_LOCAL_MEM_FENCE);
    if ((int)get_local_id(0) < 128) {
      m0_0[(int)get_local_id(0)] = ig_maximum_float32(m0_0[(int)get_local_id(0)], m0_0[(int)get_local_id(0) + 128]);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if ((int)get_local_id(0) < 64) {
      m0_0[(int)get_local_id(0)] = ig_maximum_float32(m0_0[(int)get_local_id(0)], m0_0[(int)get_local_id(0) + 64]);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if ((int)get_local_id(0) < 32) {
      m0_0[(int)get_local_id(0)] = ig_maximum_float32(m0_0[(int)get_local_id(0)], m0_0[(int)get_local_id(0) + 32]);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if ((int)get_local_id(0) < 16) {
      m0_0[(int)get_local_id(0)] = ig_maximum_float32(m0_0[(int)get_local_id(0)], m0_0[(int)get_local_id(0) + 16]);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if ((int)get_local_id(0) < 8) {
      m0_0[(int)get_local_id(0)] = ig_maximum_float32(m0_0[(int)get_local_id(0)], m0_0[(int)get_local_id(0) + 8]);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if ((int)get_local_id(0) < 4) {
      m0_0[(int)get_local_id(0)] = ig_maximum_float32(m0_0[(int)get_local_id(0)], m0_0[(int)get_local_id(0) + 4]);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if ((int)get_local_id(0) < 2) {
      m0_0[(int)get_local_id(0)] = ig_maximum_float32(m0_0[(int)get_local_id(0)], m0_0[(int)get_local_id(0) + 2]);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if ((int)get_local_id(0) < 1) {
      m0_0[(int)get_local_id(0)] = ig_maximum_float32(m0_0[(int)get_local_id(0)], m0_0[(int)get_local_id(0) + 1]);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    float r0_0 = m0_0[0];
    barrier(CLK_LOCAL_MEM_FENCE);
    float s1_0 = 0.0f;
    for (int i1_1 = (int)get_local_id(0); i1_1 < n1; i1_1 += 256) {
      s1_0 = s1_0 + ig_exp_float32((x0[o0 + ((p0 * c1) + i1_1)] - r0_0));
    }
    m1_0[(int)get_local_id(0)] = s1_0;
    barrier(CLK_LOCAL_MEM_FENCE);
    if ((int)get_local_id(0) < 128) {
      m1_0[(int)get_local_id(0)] = m1_0[(int)get_local_id(0)] + m1_0[(int)get_local_id(0) + 128];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if ((int)get_local_id(0) < 64) {
      m1_0[(int)get_local_id(0)] = m1_0[(int)get_local_id(0)] + m1_0[(int)get_local_id(0) + 64];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if ((int)get_local_id(0) < 32) {
      m1_0[(int)get_local_id(0)] = m1_0[(int)get_local_id(0)] + m1_0[(int)get_local_id(0) + 32];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if ((int)get_local_id(0) < 16) {
      m1_0[(int)get_local_id(0)] = m1_0[(int)get_local_id(0)] + m1_0[(int)get_local_id(0) + 16];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if ((int)get_local_id(0) < 8) {
      m1_0[(int)get_local_id(0)] = m1_0[(int)get_local_id(0)] + m1_0[(int)get_local_id(0) + 8];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if ((int)get_local_id(0) < 4) {
      m1_0[(int)get_local_id(0)] = m1_0[(int)get_local_id(0)] + m1_0[(int)get_local_id(0) + 4];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if ((int)get_local_id(0) < 2) {
      m1_0[(int)get_local_id(0)] = m1_0[(int)get_local_id(0)] + m1_0[(int)get_local_id(0) + 2];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if ((int)get_local_id(0) < 1) {
      m1_0[(int)get_local_id(0)] = m1_0[(int)get_local_id(0)] + m1_0[(int)get_local_id(0) + 1];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    float r1_0 = m1_0[0];
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i1_2 = (int)get_local_id(0); i1_2 < n1; i1_2 += 256) {
      x1[o1 + ((p0 * c2) + i1_2)] = ig_exp_float32((x0[o0 + ((p0 * c1) + i1_2)] - r0_0)) * (1.0f / r1_0);
    }
  }
}
