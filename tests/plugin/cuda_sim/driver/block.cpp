// One block of a kernel: a fiber per thread, run one after another in the order that the settings ask for. A barrier or an
// exchange between the lanes of a warp gives up the turn; when nobody can go on, those who wait are let go, or it is a fault.
#include <alloca.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "sim.h"
#include "threads.h"

namespace sim {

Where here;

enum State : char { READY, BLOCK, WARP, DONE };
struct Thread {
  State state;
  void *top;    // where its fiber goes on
  char *stack;  // null as long as it never gave up its turn
  int line, kind, vote;
  unsigned mask, from;
  size_t size;
  unsigned char given[16], got[16];
};

static const size_t STACK = 128 << 10;
static std::vector<Thread> threads;
static std::vector<char *> stacks;
static void *scheduler;
static sigjmp_buf out;
static const Launch *launch;
static unsigned current;

// ---- fibers: callee-saved registers on the stack, and the stack pointer kept ------------------------------------------
extern "C" void cuda_sim_switch(void **keep, void *to);
#if defined(__x86_64__)
asm(".text\n.globl cuda_sim_switch\n.hidden cuda_sim_switch\n.type cuda_sim_switch,@function\ncuda_sim_switch:\n"
    "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
    "  movq %rsp, (%rdi)\n  movq %rsi, %rsp\n"
    "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n  ret\n");
static const size_t SAVED = 6;
static void *entered(char *end, void (*entry)()) {
  void **top = reinterpret_cast<void **>(end) - 2;
  top[0] = reinterpret_cast<void *>(entry);
  memset(top -= SAVED, 0, SAVED * sizeof *top);
  return top;
}
#elif defined(__aarch64__)
asm(".text\n.globl cuda_sim_switch\n.hidden cuda_sim_switch\n.type cuda_sim_switch,%function\ncuda_sim_switch:\n"
    "  sub sp, sp, #160\n  stp x19, x20, [sp]\n  stp x21, x22, [sp, #16]\n  stp x23, x24, [sp, #32]\n"
    "  stp x25, x26, [sp, #48]\n  stp x27, x28, [sp, #64]\n  stp x29, x30, [sp, #80]\n  stp d8, d9, [sp, #96]\n"
    "  stp d10, d11, [sp, #112]\n  stp d12, d13, [sp, #128]\n  stp d14, d15, [sp, #144]\n"
    "  mov x9, sp\n  str x9, [x0]\n  mov sp, x1\n"
    "  ldp x19, x20, [sp]\n  ldp x21, x22, [sp, #16]\n  ldp x23, x24, [sp, #32]\n  ldp x25, x26, [sp, #48]\n"
    "  ldp x27, x28, [sp, #64]\n  ldp x29, x30, [sp, #80]\n  ldp d8, d9, [sp, #96]\n  ldp d10, d11, [sp, #112]\n"
    "  ldp d12, d13, [sp, #128]\n  ldp d14, d15, [sp, #144]\n  add sp, sp, #160\n  ret\n");
static void *entered(char *end, void (*entry)()) {
  char *top = end - 176;
  memset(top, 0, 160);
  reinterpret_cast<void **>(top)[11] = reinterpret_cast<void *>(entry);  // x30
  return top;
}
#else
#error "the simulated CUDA driver knows how to switch fibers on x86-64 and aarch64"
#endif

static void turn_over() { cuda_sim_switch(&threads[current].top, scheduler); }

static void thread_main() {
  launch->kernel->call(const_cast<char *>(launch->arguments.data()));
  settle();
  threads[current].state = DONE;
  turn_over();
}

[[noreturn]] void abandon() { siglongjmp(out, 1); }

static void give_turn(unsigned index) {
  Thread &thread = threads[index];
  if (!thread.stack) {
    if (stacks.empty()) stacks.push_back(new char[STACK]);
    thread.stack = stacks.back();
    stacks.pop_back();
    thread.top = entered(thread.stack + STACK / 16 * 16, thread_main);
  }
  current = here.index = index;
    const unsigned x = launch->block[0], y = launch->block[1];
  here.thread[0] = cuda_sim_thread.x = index % x;
  here.thread[1] = cuda_sim_thread.y = index / x % y;
  here.thread[2] = cuda_sim_thread.z = index / x / y;
  cuda_sim_switch(&scheduler, thread.top);
  if (thread.state == DONE) {
    stacks.push_back(thread.stack);
    thread.stack = nullptr;
  }
}

bool on_stack(uintptr_t where) {
  const char *stack = threads[current].stack, *p = reinterpret_cast<const char *>(where);
  return stack && p >= stack && p < stack + STACK;
}

// ---- who waits for what -----------------------------------------------------------------------------------------------
static void let_block_go() {
  int sum = 0, all = 1, any = 0;
  for (const Thread &t : threads) sum += t.vote != 0, all &= t.vote != 0, any |= t.vote != 0;
  for (Thread &t : threads) {
    const int answer = t.kind == VOTE_COUNT ? sum : t.kind == VOTE_AND ? all : any;
    memcpy(t.got, &answer, sizeof answer);
    t.state = READY;
  }
  here.epoch++;
}

static bool block_can_go() {
  const Thread &first = threads[0];
  for (const Thread &t : threads)
    if (t.state != BLOCK || t.line != first.line || t.kind != first.kind) return false;
  return true;
}

static bool warp_can_go(unsigned base, unsigned lanes) {
  bool some = false;
  for (unsigned i = 0; i < lanes; i++) {
    const Thread &t = threads[base + i];
    if (t.state != WARP) continue;
    some = true;
    for (unsigned k = 0; k < lanes; k++) {
      const Thread &other = threads[base + k];
      if ((t.mask >> k & 1) && !(other.state == WARP && other.mask == t.mask && other.line == t.line)) return false;
    }
  }
  return some;
}

static void let_warp_go(unsigned base, unsigned lanes) {
  unsigned ballot = 0;
  for (unsigned i = 0; i < lanes; i++)
    if (threads[base + i].state == WARP && threads[base + i].vote) ballot |= 1u << i;
  for (unsigned i = 0; i < lanes; i++) {
    Thread &t = threads[base + i];
    if (t.state != WARP) continue;
    if (t.kind == BALLOT) {
      const unsigned seen = ballot & t.mask;
      memcpy(t.got, &seen, sizeof seen);
    } else if (t.from < lanes && (t.mask >> t.from & 1)) {
      memcpy(t.got, threads[base + t.from].given, sizeof t.got);
    } else {
      memset(t.got, 0x7F, sizeof t.got);  // what a lane outside of the mask would give is undefined
    }
  }
  for (unsigned i = 0; i < lanes; i++)
    if (threads[base + i].state == WARP) threads[base + i].state = READY;
  here.warp_epochs[base / 32]++;
}

static void diagnose() {
  const Thread *exited = nullptr, *waits = nullptr, *other = nullptr;
  for (const Thread &t : threads) {
    if (t.state == DONE && !exited) exited = &t;
    if (t.state == DONE) continue;
    if (!waits) waits = &t;
    else if (!other && (t.line != waits->line || t.state != waits->state)) other = &t;
  }
  const char *name = launch->kernel->name, *kind = waits->state == WARP ? "warp operation" : "barrier";
  const int at = int(waits - threads.data());
  if (exited && !other)
    sticky(CUDA_ERROR_LAUNCH_FAILED, "divergent barrier: kernel %s, block (%u,%u,%u): thread %d waits at the %s of line %d, thread %d has left the kernel",
           name, here.block[0], here.block[1], here.block[2], at, kind, waits->line, int(exited - threads.data()));
  else
    sticky(CUDA_ERROR_LAUNCH_FAILED, "divergent barrier: kernel %s, block (%u,%u,%u): thread %d waits at the %s of line %d, thread %d at line %d",
           name, here.block[0], here.block[1], here.block[2], at, kind, waits->line, other ? int(other - threads.data()) : at,
           other ? other->line : waits->line);
}

static bool let_some_go() {
  if (block_can_go()) return let_block_go(), true;
  bool some = false;
  const unsigned n = unsigned(threads.size());
  for (unsigned base = 0; base < n; base += 32) {
    const unsigned lanes = std::min(32u, n - base);
    if (warp_can_go(base, lanes)) let_warp_go(base, lanes), some = true;
  }
  return some;
}

static void run_block(const std::vector<unsigned> &order) {
  for (Thread &t : threads) t.state = READY, t.stack = nullptr;
  for (;;) {
    bool done = true;
    for (unsigned index : order) {
      if (threads[index].state == READY) give_turn(index);
      done &= threads[index].state == DONE;
    }
    if (done) return;
    if (std::any_of(threads.begin(), threads.end(), [](const Thread &t) { return t.state == READY; })) continue;
    if (!let_some_go()) {
      diagnose();
      abandon();
    }
  }
}

// ---- a launch -----------------------------------------------------------------------------------------------------------
static void on_signal(int number, siginfo_t *info, void *) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(info->si_addr);
  if (number == SIGFPE)
    sticky(CUDA_ERROR_LAUNCH_FAILED, "integer division by zero (undefined on a GPU): %s", place(nullptr).c_str());
  else if (number == SIGILL)  // a trap of -fsanitize=bounds
    sticky(CUDA_ERROR_ILLEGAL_ADDRESS, "index beyond an array of the kernel: %s", place(info->si_addr ? static_cast<char *>(info->si_addr) + 1 : nullptr).c_str());
  else
    sticky(CUDA_ERROR_ILLEGAL_ADDRESS, "illegal address 0x%zx (%s): %s", size_t(at), describe(at).c_str(), place(nullptr).c_str());
  abandon();
}

static std::vector<unsigned> permuted(unsigned n, std::mt19937 &random) {
  std::vector<unsigned> order(n);
  for (unsigned i = 0; i < n; i++) order[i] = settings().order < 0 ? n - 1 - i : i;
  if (settings().order > 0) std::shuffle(order.begin(), order.end(), random);
  return order;
}

static void run_blocks() {
  std::mt19937 random(settings().order > 0 ? settings().order : 1);
  const unsigned n = launch->block[0] * launch->block[1] * launch->block[2];
  const uint64_t blocks = uint64_t(launch->grid[0]) * launch->grid[1] * launch->grid[2];
  threads.assign(n, Thread());
  const std::vector<unsigned> order = permuted(blocks <= 65536 ? unsigned(blocks) : 0, random), within = permuted(n, random);
  for (uint64_t i = 0; i < blocks; i++) {
    const uint64_t b = order.empty() ? i : order[i];
    here.block[0] = cuda_sim_block.x = unsigned(b % launch->grid[0]);
    here.block[1] = cuda_sim_block.y = unsigned(b / launch->grid[0] % launch->grid[1]);
    here.block[2] = cuda_sim_block.z = unsigned(b / launch->grid[0] / launch->grid[1]);
    here.serial++;
    here.epoch = 1;
    std::fill(here.warp_epochs, here.warp_epochs + 32, 1);
    begin_block();
    run_block(within);
  }
}

CUresult run(const Launch &asked) {
  static char *alternate = new char[64 << 10];
  launch = &asked;
  here.launch = &asked;
  cuda_sim_block_size = {asked.block[0], asked.block[1], asked.block[2]};
  cuda_sim_grid_size = {asked.grid[0], asked.grid[1], asked.grid[2]};
  stack_t stack = {}, before_stack;
  stack.ss_sp = alternate;
  stack.ss_size = 64 << 10;
  sigaltstack(&stack, &before_stack);
  struct sigaction action = {}, before[4];
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  const int numbers[4] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
  for (int i = 0; i < 4; i++) sigaction(numbers[i], &action, &before[i]);
  begin_launch();
  if (sigsetjmp(out, 1) == 0) {
    run_blocks();
  } else {
    for (Thread &t : threads)
      if (t.stack) stacks.push_back(t.stack), t.stack = nullptr;
  }
  for (int i = 0; i < 4; i++) sigaction(numbers[i], &before[i], nullptr);
  sigaltstack(&before_stack, nullptr);
  end_launch();
  here.launch = nullptr;
  return lost;
}

}  // namespace sim

// ---- what a compiled kernel calls ----------------------------------------------------------------------------------------
Index3 cuda_sim_thread, cuda_sim_block, cuda_sim_block_size, cuda_sim_grid_size;

static sim::Thread &wait(sim::State state, int line, int kind, int vote) {
  sim::settle();
  sim::Thread &self = sim::threads[sim::current];
  self.state = state, self.line = line, self.kind = kind, self.vote = vote;
  return self;
}

int cuda_sim_barrier(int line, int kind, int vote) {
  sim::Thread &self = wait(sim::BLOCK, line, kind, vote);
  sim::turn_over();
  int answer;
  memcpy(&answer, self.got, sizeof answer);
  return answer;
}

void cuda_sim_exchange(int line, unsigned mask, const void *value, unsigned size, unsigned from, void *result) {
  sim::Thread &self = wait(sim::WARP, line, EXCHANGE, 0);
  self.mask = mask, self.from = from;
  memcpy(self.given, value, size);
  sim::turn_over();
  memcpy(result, self.got, size);
}

unsigned cuda_sim_ballot(int line, unsigned mask, int vote) {
  sim::Thread &self = wait(sim::WARP, line, BALLOT, vote);
  self.mask = mask;
  sim::turn_over();
  unsigned answer;
  memcpy(&answer, self.got, sizeof answer);
  return answer;
}

void cuda_sim_trap(int line) {
  sim::sticky(CUDA_ERROR_LAUNCH_FAILED, "the kernel trapped: %s, line %d", sim::place(nullptr).c_str(), line);
  sim::abandon();
}
