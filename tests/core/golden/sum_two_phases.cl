#pragma OPENCL FP_CONTRACT OFF
typedef struct {
  int points;
  int chunks;
  int each;
  int n0;
  int o0;
} Arguments;
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void ingot_sum(__global const float *restrict x0, __global float *restrict w1, const Arguments args) {
  const int points = args.points;
  const int chunks = args.chunks;
  const int each = args.each;
  const int n0 = args.n0;
  const int o0 = args.o0;
  for (int p0 = (int)get_group_id(0); p0 < points; p0 += (int)get_num_groups(0)) {
    const int chunk0 = (int)((uint)p0 % (uint)chunks);
    const int r0 = (int)((uint)p0 / (uint)chunks);
    const int start0 = chunk0 * each;
    const int end0 = start0 + each;
    const int stop0 = (end0 < n0) ? end0 : n0;
    float a0_0[16];
    #pragma unroll
    for (int q = 0; q < 16; q++) a0_0[q] = 0.0f;
    const int whole0 = start0 + (int)(((uint)(stop0 - start0) >> 4) << 4);
    for (int k0 = start0; k0 < whole0; k0 += 16) {
      #pragma unroll
      for (int l0 = 0; l0 < 16; l0++) {
        const int i0_0 = k0 + l0;
        a0_0[l0] = a0_0[l0] + x0[o0 + i0_0];
      }
    }
    for (int k1 = whole0; k1 < stop0; k1++) {
      a0_0[k1 - whole0] = a0_0[k1 - whole0] + x0[o0 + k1];
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
    w1[p0] = s0_0;
  }
}

#pragma OPENCL FP_CONTRACT OFF
typedef struct {
  int points;
  int chunks;
} Arguments;
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void ingot_sum(__global const float *restrict w1, __global float *restrict w2, const Arguments args) {
  const int points = args.points;
  const int chunks = args.chunks;
  for (int p0 = (int)get_group_id(0); p0 < points; p0 += (int)get_num_groups(0)) {
    float s0_0 = 0.0f;
    for (int q0 = 0; q0 < chunks; q0++) {
      s0_0 = s0_0 + w1[(p0 * chunks) + q0];
    }
    w2[p0] = s0_0;
  }
}

#pragma OPENCL FP_CONTRACT OFF
typedef struct {
  int o1;
} Arguments;
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void ingot_sum(__global float *restrict x1, __global const float *restrict w2, const Arguments args) {
  const int o1 = args.o1;
  const float s0_0 = w2[0];
  x1[o1] = s0_0;
}
