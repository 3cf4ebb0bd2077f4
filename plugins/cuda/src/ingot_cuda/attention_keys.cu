// The second kernel for the gradients of attention: those of keys and values, after `attention_queries.cu`.
//
// A warp has R times 16 keys and walks over the queries: what is read from shared memory serves them all. Scores are
// transposed here, a row for each key, so that what is added up lies in the warp that makes it. `rows` has what the first kernel left: for each query the log of its sum, and the sum of grad * out.
enum {
  R = D > 64 ? 1 : 2,
  BLOCK = WARPS * 16 * R,
  N = D > 32 ? 1 : 2,    // times 16 queries are looked at together: what registers hold of two blocks to a multiprocessor
  M = D > 64 ? 32 : 64,  // queries of a tile
};

// What is looked at together with the keys of a block, while the next of the kind is on its way.
typedef struct {
  unsigned short queries[M * STRIDE], slopes[M * STRIDE];
  float2 rows[M];
} Tile;

extern "C" __global__ void __launch_bounds__(128, 2) ingot_attention_keys(
    const unsigned short *__restrict__ q, const unsigned short *__restrict__ k, const unsigned short *__restrict__ v,
    const unsigned short *__restrict__ grad, const float *__restrict__ rows, unsigned short *__restrict__ grad_k,
    unsigned short *__restrict__ grad_v, const Arguments a) {
  __shared__ __align__(16) Tile tiles[2];
  const int batch = blockIdx.x / a.heads, head = blockIdx.x % a.heads, lane = threadIdx.x % 32;
  const int start = blockIdx.y * BLOCK, first = start + threadIdx.x / 32 * 16 * R;
  rows += (long long)blockIdx.x * a.queries * 2;

  const auto fetch = [&](int tile) {
    Tile &to = tiles[tile / M % 2];
    fill<M>(to.queries, part(q, a.q, batch, head), a.q.row, tile, a.queries);
    fill<M>(to.slopes, part(grad, a.grad, batch, head), a.grad.row, tile, a.queries);
    const int i = threadIdx.x;
    const bool exists = tile + i / 2 < a.queries;
    if (i < 2 * M) copy_word((float *)to.rows + i, rows + (exists ? 2 * tile + i : 0), exists);
  };
  const int begin = CAUSAL ? start / M * M : 0;
  if (begin < a.queries) fetch(begin);
  Fragment key[R][D / 16], value[R][D / 16];
  left_sides<R>(key, part(k, a.k, batch, head), a.k.row, first, a.keys);
  left_sides<R>(value, part(v, a.v, batch, head), a.v.row, first, a.keys);

  float to_key[R][D / 8][4], to_value[R][D / 8][4];
#pragma unroll
  for (int r = 0; r < R; r++)
#pragma unroll
    for (int d = 0; d < D / 8; d++)
#pragma unroll
      for (int e = 0; e < 4; e++) to_key[r][d][e] = to_value[r][d][e] = 0.0f;
  const float scale = a.scale * LOG2E;
  const auto look = [&](bool partly, int tile, int chunk) __attribute__((always_inline)) {  // compiled for both
    const Tile &from = tiles[tile / M % 2];
    const unsigned short *queries = from.queries + chunk * STRIDE, *slopes = from.slopes + chunk * STRIDE;
    float s[R][2 * N][4], up[R][2 * N][4];
    const float2 *of_rows = from.rows + chunk + lane % 4 * 2;
    scores<R, N>(s, key, queries);
#pragma unroll
    for (int n = 0; n < 2 * N; n++)
#pragma unroll
      for (int r = 0; r < R; r++)
#pragma unroll
        for (int e = 0; e < 4; e++) {
          const int row = tile + chunk + n * 8 + lane % 4 * 2 + e % 2, at = first + r * 16 + lane / 4 + e / 2 * 8;
          const float p = power_of_two(fmaf(s[r][n][e], scale, -of_rows[n * 8 + e % 2].x));
          s[r][n][e] = partly && at > row ? 0.0f : p;
        }
    add_weighted<R, N>(to_value, s, slopes);
    scores<R, N>(up, value, slopes);
#pragma unroll
    for (int n = 0; n < 2 * N; n++)
#pragma unroll
      for (int r = 0; r < R; r++)
#pragma unroll
        for (int e = 0; e < 4; e++) up[r][n][e] = s[r][n][e] * (up[r][n][e] - of_rows[n * 8 + e % 2].y);
    add_weighted<R, N>(to_key, up, queries);
  };
  for (int tile = begin; tile < a.queries; tile += M) {
    copied();
    __syncthreads();
    if (tile + M < a.queries) fetch(tile + M);
#pragma unroll 1
    for (int chunk = 0; chunk < M; chunk += 16 * N) {
      if (CAUSAL && tile + chunk + 16 * N <= first) continue;
      if (CAUSAL && tile + chunk < first + 16 * R - 1)
        look(true, tile, chunk);
      else
        look(false, tile, chunk);
    }
  }
#pragma unroll
  for (int r = 0; r < R; r++) {
    store_rows(part(grad_k, a.grad_k, batch, head), a.grad_k.row, to_key[r], a.scale, a.scale, first + r * 16, a.keys);
    store_rows(part(grad_v, a.grad_v, batch, head), a.grad_v.row, to_value[r], 1.0f, 1.0f, first + r * 16, a.keys);
  }
}
