#pragma OPENCL FP_CONTRACT OFF
static inline uint ig_uidiv_uint32(uint a, uint b) { return b == 0 ? 0 : a / b; }
static inline uint ig_umod_uint32(uint a, uint b) { return b == 0 ? 0 : a % b; }
typedef struct {
  int each;
  int tiles;
  int across;
  int down;
  int n2;
  int n1;
  int n3;
  int c0;
  int c1;
  int c2;
  int c3;
  int c4;
  int c5;
  int c6;
  int o0;
  int c7;
  int o1;
  int c8;
  int o3;
  int c9;
  int c10;
} Arguments;
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void ingot_convolution(__global const float *restrict x0, __global const float *restrict x1, __global float *restrict x3, const Arguments args) {
  const int each = args.each;
  const int tiles = args.tiles;
  const int across = args.across;
  const int down = args.down;
  const int n2 = args.n2;
  const int n1 = args.n1;
  const int n3 = args.n3;
  const int c0 = args.c0;
  const int c1 = args.c1;
  const int c2 = args.c2;
  const int c3 = args.c3;
  const int c4 = args.c4;
  const int c5 = args.c5;
  const int c6 = args.c6;
  const int o0 = args.o0;
  const int c7 = args.c7;
  const int o1 = args.o1;
  const int c8 = args.c8;
  const int o3 = args.o3;
  const int c9 = args.c9;
  const int c10 = args.c10;
  const int start0 = (int)get_global_id(0) * each;
  const int end0 = start0 + each;
  for (int g0 = start0; g0 < ((end0 < tiles) ? end0 : tiles); g0++) {
    const int jb0 = (int)((uint)g0 % (uint)across);
    const int r0 = (int)((uint)g0 / (uint)across);
    const int j00 = jb0 * 16;
    const int wide0 = (16 < (n2 - j00)) ? 16 : (n2 - j00);
    const int ib0 = (int)((uint)r0 % (uint)down);
    const int r1 = (int)((uint)r0 / (uint)down);
    const int i00 = ib0 * 16;
    const int high0 = (16 < (n1 - i00)) ? 16 : (n1 - i00);
    float sums[256];
    for (int q = 0; q < 256; q++) sums[q] = 0.0f;
    float panel[4096];
    for (int q = 0; q < 4096; q++) panel[q] = 0.0f;
    uint table0[16];
    #pragma unroll
    for (int q = 0; q < 16; q++) table0[q] = 0u;
    uint table1[16];
    #pragma unroll
    for (int q = 0; q < 16; q++) table1[q] = 0u;
    for (int jj0 = 0; jj0 < 16; jj0++) {
      const int i2_0 = ((j00 + jj0) < (n2 - 1)) ? (j00 + jj0) : (n2 - 1);
      const uint t0 = (uint)i2_0;
      const uint t1 = (uint)12;
      table0[jj0] = ig_uidiv_uint32(t0, t1);
      table1[jj0] = ig_umod_uint32(t0, t1);
    }
    for (int k0 = 0; k0 < n3; k0 += 256) {
      const int deep0 = (256 < (n3 - k0)) ? 256 : (n3 - k0);
      if (wide0 == 16) {
        for (int kk0 = 0; kk0 < deep0; kk0++) {
          const int i3_0 = k0 + kk0;
          for (int jj1 = 0; jj1 < 16; jj1++) {
            const int i2_1 = j00 + jj1;
            const uint t2 = (uint)i2_1;
            const uint t3 = (uint)12;
            const uint t4 = (uint)i3_0;
            const uint t5 = (uint)3;
            const uint t6 = (uint)(int)ig_uidiv_uint32(t4, t5);
            const int t7 = (int)ig_umod_uint32(t6, t5);
            const int t8 = ((int)table0[jj1] + t7) + c0;
            const int t9 = (int)ig_umod_uint32(t4, t5);
            const int t10 = ((int)table1[jj1] + t9) + c2;
            const bool t11 = ((t8 >= 0) & (t8 < c1)) & ((t10 >= 0) & (t10 < c1));
            panel[(kk0 * 16) + jj1] = t11 ? x0[o0 + (t11 ? ((((((r1 * c3) + ((int)ig_uidiv_uint32(t6, t5) * c4)) + (t7 * c5)) + t9) + i2_1) + c6) : 0)] : 0.0f;
          }
        }
      } else {
        for (int kk1 = 0; kk1 < deep0; kk1++) {
          const int i3_1 = k0 + kk1;
          for (int jj2 = 0; jj2 < 16; jj2++) {
            const int i2_2 = ((j00 + jj2) < (n2 - 1)) ? (j00 + jj2) : (n2 - 1);
            const uint t12 = (uint)i2_2;
            const uint t13 = (uint)12;
            const uint t14 = (uint)i3_1;
            const uint t15 = (uint)3;
            const uint t16 = (uint)(int)ig_uidiv_uint32(t14, t15);
            const int t17 = (int)ig_umod_uint32(t16, t15);
            const int t18 = ((int)table0[jj2] + t17) + c0;
            const int t19 = (int)ig_umod_uint32(t14, t15);
            const int t20 = ((int)table1[jj2] + t19) + c2;
            const bool t21 = ((t18 >= 0) & (t18 < c1)) & ((t20 >= 0) & (t20 < c1));
            panel[(kk1 * 16) + jj2] = t21 ? x0[o0 + (t21 ? ((((((r1 * c3) + ((int)ig_uidiv_uint32(t16, t15) * c4)) + (t17 * c5)) + t19) + i2_2) + c6) : 0)] : 0.0f;
          }
        }
      }
      for (int ii0 = 0; ii0 < high0; ii0 += 4) {
        const int row0 = i00 + ((ii0 < (high0 - 1)) ? ii0 : (high0 - 1));
        const int row1 = i00 + (((ii0 + 1) < (high0 - 1)) ? (ii0 + 1) : (high0 - 1));
        const int row2 = i00 + (((ii0 + 2) < (high0 - 1)) ? (ii0 + 2) : (high0 - 1));
        const int row3 = i00 + (((ii0 + 3) < (high0 - 1)) ? (ii0 + 3) : (high0 - 1));
        float acc0[16];
        #pragma unroll
        for (int q = 0; q < 16; q++) acc0[q] = 0.0f;
        #pragma unroll
        for (int l0 = 0; l0 < 16; l0++) {
          acc0[l0] = sums[(ii0 * 16) + l0];
        }
        float acc1[16];
        #pragma unroll
        for (int q = 0; q < 16; q++) acc1[q] = 0.0f;
        #pragma unroll
        for (int l1 = 0; l1 < 16; l1++) {
          acc1[l1] = sums[((ii0 + 1) * 16) + l1];
        }
        float acc2[16];
        #pragma unroll
        for (int q = 0; q < 16; q++) acc2[q] = 0.0f;
        #pragma unroll
        for (int l2 = 0; l2 < 16; l2++) {
          acc2[l2] = sums[((ii0 + 2) * 16) + l2];
        }
        float acc3[16];
        #pragma unroll
        for (int q = 0; q < 16; q++) acc3[q] = 0.0f;
        #pragma unroll
        for (int l3 = 0; l3 < 16; l3++) {
          acc3[l3] = sums[((ii0 + 3) * 16) + l3];
        }
        for (int kk2 = 0; kk2 < deep0; kk2++) {
          const int i3_2 = k0 + kk2;
          const float f0 = x1[o1 + ((row0 * c8) + i3_2)];
          #pragma unroll
          for (int l4 = 0; l4 < 16; l4++) {
            acc0[l4] = acc0[l4] + (f0 * panel[(kk2 * 16) + l4]);
          }
          const float f1 = x1[o1 + ((row1 * c8) + i3_2)];
          #pragma unroll
          for (int l5 = 0; l5 < 16; l5++) {
            acc1[l5] = acc1[l5] + (f1 * panel[(kk2 * 16) + l5]);
          }
          const float f2 = x1[o1 + ((row2 * c8) + i3_2)];
          #pragma unroll
          for (int l6 = 0; l6 < 16; l6++) {
            acc2[l6] = acc2[l6] + (f2 * panel[(kk2 * 16) + l6]);
          }
          const float f3 = x1[o1 + ((row3 * c8) + i3_2)];
          #pragma unroll
          for (int l7 = 0; l7 < 16; l7++) {
            acc3[l7] = acc3[l7] + (f3 * panel[(kk2 * 16) + l7]);
          }
        }
        #pragma unroll
        for (int l8 = 0; l8 < 16; l8++) {
          sums[(ii0 * 16) + l8] = acc0[l8];
        }
        #pragma unroll
        for (int l9 = 0; l9 < 16; l9++) {
          sums[((ii0 + 1) * 16) + l9] = acc1[l9];
        }
        #pragma unroll
        for (int l10 = 0; l10 < 16; l10++) {
          sums[((ii0 + 2) * 16) + l10] = acc2[l10];
        }
        #pragma unroll
        for (int l11 = 0; l11 < 16; l11++) {
          sums[((ii0 + 3) * 16) + l11] = acc3[l11];
        }
      }
    }
    for (int ii1 = 0; ii1 < high0; ii1++) {
      const int i1_0 = i00 + ii1;
      for (int jj3 = 0; jj3 < wide0; jj3++) {
        const int i2_3 = j00 + jj3;
        const float total0 = sums[(ii1 * 16) + jj3];
        x3[o3 + (((r1 * c9) + (i1_0 * c10)) + i2_3)] = total0;
      }
    }
  }
}
