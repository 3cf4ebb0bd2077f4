#pragma OPENCL FP_CONTRACT OFF
typedef struct {
  int n0;
  int each;
  int n1;
  int whole1;
  int c0;
  int o0;
  int c1;
  int c2;
  int o5;
  int o6;
  int c3;
  float p3;
  int o4;
  int c4;
  int o1;
} Arguments;
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void ingot_layer_norm(__global const float *restrict x0, __global const float *restrict x1, __global float *restrict x4, __global float *restrict x5, __global float *restrict x6, const Arguments args) {
  const int n0 = args.n0;
  const int each = args.each;
  const int n1 = args.n1;
  const int whole1 = args.whole1;
  const int c0 = args.c0;
  const int o0 = args.o0;
  const int c1 = args.c1;
  const int c2 = args.c2;
  const int o5 = args.o5;
  const int o6 = args.o6;
  const int c3 = args.c3;
  const float p3 = args.p3;
  const int o4 = args.o4;
  const int c4 = args.c4;
  const int o1 = args.o1;
  const int start0 = (int)get_global_id(0) * each;
  const int end0 = start0 + each;
  const int stop0 = (end0 < n0) ? end0 : n0;
  for (int q0 = start0; q0 < stop0; q0++) {
    float a0_0[16];
    #pragma unroll
    for (int q = 0; q < 16; q++) a0_0[q] = 0.0f;
    for (int k0 = 0; k0 < whole1; k0 += 16) {
      #pragma unroll
      for (int l0 = 0; l0 < 16; l0++) {
        const int i1_0 = k0 + l0;
        a0_0[l0] = a0_0[l0] + x0[o0 + ((q0 * c1) + i1_0)];
      }
    }
    for (int k1 = whole1; k1 < n1; k1++) {
      a0_0[k1 - whole1] = a0_0[k1 - whole1] + x0[o0 + ((q0 * c1) + k1)];
    }
    #pragma unroll
    for (int l1 = 0; l1 < 8; l1++) {
      a0_0[l1] = a0_0[l1] + a0_0[l1 + 8];
    }
    #pragma unroll
    for (int l2 = 0; l2 < 4; l2++) {
      a0_0[l2] = a0_0[l2] + a0_0[l2 + 4];
    }
    #pragma unroll
    for (int l3 = 0; l3 < 2; l3++) {
      a0_0[l3] = a0_0[l3] + a0_0[l3 + 2];
    }
    #pragma unroll
    for (int l4 = 0; l4 < 1; l4++) {
      a0_0[l4] = a0_0[l4] + a0_0[l4 + 1];
    }
    const float s0_0 = a0_0[0];
    float a1_0[16];
    #pragma unroll
    for (int q = 0; q < 16; q++) a1_0[q] = 0.0f;
    for (int k2 = 0; k2 < whole1; k2 += 16) {
      #pragma unroll
      for (int l5 = 0; l5 < 16; l5++) {
        const int i1_1 = k2 + l5;
        const float t0 = x0[o0 + ((q0 * c1) + i1_1)] - (s0_0 / (float)c2);
        a1_0[l5] = a1_0[l5] + (t0 * t0);
      }
    }
    for (int k3 = whole1; k3 < n1; k3++) {
      const float t1 = x0[o0 + ((q0 * c1) + k3)] - (s0_0 / (float)c2);
      a1_0[k3 - whole1] = a1_0[k3 - whole1] + (t1 * t1);
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
    x5[o5 + q0] = s0_0 / (float)c2;
    x6[o6 + q0] = rsqrt(((s1_0 / (float)c3) + p3));
    for (int i1_2 = 0; i1_2 < n1; i1_2++) {
      x4[o4 + ((q0 * c4) + i1_2)] = ((x0[o0 + ((q0 * c1) + i1_2)] - (s0_0 / (float)c2)) * rsqrt(((s1_0 / (float)c3) + p3))) * x1[o1 + i1_2];
    }
  }
}
