#pragma OPENCL FP_CONTRACT OFF
typedef struct {
  int total;
  int each;
  int n1;
  int o2;
  int c0;
  int c1;
  int o0;
  int c2;
  int o1;
} Arguments;
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void ingot_add(__global const ushort *restrict x0, __global const ushort *restrict x1, __global ushort *restrict x2, const Arguments args) {
  const int total = args.total;
  const int each = args.each;
  const int n1 = args.n1;
  const int o2 = args.o2;
  const int c0 = args.c0;
  const int c1 = args.c1;
  const int o0 = args.o0;
  const int c2 = args.c2;
  const int o1 = args.o1;
  const int start0 = (int)get_global_id(0) * each;
  const int end0 = start0 + each;
  const int stop0 = (end0 < total) ? end0 : total;
  for (int q0 = start0; q0 < stop0; q0++) {
    for (int i1_0 = 0; i1_0 < n1; i1_0++) {
      const float t0 = as_float(((uint)x0[o0 + ((q0 * c2) + i1_0)] << 16)) + as_float(((uint)x1[o1 + i1_0] << 16));
      const uint t1 = as_uint(t0);
      const uint t2 = t1 >> 16;
      x2[o2 + ((q0 * c0) + i1_0)] = (ushort)((!(t0 == t0)) ? (t2 | 64u) : ((t1 + ((t2 & 1u) + 32767u)) >> 16));
    }
  }
}
