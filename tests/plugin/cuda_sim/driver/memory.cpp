// Device memory: addresses from one large reservation, never used twice, so that an access after a free is an access to nothing.
// An allocation ends at the end of a page (256-byte aligned, as the driver's are) with a page of nothing behind it. Fresh
// memory, and what is left of its pages, holds a pattern that is NaN in every float format.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "sim.h"

namespace sim {

static const size_t PAGE = 4096, ALIGN = 256, FILLED = 16 << 20;
static const uint16_t POISON = 0x7FF7;
static uintptr_t first, next, last;
static std::map<uintptr_t, Allocation> all;
static std::map<uintptr_t, size_t> registered;
static std::map<int, size_t> in_use;

static void reserve() {
  for (size_t size = size_t(1) << 42; !first && size >= size_t(1) << 33; size >>= 1) {
    void *got = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (got == MAP_FAILED) continue;
    first = next = reinterpret_cast<uintptr_t>(got);
    last = first + size;
  }
}

static size_t up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

static void poison(uintptr_t from, size_t size) {
  uint16_t *p = reinterpret_cast<uint16_t *>(from);
  for (size_t i = 0; i < size / 2; i++) p[i] = POISON;
  if (size % 2) reinterpret_cast<unsigned char *>(from)[size - 1] = POISON & 0xFF;
}

static uintptr_t map(size_t size, int device, bool host) {
  if (!first) reserve();
  const size_t whole = up(size, ALIGN), pages = up(whole, PAGE);
  if (!first || next + pages + PAGE > last) return 0;
  if (mprotect(reinterpret_cast<void *>(next), pages, PROT_READ | PROT_WRITE)) return 0;
  const uintptr_t base = next + pages - whole;
  poison(next, base - next + (size < FILLED ? size : FILLED));
  poison(base + size, whole - size);
  next += pages + PAGE;
  all[base] = Allocation{base, size, device, true, host, nullptr, 0, {}, {}};
  return base;
}

static void unmap(Allocation &a) {
  const uintptr_t from = a.base / PAGE * PAGE, to = up(a.base + a.size, PAGE);
  madvise(reinterpret_cast<void *>(from), to - from, MADV_DONTNEED);
  mprotect(reinterpret_cast<void *>(from), to - from, PROT_NONE);
  a.live = false;
  free(a.cells);
  a.cells = nullptr;
}

CUresult allocate(int device, size_t size, CUdeviceptr *where) {
  if (!size) return CUDA_ERROR_INVALID_VALUE;
  if (in_use[device] + size > settings().memory) return CUDA_ERROR_OUT_OF_MEMORY;
  const uintptr_t base = map(size, device, false);
  if (!base) return CUDA_ERROR_OUT_OF_MEMORY;
  in_use[device] += size;
  *where = base;
  return CUDA_SUCCESS;
}

static bool untouched(const Allocation &a) {
  const unsigned char *end = reinterpret_cast<unsigned char *>(a.base + a.size);
  const size_t n = up(a.base + a.size, ALIGN) - (a.base + a.size);
  for (size_t i = 0; i < n; i++) {  // poison() counts in twos from the end of the allocation
    const unsigned char want = i + 1 == n && n % 2 ? POISON & 0xFF : (i % 2 ? POISON >> 8 : POISON & 0xFF);
    if (end[i] != want) return false;
  }
  return true;
}

void check_canaries() {
  if (settings().checked) return;  // then no kernel gets that far
  for (auto &[base, a] : all)
    if (a.live && !untouched(a)) {
      poison(base + a.size, up(base + a.size, ALIGN) - (base + a.size));
      sticky(CUDA_ERROR_ILLEGAL_ADDRESS, "write beyond the end: the guard behind the allocation of %zu bytes at 0x%zx was overwritten",
             a.size, size_t(base));
    }
}

CUresult release(CUdeviceptr where) {
  auto found = all.find(where);
  if (found == all.end()) {
    finding("invalid free: 0x%zx is not the start of an allocation (%s)", size_t(where), describe(where).c_str());
    return CUDA_ERROR_INVALID_VALUE;
  }
  Allocation &a = found->second;
  if (!a.live || a.host) {
    finding("%s of the allocation of %zu bytes at 0x%zx", a.host ? "device free of host memory" : "double free", a.size,
            size_t(where));
    return CUDA_ERROR_INVALID_VALUE;
  }
  check_canaries();
  in_use[a.device] -= a.size;
  unmap(a);
  return CUDA_SUCCESS;
}

void *pin(size_t size) { return reinterpret_cast<void *>(map(size ? size : 1, -1, true)); }

CUresult unpin(void *where) {
  auto found = all.find(reinterpret_cast<uintptr_t>(where));
  if (found == all.end() || !found->second.live || !found->second.host) {
    finding("invalid free of page-locked memory at %p", where);
    return CUDA_ERROR_INVALID_VALUE;
  }
  unmap(found->second);
  return CUDA_SUCCESS;
}

void register_host(void *where, size_t size) { registered[reinterpret_cast<uintptr_t>(where)] = size; }

bool unregister_host(void *where) { return registered.erase(reinterpret_cast<uintptr_t>(where)) != 0; }

bool pinned(const void *where) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(where);
  const Allocation *a = find(at);
  if (a) return a->host && a->live && at >= a->base;
  auto r = registered.upper_bound(at);
  return r != registered.begin() && (--r, at < r->first + r->second);
}

Allocation *find(uintptr_t where) {
  static Allocation *recent = nullptr;
  if (where < first || where >= last) return nullptr;
  if (recent && recent->live && where - recent->base < recent->size) return recent;
  auto after = all.upper_bound(where), before = after;
  if (before != all.begin()) {
    Allocation &a = (--before)->second;
    if (where < up(a.base + a.size, PAGE) + PAGE) return recent = &a;
  }
  return after == all.end() ? nullptr : &after->second;
}

std::string describe(uintptr_t where) {
  char text[200];
  const Allocation *a = find(where);
  if (!a) return "no allocation";
  const char *state = a->live ? "" : "freed ";
  if (where < a->base)
    snprintf(text, sizeof text, "%zu bytes before the start of the %sallocation of %zu bytes", size_t(a->base - where), state, a->size);
  else if (where < a->base + a->size)
    snprintf(text, sizeof text, "byte %zu of the %sallocation of %zu bytes", size_t(where - a->base), state, a->size);
  else
    snprintf(text, sizeof text, "%zu bytes after the end of the %sallocation of %zu bytes", size_t(where - a->base - a->size),
             state, a->size);
  return text;
}

bool inside(uintptr_t where, size_t size, const char *what) {
  const Allocation *a = find(where);
  if (a && a->live && where >= a->base && where + size <= a->base + a->size) return true;
  if (!size) return true;
  const char *kind = !a ? "out of bounds" : a->live ? "out of bounds" : "use after free";
  finding("%s: %s of %zu bytes at 0x%zx: %s", kind, what, size, size_t(where), describe(where).c_str());
  return false;
}

size_t used(int device) { return in_use[device]; }

bool guard_page(uintptr_t where) { return where >= first && where < last; }

}  // namespace sim
