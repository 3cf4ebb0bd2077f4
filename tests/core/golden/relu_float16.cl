#pragma OPENCL FP_CONTRACT OFF
static inline float ig_maximum_float32(float a, float b) { return a > b || a != a ? a : b; }
typedef struct {
  int n0;
  int each;
  int o1;
  int o0;
} Arguments;
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void ingot_relu(__global const half *restrict x0, __global half *restrict x1, const Arguments args) {
  const int n0 = args.n0;
  const int each = args.each;
  const int o1 = args.o1;
  const int o0 = args.o0;
  const int start0 = (int)get_global_id(0) * each;
  const int end0 = start0 + each;
  const int stop0 = (end0 < n0) ? end0 : n0;
  for (int i0_0 = start0; i0_0 < stop0; i0_0++) {
    vstore_half_rte(ig_maximum_float32((float)vload_half(o0 + i0_0, x0), 0.0f), o1 + i0_0, x1);
  }
}
