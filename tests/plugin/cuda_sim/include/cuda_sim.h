// CUDA C on the host: what a kernel may use without an #include, for g++. Compiled in front of every kernel by the simulated
// driver (driver/compile.cpp); it includes nothing, because every kernel pays for it. Only what NVRTC has is here.
#pragma once
typedef __SIZE_TYPE__ size_t;
typedef unsigned char uchar;
#define __CUDACC__ 1
#define __CUDACC_RTC__ 1
#ifndef __CUDA_ARCH__
#define __CUDA_ARCH__ 900
#endif
#define __CUDA_SIM__ 1
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __constant__ static
#define __managed__ static
#define __grid_constant__
#define __restrict__ __restrict
#define __shared__ static __attribute__((section(CUDA_SIM_SECTION)))
#define SIM_RAW static inline __attribute__((no_sanitize("thread"), noinline, unused))
#define SIM_FN static inline __attribute__((unused))

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x, y, z; };
extern "C" {
extern uint3 cuda_sim_thread, cuda_sim_block, cuda_sim_block_size, cuda_sim_grid_size;
int cuda_sim_barrier(int line, int kind, int vote);
void cuda_sim_exchange(int line, unsigned mask, const void *value, unsigned size, unsigned from, void *result);
unsigned cuda_sim_ballot(int line, unsigned mask, int vote);
void cuda_sim_trap(int line);
void cuda_sim_atomic(const void *where, unsigned size);
char *cuda_sim_dynamic();
int printf(const char *, ...);
}
// The built-in variables are no memory, and one thread's never change: reading them is not looked at, and may be done once.
#define threadIdx (sim_index(cuda_sim_thread))
#define blockIdx (sim_index(cuda_sim_block))
#define blockDim (sim_index(cuda_sim_block_size))
#define gridDim (sim_index(cuda_sim_grid_size))
SIM_RAW __attribute__((const)) uint3 sim_index(const uint3 &v) { return v; }
#define warpSize 32

// ---- barriers, votes, shuffles --------------------------------------------------------------------------------------------
#define __syncthreads() ((void)cuda_sim_barrier(__LINE__, 2, 0))
#define __syncthreads_count(p) cuda_sim_barrier(__LINE__, 0, (p) != 0)
#define __syncthreads_and(p) cuda_sim_barrier(__LINE__, 1, (p) != 0)
#define __syncthreads_or(p) cuda_sim_barrier(__LINE__, 2, (p) != 0)
#define SIM_MASK(m, ...) (m)
#define __syncwarp(...) ((void)cuda_sim_ballot(__LINE__, SIM_MASK(__VA_ARGS__ __VA_OPT__(, ) 0xffffffffu), 0))
#define __ballot_sync(m, p) cuda_sim_ballot(__LINE__, m, (p) != 0)
#define __any_sync(m, p) (cuda_sim_ballot(__LINE__, m, (p) != 0) != 0)
#define __all_sync(m, p) (cuda_sim_ballot(__LINE__, m, (p) == 0) == 0)
SIM_RAW unsigned sim_lane() {
  return (cuda_sim_thread.x + cuda_sim_block_size.x * (cuda_sim_thread.y + cuda_sim_block_size.y * cuda_sim_thread.z)) % 32;
}
template <class T> SIM_RAW T sim_shuffle(int line, unsigned mask, T value, int from, bool own) {
  T result;
  cuda_sim_exchange(line, mask, &value, sizeof value, own ? sim_lane() : (unsigned)from, &result);
  return result;
}
template <class T> SIM_RAW T sim_shfl(int line, unsigned mask, T v, int from, int width = 32) {
  const int base = sim_lane() / width * width;
  return sim_shuffle(line, mask, v, base + (from & (width - 1)), false);
}
template <class T> SIM_RAW T sim_down(int line, unsigned mask, T v, unsigned d, int width = 32) {
  const int lane = sim_lane();
  return sim_shuffle(line, mask, v, lane + (int)d, lane % width + (int)d >= width);
}
template <class T> SIM_RAW T sim_up(int line, unsigned mask, T v, unsigned d, int width = 32) {
  const int lane = sim_lane();
  return sim_shuffle(line, mask, v, lane - (int)d, lane % width < (int)d);
}
template <class T> SIM_RAW T sim_xor(int line, unsigned mask, T v, int d, int width = 32) {
  const int lane = sim_lane(), from = lane ^ d;
  return sim_shuffle(line, mask, v, from, from / width > lane / width);
}
#define __shfl_sync(m, ...) sim_shfl(__LINE__, m, __VA_ARGS__)
#define __shfl_down_sync(m, ...) sim_down(__LINE__, m, __VA_ARGS__)
#define __shfl_up_sync(m, ...) sim_up(__LINE__, m, __VA_ARGS__)
#define __shfl_xor_sync(m, ...) sim_xor(__LINE__, m, __VA_ARGS__)
#define __activemask() 0xffffffffu
#define __threadfence() ((void)0)
#define __threadfence_block() ((void)0)
#define __threadfence_system() ((void)0)
#define __trap() cuda_sim_trap(__LINE__)
#define assert(c) ((c) ? (void)0 : cuda_sim_trap(__LINE__))

// ---- atomics: one thread runs at a time, so they are plain; only told to the simulator as atomic ----------------------------
#define SIM_ATOMIC(name, expression)                                                        \
  template <class T> struct sim_##name##_of { typedef T type; };                            \
  template <class T> SIM_RAW T name(T *p, typename sim_##name##_of<T>::type v) {            \
    cuda_sim_atomic(p, sizeof(T));                                                          \
    const T o = *p;                                                                         \
    *p = (T)(expression);                                                                   \
    return o;                                                                               \
  }
SIM_ATOMIC(atomicAdd, o + v)
SIM_ATOMIC(atomicSub, o - v)
SIM_ATOMIC(atomicExch, v)
SIM_ATOMIC(atomicMin, v < o ? v : o)
SIM_ATOMIC(atomicMax, v > o ? v : o)
SIM_ATOMIC(atomicAnd, o &v)
SIM_ATOMIC(atomicOr, o | v)
SIM_ATOMIC(atomicXor, o ^ v)
SIM_ATOMIC(atomicInc, o >= v ? 0 : o + 1)
SIM_ATOMIC(atomicDec, o == 0 || o > v ? v : o - 1)
template <class T> SIM_RAW T atomicCAS(T *p, typename sim_atomicAdd_of<T>::type c, typename sim_atomicAdd_of<T>::type v) {
  cuda_sim_atomic(p, sizeof(T));
  const T o = *p;
  if (o == c) *p = v;
  return o;
}

// ---- bits ------------------------------------------------------------------------------------------------------------------
template <class To, class From> SIM_FN To sim_bits(From v) {
  union { From from; To to; } u = {v};
  return u.to;
}
SIM_FN float __int_as_float(int v) { return sim_bits<float>(v); }
SIM_FN int __float_as_int(float v) { return sim_bits<int>(v); }
SIM_FN float __uint_as_float(unsigned v) { return sim_bits<float>(v); }
SIM_FN unsigned __float_as_uint(float v) { return sim_bits<unsigned>(v); }
SIM_FN double __longlong_as_double(long long v) { return sim_bits<double>(v); }
SIM_FN long long __double_as_longlong(double v) { return sim_bits<long long>(v); }
SIM_FN double __hiloint2double(int h, int l) { return sim_bits<double>((long long)h << 32 | (unsigned)l); }
SIM_FN int __double2hiint(double v) { return (int)(sim_bits<long long>(v) >> 32); }
SIM_FN int __double2loint(double v) { return (int)sim_bits<long long>(v); }
SIM_FN int __mulhi(int a, int b) { return (int)((long long)a * b >> 32); }
SIM_FN unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }
SIM_FN long long __mul64hi(long long a, long long b) { return (long long)((__int128)a * b >> 64); }
SIM_FN unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return (unsigned long long)((unsigned __int128)a * b >> 64);
}
SIM_FN int __popc(unsigned v) { return __builtin_popcount(v); }
SIM_FN int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
SIM_FN int __clz(int v) { return v ? __builtin_clz((unsigned)v) : 32; }
SIM_FN int __clzll(long long v) { return v ? __builtin_clzll((unsigned long long)v) : 64; }
SIM_FN int __ffs(int v) { return __builtin_ffs(v); }
SIM_FN int __ffsll(long long v) { return __builtin_ffsll(v); }
template <class T> SIM_FN T __ldg(const T *p) { return *p; }
template <class T> SIM_FN T __ldcs(const T *p) { return *p; }
template <class T> SIM_FN T __ldcg(const T *p) { return *p; }
template <class T> SIM_FN void __stcs(T *p, T v) { *p = v; }
template <class T> SIM_FN void __stcg(T *p, T v) { *p = v; }
#include "sim_math.h"
#include "sim_vectors.h"
#include "cuda_fp16.h"
#include "cuda_bf16.h"
#define memcpy __builtin_memcpy
#define memset __builtin_memset
#include "sim_ptx.h"

// ---- how the driver finds and calls a kernel -------------------------------------------------------------------------------
struct SimParameter { unsigned size, align; };
struct SimKernel {
  const char *name;
  void (*call)(char *);
  const SimParameter *parameters;
  int count, max_threads;
  char *shared, *shared_end;
};
template <size_t...> struct SimPack {};
template <class... A> struct SimCall {
  static constexpr SimParameter parameters[sizeof...(A) + 1] = {{sizeof(A), alignof(A)}..., {0, 0}};
  static constexpr size_t offset(size_t i) {
    size_t at = 0;
    for (size_t k = 0;; k++) {
      at = (at + parameters[k].align - 1) / (parameters[k].align ? parameters[k].align : 1) * parameters[k].align;
      if (k == i) return at;
      at += parameters[k].size;
    }
  }
  template <size_t... I> __attribute__((no_sanitize("thread"))) static void spread(void (*f)(A...), char *packed, SimPack<I...>) { f(*(A *)(packed + offset(I))...); }
};
template <size_t N, size_t... I> struct SimCount : SimCount<N - 1, N - 1, I...> {};
template <size_t... I> struct SimCount<0, I...> { typedef SimPack<I...> type; };
template <class T> struct SimPlain { typedef T type; };
template <class T> struct SimPlain<const T> { typedef T type; };
template <class... A> __attribute__((no_sanitize("thread"))) void sim_call(void (*f)(A...), char *packed) {
  SimCall<A...>::spread(f, packed, typename SimCount<sizeof...(A)>::type());
}
template <class... A> constexpr const SimParameter *sim_parameters(void (*)(A...)) { return SimCall<A...>::parameters; }
template <class... A> constexpr int sim_count(void (*)(A...)) { return sizeof...(A); }
