#pragma OPENCL FP_CONTRACT OFF
typedef struct {
  int tiles;
  int across;
  int down;
  int n2;
  int n0;
  int c0;
  int o0;
  int c1;
  int n1;
  int c2;
  int o1;
  int c3;
  int o3;
  int c4;
  int o2;
} Arguments;
__kernel __attribute__((reqd_work_group_size(256, 1, 1)))
void ingot_linear(__global const float *restrict x0, __global const float *restrict x1, __global const float *restrict x2, __global float *restrict x3, const Arguments args) {
  const int tiles = args.tiles;
  const int across = args.across;
  const int down = args.down;
  const int n2 = args.n2;
  const int n0 = args.n0;
  const int c0 = args.c0;
  const int o0 = args.o0;
  const int c1 = args.c1;
  const int n1 = args.n1;
  const int c2 = args.c2;
  const int o1 = args.o1;
  const int c3 = args.c3;
  const int o3 = args.o3;
  const int c4 = args.c4;
  const int o2 = args.o2;
  __local float left0[256];
  __local float right0[256];
  for (int g0 = (int)get_group_id(0); g0 < tiles; g0 += (int)get_num_groups(0)) {
    const int j00 = (int)((uint)g0 % (uint)across) * 16;
    const int r0 = (int)((uint)g0 / (uint)across);
    const int i00 = (int)((uint)r0 % (uint)down) * 16;
    const int x_0 = (int)((uint)(int)get_local_id(0) % (uint)16);
    const int y_0 = (int)((uint)(int)get_local_id(0) / (uint)16);
    float sums0[1];
    #pragma unroll
    for (int q = 0; q < 1; q++) sums0[q] = 0.0f;
    for (int k0 = 0; k0 < n2; k0 += 16) {
      for (int e0 = (int)get_local_id(0); e0 < 256; e0 += 256) {
        const int k_0 = k0 + (int)((uint)e0 / (uint)16);
        const int at0 = ((i00 + (int)((uint)e0 % (uint)16)) < (n0 - 1)) ? (i00 + (int)((uint)e0 % (uint)16)) : (n0 - 1);
        const int ks0 = (k_0 < (n2 - 1)) ? k_0 : (n2 - 1);
        left0[e0] = (k_0 < n2) ? x0[o0 + ((at0 * c1) + ks0)] : 0.0f;
      }
      for (int e1 = (int)get_local_id(0); e1 < 256; e1 += 256) {
        const int k_1 = k0 + (int)((uint)e1 / (uint)16);
        const int at1 = ((j00 + (int)((uint)e1 % (uint)16)) < (n1 - 1)) ? (j00 + (int)((uint)e1 % (uint)16)) : (n1 - 1);
        const int ks1 = (k_1 < (n2 - 1)) ? k_1 : (n2 - 1);
        right0[e1] = (k_1 < n2) ? x1[o1 + ((at1 * c3) + ks1)] : 0.0f;
      }
      barrier(CLK_LOCAL_MEM_FENCE);
      for (int kk0 = 0; kk0 < 16; kk0++) {
        const float a0 = left0[(kk0 * 16) + y_0];
        const float b0 = right0[(kk0 * 16) + x_0];
        sums0[0] = sums0[0] + (a0 * b0);
      }
      barrier(CLK_LOCAL_MEM_FENCE);
    }
    #pragma unroll
    for (int rr0 = 0; rr0 < 1; rr0++) {
      #pragma unroll
      for (int qq0 = 0; qq0 < 1; qq0++) {
        if (((i00 + (y_0 + rr0)) < n0) & ((j00 + (x_0 + qq0)) < n1)) {
          const int i0_0 = i00 + (y_0 + rr0);
          const int i1_0 = j00 + (x_0 + qq0);
          const float total0 = sums0[rr0 + qq0];
          x3[o3 + ((i0_0 * c4) + i1_0)] = total0 + x2[o2 + i1_0];
        }
      }
    }
  }
}
