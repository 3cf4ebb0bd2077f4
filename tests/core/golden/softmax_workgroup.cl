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
  int rows;
  int n1;
  int c0;
  int o0;
  int c1;
  int o1;
  int c2;
} Arguments;
__kernel __attribute__((reqd_work_group_size(128, 1, 1)))
void ingot_softmax(__global const float *restrict x0, __global float *restrict x1, const Arguments args) {
  const int rows = args.rows;
  const int n1 = args.n1;
  const int c0 = args.c0;
  const int o0 = args.o0;
  const int c1 = args.c1;
  const int o1 = args.o1;
  const int c2 = args.c2;
  __local float m0_0[128];
  __local float m1_0[128];
  const int x_0 = (int)((uint)(int)get_local_id(0) % (uint)8);
  const int y_0 = (int)((uint)(int)get_local_id(0) / (uint)8);
  const int row0 = ((int)get_group_id(0) * 16) + y_0;
  const int row1 = (row0 < (rows - 1)) ? row0 : (rows - 1);
  float v0[16];
  #pragma unroll
  for (int q = 0; q < 16; q++) v0[q] = 0.0f;
  #pragma unroll
  for (int u0 = 0; u0 < 2; u0++) {
    #pragma unroll
    for (int l0 = 0; l0 < 4; l0++) {
      v0[(u0 * 4) + l0] = x0[((o0 + ((row1 * c1) + ((x_0 * 4) + (u0 * 32)))) & (-4)) + l0];
    }
  }
  #pragma unroll
  for (int u0 = 2; u0 < 4; u0++) {
    if (((x_0 * 4) + (u0 * 32)) < n1) {
      #pragma unroll
      for (int l0 = 0; l0 < 4; l0++) {
        v0[(u0 * 4) + l0] = x0[((o0 + ((row1 * c1) + ((x_0 * 4) + (u0 * 32)))) & (-4)) + l0];
      }
    }
  }
  float a0_0[4];
  #pragma unroll
  for (int q = 0; q < 4; q++) a0_0[q] = -INFINITY;
  #pragma unroll
  for (int u0 = 0; u0 < 2; u0++) {
    #pragma unroll
    for (int l0 = 0; l0 < 4; l0++) {
      a0_0[l0] = ig_maximum_float32(a0_0[l0], v0[(u0 * 4) + l0]);
    }
  }
  #pragma unroll
  for (int u0 = 2; u0 < 4; u0++) {
    if (((x_0 * 4) + (u0 * 32)) < n1) {
      #pragma unroll
      for (int l0 = 0; l0 < 4; l0++) {
        a0_0[l0] = ig_maximum_float32(a0_0[l0], v0[(u0 * 4) + l0]);
      }
    }
  }
  #pragma unroll
  for (int l1 = 0; l1 < 2; l1++) {
    a0_0[l1] = ig_maximum_float32(a0_0[l1], a0_0[l1 + 2]);
  }
  #pragma unroll
  for (int l2 = 0; l2 < 1; l2++) {
    a0_0[l2] = ig_maximum_float32(a0_0[l2], a0_0[l2 + 1]);
  }
  const float s0_0 = a0_0[0];
  m0_0[y_0 + (x_0 * 16)] = s0_0;
  barrier(CLK_LOCAL_MEM_FENCE);
  const float r0_0 = ig_maximum_float32(ig_maximum_float32(ig_maximum_float32(m0_0[y_0], m0_0[y_0 + 64]), ig_maximum_float32(m0_0[y_0 + 32], m0_0[y_0 + 96])), ig_maximum_float32(ig_maximum_float32(m0_0[y_0 + 16], m0_0[y_0 + 80]), ig_maximum_float32(m0_0[y_0 + 48], m0_0[y_0 + 112])));
  float a1_0[4];
  #pragma unroll
  for (int q = 0; q < 4; q++) a1_0[q] = 0.0f;
  #pragma unroll
  for (int u0 = 0; u0 < 2; u0++) {
    #pragma unroll
    for (int l0 = 0; l0 < 4; l0++) {
      a1_0[l0] = a1_0[l0] + ig_exp_float32((v0[(u0 * 4) + l0] - r0_0));
    }
  }
  #pragma unroll
  for (int u0 = 2; u0 < 4; u0++) {
    if (((x_0 * 4) + (u0 * 32)) < n1) {
      #pragma unroll
      for (int l0 = 0; l0 < 4; l0++) {
        a1_0[l0] = a1_0[l0] + ig_exp_float32((v0[(u0 * 4) + l0] - r0_0));
      }
    }
  }
  #pragma unroll
  for (int l3 = 0; l3 < 2; l3++) {
    a1_0[l3] = a1_0[l3] + a1_0[l3 + 2];
  }
  #pragma unroll
  for (int l4 = 0; l4 < 1; l4++) {
    a1_0[l4] = a1_0[l4] + a1_0[l4 + 1];
  }
  const float s1_0 = a1_0[0];
  m1_0[y_0 + (x_0 * 16)] = s1_0;
  barrier(CLK_LOCAL_MEM_FENCE);
  const float r1_0 = ((m1_0[y_0] + m1_0[y_0 + 64]) + (m1_0[y_0 + 32] + m1_0[y_0 + 96])) + ((m1_0[y_0 + 16] + m1_0[y_0 + 80]) + (m1_0[y_0 + 48] + m1_0[y_0 + 112]));
  if (row0 < rows) {
    float v1[4];
    #pragma unroll
    for (int q = 0; q < 4; q++) v1[q] = 0.0f;
    #pragma unroll
    for (int u0 = 0; u0 < 2; u0++) {
      #pragma unroll
      for (int l0 = 0; l0 < 4; l0++) {
        v1[l0] = ig_exp_float32((v0[(u0 * 4) + l0] - r0_0)) * (1.0f / r1_0);
      }
      #pragma unroll
      for (int l0 = 0; l0 < 4; l0++) {
        x1[((o1 + ((row1 * c2) + ((x_0 * 4) + (u0 * 32)))) & (-4)) + l0] = v1[l0];
      }
    }
    #pragma unroll
    for (int u0 = 2; u0 < 4; u0++) {
      if (((x_0 * 4) + (u0 * 32)) < n1) {
        #pragma unroll
        for (int l0 = 0; l0 < 4; l0++) {
          v1[l0] = ig_exp_float32((v0[(u0 * 4) + l0] - r0_0)) * (1.0f / r1_0);
        }
        #pragma unroll
        for (int l0 = 0; l0 < 4; l0++) {
          x1[((o1 + ((row1 * c2) + ((x_0 * 4) + (u0 * 32)))) & (-4)) + l0] = v1[l0];
        }
      }
    }
  }
}
