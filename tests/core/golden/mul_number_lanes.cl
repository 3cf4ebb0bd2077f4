#pragma OPENCL FP_CONTRACT OFF
typedef struct {
  int o0;
  float p1;
  int o2;
  int n0;
} Arguments;
__kernel __attribute__((reqd_work_group_size(256, 1, 1)))
void ingot_mul(__global const float *restrict x0, __global float *restrict x2, const Arguments args) {
  const int o0 = args.o0;
  const float p1 = args.p1;
  const int o2 = args.o2;
  const int n0 = args.n0;
  for (int q0 = (int)get_global_id(0); q0 < n0; q0 += (int)get_num_groups(0) * (int)get_local_size(0)) {
    x2[o2 + q0] = x0[o0 + q0] * p1;
  }
}
