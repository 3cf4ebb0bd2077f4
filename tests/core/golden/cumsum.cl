#pragma OPENCL FP_CONTRACT OFF
typedef struct {
  int n0;
  int each;
  int c0;
  int o0;
  int c1;
  int o1;
  int c2;
  int n1;
} Arguments;
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void ingot_cumsum(__global const float *restrict x0, __global float *restrict x1, const Arguments args) {
  const int n0 = args.n0;
  const int each = args.each;
  const int c0 = args.c0;
  const int o0 = args.o0;
  const int c1 = args.c1;
  const int o1 = args.o1;
  const int c2 = args.c2;
  const int n1 = args.n1;
  const int start0 = (int)get_global_id(0) * each;
  const int end0 = start0 + each;
  const int stop0 = (end0 < n0) ? end0 : n0;
  for (int q0 = start0; q0 < stop0; q0++) {
    float s0_0 = 0.0f;
    for (int i1_0 = 0; i1_0 < n1; i1_0++) {
      s0_0 = s0_0 + x0[o0 + ((q0 * c1) + i1_0)];
      x1[o1 + ((q0 * c2) + i1_0)] = s0_0;
    }
  }
}
