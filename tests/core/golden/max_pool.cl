#pragma OPENCL FP_CONTRACT OFF
static inline float ig_maximum_float32(float a, float b) { return a > b || a != a ? a : b; }
static inline long ig_minimum_int64(long a, long b) { return a < b || a != a ? a : b; }
typedef struct {
  int n2;
  int n1;
  int c0;
  int c1;
  int c2;
  int c3;
  int c4;
  int c5;
  int c6;
  int o0;
  int c7;
  int c8;
  int c9;
  int c10;
  int c11;
  int n4;
  int n3;
  int c12;
  int c13;
  int c14;
  int c15;
  int o1;
  int c16;
  int c17;
  int o2;
  int c18;
  int c19;
  int total;
} Arguments;
__kernel __attribute__((reqd_work_group_size(256, 1, 1)))
void ingot_max_pool_with_indices(__global const float *restrict x0, __global float *restrict x1, __global long *restrict x2, const Arguments args) {
  const int n2 = args.n2;
  const int n1 = args.n1;
  const int c0 = args.c0;
  const int c1 = args.c1;
  const int c2 = args.c2;
  const int c3 = args.c3;
  const int c4 = args.c4;
  const int c5 = args.c5;
  const int c6 = args.c6;
  const int o0 = args.o0;
  const int c7 = args.c7;
  const int c8 = args.c8;
  const int c9 = args.c9;
  const int c10 = args.c10;
  const int c11 = args.c11;
  const int n4 = args.n4;
  const int n3 = args.n3;
  const int c12 = args.c12;
  const int c13 = args.c13;
  const int c14 = args.c14;
  const int c15 = args.c15;
  const int o1 = args.o1;
  const int c16 = args.c16;
  const int c17 = args.c17;
  const int o2 = args.o2;
  const int c18 = args.c18;
  const int c19 = args.c19;
  const int total = args.total;
  for (int q0 = (int)get_global_id(0); q0 < total; q0 += (int)get_num_groups(0) * (int)get_local_size(0)) {
    const int i2_0 = (int)((uint)q0 % (uint)n2);
    const int r0 = (int)((uint)q0 / (uint)n2);
    const int i1_0 = (int)((uint)r0 % (uint)n1);
    const int r1 = (int)((uint)r0 / (uint)n1);
    float s0_0 = -INFINITY;
    for (int i3_0 = 0; i3_0 < n3; i3_0++) {
      for (int i4_0 = 0; i4_0 < n4; i4_0++) {
        const int t0 = (i1_0 * c0) + 1;
        const int t1 = (i2_0 * c1) + 1;
        s0_0 = ig_maximum_float32(s0_0, x0[o0 + ((((((r1 * c7) + (i1_0 * c8)) + (((i3_0 < t0) ? t0 : i3_0) * c9)) + (i2_0 * c10)) + ((i4_0 < t1) ? t1 : i4_0)) + c11)]);
      }
    }
    long s1_0 = 9223372036854775807l;
    for (int i3_1 = 0; i3_1 < n3; i3_1++) {
      for (int i4_1 = 0; i4_1 < n4; i4_1++) {
        const int t2 = (i1_0 * c0) + 1;
        const int t3 = (i3_1 < t2) ? t2 : i3_1;
        const int t4 = (i2_0 * c1) + 1;
        const int t5 = (i4_1 < t4) ? t4 : i4_1;
        const float t6 = x0[o0 + ((((((r1 * c7) + (i1_0 * c8)) + (t3 * c9)) + (i2_0 * c10)) + t5) + c11)];
        s1_0 = ig_minimum_int64(s1_0, (((t6 == s0_0) | (!(t6 == t6))) ? (long)(((((i1_0 * c12) + (t3 * c13)) + (i2_0 * c14)) + t5) + c15) : 9223372036854775807l));
      }
    }
    x1[o1 + (((r1 * c16) + (i1_0 * c17)) + i2_0)] = s0_0;
    x2[o2 + (((r1 * c18) + (i1_0 * c19)) + i2_0)] = s1_0;
  }
}
