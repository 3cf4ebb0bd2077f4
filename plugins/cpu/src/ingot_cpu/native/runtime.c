/* What calls the generated kernels: the entry from Python, the replay of programs, the thread pool.
 *
 * Shipped as LLVM IR (runtime.ll), so that nobody needs a C compiler; made from this file by `make_runtime.py`. Only
 * CPython's stable C API and libc are called, by name. Everything that a call needs lies in the `bytes` object that is
 * the function's `self`: see kernel.py, which packs it.
 *
 * A kernel is words of 64 bits:   operands | groups | released | workspace bytes | kind of each operand … |
 *                                 (function, offset of its constants in words, units, grain) of each group … | constants
 * A group is one loop nest: function(arguments, constants, first unit, end). Arguments are one word for each operand (a data
 * pointer, or a number's bits), then the status word, then the workspace's pointer.
 */
typedef long long i64;
typedef struct object { i64 refcount; void *type; } object; /* CPython's PyObject, with a GIL */
typedef struct { object head; void *data; } array;          /* the beginning of NumPy's PyArrayObject_fields */
typedef void (*group)(i64 *, const i64 *, i64, i64);

extern void PyErr_SetString(object *, const char *);
extern object *PyErr_Occurred(void);
extern object *PyExc_OverflowError, *PyExc_TypeError;
extern object _Py_NoneStruct;
extern void Py_IncRef(object *);
extern double PyFloat_AsDouble(object *);
extern long long PyLong_AsLongLongAndOverflow(object *, int *);
extern unsigned long long PyLong_AsUnsignedLongLong(object *);
extern int PyObject_IsTrue(object *);
extern object *PyLong_FromLongLong(long long);
extern int PyType_IsSubtype(void *, void *);
extern void *PyEval_SaveThread(void);
extern void PyEval_RestoreThread(void *);
extern object *PyErr_NoMemory(void);
extern void *malloc(unsigned long);
extern void free(void *);
extern void *memcpy(void *, const void *, unsigned long);
extern int pthread_create(unsigned long *, const void *, void *(*)(void *), void *);
extern int pthread_detach(unsigned long);
extern long syscall(long, ...);

enum { ABSENT, ARRAY, FLOAT, INTEGER, BOOLEAN };   /* kinds of operands */
enum { NOTHING, PINNED, SLOT, NUMBER, LITERAL };   /* where a program's operand comes from */
enum { HEAD = 4, GROUP = 4, MOST = 128 };          /* words; operands of a kernel at most */

static void *array_type;
static i64 bytes_payload;
static long futex_call; /* its number; 0 where there is none: one thread */

/* ---- the pool ------------------------------------------------------------------------------------------------------
 * One job at a time; who cannot have the pool runs alone. Chunks are taken by whoever is free, so the caller finishes
 * by itself where no other core comes. A worker enters (`inside`), then looks whether the job is still open: the caller
 * closes it and waits until nobody is inside, so that what a worker reads is the job it entered. To wake a worker that
 * sleeps takes a virtual machine 50 µs, so it spins for a while first. */
enum { SPINS = 100000, WAITS = 100000 }; /* some 25 µs: longer than Python takes from one kernel to the next */
static struct {
  int workers, started;
  _Alignas(64) int busy;
  _Alignas(64) int generation;
  _Alignas(64) int sleeping;
  _Alignas(64) int open;
  _Alignas(64) int inside;
  _Alignas(64) int waiting;
  _Alignas(64) i64 next;
  _Alignas(64) group function;
  i64 *arguments;
  const i64 *constants;
  i64 units, grain;
} pool;

/* ---- where its threads run -------------------------------------------------------------------------------------------
 * A scheduler that packs threads onto few cores may leave a worker on the caller's, where it gets no time until the job is
 * done. So workers may run wherever the caller may, but not where it is. */
enum { CORES = 4096, THREADS = 1024 };
static struct {
  int (*here)(void);                                            /* sched_getcpu; 0 where there is none */
  int (*allowed)(int, unsigned long, unsigned long *);          /* sched_getaffinity */
  int (*bind)(unsigned long, unsigned long, unsigned long *);   /* pthread_setaffinity_np */
  unsigned long threads[THREADS];
  int core; /* the one that the workers keep off; -1 before any does */
} places;

static void keep_off_this_core(void) {
  int core = places.here ? places.here() : -1;
  if (core < 0 || core >= CORES || core == places.core) return;
  places.core = core;
  unsigned long others[CORES / 64], any = 0;
  if (places.allowed(0, sizeof others, others)) return;
  others[core / 64] &= ~(1ul << core % 64);
  for (int k = 0; k < CORES / 64; k++) any |= others[k];
  for (int k = 0; any && k < pool.started; k++) places.bind(places.threads[k], sizeof others, others);
}

static void sleep_on(int *word, int value) { syscall(futex_call, word, 128 /* wait, private */, value, 0, 0, 0); }
static void wake(int *word) { syscall(futex_call, word, 129 /* wake, private */, 0x7fffffff, 0, 0, 0); }

static void work(void) {
  for (;;) {
    i64 first = __atomic_fetch_add(&pool.next, pool.grain, __ATOMIC_RELAXED);
    if (first >= pool.units) return;
    i64 end = first + pool.grain;
    pool.function(pool.arguments, pool.constants, first, end < pool.units ? end : pool.units);
  }
}

static void *worker(void *unused) {
  int seen = 0;
  for (;;) {
    for (int spin = 0; __atomic_load_n(&pool.generation, __ATOMIC_ACQUIRE) == seen;)
      if (++spin > SPINS) {
        __atomic_fetch_add(&pool.sleeping, 1, __ATOMIC_SEQ_CST);
        sleep_on(&pool.generation, seen);
        __atomic_fetch_sub(&pool.sleeping, 1, __ATOMIC_SEQ_CST);
        spin = 0;
      }
    seen = __atomic_load_n(&pool.generation, __ATOMIC_ACQUIRE);
    __atomic_fetch_add(&pool.inside, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&pool.open, __ATOMIC_SEQ_CST)) work();
    if (__atomic_sub_fetch(&pool.inside, 1, __ATOMIC_SEQ_CST) == 0 && __atomic_load_n(&pool.waiting, __ATOMIC_SEQ_CST)) wake(&pool.inside);
  }
  return unused;
}

static void start(void) {
  if (pool.workers > THREADS) pool.workers = THREADS;
  while (pool.started < pool.workers) {
    if (pthread_create(&places.threads[pool.started], 0, worker, 0)) { pool.workers = pool.started; return; }
    pthread_detach(places.threads[pool.started++]);
  }
}

static void run_units(group function, i64 *arguments, const i64 *constants, i64 units, i64 grain) {
  int idle = 0;
  if (!pool.workers || !grain || units <= grain ||
      !__atomic_compare_exchange_n(&pool.busy, &idle, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
    function(arguments, constants, 0, units);
    return;
  }
  if (!pool.started) start();
  keep_off_this_core();
  pool.function = function, pool.arguments = arguments, pool.constants = constants;
  pool.units = units, pool.grain = grain;
  __atomic_store_n(&pool.next, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&pool.open, 1, __ATOMIC_SEQ_CST);
  __atomic_fetch_add(&pool.generation, 1, __ATOMIC_SEQ_CST);
  if (__atomic_load_n(&pool.sleeping, __ATOMIC_SEQ_CST)) wake(&pool.generation);
  work();
  __atomic_store_n(&pool.open, 0, __ATOMIC_SEQ_CST);
  for (int spin = 0;; spin++) {
    int inside = __atomic_load_n(&pool.inside, __ATOMIC_SEQ_CST);
    if (!inside) break;
    if (spin < WAITS) continue;
    __atomic_store_n(&pool.waiting, 1, __ATOMIC_SEQ_CST);
    sleep_on(&pool.inside, inside);
  }
  __atomic_store_n(&pool.waiting, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&pool.busy, 0, __ATOMIC_RELEASE);
}

/* workers: beside the calling thread. After a fork there are none, and nobody holds the pool. */
void ingot_setup(void *type, i64 payload, i64 futex, i64 workers, void *here, void *allowed, void *bind) {
  array_type = type, bytes_payload = payload, futex_call = futex;
  places.here = here, places.allowed = allowed, places.bind = bind, places.core = -1;
  pool.workers = futex ? (int)workers : 0;
  pool.busy = pool.open = pool.inside = pool.sleeping = pool.waiting = pool.started = 0;
}

/* How many threads may take part; changing it once workers run only ever lowers it. */
i64 ingot_threads(i64 most) {
  if (most > 0 && (!pool.started || most <= pool.workers)) pool.workers = (int)most - 1;
  return pool.workers + 1;
}

/* ---- products of matrices: groups whose code is the BLAS that NumPy brings ------------------------------------------ */
enum { ROW_MAJOR = 101, AS_IS = 111, TURNED = 112 };
typedef void (*sgemm)(int, int, int, i64, i64, i64, float, const void *, i64, const void *, i64, float, void *, i64);
typedef void (*dgemm)(int, int, int, i64, i64, i64, double, const void *, i64, const void *, i64, double, void *, i64);

/* BLAS spins with several threads from `tiny` multiplications on: where the other cores are taken, that lasts a thousand times
 * longer than the product. Up to `alone` the calling thread computes it; `codegen/blas.py` has the numbers. */
static int (*blas_threads)(int); /* sets how many threads a product takes and returns how many it was; 0 where unknown */
static i64 blas_tiny, blas_alone;
void ingot_blas(i64 threads, i64 tiny, i64 alone) { blas_threads = (int (*)(int))threads, blas_tiny = tiny, blas_alone = alone; }

/* Constants: function | double | operands x, y, out | first element of each, in bytes | turned x, y | m, n, k |
 * rows' strides of x, y, out | strides of the batch of each, in bytes. Units are the matrices of a batch. */
void ingot_gemm(i64 *arguments, const i64 *c, i64 first, i64 end) {
  const char *x = (const char *)arguments[c[2]] + c[5], *y = (const char *)arguments[c[3]] + c[6];
  char *out = (char *)arguments[c[4]] + c[7];
  int turned_x = c[8] ? TURNED : AS_IS, turned_y = c[9] ? TURNED : AS_IS;
  i64 work = c[10] * c[11] * c[12];
  int before = blas_threads && work > blas_tiny && work <= blas_alone ? blas_threads(1) : 1;
  for (i64 b = first; b < end; b++) {
    const void *left = x + b * c[16], *right = y + b * c[17];
    void *made = out + b * c[18];
    if (c[1]) ((dgemm)c[0])(ROW_MAJOR, turned_x, turned_y, c[10], c[11], c[12], 1, left, c[13], right, c[14], 0, made, c[15]);
    else ((sgemm)c[0])(ROW_MAJOR, turned_x, turned_y, c[10], c[11], c[12], 1, left, c[13], right, c[14], 0, made, c[15]);
  }
  if (before != 1) blas_threads(before); /* else one thread it was, or a product in another thread sets it back */
}

/* ---- sorting -------------------------------------------------------------------------------------------------------
 * Rows of n words by their high halves, stable: digit by digit from the last on (Seward, 1954). Arguments: the rows, and as
 * much memory beside; constants: n, the bits of the greatest high half. */
enum { DIGIT = 11, BUCKETS = 1 << DIGIT, DIGITS = 3 };
typedef unsigned long long word64;

static word64 *by_digit(const word64 *from, word64 *to, i64 n, unsigned *count, int shift) {
  unsigned sum = 0;
  for (i64 b = 0; b < BUCKETS; b++) { unsigned own = count[b]; count[b] = sum; sum += own; }
  for (i64 k = 0; k < n; k++) to[count[from[k] >> shift & (BUCKETS - 1)]++] = from[k];
  return to;
}

static void sort_rows(i64 *arguments, const i64 *c, i64 first, i64 end) {
  i64 n = c[0], digits = (c[1] + DIGIT - 1) / DIGIT;
  for (i64 row = first; row < end; row++) {
    unsigned counts[DIGITS][BUCKETS] = {{0}};
    word64 *own = (word64 *)arguments[0] + row * n, *beside = (word64 *)arguments[1] + row * n, *from = own;
    for (i64 k = 0; k < n; k++)
      for (i64 d = 0; d < digits; d++) counts[d][own[k] >> (32 + DIGIT * d) & (BUCKETS - 1)]++;
    for (i64 d = 0; d < digits; d++) {
      int shift = 32 + DIGIT * (int)d;
      if (counts[d][from[0] >> shift & (BUCKETS - 1)] < n) from = by_digit(from, from == own ? beside : own, n, counts[d], shift);
    }
    if (from != own) memcpy(own, from, (unsigned long)n * 8);
  }
}

void ingot_sort(void *words, void *beside, i64 rows, i64 n, i64 bits) {
  i64 arguments[2] = {(i64)words, (i64)beside}, constants[2] = {n, bits};
  run_units(sort_rows, arguments, constants, rows, 1);
}

/* ---- operands ------------------------------------------------------------------------------------------------------ */
static int is_array(object *value) {
  return value->type == array_type || PyType_IsSubtype(value->type, array_type);
}

/* The word of one operand; 0 with a Python error where it is of another kind. */
static int word(i64 kind, object *value, i64 *out) {
  union { double real; i64 bits; } number;
  int beyond = 0;
  switch (kind) {
    case ABSENT: *out = 0; return 1;
    case ARRAY:
      if (!is_array(value)) { PyErr_SetString(PyExc_TypeError, "a kernel's tensor operand is a NumPy array on the CPU"); return 0; }
      *out = (i64)((array *)value)->data;
      return 1;
    case FLOAT:
      number.real = PyFloat_AsDouble(value), *out = number.bits;
      return !(number.real == -1.0 && PyErr_Occurred());
    case INTEGER:
      *out = PyLong_AsLongLongAndOverflow(value, &beyond);
      if (beyond > 0) *out = (i64)PyLong_AsUnsignedLongLong(value);
      if (beyond < 0) PyErr_SetString(PyExc_OverflowError, "int too big to convert");
      return !(*out == -1 && PyErr_Occurred());
  }
  *out = PyObject_IsTrue(value);
  return *out >= 0;
}

/* ---- kernels --------------------------------------------------------------------------------------------------------- */
static i64 run_kernel(const i64 *kernel, i64 *arguments) {
  i64 operands = kernel[0], groups = kernel[1];
  const i64 *g = kernel + HEAD + operands;
  arguments[operands] = 0;
  for (i64 k = 0; k < groups; k++, g += GROUP) {
    if (g[2] == 1) ((group)g[0])(arguments, kernel + g[1], 0, 1);
    else run_units((group)g[0], arguments, kernel + g[1], g[2], g[3]);
  }
  return arguments[operands];
}

static object *answer(i64 status) {
  if (status) return PyLong_FromLongLong(status);
  Py_IncRef(&_Py_NoneStruct);
  return &_Py_NoneStruct;
}

/* A kernel as a Python function (METH_FASTCALL): None, or the number of the check that failed. */
object *ingot_call(object *self, object *const *values, i64 count) {
  const i64 *kernel = (const i64 *)((char *)self + bytes_payload);
  i64 arguments[MOST + 2], operands = kernel[0], status;
  void *space = 0, *thread = 0;
  if (count < operands) { PyErr_SetString(PyExc_TypeError, "a kernel was called with too few operands"); return 0; }
  for (i64 k = 0; k < operands; k++)
    if (!word(kernel[HEAD + k], values[k], arguments + k)) return 0;
  if (kernel[3] && !(space = malloc((unsigned long)kernel[3]))) return PyErr_NoMemory();
  arguments[operands + 1] = (i64)space;
  if (kernel[2]) thread = PyEval_SaveThread();
  status = run_kernel(kernel, arguments);
  if (kernel[2]) PyEval_RestoreThread(thread);
  if (space) free(space);
  return answer(status);
}

/* A program as a Python function: slots' arrays, then numbers. Words:
 *   slots | numbers | launches | released | workspace bytes | launches: kernel's address, (source, index, offset) of each operand …
 * The answer is None, or launch · 65536 + the number of its check. */
object *ingot_replay(object *self, object *const *values, i64 count) {
  const i64 *program = (const i64 *)((char *)self + bytes_payload), *at = program + 5;
  i64 slots = program[0], arguments[MOST + 2], status = 0;
  void *space = 0, *thread = 0;
  if (count != slots + program[1]) { PyErr_SetString(PyExc_TypeError, "a program was called with another number of slots and numbers"); return 0; }
  for (i64 k = 0; k < slots; k++)
    if (!is_array(values[k])) { PyErr_SetString(PyExc_TypeError, "a program's slot is a NumPy array on the CPU"); return 0; }
  if (program[4] && !(space = malloc((unsigned long)program[4]))) return PyErr_NoMemory();
  if (program[3]) thread = PyEval_SaveThread();
  for (i64 launch = 0; launch < program[2] && !status; launch++) {
    const i64 *kernel = (const i64 *)*at++;
    i64 operands = kernel[0];
    for (i64 k = 0; k < operands; k++, at += 3) {
      i64 source = at[0];
      if (source == SLOT) arguments[k] = (i64)((array *)values[at[1]])->data + at[2];
      else if (source == NUMBER) {
        int fine;
        if (thread) PyEval_RestoreThread(thread);
        fine = word(kernel[HEAD + k], values[slots + at[1]], arguments + k);
        if (thread) thread = PyEval_SaveThread();
        if (!fine) { if (thread) PyEval_RestoreThread(thread); if (space) free(space); return 0; }
      } else arguments[k] = at[2];
    }
    arguments[operands + 1] = (i64)space;
    status = run_kernel(kernel, arguments);
    if (status) status += launch * 65536;
  }
  if (thread) PyEval_RestoreThread(thread);
  if (space) free(space);
  return answer(status);
}
