// What the parts of the simulated driver share. Read driver.cpp (the API) first; each part's .cpp says what it does.
#pragma once
#pragma GCC visibility push(default)  // what cuda.h declares is what this library exports
#include <cuda.h>
#include <cudaProfiler.h>
#pragma GCC visibility pop

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#define SHARED __attribute__((visibility("default")))  // with libnvrtc

namespace sim {

// ---- settings.cpp: what the environment asks for --------------------------------------------------------------------
struct Settings {
  int devices, major, minor, processors;
  size_t memory;
  bool checked;             // every access is looked at
  long order;               // 0 forward, -1 reversed, else the seed of a shuffle
  unsigned long seed;       // of the order in which streams make progress
  std::string folder;       // where this library lies; compiled kernels are kept below it
  std::string gather;       // a folder for sources: kernels are collected there, and none runs
  std::string substitutes;  // a folder of sources that take the place of others, for mutants
};
SHARED const Settings &settings();

// ---- faults.cpp: what was done wrong --------------------------------------------------------------------------------
// A finding is a sentence that names the fault; tests read and clear them. A sticky one loses the context.
void finding(const char *format, ...) __attribute__((format(printf, 1, 2)));
void sticky(CUresult code, const char *format, ...) __attribute__((format(printf, 2, 3)));
extern CUresult lost;
SHARED std::recursive_mutex &lock();

// ---- memory.cpp -----------------------------------------------------------------------------------------------------
struct Cell;  // check.cpp: what is known of one byte
struct Allocation {
  uintptr_t base;
  size_t size;
  int device;
  bool live, host;
  Cell *cells;
  uint64_t launch;                // the launch that these four are of: what it read and wrote
  uintptr_t read[2], written[2];  // first and last + 1
};
CUresult allocate(int device, size_t size, CUdeviceptr *where);
CUresult release(CUdeviceptr where);
void *pin(size_t size);
CUresult unpin(void *where);
void register_host(void *where, size_t size);
bool unregister_host(void *where);
bool pinned(const void *where);
Allocation *find(uintptr_t where);        // the live or freed allocation that an address, or the guard it lies in, belongs to
std::string describe(uintptr_t where);    // "4 bytes after the allocation of 400 bytes at 0x…"
bool inside(uintptr_t where, size_t size, const char *what);  // else a finding
size_t used(int device);
void check_canaries();
bool guard_page(uintptr_t where);

// ---- queue.cpp: streams, events, graphs -----------------------------------------------------------------------------
struct Op {
  std::function<CUresult()> run;
  std::vector<std::shared_ptr<Op>> after;
  std::map<const void *, uint64_t> clock;  // what is ordered before it, by stream
  std::string what;
  const void *stream = nullptr;
  uint64_t serial = 0;
  bool done = false;
  double when = 0;
};
using OpRef = std::shared_ptr<Op>;
struct Range {
  uintptr_t from;
  size_t size;
  bool written;
};
CUresult enqueue(CUstream stream, std::string what, std::function<CUresult()> run, std::vector<Range> touched = {});
CUresult finish(CUstream stream);
CUresult finish_all();
extern Op *running;
void touch(uintptr_t from, size_t size, bool written);  // `running` uses these bytes

// ---- compile.cpp, module.cpp ----------------------------------------------------------------------------------------
struct Parameter {
  uint32_t size, align;
};
struct Kernel {  // as include/cuda_sim.h has it: one row of a compiled source's table
  const char *name;
  void (*call)(char *packed);
  const Parameter *parameters;
  int count;
  int max_threads;
  char *shared, *shared_end;
};
struct Source {  // what the simulated compiler makes of a program: the "cubin" holds it as text
  std::string text, name, options;
};
SHARED std::string key(const Source &source);
SHARED std::string compiled(const Source &source, std::string &log);  // path of a shared object, "" when it was refused
SHARED std::string packed(const Source &source, const std::string &arch);
void collect(const Source &source, const std::string &arch);  // for a later call of the compiler
bool unpacked(const void *image, Source &source, std::string &arch);

// ---- block.cpp, check.cpp: running a kernel --------------------------------------------------------------------------
struct Launch {
  const Kernel *kernel;
  std::string source;
  unsigned grid[3], block[3], dynamic;
  std::vector<char> arguments;
};
CUresult run(const Launch &launch);
[[noreturn]] void abandon();  // leave the kernel that runs, from one of its threads or a signal handler
struct Where {
  const Launch *launch;
  unsigned block[3], thread[3], index;
  uint32_t serial;                   // of the block, among all that ran
  uint16_t epoch, warp_epochs[32];   // barriers so far
};
extern Where here;
std::string place(const void *caller);  // "kernel f, block (0,0,0), thread (3,0,0), line 12"
void begin_launch();
void begin_block();
void end_launch();
void settle();  // a write that another thread also made is looked at again
}  // namespace sim
