#pragma OPENCL FP_CONTRACT OFF
typedef struct {
  int quotient;
  int o0;
  float p1;
  int o2;
  int n0;
} Arguments;
__kernel __attribute__((reqd_work_group_size(256, 1, 1)))
void ingot_mul(__global const float *restrict x0, __global float *restrict x2, const Arguments args) {
  const int quotient = args.quotient;
  const int o0 = args.o0;
  const float p1 = args.p1;
  const int o2 = args.o2;
  const int n0 = args.n0;
  for (int q0 = (int)get_global_id(0); q0 < quotient; q0 += (int)get_num_groups(0) * (int)get_local_size(0)) {
    float v0[4];
    #pragma unroll
    for (int q = 0; q < 4; q++) v0[q] = 0.0f;
    float v1[4];
    #pragma unroll
    for (int q = 0; q < 4; q++) v1[q] = 0.0f;
    #pragma unroll
    for (int l0 = 0; l0 < 4; l0++) {
      v0[l0] = x0[((o0 + (q0 * 4)) & (-4)) + l0];
    }
    #pragma unroll
    for (int l0 = 0; l0 < 4; l0++) {
      v1[l0] = v0[l0] * p1;
    }
    #pragma unroll
    for (int l0 = 0; l0 < 4; l0++) {
      x2[((o2 + (q0 * 4)) & (-4)) + l0] = v1[l0];
    }
  }
  for (int i0_0 = (int)get_global_id(0) + (quotient * 4); i0_0 < n0; i0_0 += (int)get_num_groups(0) * (int)get_local_size(0)) {
    x2[o2 + i0_0] = x0[o0 + i0_0] * p1;
  }
}
