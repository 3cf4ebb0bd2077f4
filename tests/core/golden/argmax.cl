#pragma OPENCL FP_CONTRACT OFF
typedef struct {
  int n0;
  int each;
  int whole1;
  int n1;
  int c0;
  int c1;
  int o0;
  int o1;
} Arguments;
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void ingot_argmax(__global const float *restrict x0, __global long *restrict x1, const Arguments args) {
  const int n0 = args.n0;
  const int each = args.each;
  const int whole1 = args.whole1;
  const int n1 = args.n1;
  const int c0 = args.c0;
  const int c1 = args.c1;
  const int o0 = args.o0;
  const int o1 = args.o1;
  const int start0 = (int)get_global_id(0) * each;
  const int end0 = start0 + each;
  const int stop0 = (end0 < n0) ? end0 : n0;
  for (int q0 = start0; q0 < stop0; q0++) {
    float a0_0[16];
    #pragma unroll
    for (int q = 0; q < 16; q++) a0_0[q] = -INFINITY;
    long a0_1[16];
    #pragma unroll
    for (int q = 0; q < 16; q++) a0_1[q] = 9223372036854775807l;
    for (int k0 = 0; k0 < whole1; k0 += 16) {
      #pragma unroll
      for (int l0 = 0; l0 < 16; l0++) {
        const int i1_0 = k0 + l0;
        const float t0 = x0[o0 + ((q0 * c1) + i1_0)];
        const float t1 = a0_0[l0];
        const bool t2 = isnan(t1);
        const bool t3 = !t2;
        const bool t4 = isnan(t0);
        const long t5 = (long)i1_0;
        const long t6 = a0_1[l0];
        const bool t7 = (((t0 > t1) & t3) | (t4 & t3)) | (((t1 == t0) | (t2 & t4)) & (t5 < t6));
        const float t8 = t7 ? t0 : t1;
        const long t9 = t7 ? t5 : t6;
        a0_0[l0] = t8;
        a0_1[l0] = t9;
      }
    }
    for (int k1 = whole1; k1 < n1; k1++) {
      const float t10 = x0[o0 + ((q0 * c1) + k1)];
      const int t11 = k1 - whole1;
      const float t12 = a0_0[t11];
      const bool t13 = isnan(t12);
      const bool t14 = !t13;
      const bool t15 = isnan(t10);
      const long t16 = (long)k1;
      const long t17 = a0_1[t11];
      const bool t18 = (((t10 > t12) & t14) | (t15 & t14)) | (((t12 == t10) | (t13 & t15)) & (t16 < t17));
      const float t19 = t18 ? t10 : t12;
      const long t20 = t18 ? t16 : t17;
      a0_0[k1 - whole1] = t19;
      a0_1[k1 - whole1] = t20;
    }
    #pragma unroll
    for (int l1 = 0; l1 < 8; l1++) {
      const int t21 = l1 + 8;
      const float t22 = a0_0[t21];
      const float t23 = a0_0[l1];
      const bool t24 = isnan(t23);
      const bool t25 = !t24;
      const bool t26 = isnan(t22);
      const long t27 = a0_1[t21];
      const long t28 = a0_1[l1];
      const bool t29 = (((t22 > t23) & t25) | (t26 & t25)) | (((t23 == t22) | (t24 & t26)) & (t27 < t28));
      const float t30 = t29 ? t22 : t23;
      const long t31 = t29 ? t27 : t28;
      a0_0[l1] = t30;
      a0_1[l1] = t31;
    }
    #pragma unroll
    for (int l2 = 0; l2 < 4; l2++) {
      const int t32 = l2 + 4;
      const float t33 = a0_0[t32];
      const float t34 = a0_0[l2];
      const bool t35 = isnan(t34);
      const bool t36 = !t35;
      const bool t37 = isnan(t33);
      const long t38 = a0_1[t32];
      const long t39 = a0_1[l2];
      const bool t40 = (((t33 > t34) & t36) | (t37 & t36)) | (((t34 == t33) | (t35 & t37)) & (t38 < t39));
      const float t41 = t40 ? t33 : t34;
      const long t42 = t40 ? t38 : t39;
      a0_0[l2] = t41;
      a0_1[l2] = t42;
    }
    #pragma unroll
    for (int l3 = 0; l3 < 2; l3++) {
      const int t43 = l3 + 2;
      const float t44 = a0_0[t43];
      const float t45 = a0_0[l3];
      const bool t46 = isnan(t45);
      const bool t47 = !t46;
      const bool t48 = isnan(t44);
      const long t49 = a0_1[t43];
      const long t50 = a0_1[l3];
      const bool t51 = (((t44 > t45) & t47) | (t48 & t47)) | (((t45 == t44) | (t46 & t48)) & (t49 < t50));
      const float t52 = t51 ? t44 : t45;
      const long t53 = t51 ? t49 : t50;
      a0_0[l3] = t52;
      a0_1[l3] = t53;
    }
    #pragma unroll
    for (int l4 = 0; l4 < 1; l4++) {
      const int t54 = l4 + 1;
      const float t55 = a0_0[t54];
      const float t56 = a0_0[l4];
      const bool t57 = isnan(t56);
      const bool t58 = !t57;
      const bool t59 = isnan(t55);
      const long t60 = a0_1[t54];
      const long t61 = a0_1[l4];
      const bool t62 = (((t55 > t56) & t58) | (t59 & t58)) | (((t56 == t55) | (t57 & t59)) & (t60 < t61));
      const float t63 = t62 ? t55 : t56;
      const long t64 = t62 ? t60 : t61;
      a0_0[l4] = t63;
      a0_1[l4] = t64;
    }
    const float s0_0 = a0_0[0];
    const long s0_1 = a0_1[0];
    x1[o1 + q0] = s0_1;
  }
}
