// The first of two kernels for the gradients of attention, for float16 and bfloat16: that of the queries. Probabilities are
// computed again, tile by tile, from the scores and the log of each row's sum (Dao 2023, "FlashAttention-2"); instead of its
// additions across blocks a second kernel, `attention_keys.cu`, does so once more, and each sum is one thread's.
//
// A warp has 16 queries and walks over the keys. It leaves two numbers for each query in `rows`: the log of its sum (to base 2; a
// row without any key has infinity, which makes its probabilities 0) and the sum of grad * out.
enum {
  BLOCK = WARPS * 16,
  N = D > 64 ? 1 : 2,    // times 16 keys are looked at together
  M = D > 64 ? 32 : 64,  // keys of a tile
};

// Σ grad out over 16 rows, two of them in each lane.
static __device__ __forceinline__ void row_products(float (&total)[2], const Fragment (&grad)[1][D / 16], const unsigned short *out, long long step, int first, int rows) {
  Fragment made[1][D / 16];
  left_sides<1>(made, out, step, first, rows);
  total[0] = total[1] = 0.0f;
#pragma unroll
  for (int t = 0; t < D / 16; t++)
#pragma unroll
    for (int r = 0; r < 4; r++)
#pragma unroll
      for (int e = 0; e < 2; e++) total[r % 2] += widened(grad[0][t][r], e) * widened(made[0][t][r], e);
  total[0] = row_sum(total[0]);
  total[1] = row_sum(total[1]);
}

extern "C" __global__ void __launch_bounds__(128, D > 64 ? 2 : 3) ingot_attention_queries(
    const unsigned short *__restrict__ q, const unsigned short *__restrict__ k, const unsigned short *__restrict__ v,
    const unsigned short *__restrict__ grad, const unsigned short *__restrict__ out, const float *__restrict__ lse,
    float *__restrict__ rows, unsigned short *__restrict__ grad_q, const Arguments a) {
  __shared__ __align__(16) unsigned short tiles[2][2][M * STRIDE];  // turn; keys and values
  const int batch = blockIdx.x / a.heads, head = blockIdx.x % a.heads, lane = threadIdx.x % 32;
  const int start = (CAUSAL ? gridDim.y - 1 - blockIdx.y : blockIdx.y) * BLOCK;  // the longest way first
  const int first = start + threadIdx.x / 32 * 16;
  k = part(k, a.k, batch, head);
  v = part(v, a.v, batch, head);
  const int end = CAUSAL && start + BLOCK < a.keys ? start + BLOCK : a.keys;
  fill<M>(tiles[0][0], k, a.k.row, 0, a.keys);
  fill<M>(tiles[0][1], v, a.v.row, 0, a.keys);

  Fragment query[1][D / 16], slope[1][D / 16];
  left_sides<1>(query, part(q, a.q, batch, head), a.q.row, first, a.queries);
  left_sides<1>(slope, part(grad, a.grad, batch, head), a.grad.row, first, a.queries);
  float log[2], product[2];
  row_products(product, slope, part(out, a.out, batch, head), a.out.row, first, a.queries);
#pragma unroll
  for (int h = 0; h < 2; h++) {
    const int row = first + lane / 4 + h * 8;
    const long long place = (long long)blockIdx.x * a.queries + row;
    log[h] = row < a.queries ? lse[a.lse + place] * LOG2E : INFINITY;
    if (log[h] == -INFINITY) log[h] = INFINITY;
    if (row < a.queries && lane % 4 == 0) {
      rows[2 * place] = log[h];
      rows[2 * place + 1] = product[h];
    }
  }

  float made[1][D / 8][4];
#pragma unroll
  for (int d = 0; d < D / 8; d++) made[0][d][0] = made[0][d][1] = made[0][d][2] = made[0][d][3] = 0.0f;
  const float scale = a.scale * LOG2E;
  int turn = 0;
  for (int tile = 0; tile < end; tile += M, turn ^= 1) {
    copied();
    __syncthreads();
    if (tile + M < end) {
      fill<M>(tiles[turn ^ 1][0], k, a.k.row, tile + M, a.keys);
      fill<M>(tiles[turn ^ 1][1], v, a.v.row, tile + M, a.keys);
    }
#pragma unroll 1
    for (int chunk = 0; chunk < M; chunk += 16 * N) {
      if (CAUSAL && tile + chunk > first + 15) break;
      const unsigned short *keys = tiles[turn][0] + chunk * STRIDE, *values = tiles[turn][1] + chunk * STRIDE;
      float s[1][2 * N][4], up[1][2 * N][4];
      scores<1, N>(s, query, keys);
      scores<1, N>(up, slope, values);
#pragma unroll
      for (int n = 0; n < 2 * N; n++)
#pragma unroll
        for (int e = 0; e < 4; e++) {
          const int key = tile + chunk + n * 8 + lane % 4 * 2 + e % 2, row = first + lane / 4 + e / 2 * 8;
          const float p = power_of_two(fmaf(s[0][n][e], scale, -log[e / 2]));
          s[0][n][e] = key < a.keys && !(CAUSAL && key > row) ? p * (up[0][n][e] - product[e / 2]) : 0.0f;
        }
      add_weighted<1, N>(made, s, keys);
    }
  }
  store_rows(part(grad_q, a.grad_q, batch, head), a.grad_q.row, made[0], a.scale, a.scale, first, a.queries);
}
