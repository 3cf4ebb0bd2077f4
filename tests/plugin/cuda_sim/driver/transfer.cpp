// Memory of the simulated driver's API: allocation, copies, fills. Copies check their bounds at once; work is queued on streams.
// Pageable host memory is read when the copy is called, as drivers do; page-locked memory when the copy runs.
#include <cstring>

#include "api.h"

using namespace sim;

static uintptr_t at(CUdeviceptr p) { return uintptr_t(p); }
static char *bytes(CUdeviceptr p) { return reinterpret_cast<char *>(at(p)); }

CUresult CUDAAPI cuMemAlloc(CUdeviceptr *where, size_t size) {
  ENTER
  if (capturing_strictly()) return break_captures(), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  return allocate(current_context()->device, size, where);
}
CUresult CUDAAPI cuMemAllocManaged(CUdeviceptr *where, size_t size, unsigned) { return cuMemAlloc(where, size); }
CUresult CUDAAPI cuMemFree(CUdeviceptr where) {
  ENTER
  if (!where) return CUDA_SUCCESS;
  if (CUresult result = finish_all()) return result;  // it waits for all work, in practice
  return release(where);
}
CUresult CUDAAPI cuMemAllocAsync(CUdeviceptr *where, size_t size, CUstream) {
  ENTER
  return allocate(current_context()->device, size, where);
}
CUresult CUDAAPI cuMemFreeAsync(CUdeviceptr where, CUstream stream) {
  ENTER
  return enqueue(stream, "stream-ordered free", [where] { return release(where); });
}
CUresult CUDAAPI cuMemGetInfo(size_t *left, size_t *total) {
  ENTER
  *total = settings().memory;
  *left = *total - used(current_context()->device);
  return CUDA_SUCCESS;
}
CUresult CUDAAPI cuMemGetAddressRange(CUdeviceptr *base, size_t *size, CUdeviceptr where) {
  ENTER
  const Allocation *a = find(at(where));
  if (!a || !a->live || at(where) >= a->base + a->size) return CUDA_ERROR_NOT_FOUND;
  if (base) *base = a->base;
  if (size) *size = a->size;
  return CUDA_SUCCESS;
}
CUresult CUDAAPI cuPointerGetAttribute(void *value, CUpointer_attribute attribute, CUdeviceptr where) {
  ENTER
  const Allocation *a = find(at(where));
  if (!a || !a->live) return CUDA_ERROR_INVALID_VALUE;
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
      *static_cast<unsigned *>(value) = a->host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
      return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: *static_cast<int *>(value) = a->device; return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_CONTEXT: *static_cast<CUcontext *>(value) = current_context(); return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER: *static_cast<CUdeviceptr *>(value) = where; return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_IS_MANAGED: *static_cast<int *>(value) = 0; return CUDA_SUCCESS;
    default: return CUDA_ERROR_NOT_SUPPORTED;
  }
}

// ---- page-locked host memory -----------------------------------------------------------------------------------------------
CUresult CUDAAPI cuMemHostAlloc(void **where, size_t size, unsigned) {
  ENTER
  *where = pin(size);
  return *where ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
CUresult CUDAAPI cuMemAllocHost(void **where, size_t size) { return cuMemHostAlloc(where, size, 0); }
CUresult CUDAAPI cuMemFreeHost(void *where) {
  ENTER
  if (CUresult result = finish_all()) return result;
  return unpin(where);
}
CUresult CUDAAPI cuMemHostRegister(void *where, size_t size, unsigned) {
  ENTER
  register_host(where, size);
  return CUDA_SUCCESS;
}
CUresult CUDAAPI cuMemHostUnregister(void *where) {
  ENTER
  if (CUresult result = finish_all()) return result;
  return unregister_host(where) ? CUDA_SUCCESS : CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
}
CUresult CUDAAPI cuMemHostGetDevicePointer(CUdeviceptr *device, void *host, unsigned) {
  ENTER
  *device = CUdeviceptr(reinterpret_cast<uintptr_t>(host));
  return pinned(host) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
CUresult CUDAAPI cuMemHostGetFlags(unsigned *flags, void *) { return *flags = 0, CUDA_SUCCESS; }

// ---- copies ------------------------------------------------------------------------------------------------------------------
static CUresult to_device(CUdeviceptr to, const void *from, size_t n, CUstream stream) {
  if (!n) return CUDA_SUCCESS;
  if (!inside(at(to), n, "copy to the device")) return CUDA_ERROR_INVALID_VALUE;
  const Range target = {at(to), n, true};
  if (pinned(from))
    return enqueue(stream, "copy to the device", [=] { return memcpy(bytes(to), from, n), CUDA_SUCCESS; },
                   {target, {reinterpret_cast<uintptr_t>(from), n, false}});
  std::shared_ptr<std::vector<char>> staged = std::make_shared<std::vector<char>>(static_cast<const char *>(from), static_cast<const char *>(from) + n);
  return enqueue(stream, "copy to the device", [=] { return memcpy(bytes(to), staged->data(), n), CUDA_SUCCESS; }, {target});
}

static CUresult to_host(void *to, CUdeviceptr from, size_t n, CUstream stream) {
  if (!n) return CUDA_SUCCESS;
  if (!inside(at(from), n, "copy to the host")) return CUDA_ERROR_INVALID_VALUE;
  std::vector<Range> ranges = {{at(from), n, false}};
  if (pinned(to)) ranges.push_back({reinterpret_cast<uintptr_t>(to), n, true});
  CUresult result = enqueue(stream, "copy to the host", [=] { return memcpy(to, bytes(from), n), CUDA_SUCCESS; }, ranges);
  return result || pinned(to) ? result : finish(stream);
}

static CUresult within(CUdeviceptr to, CUdeviceptr from, size_t n, CUstream stream) {
  if (!n) return CUDA_SUCCESS;
  if (!inside(at(to), n, "copy within the device (target)") || !inside(at(from), n, "copy within the device (source)")) return CUDA_ERROR_INVALID_VALUE;
  return enqueue(stream, "copy within the device", [=] { return memmove(bytes(to), bytes(from), n), CUDA_SUCCESS; },
                 {{at(to), n, true}, {at(from), n, false}});
}

static CUresult then_wait(CUresult result) { return result ? result : finish(nullptr); }

CUresult CUDAAPI cuMemcpyHtoD(CUdeviceptr to, const void *from, size_t n) {
  ENTER
  return then_wait(to_device(to, from, n, nullptr));
}
CUresult CUDAAPI cuMemcpyDtoH(void *to, CUdeviceptr from, size_t n) {
  ENTER
  return then_wait(to_host(to, from, n, nullptr));
}
CUresult CUDAAPI cuMemcpyDtoD(CUdeviceptr to, CUdeviceptr from, size_t n) {
  ENTER
  return within(to, from, n, nullptr);
}
CUresult CUDAAPI cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t n, CUstream stream) {
  ENTER
  return to_device(to, from, n, stream);
}
CUresult CUDAAPI cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t n, CUstream stream) {
  ENTER
  return to_host(to, from, n, stream);
}
CUresult CUDAAPI cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t n, CUstream stream) {
  ENTER
  return within(to, from, n, stream);
}
CUresult CUDAAPI cuMemcpyPeerAsync(CUdeviceptr to, CUcontext, CUdeviceptr from, CUcontext, size_t n, CUstream stream) {
  ENTER
  return within(to, from, n, stream);
}
CUresult CUDAAPI cuMemcpyPeer(CUdeviceptr to, CUcontext, CUdeviceptr from, CUcontext, size_t n) {
  ENTER
  return within(to, from, n, nullptr);
}
CUresult CUDAAPI cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t n, CUstream stream) {
  ENTER
  const bool to_dev = find(at(to)) != nullptr, from_dev = find(at(from)) != nullptr;
  if (to_dev && from_dev) return within(to, from, n, stream);
  if (to_dev) return to_device(to, bytes(from), n, stream);
  if (from_dev) return to_host(bytes(to), from, n, stream);
  return enqueue(stream, "copy on the host", [=] { return memcpy(bytes(to), bytes(from), n), CUDA_SUCCESS; });
}
CUresult CUDAAPI cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t n) { return then_wait(cuMemcpyAsync(to, from, n, nullptr)); }

// ---- fills -----------------------------------------------------------------------------------------------------------------
template <class T>
static CUresult fill(CUdeviceptr to, T value, size_t n, CUstream stream) {
  if (!n) return CUDA_SUCCESS;
  if (at(to) % sizeof(T)) return CUDA_ERROR_INVALID_VALUE;
  if (!inside(at(to), n * sizeof(T), "fill")) return CUDA_ERROR_INVALID_VALUE;
  return enqueue(stream, "fill", [=] { return std::fill_n(reinterpret_cast<T *>(at(to)), n, value), CUDA_SUCCESS; }, {{at(to), n * sizeof(T), true}});
}
#define FILL(bits, T)                                                                             \
  CUresult CUDAAPI cuMemsetD##bits(CUdeviceptr to, T value, size_t n) {                           \
    ENTER                                                                                         \
    return fill<T>(to, value, n, nullptr);                                                        \
  }                                                                                               \
  CUresult CUDAAPI cuMemsetD##bits##Async(CUdeviceptr to, T value, size_t n, CUstream stream) {   \
    ENTER                                                                                         \
    return fill<T>(to, value, n, stream);                                                         \
  }
FILL(8, unsigned char)
FILL(16, unsigned short)
FILL(32, unsigned)
