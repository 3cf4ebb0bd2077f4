// The second kernel for the gradients of attention: those of keys and values, after `attention_queries.cu`.
//
// A warp has 16 keys and walks over the queries. Scores are transposed here, a row for each key, so that what is added up lies in
// the warp that makes it. `rows` has what the first kernel left: for each query the log of its sum, and the sum of grad * out.
enum {
  BLOCK = WARPS * 16,
  N = D > 48 ? 1 : 2,    // times 16 queries are looked at together: what registers hold of three blocks to a multiprocessor
  M = D > 64 ? 32 : 64,  // queries of a tile
};

extern "C" __global__ void __launch_bounds__(128, D > 64 ? 2 : 3) ingot_attention_keys(
    const unsigned short *__restrict__ q, const unsigned short *__restrict__ k, const unsigned short *__restrict__ v,
    const unsigned short *__restrict__ grad, const float *__restrict__ rows, unsigned short *__restrict__ grad_k,
    unsigned short *__restrict__ grad_v, const Arguments a) {
  __shared__ __align__(16) unsigned short tiles[2][2][M * STRIDE];  // turn; queries and gradients
  __shared__ __align__(16) float numbers[2][2 * M];
  const int batch = blockIdx.x / a.heads, head = blockIdx.x % a.heads, lane = threadIdx.x % 32;
  const int start = blockIdx.y * BLOCK, first = start + threadIdx.x / 32 * 16;
  q = part(q, a.q, batch, head);
  grad = part(grad, a.grad, batch, head);
  rows += (long long)blockIdx.x * a.queries * 2;

  const auto fetch = [&](int turn, int tile) {
    fill<M>(tiles[turn][0], q, a.q.row, tile, a.queries);
    fill<M>(tiles[turn][1], grad, a.grad.row, tile, a.queries);
    for (int i = threadIdx.x; i < 2 * M; i += THREADS) {
      const bool exists = tile + i / 2 < a.queries;
      copy_word(numbers[turn] + i, rows + (exists ? 2 * tile + i : 0), exists);
    }
  };
  const int begin = CAUSAL ? start / M * M : 0;
  if (begin < a.queries) fetch(0, begin);
  Fragment key[1][D / 16], value[1][D / 16];
  left_sides<1>(key, part(k, a.k, batch, head), a.k.row, first, a.keys);
  left_sides<1>(value, part(v, a.v, batch, head), a.v.row, first, a.keys);

  float to_key[1][D / 8][4], to_value[1][D / 8][4];
#pragma unroll
  for (int d = 0; d < D / 8; d++)
#pragma unroll
    for (int e = 0; e < 4; e++) to_key[0][d][e] = to_value[0][d][e] = 0.0f;
  const float scale = a.scale * LOG2E;
  int turn = 0;
  for (int tile = begin; tile < a.queries; tile += M, turn ^= 1) {
    copied();
    __syncthreads();
    if (tile + M < a.queries) fetch(turn ^ 1, tile + M);
#pragma unroll 1
    for (int chunk = 0; chunk < M; chunk += 16 * N) {
      if (CAUSAL && tile + chunk + 16 * N <= first) continue;
      const unsigned short *queries = tiles[turn][0] + chunk * STRIDE, *slopes = tiles[turn][1] + chunk * STRIDE;
      float s[1][2 * N][4], up[1][2 * N][4];
      scores<1, N>(s, key, queries);
      scores<1, N>(up, value, slopes);
#pragma unroll
      for (int n = 0; n < 2 * N; n++) {
        const float4 two_rows = *(const float4 *)(numbers[turn] + 2 * (chunk + n * 8 + lane % 4 * 2));
#pragma unroll
        for (int e = 0; e < 4; e++) {
          const int row = tile + chunk + n * 8 + lane % 4 * 2 + e % 2, at = first + lane / 4 + e / 2 * 8;
          const float p = power_of_two(fmaf(s[0][n][e], scale, -(e % 2 ? two_rows.z : two_rows.x)));
          s[0][n][e] = CAUSAL && at > row ? 0.0f : p;
          up[0][n][e] = s[0][n][e] * (up[0][n][e] - (e % 2 ? two_rows.w : two_rows.y));
        }
      }
      add_weighted<1, N>(to_value, s, slopes);
      add_weighted<1, N>(to_key, up, queries);
    }
  }
  store_rows(part(grad_k, a.grad_k, batch, head), a.grad_k.row, to_key[0], a.scale, a.scale, first, a.keys);
  store_rows(part(grad_v, a.grad_v, batch, head), a.grad_v.row, to_value[0], 1.0f, 1.0f, first, a.keys);
}
