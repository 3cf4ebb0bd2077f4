// What the kernels of attention share: tiles of 16-bit floats in shared memory, and products of them on tensor cores.
//
// A tile has rows of D elements, PAD further apart than they are long, so that eight rows begin in different banks. It is filled
// by asynchronous copies (PTX ISA, cp.async) and read in fragments of 16 x 16 (ldmatrix) for mma.m16n8k16, whose sums are
// float32. What comes before this text: HALF, D, CAUSAL, ALIGNED.
enum { WARPS = 4, THREADS = WARPS * 32, PAD = 8, STRIDE = D + PAD };
#define LOG2E 1.4426950408889634f
#define LN2 0.6931471805599453f

// A matrix for each head: where it begins, and elements from batch to batch, head to head and row to row.
typedef struct {
  long long offset, batch, head, row;
} Steps;

typedef struct {
  Steps q, k, v, grad, out, grad_q, grad_k, grad_v;
  long long lse;  // where it begins
  float scale;
  int heads, queries, keys;
} Arguments;

template <class T>
static __device__ __forceinline__ T *part(T *x, Steps s, int batch, int head) {
  return x + s.offset + batch * s.batch + head * s.head;
}

static __device__ __forceinline__ unsigned packed(float low, float high) {
  unsigned both;
#if HALF
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
#else
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
#endif
  return both;
}

static __device__ __forceinline__ float widened(unsigned both, int which) {
#if HALF
  return ig_half((unsigned short)(both >> which * 16));
#else
  return ig_bits<float>(which ? both & 0xFFFF0000u : both << 16);
#endif
}

static __device__ __forceinline__ float power_of_two(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
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

// ---- copies ----------------------------------------------------------------------------------------------------------
// Two neighbours in global memory; those of rows that do not exist are 0.
static __device__ __forceinline__ unsigned two(const unsigned short *p, bool exists) {
  if (!exists) return 0;
#if ALIGNED
  return *(const unsigned *)p;
#else
  return (unsigned)p[0] | (unsigned)p[1] << 16;
#endif
}

// Four bytes, and eight elements, to shared memory: there after `copied` and a barrier.
static __device__ __forceinline__ void copy_word(float *to, const float *from, bool exists) {
  const unsigned at = (unsigned)__cvta_generic_to_shared(to), bytes = exists ? 4 : 0;
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" : : "r"(at), "l"(from), "r"(bytes) : "memory");
}

static __device__ __forceinline__ void copy_eight(unsigned short *to, const unsigned short *from, bool exists) {
#if ALIGNED
  const unsigned at = (unsigned)__cvta_generic_to_shared(to), bytes = exists ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" : : "r"(at), "l"(from), "r"(bytes) : "memory");
#else
  uint4 made;
  made.x = two(from, exists), made.y = two(from + 2, exists), made.z = two(from + 4, exists), made.w = two(from + 6, exists);
  *(uint4 *)to = made;
#endif
}

static __device__ __forceinline__ void copied() { asm volatile("cp.async.wait_all;" : : : "memory"); }

// COUNT rows from `first` into a tile, by all threads of the block; beyond `rows` there are none, and they are 0. A thread keeps
// to its column, so that it only adds to addresses: these instructions are a large part of what a tile costs.
template <int COUNT>
static __device__ __forceinline__ void fill(unsigned short *tile, const unsigned short *x, long long step, int first, int rows) {
  enum { EIGHTS = D / 8, EACH = THREADS / EIGHTS };  // threads along a row, and rows at once
  const int row = threadIdx.x / EIGHTS, column = threadIdx.x % EIGHTS * 8;
  if (THREADS % EIGHTS && row >= EACH) return;
  const unsigned short *from = x + (first + row) * step + column;
  tile += row * STRIDE + column;
#pragma unroll
  for (int n = 0; n < COUNT; n += EACH, from += EACH * step) {
    if (COUNT % EACH && row + n >= COUNT) break;
    const bool exists = first + row + n < rows;
    copy_eight(tile + n * STRIDE, exists ? from : x, exists);
  }
}

// COUNT rows of keys and of values, as `fill` does it.
template <int COUNT>
static __device__ __forceinline__ void keys_and_values(unsigned short (&to)[2][COUNT * STRIDE], const unsigned short *k, const unsigned short *v, const Arguments &a, int batch, int head, int first) {
  fill<COUNT>(to[0], part(k, a.k, batch, head), a.k.row, first, a.keys);
  fill<COUNT>(to[1], part(v, a.v, batch, head), a.v.row, first, a.keys);
}

// Where a block of queries begins; those with the longest way begin first.
template <int BLOCK>
static __device__ __forceinline__ int first_query() {
  return (CAUSAL ? gridDim.y - 1 - blockIdx.y : blockIdx.y) * BLOCK;
}

// ---- fragments -------------------------------------------------------------------------------------------------------
typedef unsigned Fragment[4];

// R times 16 rows of a matrix in global memory from `first`, whole, as the left sides of products.
template <int R>
static __device__ __forceinline__ void left_sides(Fragment (&a)[R][D / 16], const unsigned short *x, long long step, int first, int rows) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int n = 0; n < R * 2; n++) {
    const int row = first + lane / 4 + n * 8;
    const bool exists = row < rows;
    const unsigned short *from = x + (exists ? row : 0) * step + lane % 4 * 2;
#pragma unroll
    for (int t = 0; t < D / 16; t++) {
      a[n / 2][t][n % 2] = two(from + t * 16, exists);
      a[n / 2][t][n % 2 + 2] = two(from + t * 16 + 8, exists);
    }
  }
}

// Right sides for two products next to each other: of a tile's 16 rows and 16 columns transposed, and as they lie.
static __device__ __forceinline__ void across(Fragment &b, const unsigned short *tile) {
  const int lane = threadIdx.x % 32;
  const unsigned at = (unsigned)__cvta_generic_to_shared(tile + (lane / 16 * 8 + lane % 8) * STRIDE + lane / 8 % 2 * 8);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(b[0]), "=r"(b[1]), "=r"(b[2]), "=r"(b[3]) : "r"(at) : "memory");
}

static __device__ __forceinline__ void down(Fragment &b, const unsigned short *tile) {
  const int lane = threadIdx.x % 32;
  const unsigned at = (unsigned)__cvta_generic_to_shared(tile + lane % 16 * STRIDE + lane / 16 * 8);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(b[0]), "=r"(b[1]), "=r"(b[2]), "=r"(b[3]) : "r"(at) : "memory");
}

// c += a b for fragments of 16 x 16 and 16 x 8.
static __device__ __forceinline__ void multiply(float (&c)[4], const Fragment &a, unsigned b0, unsigned b1) {
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

// c = x yᵀ: R times 16 rows by the first 16 N rows of a tile.
template <int R, int N>
static __device__ __forceinline__ void scores(float (&c)[R][2 * N][4], const Fragment (&x)[R][D / 16], const unsigned short *tile) {
#pragma unroll
  for (int r = 0; r < R; r++)
#pragma unroll
    for (int n = 0; n < 2 * N; n++) c[r][n][0] = c[r][n][1] = c[r][n][2] = c[r][n][3] = 0.0f;
#pragma unroll
  for (int t = 0; t < D / 16; t++)
#pragma unroll
    for (int n = 0; n < N; n++) {
      Fragment b;
      across(b, tile + n * 16 * STRIDE + t * 16);
#pragma unroll
      for (int r = 0; r < R; r++) {
        multiply(c[r][2 * n], x[r][t], b[0], b[1]);
        multiply(c[r][2 * n + 1], x[r][t], b[2], b[3]);
      }
    }
}

// c += p x: weights as `scores` laid them out by the first 16 N rows of a tile.
template <int R, int N>
static __device__ __forceinline__ void add_weighted(float (&c)[R][D / 8][4], const float (&p)[R][2 * N][4], const unsigned short *tile) {
#pragma unroll
  for (int n = 0; n < N; n++) {
    Fragment a[R];
#pragma unroll
    for (int r = 0; r < R; r++)
#pragma unroll
      for (int k = 0; k < 4; k++) a[r][k] = packed(p[r][2 * n + k / 2][k % 2 * 2], p[r][2 * n + k / 2][k % 2 * 2 + 1]);
#pragma unroll
    for (int d = 0; d < D / 16; d++) {
      Fragment b;
      down(b, tile + n * 16 * STRIDE + d * 16);
#pragma unroll
      for (int r = 0; r < R; r++) {
        multiply(c[r][2 * d], a[r], b[0], b[1]);
        multiply(c[r][2 * d + 1], a[r], b[2], b[3]);
      }
    }
  }
}

// 16 rows of results, times a factor for each of the two that a lane has.
static __device__ __forceinline__ void store_rows(unsigned short *out, long long step, const float (&c)[D / 8][4], float upper, float lower, int first, int rows) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int h = 0; h < 2; h++) {
    const int row = first + lane / 4 + h * 8;
    const float factor = h ? lower : upper;
    if (row >= rows) continue;
#pragma unroll
    for (int d = 0; d < D / 8; d++)
      *(unsigned *)(out + row * step + d * 8 + lane % 4 * 2) = packed(c[d][h * 2] * factor, c[d][h * 2 + 1] * factor);
  }
}
