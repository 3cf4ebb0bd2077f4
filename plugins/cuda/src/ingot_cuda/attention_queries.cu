// The first of two kernels for the gradients of attention, for float16 and bfloat16: that of the queries. Probabilities are
// computed again, tile by tile, from the scores and the log of each row's sum (Dao 2023, "FlashAttention-2"); instead of its
// additions across blocks a second kernel, `attention_keys.cu`, does so once more, and each sum is one thread's.
//
// A warp has R times 16 queries and walks over the keys: what is read from shared memory serves them all. It leaves two numbers
// for each query in `rows`: the log of its sum (to base 2; a row without any key has infinity, which makes its probabilities 0)
// and the sum of grad * out.
enum {
  R = D > 64 ? 1 : 2,
  BLOCK = WARPS * 16 * R,
  N = D > 48 ? 1 : 2,    // times 16 keys are looked at together
  M = D > 64 ? 32 : 64,  // keys of a tile
};

// Σ grad out over 16 rows, two of them in each lane.
static __device__ __forceinline__ void row_products(float (&total)[2], const Fragment (&grad)[D / 16], const unsigned short *out, long long step, int first, int rows) {
  Fragment made[1][D / 16];
  left_sides<1>(made, out, step, first, rows);
  total[0] = total[1] = 0.0f;
#pragma unroll
  for (int t = 0; t < D / 16; t++)
#pragma unroll
    for (int k = 0; k < 4; k++)
#pragma unroll
      for (int e = 0; e < 2; e++) total[k % 2] += widened(grad[t][k], e) * widened(made[0][t][k], e);
  total[0] = row_sum(total[0]);
  total[1] = row_sum(total[1]);
}

extern "C" __global__ void __launch_bounds__(128, 2) ingot_attention_queries(
    const unsigned short *__restrict__ q, const unsigned short *__restrict__ k, const unsigned short *__restrict__ v,
    const unsigned short *__restrict__ grad, const unsigned short *__restrict__ out, const float *__restrict__ lse,
    float *__restrict__ rows, unsigned short *__restrict__ grad_q, const Arguments a) {
  __shared__ __align__(16) unsigned short tiles[2][2][M * STRIDE];  // turn; keys and values
  const int batch = blockIdx.x / a.heads, head = blockIdx.x % a.heads, lane = threadIdx.x % 32;
  const int start = first_query<BLOCK>();
  const int first = start + threadIdx.x / 32 * 16 * R;
  const auto fetch = [&](int tile) { keys_and_values<M>(tiles[tile / M % 2], k, v, a, batch, head, tile); };
  const int end = CAUSAL && start + BLOCK < a.keys ? start + BLOCK : a.keys;
  fetch(0);

  Fragment query[R][D / 16], slope[R][D / 16];
  left_sides<R>(query, part(q, a.q, batch, head), a.q.row, first, a.queries);
  left_sides<R>(slope, part(grad, a.grad, batch, head), a.grad.row, first, a.queries);
  float log[R][2], product[R][2], made[R][D / 8][4];
#pragma unroll
  for (int r = 0; r < R; r++) {
    row_products(product[r], slope[r], part(out, a.out, batch, head), a.out.row, first + r * 16, a.queries);
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const int row = first + r * 16 + lane / 4 + h * 8;
      const long long place = (long long)blockIdx.x * a.queries + row;
      float number = row < a.queries ? lse[a.lse + place] * LOG2E : INFINITY;
      if (number == -INFINITY) number = INFINITY;
      log[r][h] = number;
      if (row < a.queries && lane % 4 == 0) {
        rows[2 * place] = number;
        rows[2 * place + 1] = product[r][h];
      }
    }
#pragma unroll
    for (int d = 0; d < D / 8; d++) made[r][d][0] = made[r][d][1] = made[r][d][2] = made[r][d][3] = 0.0f;
  }
  const float scale = a.scale * LOG2E;
  const auto look = [&](bool partly, int tile, int chunk) __attribute__((always_inline)) {  // compiled for both
    const unsigned short(*two)[M * STRIDE] = tiles[tile / M % 2];
    const unsigned short *keys = two[0] + chunk * STRIDE, *values = two[1] + chunk * STRIDE;
    float s[R][2 * N][4], up[R][2 * N][4];
    scores<R, N>(s, query, keys);
    scores<R, N>(up, slope, values);
#pragma unroll
    for (int r = 0; r < R; r++)
#pragma unroll
      for (int n = 0; n < 2 * N; n++)
#pragma unroll
        for (int e = 0; e < 4; e++) {
          const int key = tile + chunk + n * 8 + lane % 4 * 2 + e % 2, row = first + r * 16 + lane / 4 + e / 2 * 8;
          const float p = power_of_two(fmaf(s[r][n][e], scale, -log[r][e / 2]));
          const bool exists = !partly || (key < a.keys && !(CAUSAL && key > row));
          s[r][n][e] = exists ? p * (up[r][n][e] - product[r][e / 2]) : 0.0f;
        }
    add_weighted<R, N>(made, s, keys);
  };
  for (int tile = 0; tile < end; tile += M) {
    copied();
    __syncthreads();
    if (tile + M < end) fetch(tile + M);
#pragma unroll 1
    for (int chunk = 0; chunk < M; chunk += 16 * N) {
      const int end = tile + chunk + 16 * N;
      if (CAUSAL && tile + chunk > first + 16 * R - 1) break;
      if (end > a.keys || (CAUSAL && end > first + 1))
        look(true, tile, chunk);
      else
        look(false, tile, chunk);
    }
  }
#pragma unroll
  for (int r = 0; r < R; r++)
    store_rows(part(grad_q, a.grad_q, batch, head), a.grad_q.row, made[r], a.scale, a.scale, first + r * 16, a.queries);
}
