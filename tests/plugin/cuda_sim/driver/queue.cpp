// Streams. Work is only queued; it runs when the host waits for something, one operation at a time, in an order drawn from the
// seed among all that streams, events and the legacy default stream allow. So what is ordered by luck alone comes out of order.
//
// Every operation also carries a vector clock of what is ordered before it. Two operations that use the same bytes, one of them
// writing, without an order between them are a finding ("stream race"), whatever order they happened to run in.
#include "queue.h"

#include <time.h>

#include <algorithm>
#include <random>

namespace sim {

struct Use {
  const void *stream;
  uint64_t serial;
  Range range;
  std::string what;
};

Op *running = nullptr;
static CUstream_st legacy;
static std::vector<CUstream> streams = {&legacy};
static std::map<const void *, uint64_t> host_clock;  // what the host has waited for
static std::map<uintptr_t, std::vector<Use>> uses;   // by allocation
static size_t pending = 0;

CUstream resolve(CUstream stream) {
  if (reinterpret_cast<uintptr_t>(stream) <= 2) return &legacy;
  return std::find(streams.begin(), streams.end(), stream) == streams.end() ? nullptr : stream;
}

CUstream make_stream(unsigned flags, int priority, CUcontext context) {
  CUstream stream = new CUstream_st;
  stream->blocking = !(flags & CU_STREAM_NON_BLOCKING);
  stream->priority = priority;
  stream->context = context;
  streams.push_back(stream);
  return stream;
}

static double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec * 1e-6;
}

static void merge(std::map<const void *, uint64_t> &into, const std::map<const void *, uint64_t> &from) {
  for (auto &[stream, serial] : from) into[stream] = std::max(into[stream], serial);
}

static void order_after(Op &op, const OpRef &before) {
  if (!before) return;
  merge(op.clock, before->clock);
  if (!before->done) op.after.push_back(before);
}

CUresult enqueue(CUstream handle, std::string what, std::function<CUresult()> run, std::vector<Range> touched) {
  CUstream stream = resolve(handle);
  if (!stream) {
    finding("use of a stream that does not exist (any more): %s", what.c_str());
    return CUDA_ERROR_INVALID_HANDLE;
  }
  OpRef op = std::make_shared<Op>();
  op->what = std::move(what);
  op->run = [run = std::move(run), touched = std::move(touched)] {
    for (const Range &r : touched) touch(r.from, r.size, r.written);
    return run();
  };
  if (stream->graph) {
    stream->graph->ops.push_back(*op);
    return CUDA_SUCCESS;
  }
  if (stream == &legacy && capturing()) {
    break_captures();
    return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
  }
  op->stream = stream;
  op->serial = ++stream->serial;
  op->clock = host_clock;
  order_after(*op, stream->last);
  if (stream == &legacy) {
    for (CUstream other : streams)
      if (other != stream && other->blocking) order_after(*op, other->last);
  } else if (stream->blocking) {
    order_after(*op, legacy.last);
  }
  op->clock[stream] = op->serial;
  stream->queue.push_back(op);
  stream->last = op;
  if (++pending > 4096) progress();
  return CUDA_SUCCESS;
}

static bool ready(const Op &op) {
  return std::all_of(op.after.begin(), op.after.end(), [](const OpRef &before) { return before->done; });
}

static void drop_all() {
  for (CUstream stream : streams) {
    for (OpRef &op : stream->queue) op->done = true;
    stream->queue.clear();
  }
  pending = 0;
}

void progress() {
  static std::mt19937 random(settings().seed);
  std::vector<CUstream> able;
  for (CUstream stream : streams)
    if (!stream->queue.empty() && ready(*stream->queue.front())) able.push_back(stream);
  if (able.empty()) return;
  CUstream stream = able.size() == 1 ? able[0] : able[random() % able.size()];
  OpRef op = stream->queue.front();
  stream->queue.pop_front();
  pending--;
  running = op.get();
  const CUresult result = lost ? lost : op->run();
  running = nullptr;
  op->done = true;
  op->when = now();
  op->run = nullptr;
  op->after.clear();
  if (result && !lost) lost = result;
  if (lost) drop_all();
}

CUresult wait_op(const OpRef &op) {
  while (op && !op->done) progress();
  if (op) merge(host_clock, op->clock);
  return lost;
}

CUresult finish(CUstream handle) {
  CUstream stream = resolve(handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->graph || (stream == &legacy && capturing())) {
    break_captures();
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  CUresult result = wait_op(stream->last);
  if (stream == &legacy)
    for (CUstream other : streams)
      if (other->blocking) result = wait_op(other->last);
  check_canaries();
  return result ? result : lost;
}

CUresult finish_all() {
  if (capturing()) {
    break_captures();
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  for (CUstream stream : streams) wait_op(stream->last);
  uses.clear();
  check_canaries();
  return lost;
}

void drop_stream(CUstream stream) {
  for (OpRef op = stream->last; op && !op->done;) progress();  // its work is done all the same
  stream->dead = true;
  streams.erase(std::remove(streams.begin(), streams.end(), stream), streams.end());
}

bool busy(CUstream stream) {
  progress();
  if (stream == &legacy) return pending != 0;
  return stream->last && !stream->last->done;
}

void touch(uintptr_t from, size_t size, bool written) {
  const Allocation *a = streams.size() > 1 && running && size ? find(from) : nullptr;
  if (!a) return;
  std::vector<Use> &known = uses[a->base];
  for (const Use &use : known) {
    const bool overlap = use.range.from < from + size && from < use.range.from + use.range.size;
    if (!overlap || !(written || use.range.written) || use.stream == running->stream) continue;
    auto seen = running->clock.find(use.stream);
    if (seen != running->clock.end() && seen->second >= use.serial) continue;
    finding("stream race: %s and %s use the same memory (%s) without an event or a synchronisation between them",
            use.what.c_str(), running->what.c_str(), describe(from).c_str());
    break;
  }
  if (known.size() > 64) known.erase(known.begin(), known.begin() + 32);
  known.push_back(Use{running->stream, running->serial, Range{from, size, written}, running->what});
}

CUresult launch_graph(CUgraphExec graph, CUstream stream) {
  for (const Op &op : graph->ops) {
    const std::function<CUresult()> run = op.run;
    if (CUresult result = enqueue(stream, op.what + " (of a graph)", run)) return result;
  }
  return CUDA_SUCCESS;
}

bool capturing() {
  return std::any_of(streams.begin(), streams.end(), [](CUstream s) { return s->graph; });
}

bool capturing_strictly() {
  return std::any_of(streams.begin(), streams.end(), [](CUstream s) { return s->graph && !s->graph->relaxed; });
}

void end_capture(CUgraph graph) {
  for (CUstream stream : streams)
    if (stream->graph == graph) stream->graph = nullptr;
}

void break_captures() {
  for (CUstream stream : streams)
    if (stream->graph) stream->graph->broken = true;
}

}  // namespace sim
