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

// Two floats to 16 bits each, and powers of two.
SIM_FN unsigned sim_to_bfloat16(float f) {
  const unsigned bits = sim_bits<unsigned>(f);
  return f == f ? (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16 : 0x7FFFu;
}
SIM_FN void sim_ptx_cvt_rn_bf16x2_f32(unsigned &both, float high, float low) { both = sim_to_bfloat16(low) | sim_to_bfloat16(high) << 16; }
SIM_FN void sim_ptx_cvt_rn_f16x2_f32(unsigned &both, float high, float low) {
  both = (unsigned)sim_float_to_half(low) | (unsigned)sim_float_to_half(high) << 16;
}
SIM_FN void sim_ptx_ex2_approx_ftz_f32(float &y, float x) { y = exp2f(x); }

// An address in shared memory is a number of 32 bits there; here the rest of it is kept beside.
static size_t sim_shared_upper;
SIM_RAW unsigned long long __cvta_generic_to_shared(const void *p) {
  sim_shared_upper = (size_t)p >> 32 << 32;
  return (size_t)p;
}
SIM_RAW void *sim_shared(unsigned at) { return (void *)(sim_shared_upper | at); }

// Four matrices of 8 x 8 in 16 bits, whose rows lie where the lanes say, eight of them each. Lane 4 i + j gets of row i the
// elements 2 j and 2 j + 1; of the transposed ones those of rows 2 j and 2 j + 1 in column i.
SIM_RAW unsigned sim_word(const uint4 &row, unsigned n) { return n == 0 ? row.x : n == 1 ? row.y : n == 2 ? row.z : row.w; }
SIM_RAW uint4 sim_row_of(uint4 own, unsigned lane) {
  uint4 row;
  cuda_sim_exchange(0, 0xffffffffu, &own, sizeof own, lane, &row);
  return row;
}
SIM_FN void sim_ptx_ldmatrix_sync_aligned_m8n8_x4_shared_b16(unsigned &r0, unsigned &r1, unsigned &r2, unsigned &r3, unsigned at) {
  const uint4 own = *(const uint4 *)sim_shared(at);
  unsigned *const made[4] = {&r0, &r1, &r2, &r3};
  for (unsigned m = 0; m < 4; m++) *made[m] = sim_word(sim_row_of(own, m * 8 + sim_lane() / 4), sim_lane() % 4);
}
SIM_FN void sim_ptx_ldmatrix_sync_aligned_m8n8_x4_trans_shared_b16(unsigned &r0, unsigned &r1, unsigned &r2, unsigned &r3, unsigned at) {
  const uint4 own = *(const uint4 *)sim_shared(at);
  unsigned *const made[4] = {&r0, &r1, &r2, &r3};
  const unsigned row = sim_lane() % 4 * 2, column = sim_lane() / 4, shift = column % 2 * 16;
  for (unsigned m = 0; m < 4; m++) {
    const unsigned upper = sim_word(sim_row_of(own, m * 8 + row), column / 2), lower = sim_word(sim_row_of(own, m * 8 + row + 1), column / 2);
    *made[m] = (upper >> shift & 0xFFFFu) | lower >> shift << 16;
  }
}

// Asynchronous copies of one thread arrive when it waits for them and not before: until then there is NaN. Of `bytes` fewer than
// the instruction writes, the rest is 0.
struct SimCopy { void *to; uint4 value; unsigned words; };
static struct { SimCopy held[64]; unsigned count; } sim_copies[1024];
SIM_RAW auto &sim_own_copies() {
  const unsigned row = cuda_sim_thread.y + cuda_sim_block_size.y * cuda_sim_thread.z;
  return sim_copies[cuda_sim_thread.x + cuda_sim_block_size.x * row];
}
SIM_RAW void sim_hold(const SimCopy &copy) {
  auto &own = sim_own_copies();
  if (own.count == 64) cuda_sim_trap(0);
  own.held[own.count++] = copy;
}
SIM_RAW bool sim_next(SimCopy &copy) {
  auto &own = sim_own_copies();
  const bool some = own.count;
  if (some) copy = own.held[--own.count];
  return some;
}
SIM_FN void sim_write(void *to, uint4 value, unsigned words) {
  if (words == 4) *(uint4 *)to = value;
  else *(unsigned *)to = value.x;
}
SIM_FN void sim_ptx_cp_async_cg_shared_global(unsigned at, const void *from, unsigned bytes) {
  const unsigned nan = 0xFFFFFFFFu;
  sim_write(sim_shared(at), uint4{nan, nan, nan, nan}, 4);
  sim_hold({sim_shared(at), bytes ? *(const uint4 *)from : uint4{0, 0, 0, 0}, 4});
}
SIM_FN void sim_ptx_cp_async_ca_shared_global(unsigned at, const void *from, unsigned bytes) {
  sim_write(sim_shared(at), uint4{0xFFFFFFFFu, 0, 0, 0}, 1);
  sim_hold({sim_shared(at), uint4{bytes ? *(const unsigned *)from : 0, 0, 0, 0}, 1});
}
SIM_FN void sim_ptx_cp_async_wait_all() {
  for (SimCopy copy; sim_next(copy);) sim_write(copy.to, copy.value, copy.words);
}
