#pragma OPENCL FP_CONTRACT OFF
typedef struct {
  int n1;
  int each;
  int n0;
  int each0;
  int o0;
} Arguments;
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void ingot_sum(__global const float *restrict x0, __global float *restrict w1, const Arguments args) {
  const int n1 = args.n1;
  const int each = args.each;
  const int n0 = args.n0;
  const int each0 = args.each0;
  const int o0 = args.o0;
  const int start0 = (int)get_global_id(0) * each;
  const int end0 = start0 + each;
  const int stop0 = (end0 < n1) ? end0 : n1;
  for (int q0 = start0; q0 < stop0; q0++) {
    float a0_0[16];
    #pragma unroll
    for (int q = 0; q < 16; q++) a0_0[q] = 0.0f;
    const int start1 = q0 * each0;
    const int end1 = start1 + each0;
    const int stop1 = (end1 < n0) ? end1 : n0;
    const int even0 = start1 + ((stop1 - start1) & (-16));
    for (int k0 = start1; k0 < even0; k0 += 16) {
      #pragma unroll
      for (int l0 = 0; l0 < 16; l0++) {
        const int i0_0 = k0 + l0;
        a0_0[l0] = a0_0[l0] + x0[o0 + i0_0];
      }
    }
    for (int k1 = even0; k1 < stop1; k1++) {
      a0_0[k1 - even0] = a0_0[k1 - even0] + x0[o0 + k1];
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
    w1[q0] = s0_0;
  }
}

#pragma OPENCL FP_CONTRACT OFF
typedef struct {
  int n1;
  int whole1;
  int o1;
} Arguments;
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void ingot_sum(__global float *restrict x1, __global const float *restrict w1, const Arguments args) {
  const int n1 = args.n1;
  const int whole1 = args.whole1;
  const int o1 = args.o1;
  float a0_0[16];
  #pragma unroll
  for (int q = 0; q < 16; q++) a0_0[q] = 0.0f;
  for (int k0 = 0; k0 < whole1; k0 += 16) {
    #pragma unroll
    for (int l0 = 0; l0 < 16; l0++) {
      const int i1_0 = k0 + l0;
      a0_0[l0] = a0_0[l0] + w1[i1_0];
    }
  }
  for (int k1 = whole1; k1 < n1; k1++) {
    a0_0[k1 - whole1] = a0_0[k1 - whole1] + w1[k1];
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
  x1[o1] = s0_0;
}
