#pragma OPENCL FP_CONTRACT OFF
typedef struct {
  int total;
  int each;
  int n1;
  int o2;
  int c0;
  int c1;
  int c2;
  int c3;
  int o0;
  float p1;
} Arguments;
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void ingot_pad(__global const float *restrict x0, __global float *restrict x2, const Arguments args) {
  const int total = args.total;
  const int each = args.each;
  const int n1 = args.n1;
  const int o2 = args.o2;
  const int c0 = args.c0;
  const int c1 = args.c1;
  const int c2 = args.c2;
  const int c3 = args.c3;
  const int o0 = args.o0;
  const float p1 = args.p1;
  const int start0 = (int)get_global_id(0) * each;
  const int end0 = start0 + each;
  const int stop0 = (end0 < total) ? end0 : total;
  for (int q0 = start0; q0 < stop0; q0++) {
    for (int i1_0 = 0; i1_0 < n1; i1_0++) {
      const bool t0 = (i1_0 >= 1) & (i1_0 < c1);
      x2[o2 + ((q0 * c0) + i1_0)] = t0 ? (t0 ? x0[o0 + (t0 ? (((q0 * c2) + i1_0) + c3) : 0)] : 0.0f) : p1;
    }
  }
}
