#pragma OPENCL FP_CONTRACT OFF
typedef struct {
  int n0;
  int each;
  int o2;
  int o0;
  int o1;
} Arguments;
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void ingot_add(__global const float *restrict x0, __global const float *restrict x1, __global float *restrict x2, const Arguments args) {
  const int n0 = args.n0;
  const int each = args.each;
  const int o2 = args.o2;
  const int o0 = args.o0;
  const int o1 = args.o1;
  const int start0 = (int)get_global_id(0) * each;
  const int end0 = start0 + each;
  const int stop0 = (end0 < n0) ? end0 : n0;
  for (int i0_0 = start0; i0_0 < stop0; i0_0++) {
    x2[o2 + i0_0] = x0[o0 + i0_0] + x1[o1 + i0_0];
  }
}
