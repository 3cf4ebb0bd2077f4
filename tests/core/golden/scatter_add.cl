#pragma OPENCL FP_CONTRACT OFF
typedef struct {
  int n0;
  int each;
  int o3;
  int o0;
} Arguments;
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void ingot_scatter_add(__global const float *restrict x0, __global float *restrict x3, const Arguments args) {
  const int n0 = args.n0;
  const int each = args.each;
  const int o3 = args.o3;
  const int o0 = args.o0;
  const int start0 = (int)get_global_id(0) * each;
  const int end0 = start0 + each;
  const int stop0 = (end0 < n0) ? end0 : n0;
  for (int i0_0 = start0; i0_0 < stop0; i0_0++) {
    x3[o3 + i0_0] = x0[o0 + i0_0];
  }
}

#pragma OPENCL FP_CONTRACT OFF
typedef struct {
  int n1;
  int each;
  int c0;
  int o1;
  int c1;
  int c2;
  int o3;
  int c3;
  int c4;
  int o2;
  int c5;
  int ticket;
  int n0;
} Arguments;
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void ingot_scatter_add(__global const long *restrict x1, __global const float *restrict x2, __global float *restrict x3, __global int *restrict status, const Arguments args) {
  const int n1 = args.n1;
  const int each = args.each;
  const int c0 = args.c0;
  const int o1 = args.o1;
  const int c1 = args.c1;
  const int c2 = args.c2;
  const int o3 = args.o3;
  const int c3 = args.c3;
  const int c4 = args.c4;
  const int o2 = args.o2;
  const int c5 = args.c5;
  const int ticket = args.ticket;
  const int n0 = args.n0;
  const int start0 = (int)get_global_id(0) * each;
  const int end0 = start0 + each;
  const int stop0 = (end0 < n1) ? end0 : n1;
  for (int i0_0 = 0; i0_0 < n0; i0_0++) {
    for (int i1_0 = start0; i1_0 < stop0; i1_0++) {
      const long t0 = x1[o1 + ((i0_0 * c1) + i1_0)];
      const long t1 = (t0 < 1073741824l) ? t0 : 1073741824l;
      const int t2 = (int)((t1 > (-1073741824l)) ? t1 : (-1073741824l));
      const bool t3 = (t2 >= 0) & (t2 < c2);
      const int t4 = o3 + (((t3 ? t2 : 0) * c3) + i1_0);
      const float v0 = x3[t4] + x2[o2 + ((i0_0 * c5) + i1_0)];
      x3[t4] = v0;
      if (!t3) {
        status[0] = ticket;
      }
    }
  }
}
