// Modules, functions and launches of the simulated driver's API: what a launch may ask for is checked as a driver checks it.
#include <dlfcn.h>

#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

#include "api.h"
#include "threads.h"

using namespace sim;

struct CUmod_st {
  Source source;
  std::string id;
  void *library;
  const Kernel *table;
  std::map<std::string, CUfunction> functions;
};
struct CUfunc_st {
  CUmodule module;
  const Kernel *kernel;
  int dynamic_limit;
  size_t packed;  // bytes of all parameters
};
static const size_t ARGUMENTS_LIMIT = 32764;

static std::set<std::string> launched;  // keys of the sources whose kernels were launched

static bool runs_here(const std::string &arch) {
  const bool real = !arch.compare(0, 3, "sm_");
  const long n = strtol(arch.c_str() + arch.find('_') + 1, nullptr, 10), major = n / 10, minor = n % 10;
  if (real) return major == settings().major && minor <= settings().minor;
  return major < settings().major || (major == settings().major && minor <= settings().minor);
}

static Source substituted(Source source) {
  if (settings().substitutes.empty()) return source;
  std::ifstream file(settings().substitutes + "/" + key(source), std::ios::binary);
  if (!file) return source;
  std::stringstream text;
  text << file.rdbuf();
  source.text = text.str();
  return source;
}

CUresult CUDAAPI cuModuleLoadData(CUmodule *module, const void *image) {
  ENTER
  Source source;
  std::string arch, log;
  if (!unpacked(image, source, arch)) {
    finding("the simulated driver loads what the simulated NVRTC made, and got something else");
    return CUDA_ERROR_INVALID_IMAGE;
  }
  if (!runs_here(arch)) return CUDA_ERROR_NO_BINARY_FOR_GPU;
  const std::string id = key(source);  // what it was before anything took its place
  source = substituted(source);
  if (!settings().gather.empty()) {
    collect(source, arch);
    *module = new CUmod_st{source, id, nullptr, nullptr, {}};
    return CUDA_SUCCESS;
  }
  const std::string path = compiled(source, log);
  void *library = path.empty() ? nullptr : dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  const Kernel *table = library ? static_cast<Kernel *>(dlsym(library, (key(source) + "_table").c_str())) : nullptr;
  if (!table) {
    finding("a kernel could not be loaded: %s", path.empty() ? log.c_str() : dlerror());
    return CUDA_ERROR_INVALID_IMAGE;
  }
  *module = new CUmod_st{source, id, library, table, {}};
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned, CUjit_option *, void **) {
  return cuModuleLoadData(module, image);
}

CUresult CUDAAPI cuModuleUnload(CUmodule module) {
  ENTER
  if (CUresult result = finish_all()) return result;
  for (auto &[name, function] : module->functions) delete function;
  delete module;  // the object stays loaded: another module may have the same
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
  ENTER
  CUfunction &known = module->functions[name];
  if (!known && !settings().gather.empty()) known = new CUfunc_st{module, nullptr, 0, 0};
  for (const Kernel *k = module->table; !known && k && k->name; k++) {
    if (strcmp(k->name, name)) continue;
    size_t packed = 0;
    for (int i = 0; i < k->count; i++)
      packed = (packed + k->parameters[i].align - 1) / k->parameters[i].align * k->parameters[i].align + k->parameters[i].size;
    known = new CUfunc_st{module, k, 48 << 10, packed};
  }
  if (!known) return module->functions.erase(name), CUDA_ERROR_NOT_FOUND;
  *function = known;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuFuncGetModule(CUmodule *module, CUfunction function) {
  *module = function->module;
  return CUDA_SUCCESS;
}

static size_t static_shared(const Kernel *k) { return k ? size_t(k->shared_end - k->shared) : 0; }

CUresult CUDAAPI cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction function) {
  ENTER
  switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = function->kernel ? function->kernel->max_threads : 1024; break;
    case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES: *value = int(static_shared(function->kernel)); break;
    case CU_FUNC_ATTRIBUTE_NUM_REGS: *value = 32; break;
    case CU_FUNC_ATTRIBUTE_PTX_VERSION:
    case CU_FUNC_ATTRIBUTE_BINARY_VERSION: *value = settings().major * 10 + settings().minor; break;
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: *value = function->dynamic_limit; break;
    default: *value = 0;
  }
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) {
  ENTER
  if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) return CUDA_SUCCESS;
  if (value < 0 || size_t(value) + static_shared(function->kernel) > SHARED_LIMIT) return CUDA_ERROR_INVALID_VALUE;
  function->dynamic_limit = value;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuFuncSetBlockShape(CUfunction, int, int, int) { return CUDA_SUCCESS; }  // a launch says it anew
CUresult CUDAAPI cuFuncSetSharedSize(CUfunction, unsigned) { return CUDA_SUCCESS; }
CUresult CUDAAPI cuFuncSetCacheConfig(CUfunction, CUfunc_cache) { return CUDA_SUCCESS; }

CUresult CUDAAPI cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction, int threads, size_t) {
  *blocks = threads > 0 ? 2048 / threads : 0;
  return CUDA_SUCCESS;
}

// The parameters of a launch as one packed block: copied now, as a driver does.
static bool gather_arguments(CUfunction f, void **parameters, void **extra, std::vector<char> &packed) {
  packed.assign(f->packed + 16, 0);
  if (extra) {
    const void *buffer = nullptr;
    size_t size = 0;
    for (int i = 0; extra[i] != CU_LAUNCH_PARAM_END; i += 2) {
      if (extra[i] == CU_LAUNCH_PARAM_BUFFER_POINTER) buffer = extra[i + 1];
      if (extra[i] == CU_LAUNCH_PARAM_BUFFER_SIZE) size = *static_cast<size_t *>(extra[i + 1]);
    }
    if (size < f->packed || (size > f->packed && size - f->packed >= 16)) {
      finding("kernel %s takes %zu bytes of arguments, %zu were given", f->kernel->name, f->packed, size);
      return false;
    }
    memcpy(packed.data(), buffer, f->packed);
    return true;
  }
  size_t at = 0;
  for (int i = 0; i < f->kernel->count; i++) {
    const Parameter &p = f->kernel->parameters[i];
    at = (at + p.align - 1) / p.align * p.align;
    memcpy(packed.data() + at, parameters[i], p.size);
    at += p.size;
  }
  return true;
}

CUresult CUDAAPI cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned dynamic,
                                CUstream stream, void **parameters, void **extra) {
  ENTER
  if (!gx || !gy || !gz || gx > 0x7FFFFFFFu || gy > 65535 || gz > 65535) return CUDA_ERROR_INVALID_VALUE;
  if (!bx || !by || !bz || bx > 1024 || by > 1024 || bz > 64 || uint64_t(bx) * by * bz > 1024) return CUDA_ERROR_INVALID_VALUE;
  launched.insert(f->module->id);
  if (!f->kernel) return CUDA_SUCCESS;
  if (bx * by * bz > unsigned(f->kernel->max_threads)) return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
  if (dynamic > unsigned(f->dynamic_limit) || static_shared(f->kernel) > (48 << 10)) return CUDA_ERROR_INVALID_VALUE;
  if (f->packed > ARGUMENTS_LIMIT) return CUDA_ERROR_INVALID_VALUE;
  std::shared_ptr<Launch> launch = std::make_shared<Launch>(Launch{f->kernel, "", {gx, gy, gz}, {bx, by, bz}, dynamic, {}});
  if (!gather_arguments(f, parameters, extra, launch->arguments)) return CUDA_ERROR_INVALID_VALUE;
  return enqueue(stream, std::string("kernel ") + f->kernel->name, [launch] { return run(*launch); });
}

CUresult CUDAAPI cuLaunchKernelEx(const CUlaunchConfig *c, CUfunction f, void **parameters, void **extra) {
  return cuLaunchKernel(f, c->gridDimX, c->gridDimY, c->gridDimZ, c->blockDimX, c->blockDimY, c->blockDimZ, c->sharedMemBytes, c->hStream,
                        parameters, extra);
}

CUresult CUDAAPI cuLaunchHostFunc(CUstream stream, CUhostFn function, void *data) {
  ENTER
  return enqueue(stream, "host function", [=] { return function(data), CUDA_SUCCESS; });
}

// The keys of what was launched since the last call, one a line.
extern "C" __attribute__((visibility("default"))) size_t cuda_sim_launched(char *text, size_t size) {
  std::lock_guard<std::recursive_mutex> guard(sim::lock());
  std::string lines;
  for (const std::string &id : launched) lines += id + "\n";
  if (!text || !size) return lines.size();
  snprintf(text, size, "%s", lines.c_str());
  launched.clear();
  return lines.size();
}
