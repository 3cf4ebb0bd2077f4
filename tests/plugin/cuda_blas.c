/* A stand-in for cuBLASLt: the dozen calls that the plugin makes, a naive product over host memory (the simulated driver's). */
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
typedef struct { int compute, scale; int32_t ta, tb; uint32_t epilogue; void *bias; } Desc;
typedef struct { int type; uint64_t rows, cols; int64_t ld; int32_t batch; int64_t step; } Layout;
typedef struct { uint64_t algo[8]; size_t ws; int state; float waves; int reserved[4]; } Result;
typedef struct { uint64_t ws; uint32_t align[4]; } Pref;
int cublasLtCreate(void **h) { *h = (void *)1; return 0; }
size_t cublasLtGetVersion(void) { return 0; }
int cublasLtMatmulDescCreate(Desc **d, int compute, int scale) { *d = calloc(1, sizeof **d); (*d)->compute = compute; (*d)->scale = scale; (*d)->epilogue = 1; return 0; }
int cublasLtMatmulDescSetAttribute(Desc *d, int a, const void *v, size_t n) {
  switch (a) { case 3: if (n != 4) return 7; memcpy(&d->ta, v, 4); return 0; case 4: if (n != 4) return 7; memcpy(&d->tb, v, 4); return 0;
    case 7: if (n != 4) return 7; memcpy(&d->epilogue, v, 4); return 0; case 8: if (n != 8) return 7; memcpy(&d->bias, v, 8); return 0; }
  return 7; }
int cublasLtMatmulDescDestroy(Desc *d) { free(d); return 0; }
int cublasLtMatrixLayoutCreate(Layout **l, int type, uint64_t rows, uint64_t cols, int64_t ld) {
  if (ld < (int64_t)rows) return 7; *l = calloc(1, sizeof **l); **l = (Layout){type, rows, cols, ld, 1, 0}; return 0; }
int cublasLtMatrixLayoutSetAttribute(Layout *l, int a, const void *v, size_t n) {
  if (a == 5 && n == 4) { memcpy(&l->batch, v, 4); return 0; } if (a == 6 && n == 8) { memcpy(&l->step, v, 8); return 0; } return 7; }
int cublasLtMatrixLayoutDestroy(Layout *l) { free(l); return 0; }
int cublasLtMatmulPreferenceCreate(Pref **p) { *p = calloc(1, sizeof **p); return 0; }
int cublasLtMatmulPreferenceSetAttribute(Pref *p, int a, const void *v, size_t n) {
  if (a == 1 && n == 8) { memcpy(&p->ws, v, 8); return 0; } if (a >= 5 && a <= 8 && n == 4) { memcpy(&p->align[a - 5], v, 4); return 0; } return 7; }
int cublasLtMatmulPreferenceDestroy(Pref *p) { free(p); return 0; }
int cublasLtMatmulAlgoGetHeuristic(void *h, Desc *d, Layout *a, Layout *b, Layout *c, Layout *D, Pref *p, int want, Result *r, int *got) {
  uint64_t k = d->ta ? a->rows : a->cols, kb = d->tb ? b->cols : b->rows, m = d->ta ? a->cols : a->rows, n = d->tb ? b->rows : b->cols;
  if (k != kb || m != D->rows || n != D->cols || (d->epilogue & 4 && !d->bias)) { *got = 0; return 7; }
  memset(r, 0, sizeof *r); r->algo[0] = p->align[0]; *got = 1; return 0; }
static double get(const void *p, int type, int64_t i) {
  if (type == 0) return ((const float *)p)[i]; if (type == 1) return ((const double *)p)[i];
  uint16_t h = ((const uint16_t *)p)[i]; if (type == 14) { uint32_t w = (uint32_t)h << 16; float f; memcpy(&f, &w, 4); return f; }
  _Float16 f; memcpy(&f, &h, 2); return (double)f; }
static void put(void *p, int type, int64_t i, double v) {
  if (type == 0) { ((float *)p)[i] = (float)v; return; } if (type == 1) { ((double *)p)[i] = v; return; }
  if (type == 14) { float f = (float)v; uint32_t w; memcpy(&w, &f, 4); w = (w + 0x7fff + (w >> 16 & 1)) >> 16; ((uint16_t *)p)[i] = (uint16_t)w; return; }
  _Float16 f = (_Float16)v; memcpy((uint16_t *)p + i, &f, 2); }
int cublasLtMatmul(void *h, Desc *d, const void *alpha, const void *A, Layout *a, const void *B, Layout *b, const void *beta, const void *C, Layout *c,
                   void *D, Layout *l, const uint64_t *algo, void *ws, size_t wn, void *stream) {
  int (*wait)(void *) = (int (*)(void *))dlsym(RTLD_DEFAULT, "cuStreamSynchronize");
  if (!wait || !ws) return 7; int status = wait(stream); if (status) return 13;
  if (((uintptr_t)A | (uintptr_t)B | (uintptr_t)D) % algo[0]) return 7;
  double al = d->scale == 1 ? *(const double *)alpha : *(const float *)alpha, be = d->scale == 1 ? *(const double *)beta : *(const float *)beta;
  uint64_t k = d->ta ? a->rows : a->cols;
  for (int64_t q = 0; q < l->batch; q++) for (uint64_t j = 0; j < l->cols; j++) for (uint64_t i = 0; i < l->rows; i++) {
    double sum = 0; for (uint64_t t = 0; t < k; t++)
      sum += get(A, a->type, q * a->step + (d->ta ? t + i * a->ld : i + t * a->ld)) * get(B, b->type, q * b->step + (d->tb ? j + t * b->ld : t + j * b->ld));
    double v = al * sum; int64_t at = q * l->step + i + j * l->ld; if (be != 0) v += be * get(C, c->type, at);
    if (d->epilogue & 4) v += get(d->bias, l->type, i); if (d->epilogue & 2) v = v > 0 ? v : 0;
    if (d->epilogue & 32) v = 0.5 * v * (1 + tanh(0.7978845608028654 * (v + 0.044715 * v * v * v)));
    put(D, l->type, at, v); }
  return 0; }
