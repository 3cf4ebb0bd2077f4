// Attention in one pass over the keys, for float16 and bfloat16: out = softmax(scale * q k^T) v and the log of each row's sum.
//
// A block of four warps has 64 queries, 16 to a warp, and walks over the keys 64 at a time, with the running maximum and sum of
// each row ("online softmax": Milakov and Gimelshein 2018; tiled as in Dao et al. 2022). Products are the tensor cores'
// (mma.m16n8k16, PTX ISA, matrix fragments), sums are float32. What comes before this text: HALF, D, CAUSAL, ALIGNED.
#define M 64
#define N 64
#define PAD 8  // elements: rows of a tile begin four banks apart
#define LOG2E 1.4426950408889634f
#define LN2 0.6931471805599453f

typedef struct {
  long long q_offset, q_batch, q_head, q_row, k_offset, k_batch, k_head, k_row, v_offset, v_batch, v_head, v_row;
  float scale;
  int heads, queries, keys;
} Arguments;

static __device__ __forceinline__ unsigned short to_stored(float f) {
#if HALF
  return ig_to_half(f);
#else
  const unsigned bits = ig_bits<unsigned>(f);
  return (unsigned short)(f == f ? (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16 : bits >> 16 | 0x40u);
#endif
}

static __device__ __forceinline__ unsigned packed(float low, float high) {
  return (unsigned)to_stored(low) | (unsigned)to_stored(high) << 16;
}

// Two neighbours, and eight of them; those of rows that do not exist are 0.
static __device__ __forceinline__ unsigned two(const unsigned short *p, bool exists) {
  if (!exists) return 0;
#if ALIGNED
  return *(const unsigned *)p;
#else
  return (unsigned)p[0] | (unsigned)p[1] << 16;
#endif
}

static __device__ __forceinline__ uint4 eight(const unsigned short *p, bool exists) {
  uint4 made = {0, 0, 0, 0};
  if (!exists) return made;
#if ALIGNED
  return *(const uint4 *)p;
#else
  made.x = two(p, true), made.y = two(p + 2, true), made.z = two(p + 4, true), made.w = two(p + 6, true);
  return made;
#endif
}

// c += a b for fragments of 16 x 16 and 16 x 8.
static __device__ __forceinline__ void multiply(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
#if HALF
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
}

// Over the four lanes that share a row.
static __device__ __forceinline__ float row_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(0xFFFFFFFFu, x, 1));
  return fmaxf(x, __shfl_xor_sync(0xFFFFFFFFu, x, 2));
}

static __device__ __forceinline__ float row_sum(float x) {
  x += __shfl_xor_sync(0xFFFFFFFFu, x, 1);
  return x + __shfl_xor_sync(0xFFFFFFFFu, x, 2);
}

extern "C" __global__ void __launch_bounds__(128) ingot_attention(
    const unsigned short *__restrict__ q, const unsigned short *__restrict__ k, const unsigned short *__restrict__ v,
    unsigned short *__restrict__ out, float *__restrict__ lse, const Arguments a) {
  __shared__ __align__(16) unsigned short keys[N * (D + PAD)];
  __shared__ __align__(16) unsigned short values[D * (N + PAD)];  // transposed: a fragment wants two neighbouring keys
  const int lane = threadIdx.x % 32, group = lane / 4, pair = lane % 4 * 2;
  const int first = blockIdx.x * M + threadIdx.x / 32 * 16;
  const int head = blockIdx.y % a.heads, batch = blockIdx.y / a.heads;
  q += a.q_offset + batch * a.q_batch + head * a.q_head;
  k += a.k_offset + batch * a.k_batch + head * a.k_head;
  v += a.v_offset + batch * a.v_batch + head * a.v_head;

  unsigned mine[D / 16][4];
#pragma unroll
  for (int t = 0; t < D / 16; t++)
#pragma unroll
    for (int r = 0; r < 4; r++) {
      const int row = first + group + r % 2 * 8;
      mine[t][r] = two(q + row * a.q_row + t * 16 + pair + r / 2 * 8, row < a.queries);
    }
  float o[D / 8][4], top[2] = {-INFINITY, -INFINITY}, sum[2] = {0.0f, 0.0f};
#pragma unroll
  for (int d = 0; d < D / 8; d++) o[d][0] = o[d][1] = o[d][2] = o[d][3] = 0.0f;

  const float scale = a.scale * LOG2E;  // powers of two are the hardware's
  const int reach = (int)(blockIdx.x + 1) * M;
  const int end = CAUSAL && reach < a.keys ? reach : a.keys;
  for (int start = 0; start < end; start += N) {
    __syncthreads();
    for (int i = threadIdx.x; i < N * (D / 8); i += 128) {  // neighbours read one row
      const int key = i / (D / 8), c = i % (D / 8) * 8;
      *(uint4 *)(keys + key * (D + PAD) + c) = eight(k + (start + key) * a.k_row + c, start + key < a.keys);
    }
    for (int i = threadIdx.x; i < N * (D / 8); i += 128) {  // neighbours write one row
      const int key = i % N, c = i / N * 8;
      const uint4 e = eight(v + (start + key) * a.v_row + c, start + key < a.keys);
      const unsigned words[4] = {e.x, e.y, e.z, e.w};
#pragma unroll
      for (int j = 0; j < 8; j++) values[(c + j) * (N + PAD) + key] = (unsigned short)(words[j / 2] >> j % 2 * 16);
    }
    __syncthreads();

    float s[N / 8][4];
#pragma unroll
    for (int n = 0; n < N / 8; n++) {
      s[n][0] = s[n][1] = s[n][2] = s[n][3] = 0.0f;
#pragma unroll
      for (int t = 0; t < D / 16; t++) {
        const unsigned short *at = keys + (n * 8 + group) * (D + PAD) + t * 16 + pair;
        multiply(s[n], mine[t], *(const unsigned *)at, *(const unsigned *)(at + 8));
      }
    }
    float most[2] = {top[0], top[1]};
#pragma unroll
    for (int n = 0; n < N / 8; n++)
#pragma unroll
      for (int e = 0; e < 4; e++) {
        const int key = start + n * 8 + pair + e % 2, row = first + group + e / 2 * 8;
        s[n][e] = key < a.keys && !(CAUSAL && key > row) ? s[n][e] * scale : -INFINITY;
        most[e / 2] = fmaxf(most[e / 2], s[n][e]);
      }
    float base[2], factor[2];
#pragma unroll
    for (int h = 0; h < 2; h++) {
      most[h] = row_max(most[h]);
      base[h] = most[h] == -INFINITY ? 0.0f : most[h];
      factor[h] = exp2f(top[h] - base[h]);
      top[h] = most[h];
      sum[h] *= factor[h];
    }
#pragma unroll
    for (int n = 0; n < N / 8; n++)
#pragma unroll
      for (int e = 0; e < 4; e++) {
        s[n][e] = exp2f(s[n][e] - base[e / 2]);
        sum[e / 2] += s[n][e];
      }
#pragma unroll
    for (int d = 0; d < D / 8; d++)
#pragma unroll
      for (int e = 0; e < 4; e++) o[d][e] *= factor[e / 2];
#pragma unroll
    for (int j = 0; j < N / 16; j++) {
      const unsigned p[4] = {packed(s[2 * j][0], s[2 * j][1]), packed(s[2 * j][2], s[2 * j][3]),
                             packed(s[2 * j + 1][0], s[2 * j + 1][1]), packed(s[2 * j + 1][2], s[2 * j + 1][3])};
#pragma unroll
      for (int d = 0; d < D / 8; d++) {
        const unsigned short *at = values + (d * 8 + group) * (N + PAD) + j * 16 + pair;
        multiply(o[d], p, *(const unsigned *)at, *(const unsigned *)(at + 8));
      }
    }
  }
#pragma unroll
  for (int h = 0; h < 2; h++) {
    const int row = first + group + h * 8;
    const float total = row_sum(sum[h]);
    if (row >= a.queries) continue;
    const float share = total == 0.0f ? 0.0f : 1.0f / total;
    const long long place = (long long)blockIdx.y * a.queries + row;
#pragma unroll
    for (int d = 0; d < D / 8; d++)
      *(unsigned *)(out + place * D + d * 8 + pair) = packed(o[d][h * 2] * share, o[d][h * 2 + 1] * share);
    if (pair == 0) lse[place] = total == 0.0f ? -INFINITY : (top[h] + log2f(total)) * LN2;
  }
}
