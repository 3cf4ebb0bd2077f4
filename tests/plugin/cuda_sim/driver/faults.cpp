// Findings: sentences about what a program did wrong, kept until a test takes them, and the sticky error that loses the context.
// Every finding also goes to standard error, and to the file INGOT_CUDA_SIM_LOG where that is set.
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "sim.h"

namespace sim {

CUresult lost = CUDA_SUCCESS;
static std::string kept;

std::recursive_mutex &lock() {
  static std::recursive_mutex mutex;
  return mutex;
}

static void note(const char *format, va_list arguments) {
  char text[1500];
  vsnprintf(text, sizeof text, format, arguments);
  kept += text;
  kept += '\n';
  fprintf(stderr, "SIMULATED CUDA: %s\n", text);
  if (const char *path = getenv("INGOT_CUDA_SIM_LOG"))
    if (FILE *file = fopen(path, "a")) {
      fprintf(file, "%s\n", text);
      fclose(file);
    }
}

void finding(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  note(format, arguments);
  va_end(arguments);
}

void sticky(CUresult code, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  note(format, arguments);
  va_end(arguments);
  if (lost == CUDA_SUCCESS) lost = code;
}

}  // namespace sim

// The findings so far, which are forgotten by that: their length, and as much of the text as `size` has room for.
extern "C" __attribute__((visibility("default"))) size_t cuda_sim_findings(char *text, size_t size) {
  std::lock_guard<std::recursive_mutex> guard(sim::lock());
  const size_t length = sim::kept.size();
  if (!text || !size) return length;
  const size_t n = length < size - 1 ? length : size - 1;
  memcpy(text, sim::kept.data(), n);
  text[n] = 0;
  sim::kept.clear();
  return length;
}

// Forget a lost context, so that the next test starts with a driver that works: no real one can do this.
extern "C" __attribute__((visibility("default"))) void cuda_sim_recover() {
  std::lock_guard<std::recursive_mutex> guard(sim::lock());
  sim::lost = CUDA_SUCCESS;
}
