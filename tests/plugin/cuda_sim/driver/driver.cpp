// libcuda.so.1, simulated: devices, contexts, streams, events, graphs. The rest of the API is in transfer.cpp and module.cpp; every
// function of cuda.h that none of them has answers "not supported" (generated, see ../build.py).
#include <dlfcn.h>

#include <cstring>

#include "api.h"
#include "threads.h"

using namespace sim;

#define LOCK std::lock_guard<std::recursive_mutex> guard(sim::lock());

namespace sim {
bool initialised = false;
static thread_local std::vector<CUcontext> contexts;
CUcontext current_context() { return contexts.empty() ? nullptr : contexts.back(); }
static CUctx_st primaries[16];
static bool device_there(CUdevice device) { return device >= 0 && device < settings().devices; }
}  // namespace sim

CUresult CUDAAPI cuInit(unsigned) {
  if (settings().devices < 1) return CUDA_ERROR_NO_DEVICE;
  initialised = true;
  return CUDA_SUCCESS;
}
CUresult CUDAAPI cuDriverGetVersion(int *version) { return *version = 13000, CUDA_SUCCESS; }

// ---- errors ----------------------------------------------------------------------------------------------------------------
static const struct {
  CUresult code;
  const char *name, *text;
} ERRORS[] = {
    {CUDA_SUCCESS, "CUDA_SUCCESS", "no error"},
    {CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {CUDA_ERROR_NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {CUDA_ERROR_NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {CUDA_ERROR_INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {CUDA_ERROR_INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {CUDA_ERROR_INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {CUDA_ERROR_NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {CUDA_ERROR_INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {CUDA_ERROR_NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {CUDA_ERROR_NOT_READY, "CUDA_ERROR_NOT_READY", "device not ready"},
    {CUDA_ERROR_ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED, "CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED", "peer access is already enabled"},
    {CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, "CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED", "pointer does not correspond to a registered memory region"},
    {CUDA_ERROR_MISALIGNED_ADDRESS, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
    {CUDA_ERROR_LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {CUDA_ERROR_NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
    {CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"},
    {CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT", "operation would make the legacy stream depend on a capturing blocking stream"},
};
CUresult CUDAAPI cuGetErrorName(CUresult code, const char **name) {
  for (const auto &row : ERRORS)
    if (row.code == code) return *name = row.name, CUDA_SUCCESS;
  return *name = "CUDA_ERROR_UNKNOWN", CUDA_SUCCESS;
}
CUresult CUDAAPI cuGetErrorString(CUresult code, const char **text) {
  for (const auto &row : ERRORS)
    if (row.code == code) return *text = row.text, CUDA_SUCCESS;
  return *text = "unknown error", CUDA_SUCCESS;
}

// ---- devices -----------------------------------------------------------------------------------------------------------------
CUresult CUDAAPI cuDeviceGetCount(int *n) { return *n = settings().devices, initialised ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED; }
CUresult CUDAAPI cuDeviceGet(CUdevice *device, int ordinal) {
  if (!initialised) return CUDA_ERROR_NOT_INITIALIZED;
  return *device = ordinal, device_there(ordinal) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}
CUresult CUDAAPI cuDeviceGetName(char *name, int size, CUdevice) { return snprintf(name, size_t(size), "SIMULATED CUDA device"), CUDA_SUCCESS; }
CUresult CUDAAPI cuDeviceGetUuid(CUuuid *uuid, CUdevice device) { return memset(uuid, device + 1, sizeof *uuid), CUDA_SUCCESS; }
CUresult CUDAAPI cuDeviceTotalMem(size_t *size, CUdevice) { return *size = settings().memory, CUDA_SUCCESS; }
CUresult CUDAAPI cuDeviceGetPCIBusId(char *id, int size, CUdevice device) { return snprintf(id, size_t(size), "0000:0%d:00.0", device), CUDA_SUCCESS; }
CUresult CUDAAPI cuDeviceGetByPCIBusId(CUdevice *device, const char *id) { return *device = id[6] - '0', CUDA_SUCCESS; }
CUresult CUDAAPI cuDeviceComputeCapability(int *major, int *minor, CUdevice) {
  return *major = settings().major, *minor = settings().minor, CUDA_SUCCESS;
}
CUresult CUDAAPI cuDeviceCanAccessPeer(int *can, CUdevice, CUdevice) { return *can = 1, CUDA_SUCCESS; }
CUresult CUDAAPI cuCtxEnablePeerAccess(CUcontext, unsigned) { return CUDA_SUCCESS; }
CUresult CUDAAPI cuCtxDisablePeerAccess(CUcontext) { return CUDA_SUCCESS; }

static const std::map<CUdevice_attribute, int> ATTRIBUTES = {
    {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 1024}, {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, 1024}, {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, 64}, {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, 0x7FFFFFFF}, {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, 65535},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, 65535}, {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, 48 << 10},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, int(SHARED_LIMIT)}, {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR, 228 << 10},
    {CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK, 1024}, {CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY, 64 << 10},
    {CU_DEVICE_ATTRIBUTE_WARP_SIZE, 32}, {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK, 65536}, {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR, 65536},
    {CU_DEVICE_ATTRIBUTE_CLOCK_RATE, 1000000}, {CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE, 1000000}, {CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, 256},
    {CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT, 512}, {CU_DEVICE_ATTRIBUTE_GPU_OVERLAP, 1}, {CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT, 2},
    {CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS, 1}, {CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING, 1}, {CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY, 1},
    {CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY, 1}, {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, 2048}, {CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, 4 << 20},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR, 32}, {CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED, 1}, {CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 1},
};
CUresult CUDAAPI cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice) {
  if (attribute == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT) return *value = settings().processors, CUDA_SUCCESS;
  if (attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) return *value = settings().major, CUDA_SUCCESS;
  if (attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR) return *value = settings().minor, CUDA_SUCCESS;
  auto found = ATTRIBUTES.find(attribute);
  return *value = found == ATTRIBUTES.end() ? 0 : found->second, CUDA_SUCCESS;
}

// ---- contexts ------------------------------------------------------------------------------------------------------------------
CUresult CUDAAPI cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
  LOCK
  if (!device_there(device)) return CUDA_ERROR_INVALID_DEVICE;
  CUctx_st &primary = primaries[device];
  primary.device = device, primary.primary = true, primary.retained++;
  return *context = &primary, CUDA_SUCCESS;
}
CUresult CUDAAPI cuDevicePrimaryCtxRelease(CUdevice device) { return primaries[device].retained--, CUDA_SUCCESS; }
CUresult CUDAAPI cuDevicePrimaryCtxGetState(CUdevice device, unsigned *flags, int *active) {
  return *flags = 0, *active = primaries[device].retained > 0, CUDA_SUCCESS;
}
CUresult CUDAAPI cuDevicePrimaryCtxSetFlags(CUdevice, unsigned) { return CUDA_SUCCESS; }
CUresult CUDAAPI cuCtxCreate(CUcontext *context, CUctxCreateParams *, unsigned, CUdevice device) {
  LOCK
  if (!initialised) return CUDA_ERROR_NOT_INITIALIZED;
  if (!device_there(device)) return CUDA_ERROR_INVALID_DEVICE;
  contexts.push_back(*context = new CUctx_st{device, 1, false});
  return CUDA_SUCCESS;
}
CUresult CUDAAPI cuCtxDestroy(CUcontext context) {
  LOCK
  if (current_context() == context) contexts.pop_back();
  return CUDA_SUCCESS;
}
CUresult CUDAAPI cuCtxPushCurrent(CUcontext context) { return contexts.push_back(context), CUDA_SUCCESS; }
CUresult CUDAAPI cuCtxPopCurrent(CUcontext *context) {
  if (contexts.empty()) return CUDA_ERROR_INVALID_CONTEXT;
  if (context) *context = contexts.back();
  return contexts.pop_back(), CUDA_SUCCESS;
}
CUresult CUDAAPI cuCtxSetCurrent(CUcontext context) {
  if (!contexts.empty()) contexts.pop_back();
  if (context) contexts.push_back(context);
  return CUDA_SUCCESS;
}
CUresult CUDAAPI cuCtxGetCurrent(CUcontext *context) { return *context = current_context(), CUDA_SUCCESS; }
CUresult CUDAAPI cuCtxGetDevice(CUdevice *device) {
  if (!current_context()) return CUDA_ERROR_INVALID_CONTEXT;
  return *device = current_context()->device, CUDA_SUCCESS;
}
CUresult CUDAAPI cuCtxSynchronize() {
  ENTER
  return finish_all();
}
CUresult CUDAAPI cuCtxAttach(CUcontext *context, unsigned) { return *context = current_context(), *context ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT; }
CUresult CUDAAPI cuCtxDetach(CUcontext context) { return cuCtxDestroy(context); }
CUresult CUDAAPI cuCtxGetApiVersion(CUcontext, unsigned *version) { return *version = 13000, CUDA_SUCCESS; }
CUresult CUDAAPI cuCtxGetLimit(size_t *value, CUlimit) { return *value = 0, CUDA_SUCCESS; }
CUresult CUDAAPI cuCtxSetLimit(CUlimit, size_t) { return CUDA_SUCCESS; }
CUresult CUDAAPI cuCtxGetStreamPriorityRange(int *least, int *greatest) { return *least = 0, *greatest = -5, CUDA_SUCCESS; }

// ---- streams and events ----------------------------------------------------------------------------------------------------------
CUresult CUDAAPI cuStreamCreateWithPriority(CUstream *stream, unsigned flags, int priority) {
  ENTER
  return *stream = make_stream(flags, priority, current_context()), CUDA_SUCCESS;
}
CUresult CUDAAPI cuStreamCreate(CUstream *stream, unsigned flags) { return cuStreamCreateWithPriority(stream, flags, 0); }
CUresult CUDAAPI cuStreamDestroy(CUstream handle) {
  LOCK
  CUstream stream = resolve(handle);
  if (!stream || stream == resolve(nullptr)) return finding("destruction of a stream that does not exist (any more)"), CUDA_ERROR_INVALID_HANDLE;
  return drop_stream(stream), lost;
}
CUresult CUDAAPI cuStreamSynchronize(CUstream stream) {
  ENTER
  return finish(stream);
}
CUresult CUDAAPI cuStreamQuery(CUstream handle) {
  ENTER
  CUstream stream = resolve(handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->graph) return break_captures(), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  return busy(stream) ? CUDA_ERROR_NOT_READY : lost;
}
CUresult CUDAAPI cuStreamWaitEvent(CUstream handle, CUevent event, unsigned) {
  ENTER
  CUstream stream = resolve(handle);
  if (!stream || event->dead) return CUDA_ERROR_INVALID_HANDLE;
  if (event->graph) return stream->graph = event->graph, CUDA_SUCCESS;  // the fork of a capture
  if (!event->op) return CUDA_SUCCESS;
  CUresult result = enqueue(stream, "wait for an event", [] { return CUDA_SUCCESS; });
  if (!result && !stream->graph) {
    Op &wait = *stream->last;
    for (auto &[other, serial] : event->op->clock) wait.clock[other] = std::max(wait.clock[other], serial);
    if (!event->op->done) wait.after.push_back(event->op);
  }
  return result;
}
CUresult CUDAAPI cuStreamGetFlags(CUstream stream, unsigned *flags) { return *flags = resolve(stream)->blocking ? 0 : CU_STREAM_NON_BLOCKING, CUDA_SUCCESS; }
CUresult CUDAAPI cuStreamGetPriority(CUstream stream, int *priority) { return *priority = resolve(stream)->priority, CUDA_SUCCESS; }
CUresult CUDAAPI cuStreamGetCtx(CUstream, CUcontext *context) { return *context = current_context(), CUDA_SUCCESS; }

CUresult CUDAAPI cuEventCreate(CUevent *event, unsigned flags) {
  ENTER
  *event = new CUevent_st;
  (*event)->timing = !(flags & CU_EVENT_DISABLE_TIMING);
  return CUDA_SUCCESS;
}
CUresult CUDAAPI cuEventDestroy(CUevent event) {
  LOCK
  if (event->dead) return finding("double destruction of an event"), CUDA_ERROR_INVALID_HANDLE;
  event->dead = true;  // kept, so that a later use is seen
  event->op = nullptr;
  return CUDA_SUCCESS;
}
CUresult CUDAAPI cuEventRecord(CUevent event, CUstream handle) {
  ENTER
  CUstream stream = resolve(handle);
  if (!stream || event->dead) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->graph) return event->graph = stream->graph, CUDA_SUCCESS;
  event->graph = nullptr;
  CUresult result = enqueue(handle, "event", [] { return CUDA_SUCCESS; });
  if (!result) event->op = stream->last;
  return result;
}
CUresult CUDAAPI cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned) { return cuEventRecord(event, stream); }
CUresult CUDAAPI cuEventSynchronize(CUevent event) {
  ENTER
  if (event->graph) return break_captures(), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  return wait_op(event->op);
}
CUresult CUDAAPI cuEventQuery(CUevent event) {
  ENTER
  if (event->op && !event->op->done) progress();
  if (event->op && !event->op->done) return CUDA_ERROR_NOT_READY;
  return wait_op(event->op);
}
CUresult CUDAAPI cuEventElapsedTime(float *ms, CUevent start, CUevent end) {
  ENTER
  if (!start->op || !end->op || !start->timing || !end->timing) return CUDA_ERROR_INVALID_HANDLE;
  if (!start->op->done || !end->op->done) return CUDA_ERROR_NOT_READY;
  return *ms = float(end->op->when - start->op->when), CUDA_SUCCESS;
}

// ---- graphs: what a stream captured, replayed in the captured order --------------------------------------------------------------
CUresult CUDAAPI cuStreamBeginCapture(CUstream handle, CUstreamCaptureMode mode) {
  ENTER
  CUstream stream = resolve(handle);
  if (!stream || stream == resolve(nullptr) || stream->graph) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  stream->graph = new CUgraph_st;
  stream->graph->relaxed = mode == CU_STREAM_CAPTURE_MODE_RELAXED;
  stream->origin = true;
  return CUDA_SUCCESS;
}
CUresult CUDAAPI cuStreamEndCapture(CUstream handle, CUgraph *graph) {
  ENTER
  CUstream stream = resolve(handle);
  if (!stream || !stream->graph || !stream->origin) return CUDA_ERROR_INVALID_VALUE;
  CUgraph made = stream->graph;
  end_capture(made);
  stream->origin = false;
  *graph = made->broken ? nullptr : made;
  return made->broken ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_SUCCESS;
}
CUresult CUDAAPI cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus *status) {
  ENTER
  CUstream stream = resolve(handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  *status = !stream->graph ? CU_STREAM_CAPTURE_STATUS_NONE : stream->graph->broken ? CU_STREAM_CAPTURE_STATUS_INVALIDATED : CU_STREAM_CAPTURE_STATUS_ACTIVE;
  return CUDA_SUCCESS;
}
CUresult CUDAAPI cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *) { return CUDA_SUCCESS; }
CUresult CUDAAPI cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph, unsigned long long) {
  ENTER
  return *exec = new CUgraphExec_st{graph->ops}, CUDA_SUCCESS;
}
CUresult CUDAAPI cuGraphGetNodes(CUgraph graph, CUgraphNode *, size_t *n) { return *n = graph->ops.size(), CUDA_SUCCESS; }
CUresult CUDAAPI cuGraphLaunch(CUgraphExec exec, CUstream stream) {
  ENTER
  return launch_graph(exec, stream);
}
CUresult CUDAAPI cuGraphUpload(CUgraphExec, CUstream) { return CUDA_SUCCESS; }
CUresult CUDAAPI cuGraphExecDestroy(CUgraphExec exec) { return delete exec, CUDA_SUCCESS; }
CUresult CUDAAPI cuGraphDestroy(CUgraph graph) { return delete graph, CUDA_SUCCESS; }
CUresult CUDAAPI cuProfilerStart() { return CUDA_SUCCESS; }
CUresult CUDAAPI cuProfilerStop() { return CUDA_SUCCESS; }

// ---- how cuda.bindings finds functions: by name, the newest of each ---------------------------------------------------------------
extern "C" __attribute__((visibility("default"))) const struct { const char *name, *newest; } cuda_sim_names[];
CUresult CUDAAPI cuGetProcAddress(const char *symbol, void **function, int, cuuint64_t, CUdriverProcAddressQueryResult *status) {
  static void *const self = dlopen((settings().folder + "/libcuda.so.1").c_str(), RTLD_NOW | RTLD_NOLOAD);
  std::string name = symbol;
  for (const auto *row = cuda_sim_names; row->name; row++)
    if (name == row->name) name = row->newest;
  *function = dlsym(self ? self : RTLD_DEFAULT, name.c_str());
  if (status) *status = *function ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  return *function ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

// Run all that is queued, as a test does at its end: what it left behind is its own fault, not the next test's.
extern "C" __attribute__((visibility("default"))) int cuda_sim_finish() {
  LOCK
  return initialised && !lost ? finish_all() : CUDA_SUCCESS;
}
