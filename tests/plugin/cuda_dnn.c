/* A stand-in for cuDNN: the calls that the plugin makes, naive sums over host memory (the simulated driver's). */
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
typedef struct { int type, n, dims[5], steps[5]; } Tensor;
typedef struct { int n, pads[3], strides[3], dilations[3], groups, math; } How;
typedef struct { int algorithm, status; float time; size_t memory; int deterministic, math, reserved[3]; } Ranked;
static void *current;
size_t cudnnGetVersion(void) { return 90000; }
const char *cudnnGetErrorString(int status) { return status == 3000 ? "NOT_SUPPORTED" : "BAD_PARAM"; }
int cudnnCreate(void **h) { *h = (void *)1; return 0; }
int cudnnSetStream(void *h, void *stream) { current = stream; return 0; }
int cudnnCreateTensorDescriptor(Tensor **t) { *t = calloc(1, sizeof **t); return 0; }
int cudnnCreateFilterDescriptor(Tensor **t) { *t = calloc(1, sizeof **t); return 0; }
int cudnnCreateConvolutionDescriptor(How **h) { *h = calloc(1, sizeof **h); return 0; }
int cudnnDestroyTensorDescriptor(Tensor *t) { free(t); return 0; }
int cudnnDestroyFilterDescriptor(Tensor *t) { free(t); return 0; }
int cudnnDestroyConvolutionDescriptor(How *h) { free(h); return 0; }
int cudnnSetTensorNdDescriptor(Tensor *t, int type, int n, const int *dims, const int *steps) {
  if (n < 4 || n > 5) return 2000;
  t->type = type; t->n = n; memcpy(t->dims, dims, n * sizeof(int)); memcpy(t->steps, steps, n * sizeof(int)); return 0; }
int cudnnSetFilterNdDescriptor(Tensor *t, int type, int format, int n, const int *dims) {
  if (format || n < 4 || n > 5) return 2000;
  t->type = type; t->n = n; memcpy(t->dims, dims, n * sizeof(int));
  for (int a = n - 1, s = 1; a >= 0; s *= dims[a--]) t->steps[a] = s;
  return 0; }
int cudnnSetConvolutionNdDescriptor(How *h, int n, const int *pads, const int *strides, const int *dilations, int mode, int compute) {
  if (mode != 1 || compute != 0) return 2000;
  h->n = n; memcpy(h->pads, pads, n * sizeof(int)); memcpy(h->strides, strides, n * sizeof(int));
  memcpy(h->dilations, dilations, n * sizeof(int)); h->groups = 1; return 0; }
int cudnnSetConvolutionGroupCount(How *h, int groups) { h->groups = groups; return 0; }
int cudnnSetConvolutionMathType(How *h, int math) { h->math = math; return 0; }
static int fits(const Tensor *x, const Tensor *w, const How *h, const Tensor *y) {
  if (x->n != w->n || x->n != y->n || x->n != h->n + 2 || x->dims[0] != y->dims[0] || w->dims[0] != y->dims[1]) return 0;
  if (x->dims[1] != w->dims[1] * h->groups || w->dims[0] % h->groups) return 0;
  for (int a = 0; a < h->n; a++)
    if ((x->dims[a + 2] + 2 * h->pads[a] - h->dilations[a] * (w->dims[a + 2] - 1) - 1) / h->strides[a] + 1 != y->dims[a + 2]) return 0;
  return 1; }
/* One that adds in any order, one that is refused, one that transforms, one that is right; what it needs grows with `kind`. */
static int rank(int ok, int kind, int asked, int *count, Ranked *r) {
  static const Ranked found[3][4] = {
    {{1, 3000, 0, 0, 1, 1}, {6, 0, 0, 0, 1, 1}, {0, 0, 0, 1 << 20, 1, 1}, {1, 0, 0, 0, 1, 1}},
    {{0, 0, 0, 0, 0, 1}, {4, 0, 0, 0, 1, 1}, {1, 0, 0, 1 << 20, 1, 1}, {0, 0, 0, 0, 0, 1}},
    {{3, 0, 0, 0, 0, 1}, {5, 0, 0, 0, 1, 1}, {1, 0, 0, 1 << 20, 1, 1}, {0, 0, 0, 0, 0, 1}}};
  if (!ok || asked < 4) return 2000;
  memcpy(r, found[kind], sizeof found[kind]); *count = 4; return 0; }
int cudnnGetConvolutionForwardAlgorithm_v7(void *h, Tensor *x, Tensor *w, How *how, Tensor *y, int n, int *count, Ranked *r) {
  return rank(fits(x, w, how, y), 0, n, count, r); }
int cudnnGetConvolutionBackwardDataAlgorithm_v7(void *h, Tensor *w, Tensor *y, How *how, Tensor *x, int n, int *count, Ranked *r) {
  return rank(fits(x, w, how, y), 1, n, count, r); }
int cudnnGetConvolutionBackwardFilterAlgorithm_v7(void *h, Tensor *x, Tensor *y, How *how, Tensor *w, int n, int *count, Ranked *r) {
  return rank(fits(x, w, how, y), 2, n, count, r); }
#define SIZE(name) int name(void *h, void *a, void *b, void *how, void *c, int algorithm, size_t *size) { *size = 1 << 20; return 0; }
SIZE(cudnnGetConvolutionForwardWorkspaceSize)
SIZE(cudnnGetConvolutionBackwardDataWorkspaceSize)
SIZE(cudnnGetConvolutionBackwardFilterWorkspaceSize)
static double get(const void *p, int type, int64_t i) {
  if (type == 0) return ((const float *)p)[i];
  uint16_t h = ((const uint16_t *)p)[i];
  if (type == 9) { uint32_t w = (uint32_t)h << 16; float f; memcpy(&f, &w, 4); return f; }
  _Float16 f; memcpy(&f, &h, 2); return (double)f; }
static void put(void *p, int type, int64_t i, double v) {
  if (type == 0) { ((float *)p)[i] = (float)v; return; }
  if (type == 9) { float f = (float)v; uint32_t w; memcpy(&w, &f, 4); ((uint16_t *)p)[i] = (uint16_t)((w + 0x7fff + (w >> 16 & 1)) >> 16); return; }
  _Float16 f = (_Float16)v; memcpy((uint16_t *)p + i, &f, 2); }
static int64_t size(const Tensor *t) { int64_t n = 1; for (int a = 0; a < t->n; a++) n *= t->dims[a]; return n; }
/* Every product x·w·y of the trilinear form is added to where it belongs in one of the three. */
static int run(const Tensor *x, const void *X, const Tensor *w, const void *W, const How *h, const Tensor *y, const void *Y,
               int into, void *out, void *room, size_t nbytes, const float *alpha, const float *beta) {
  int (*wait)(void *) = (int (*)(void *))dlsym(RTLD_DEFAULT, "cuStreamSynchronize");
  if (!wait || !room || nbytes != 1 << 20 || *alpha != 1 || *beta != 0 || wait(current)) return 2000;
  if (((uintptr_t)X | (uintptr_t)W | (uintptr_t)Y) % 16) return 2003;
  memset(room, 255, nbytes);
  const Tensor *made = into == 0 ? y : into == 1 ? x : w;
  double *sums = calloc(size(made), sizeof(double));
  int inner = w->dims[1], outer = w->dims[0] / h->groups;
  for (int64_t p = 0; p < size(y); p++) for (int64_t t = 0; t < size(w) / w->dims[0]; t++) {
    int at[5], tap[5]; int64_t left = p;
    for (int a = y->n - 1; a >= 0; a--) { at[a] = left % y->dims[a]; left /= y->dims[a]; }
    left = t; for (int a = w->n - 1; a >= 1; a--) { tap[a] = left % w->dims[a]; left /= w->dims[a]; }
    int64_t i = (int64_t)at[0] * x->steps[0] + (int64_t)(at[1] / outer * inner + tap[1]) * x->steps[1]; int inside = 1;
    for (int a = 0; a < h->n; a++) {
      int q = at[a + 2] * h->strides[a] - h->pads[a] + tap[a + 2] * h->dilations[a];
      inside &= q >= 0 && q < x->dims[a + 2]; i += (int64_t)q * x->steps[a + 2]; }
    if (!inside) continue;
    int64_t k = (int64_t)at[1] * w->steps[0] + t;
    if (into == 0) sums[p] += get(X, x->type, i) * get(W, w->type, k);
    if (into == 1) sums[i] += get(Y, y->type, p) * get(W, w->type, k);
    if (into == 2) sums[k] += get(Y, y->type, p) * get(X, x->type, i); }
  for (int64_t i = 0; i < size(made); i++) put(out, made->type, i, sums[i]);
  free(sums); return 0; }
int cudnnConvolutionForward(void *h, const float *alpha, Tensor *x, const void *X, Tensor *w, const void *W, How *how, int algorithm,
                            void *room, size_t nbytes, const float *beta, Tensor *y, void *Y) {
  return algorithm ? 2000 : run(x, X, w, W, how, y, Y, 0, Y, room, nbytes, alpha, beta); }
int cudnnConvolutionBackwardData(void *h, const float *alpha, Tensor *w, const void *W, Tensor *y, const void *Y, How *how, int algorithm,
                                 void *room, size_t nbytes, const float *beta, Tensor *x, void *X) {
  return algorithm != 1 ? 2000 : run(x, X, w, W, how, y, Y, 1, X, room, nbytes, alpha, beta); }
int cudnnConvolutionBackwardFilter(void *h, const float *alpha, Tensor *x, const void *X, Tensor *y, const void *Y, How *how, int algorithm,
                                   void *room, size_t nbytes, const float *beta, Tensor *w, void *W) {
  return algorithm != 1 ? 2000 : run(x, X, w, W, how, y, Y, 2, W, room, nbytes, alpha, beta); }
int cudnnAddTensor(void *h, const float *alpha, Tensor *b, const void *B, const float *beta, Tensor *y, void *Y) {
  if (*alpha != 1 || *beta != 1 || b->dims[0] != 1 || b->dims[1] != y->dims[1]) return 2000;
  for (int64_t p = 0; p < size(y); p++) put(Y, y->type, p, get(Y, y->type, p) + get(B, b->type, p / y->steps[1] % y->dims[1]));
  return 0; }
