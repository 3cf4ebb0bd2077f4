// Attention in one pass over the keys, for float16 and bfloat16: out = softmax(scale * q k^T) v and the log of each row's sum.
//
// A warp has R times 16 queries and walks over the keys tile by tile, with the running maximum and sum of each row ("online
// softmax": Milakov and Gimelshein 2018; tiled as in Dao et al. 2022). The next tile is on its way while one is worked on.
enum {
  R = D > 64 ? 1 : 2,
  BLOCK = WARPS * 16 * R,
  N = D > 64 ? 2 : 4,  // times 16 keys of a tile
  M = N * 16,
};

// One more tile of scores in the running maximum and sum of a warp's rows, and as weights; by how much older ones shrink.
// `scale`, above 0, makes exponents of scores: of powers of two, which are the hardware's.
static __device__ __forceinline__ void soften(float (&s)[2 * N][4], float scale, float (&top)[2], float (&sum)[2], float (&factor)[2]) {
#pragma unroll
  for (int h = 0; h < 2; h++) {
    float most = top[h];
#pragma unroll
    for (int n = 0; n < 2 * N; n++) most = fmaxf(most, fmaxf(s[n][2 * h], s[n][2 * h + 1]));
    most = row_max(most);
    const float base = most == -INFINITY ? 0.0f : most * scale;
    factor[h] = power_of_two(fmaf(top[h], scale, -base));
    top[h] = most;
    sum[h] *= factor[h];
#pragma unroll
    for (int n = 0; n < 2 * N; n++)
#pragma unroll
      for (int e = 2 * h; e < 2 * h + 2; e++) {
        s[n][e] = power_of_two(fmaf(s[n][e], scale, -base));
        sum[h] += s[n][e];
      }
  }
}

// The queries of a scale below 0 with the other sign: so the greatest score has the greatest weight.
static __device__ __forceinline__ void negate(Fragment (&a)[R][D / 16]) {
#pragma unroll
  for (int r = 0; r < R; r++)
#pragma unroll
    for (int t = 0; t < D / 16; t++)
#pragma unroll
      for (int k = 0; k < 4; k++) a[r][t][k] ^= 0x80008000u;
}

extern "C" __global__ void __launch_bounds__(128, D > 64 ? 3 : 2) ingot_attention(
    const unsigned short *__restrict__ q, const unsigned short *__restrict__ k, const unsigned short *__restrict__ v,
    unsigned short *__restrict__ out, float *__restrict__ lse, const Arguments a) {
  __shared__ __align__(16) unsigned short tiles[2][2][M * STRIDE];  // turn; keys and values
  const int batch = blockIdx.x / a.heads, head = blockIdx.x % a.heads, lane = threadIdx.x % 32;
  const int start = first_query<BLOCK>();
  const int first = start + threadIdx.x / 32 * 16 * R;
  const auto fetch = [&](int tile) { keys_and_values<M>(tiles[tile / M % 2], k, v, a, batch, head, tile); };
  const int end = CAUSAL && start + BLOCK < a.keys ? start + BLOCK : a.keys;
  fetch(0);
  Fragment mine[R][D / 16];
  left_sides<R>(mine, part(q, a.q, batch, head), a.q.row, first, a.queries);
  const float scale = a.scale == 0.0f ? 1e-38f : fabsf(a.scale) * LOG2E;  // with 0 what is masked would be NaN
  if (a.scale < 0.0f) negate(mine);

  float o[R][D / 8][4], top[R][2], sum[R][2];
#pragma unroll
  for (int r = 0; r < R; r++) {
    top[r][0] = top[r][1] = -INFINITY;
    sum[r][0] = sum[r][1] = 0.0f;
#pragma unroll
    for (int d = 0; d < D / 8; d++) o[r][d][0] = o[r][d][1] = o[r][d][2] = o[r][d][3] = 0.0f;
  }
  const auto look = [&](bool partly, int tile) __attribute__((always_inline)) {  // compiled for both
    float s[R][2 * N][4], factor[R][2];
    scores<R, N>(s, mine, tiles[tile / M % 2][0]);
#pragma unroll
    for (int r = 0; r < R; r++) {
      if (partly)
#pragma unroll
        for (int n = 0; n < 2 * N; n++)
#pragma unroll
          for (int e = 0; e < 4; e++) {
            const int key = tile + n * 8 + lane % 4 * 2 + e % 2, row = first + r * 16 + lane / 4 + e / 2 * 8;
            if (key >= a.keys || (CAUSAL && key > row)) s[r][n][e] = -INFINITY;
          }
      soften(s[r], scale, top[r], sum[r], factor[r]);
#pragma unroll
      for (int d = 0; d < D / 8; d++)
#pragma unroll
        for (int e = 0; e < 4; e++) o[r][d][e] *= factor[r][e / 2];
    }
    add_weighted<R, N>(o, s, tiles[tile / M % 2][1]);
  };
  for (int tile = 0; tile < end; tile += M) {
    copied();
    __syncthreads();
    if (tile + M < end) fetch(tile + M);
    if (CAUSAL && tile > first + 16 * R - 1) continue;
    if (tile + M > a.keys || (CAUSAL && tile + M > first))
      look(true, tile);
    else
      look(false, tile);
  }
#pragma unroll
  for (int r = 0; r < R; r++) {
    float share[2];
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const int row = first + r * 16 + lane / 4 + h * 8;
      const float total = row_sum(sum[r][h]);
      share[h] = total == 0.0f ? 0.0f : 1.0f / total;
      if (row < a.queries && lane % 4 == 0)
        lse[a.lse + (long long)blockIdx.x * a.queries + row] = total == 0.0f ? -INFINITY : (top[r][h] * scale + log2f(total)) * LN2;
    }
    store_rows(part(out, a.out, batch, head), a.out.row, o[r], share[0], share[1], first + r * 16, a.queries);
  }
}
