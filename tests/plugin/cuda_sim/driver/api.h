// What the files of the API share: the lock, the sticky error, the current context.
#pragma once
#include "queue.h"
#include "sim.h"

struct CUctx_st {
  int device;
  int retained;
  bool primary;
};

namespace sim {
extern bool initialised;
CUcontext current_context();
inline CUresult may_enter() {
  if (!initialised) return CUDA_ERROR_NOT_INITIALIZED;
  if (!current_context()) return CUDA_ERROR_INVALID_CONTEXT;
  return lost;
}
}  // namespace sim

#define ENTER                                                            \
  std::lock_guard<std::recursive_mutex> guard(sim::lock());              \
  if (CUresult refused = sim::may_enter()) return refused;
