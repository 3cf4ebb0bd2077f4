// The functions and variables that a compiled kernel finds in the simulated driver. The device header declares the same.
#pragma once
#include <cstddef>
#include <cstdint>

enum { VOTE_COUNT, VOTE_AND, VOTE_OR, EXCHANGE, BALLOT };
static const size_t SHARED_LIMIT = 227 << 10;  // of a block, where the kernel opted in; 48 KiB otherwise

#define EXPORTED __attribute__((visibility("default")))
extern "C" {
struct Index3 {
  unsigned x, y, z;
};
EXPORTED extern Index3 cuda_sim_thread, cuda_sim_block, cuda_sim_block_size, cuda_sim_grid_size;
EXPORTED int cuda_sim_barrier(int line, int kind, int vote);
EXPORTED void cuda_sim_exchange(int line, unsigned mask, const void *value, unsigned size, unsigned from, void *result);
EXPORTED unsigned cuda_sim_ballot(int line, unsigned mask, int vote);
EXPORTED void cuda_sim_trap(int line);
EXPORTED void cuda_sim_atomic(const void *where, unsigned size);
EXPORTED char *cuda_sim_dynamic();
}

namespace sim {
bool on_stack(uintptr_t where);
}
