// Settings of the simulated driver, from the environment, read once. The table of them is in ../README.md.
#include <dlfcn.h>

#include <cstdlib>
#include <cstring>

#include "sim.h"

namespace sim {

static const char *text(const char *name, const char *otherwise) {
  const char *value = getenv(name);
  return value && *value ? value : otherwise;
}

static long number(const char *name, long otherwise) {
  const char *value = text(name, nullptr);
  return value ? strtol(value, nullptr, 0) : otherwise;
}

static long order() {
  const char *value = text("INGOT_CUDA_SIM_ORDER", "forward");
  if (!strcmp(value, "forward")) return 0;
  if (!strcmp(value, "reversed")) return -1;
  return labs(strtol(value, nullptr, 0)) + 1;
}

static std::string folder() {
  Dl_info info;
  dladdr(reinterpret_cast<void *>(&settings), &info);
  std::string path = info.dli_fname;
  return path.substr(0, path.rfind('/'));
}

const Settings &settings() {
  static const long arch = number("INGOT_CUDA_SIM_ARCH", 90);
  static const Settings made = {
      int(number("INGOT_CUDA_SIM_DEVICES", 1)),
      int(arch / 10),
      int(arch % 10),
      int(number("INGOT_CUDA_SIM_PROCESSORS", 4)),
      size_t(number("INGOT_CUDA_SIM_MEMORY", 2L << 30)),
      strcmp(text("INGOT_CUDA_SIM_CHECK", "accesses"), "none") != 0,
      order(),
      static_cast<unsigned long>(number("INGOT_CUDA_SIM_SEED", 1)),
      folder(),
      text("INGOT_CUDA_SIM_GATHER", ""),
      text("INGOT_CUDA_SIM_SUBSTITUTES", ""),
  };
  return made;
}

}  // namespace sim
