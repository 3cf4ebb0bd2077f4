#pragma OPENCL FP_CONTRACT OFF
typedef struct {
  int each;
  int strips;
  int across;
  int n1;
  int n0;
  int c0;
  int o0;
  int c1;
  int o1;
} Arguments;
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void ingot_sum(__global const float *restrict x0, __global float *restrict x1, const Arguments args) {
  const int each = args.each;
  const int strips = args.strips;
  const int across = args.across;
  const int n1 = args.n1;
  const int n0 = args.n0;
  const int c0 = args.c0;
  const int o0 = args.o0;
  const int c1 = args.c1;
  const int o1 = args.o1;
  const int start0 = (int)get_global_id(0) * each;
  const int stop0 = ((start0 + each) < strips) ? (start0 + each) : strips;
  for (int g0 = start0; g0 < stop0; g0++) {
    const int j00 = (int)((uint)g0 % (uint)across) * 64;
    const int wide0 = (64 < (n1 - j00)) ? 64 : (n1 - j00);
    float total0[64];
    #pragma unroll
    for (int q = 0; q < 64; q++) total0[q] = 0.0f;
    for (int k0 = 0; k0 < n0; k0 += 256) {
      const int stop1 = ((k0 + 256) < n0) ? (k0 + 256) : n0;
      float sum0[64];
      #pragma unroll
      for (int q = 0; q < 64; q++) sum0[q] = 0.0f;
      if (wide0 == 64) {
        for (int k1 = k0; k1 < stop1; k1++) {
          #pragma unroll
          for (int l0 = 0; l0 < 64; l0++) {
            const int i1_0 = j00 + l0;
            sum0[l0] = sum0[l0] + x0[o0 + ((k1 * c1) + i1_0)];
          }
        }
      } else {
        for (int k2 = k0; k2 < stop1; k2++) {
          #pragma unroll
          for (int l1 = 0; l1 < 64; l1++) {
            const int i1_1 = ((j00 + l1) < (n1 - 1)) ? (j00 + l1) : (n1 - 1);
            sum0[l1] = sum0[l1] + x0[o0 + ((k2 * c1) + i1_1)];
          }
        }
      }
      #pragma unroll
      for (int l2 = 0; l2 < 64; l2++) {
        total0[l2] = total0[l2] + sum0[l2];
      }
    }
    for (int l3 = 0; l3 < wide0; l3++) {
      const int i1_2 = j00 + l3;
      x1[o1 + i1_2] = total0[l3];
    }
  }
}
