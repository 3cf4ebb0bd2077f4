// Inline PTX that kernels use, as functions: outputs first, as the operands of an asm statement stand (driver/compile.cpp).
#pragma once
SIM_FN void sim_ptx_cvt_f32_f16(float &f, unsigned short h) { f = sim_half_to_float(h); }
SIM_FN void sim_ptx_cvt_rn_f16_f32(unsigned short &h, float f) { h = sim_float_to_half(f); }
SIM_FN void sim_ptx_cvt_rn_bf16_f32(unsigned short &h, float f) {
  unsigned int bits = sim_bits<unsigned int>(f);
  h = f != f ? 0x7fff : (unsigned short)((bits + ((bits >> 16 & 1) + 0x7fff)) >> 16);
}
SIM_FN void sim_ptx_max_NaN_f32(float &r, float a, float b) {
  r = a != a || b != b ? sim_bits<float>(0x7fffffffu) : a == b ? (signbit(a) ? b : a) : a > b ? a : b;
}
SIM_FN void sim_ptx_min_NaN_f32(float &r, float a, float b) {
  r = a != a || b != b ? sim_bits<float>(0x7fffffffu) : a == b ? (signbit(a) ? a : b) : a < b ? a : b;
}
SIM_FN float sim_bfloat16_to_float(unsigned short h) { return sim_bits<float>((unsigned)h << 16); }

// A product of tensor cores, c += a b of 16 x 16 and 16 x 8, from what each lane of a warp holds of them (PTX ISA, mma.m16n8k16):
// lane 4 i + j has of rows i and i + 8 of a, and of column i of b, the elements 2 j, 2 j + 1, 2 j + 8 and 2 j + 9; and of rows i and
// i + 8 of c the columns 2 j and 2 j + 1. Sums are taken in float32 in order of k, which a GPU does not promise.
template <float (*Widened)(unsigned short)>
SIM_RAW void sim_mma(float &c0, float &c1, float &c2, float &c3, unsigned a0, unsigned a1, unsigned a2, unsigned a3, unsigned b0, unsigned b1) {
  const unsigned lane = sim_lane(), row[4] = {a0, a1, a2, a3}, column[2] = {b0, b1};
  unsigned a[4][4], b[2][4][2];
  for (unsigned j = 0; j < 4; j++) {
    cuda_sim_exchange(0, 0xffffffffu, row, sizeof row, lane / 4 * 4 + j, a[j]);
    cuda_sim_exchange(0, 0xffffffffu, column, sizeof column, lane % 4 * 8 + j, b[0][j]);
    cuda_sim_exchange(0, 0xffffffffu, column, sizeof column, lane % 4 * 8 + 4 + j, b[1][j]);
  }
  for (int k = 0; k < 16; k++) {
    const int j = k % 8 / 2, upper = k / 8, shift = k % 2 * 16;
    const float u = Widened(a[j][2 * upper] >> shift), l = Widened(a[j][2 * upper + 1] >> shift);
    const float x = Widened(b[0][j][upper] >> shift), y = Widened(b[1][j][upper] >> shift);
    c0 += u * x, c1 += u * y, c2 += l * x, c3 += l * y;
  }
}
#define sim_ptx_mma_sync_aligned_m16n8k16_row_col_f32_f16_f16_f32 sim_mma<sim_half_to_float>
#define sim_ptx_mma_sync_aligned_m16n8k16_row_col_f32_bf16_bf16_f32 sim_mma<sim_bfloat16_to_float>
