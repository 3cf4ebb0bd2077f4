#pragma OPENCL FP_CONTRACT OFF
static inline int ig_idiv_int32(int a, int b) {
  if (b == 0) return 0;
  if (b == (int)-1) return (int)((uint)0 - (uint)a);
  int q = a / b;
  return q - (q * b != a && (a < 0) != (b < 0));
}
typedef struct {
  int n0;
  int each;
  int o2;
  int o1;
  int o0;
} Arguments;
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void ingot_floor_divide(__global const int *restrict x0, __global const int *restrict x1, __global int *restrict x2, const Arguments args) {
  const int n0 = args.n0;
  const int each = args.each;
  const int o2 = args.o2;
  const int o1 = args.o1;
  const int o0 = args.o0;
  const int start0 = (int)get_global_id(0) * each;
  const int end0 = start0 + each;
  const int stop0 = (end0 < n0) ? end0 : n0;
  for (int i0_0 = start0; i0_0 < stop0; i0_0++) {
    const int t0 = x1[o1 + i0_0];
    const bool t1 = t0 == 0;
    x2[o2 + i0_0] = t1 ? 0 : ig_idiv_int32(x0[o0 + i0_0], (t1 ? 1 : t0));
  }
}
