// Every access of a kernel, looked at. Kernels are compiled with ThreadSanitizer's instrumentation, which calls a function before
// each load and store; here those functions are the simulator's own. For each byte it is known which thread wrote and which read
// it last, and in which stretch between two barriers. Found are accesses out of bounds, after a free, misaligned or to host
// memory; reads of shared memory that the block has not written; and two threads that use a byte, one of them writing, without
// a barrier between them. Only two threads that write the same value are let pass: a flag may be raised by many.
#include <dlfcn.h>

#include <cstring>

#include "sim.h"
#include "threads.h"

namespace sim {

struct Mark {
  uint32_t block;  // serial of the block; 0 for nobody
  uint16_t thread, epoch, warp_epoch;
};
struct Cell {
  Mark wrote, read;
};
static const uint16_t SEVERAL = 0xFFFF, BLOCKS = 0xFFFE;  // threads of one block, or of several
static const size_t STATIC_LIMIT = 48 << 10, CELLS_LIMIT = 4 << 20;  // bytes of an allocation that is watched for races

alignas(256) static char dynamic_shared[SHARED_LIMIT];
static Cell static_cells[STATIC_LIMIT], dynamic_cells[SHARED_LIMIT];
static uint32_t first_block;  // of this launch
static uint64_t launches = 0;
static std::vector<Allocation *> touched;
static struct {
  bool open;
  char *where;
  size_t size;
  unsigned char before[16];
  Mark first;
  Where second;
  const void *caller;
  bool global;
} written_twice;

std::string place(const void *caller) {
  char text[600];
  const int n = snprintf(text, sizeof text, "kernel %s, block (%u,%u,%u), thread (%u,%u,%u)", here.launch->kernel->name, here.block[0],
                         here.block[1], here.block[2], here.thread[0], here.thread[1], here.thread[2]);
  Dl_info info;
  if (!caller || !dladdr(caller, &info)) return text;
  char command[600], line[300] = "";
  snprintf(command, sizeof command, "LD_PRELOAD= addr2line -e '%s' 0x%zx 2>/dev/null", info.dli_fname,
           size_t(static_cast<const char *>(caller) - static_cast<char *>(info.dli_fbase) - 1));
  if (FILE *pipe = popen(command, "r")) {
    if (!fgets(line, sizeof line, pipe)) line[0] = 0;
    pclose(pipe);
  }
  const char *colon = strrchr(line, ':');
  if (colon && atoi(colon + 1) > 0) snprintf(text + n, sizeof text - n, ", line %d", atoi(colon + 1));
  return text;
}

static void fault(CUresult code, const char *kind, const char *what, const void *where, size_t size, const std::string &which,
                  const void *caller) {
  sticky(code, "%s: %s of %zu bytes at %p (%s): %s", kind, what, size, where, which.c_str(), place(caller).c_str());
  abandon();
}

static bool ordered(const Mark &m, bool blocks_share) {
  if (m.block < first_block) return true;  // an earlier launch
  if (m.thread == BLOCKS) return false;
  if (m.block != here.serial) return !blocks_share;
  if (m.thread == here.index || m.epoch < here.epoch) return true;
  return m.thread != SEVERAL && m.thread / 32 == here.index / 32 && m.warp_epoch < here.warp_epochs[here.index / 32];
}

static Mark mine() { return {here.serial, uint16_t(here.index), here.epoch, here.warp_epochs[here.index / 32]}; }

static std::string other(const Mark &m) {
  if (m.block != here.serial || m.thread == BLOCKS) return "a thread of another block";
  return m.thread == SEVERAL ? "other threads" : "thread " + std::to_string(m.thread);
}

static void race(bool global, const char *what, const void *where, size_t size, const Mark &m, const void *caller) {
  sticky(CUDA_ERROR_LAUNCH_FAILED, "%s memory race (missing barrier?): %s of %zu bytes at %p, which %s used: %s",
         global ? "global" : "shared", what, size, where, other(m).c_str(), place(caller).c_str());
  abandon();
}

void settle() {
  if (!written_twice.open) return;
  written_twice.open = false;
  if (memcmp(written_twice.where, written_twice.before, written_twice.size)) {
    here = written_twice.second;
    race(written_twice.global, "write", written_twice.where, written_twice.size, written_twice.first, written_twice.caller);
  }
}

static void watch(Cell *cells, char *where, size_t size, bool writes, bool global, const void *caller) {
  for (size_t i = 0; i < size; i++) {
    Cell &cell = cells[i];
    if (!writes) {
      if (!ordered(cell.wrote, global)) race(global, "read", where, size, cell.wrote, caller);
      const bool more = cell.read.block == here.serial && cell.read.thread != here.index && cell.read.epoch == here.epoch;
      const bool now = global && cell.read.block >= first_block;
      const bool blocks = now && (cell.read.block != here.serial || cell.read.thread == BLOCKS);
      cell.read = mine();
      if (more) cell.read.thread = SEVERAL;
      if (blocks) cell.read.thread = BLOCKS;
      continue;
    }
    if (!ordered(cell.read, global)) race(global, "write", where, size, cell.read, caller);
    if (!ordered(cell.wrote, global) && !written_twice.open && size <= sizeof written_twice.before) {
      written_twice.open = true, written_twice.where = where, written_twice.size = size, written_twice.first = cell.wrote;
      written_twice.second = here, written_twice.caller = caller, written_twice.global = global;
      memcpy(written_twice.before, where, size);
    }
    cell.wrote = mine();
  }
}

static void shared(char *base, size_t limit, Cell *cells, char *where, size_t size, bool writes, bool atomic, const void *caller) {
  const size_t at = size_t(where - base);
  if (at + size > limit) fault(CUDA_ERROR_ILLEGAL_ADDRESS, "out of bounds", writes ? "write" : "read", where, size, "shared memory", caller);
  if (!writes || atomic)
    for (size_t i = 0; i < size; i++)
      if (cells[at + i].wrote.block != here.serial)
        fault(CUDA_ERROR_LAUNCH_FAILED, "uninitialised shared memory", "read", where, size,
              "byte " + std::to_string(at + i) + " of " + std::to_string(limit), caller);
  if (!atomic) watch(cells + at, where, size, writes, false, caller);
}

static void global(Allocation &a, char *where, size_t size, bool writes, bool atomic, const void *caller) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(where);
  if (!a.live) fault(CUDA_ERROR_ILLEGAL_ADDRESS, "use after free", writes ? "write" : "read", where, size, describe(at), caller);
  if (at < a.base || at + size > a.base + a.size)
    fault(CUDA_ERROR_ILLEGAL_ADDRESS, "out of bounds", writes ? "write" : "read", where, size, describe(at), caller);
  if (a.launch != launches) {
    a.launch = launches;
    a.read[0] = a.written[0] = UINTPTR_MAX, a.read[1] = a.written[1] = 0;
    touched.push_back(&a);
  }
  uintptr_t *range = writes ? a.written : a.read;
  if (at < range[0]) range[0] = at;
  if (at + size > range[1]) range[1] = at + size;
  if (a.size > CELLS_LIMIT || atomic) return;
  if (!a.cells) a.cells = static_cast<Cell *>(calloc(a.size, sizeof(Cell)));
  if (a.cells) watch(a.cells + (at - a.base), where, size, writes, true, caller);
}

static void access(void *address, size_t size, bool writes, bool atomic, bool aligned, const void *caller) {
  if (!here.launch) return;
  settle();
  char *where = static_cast<char *>(address);
  const uintptr_t at = reinterpret_cast<uintptr_t>(address);
  const Kernel &kernel = *here.launch->kernel;
  if (on_stack(at)) return;
  if (where >= here.launch->arguments.data() && where < here.launch->arguments.data() + here.launch->arguments.size()) return;
  if (aligned && at % size) fault(CUDA_ERROR_MISALIGNED_ADDRESS, "misaligned address", writes ? "write" : "read", where, size, describe(at), caller);
  if (where >= kernel.shared && where < kernel.shared_end)
    return shared(kernel.shared, size_t(kernel.shared_end - kernel.shared), static_cells, where, size, writes, atomic, caller);
  if (where >= dynamic_shared && where < dynamic_shared + SHARED_LIMIT)
    return shared(dynamic_shared, here.launch->dynamic, dynamic_cells, where, size, writes, atomic, caller);
  if (Allocation *a = find(at)) return global(*a, where, size, writes, atomic, caller);
  Dl_info info, own;
  if (dladdr(address, &info) && dladdr(reinterpret_cast<void *>(kernel.call), &own) && info.dli_fbase == own.dli_fbase) return;
  fault(CUDA_ERROR_ILLEGAL_ADDRESS, "out of bounds", writes ? "write" : "read", where, size, "no device memory at all", caller);
}

void begin_launch() {
  launches++;
  first_block = here.serial + 1;
  touched.clear();
  written_twice.open = false;
}

static void poison(char *from, size_t size) {
  for (size_t i = 0; i + 1 < size; i += 2) from[i] = char(0xF7), from[i + 1] = 0x7F;
}

void begin_block() {
  const Kernel &kernel = *here.launch->kernel;
  if (kernel.shared_end > kernel.shared) poison(kernel.shared, size_t(kernel.shared_end - kernel.shared));
  poison(dynamic_shared, here.launch->dynamic);
}

void end_launch() {
  for (const Allocation *a : touched) {
    if (a->read[1]) touch(a->read[0], a->read[1] - a->read[0], false);
    if (a->written[1]) touch(a->written[0], a->written[1] - a->written[0], true);
  }
  written_twice.open = false;
}

}  // namespace sim

// ---- what compiled kernels call ------------------------------------------------------------------------------------------
#define CALLED(n)                                                                                                              \
  EXPORTED void __tsan_read##n(void *a) { sim::access(a, n, false, false, true, __builtin_return_address(0)); }                \
  EXPORTED void __tsan_write##n(void *a) { sim::access(a, n, true, false, true, __builtin_return_address(0)); }                \
  EXPORTED void __tsan_unaligned_read##n(void *a) { sim::access(a, n, false, false, false, __builtin_return_address(0)); }     \
  EXPORTED void __tsan_unaligned_write##n(void *a) { sim::access(a, n, true, false, false, __builtin_return_address(0)); }
extern "C" {
CALLED(1)
CALLED(2)
CALLED(4)
CALLED(8)
CALLED(16)
EXPORTED void __tsan_read_range(void *a, size_t n) { sim::access(a, n, false, false, false, __builtin_return_address(0)); }
EXPORTED void __tsan_write_range(void *a, size_t n) { sim::access(a, n, true, false, false, __builtin_return_address(0)); }
EXPORTED void __tsan_init() {}
EXPORTED void __tsan_func_entry(void *) {}
EXPORTED void __tsan_func_exit() {}
EXPORTED void cuda_sim_atomic(const void *where, unsigned size) {
  if (sim::settings().checked) sim::access(const_cast<void *>(where), size, true, true, true, __builtin_return_address(0));
}
EXPORTED char *cuda_sim_dynamic() { return sim::dynamic_shared; }
}
