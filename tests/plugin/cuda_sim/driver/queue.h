// What a stream, an event and a graph are in the simulated driver; used by queue.cpp and by the API.
#pragma once
#include <deque>

#include "sim.h"

struct CUgraph_st {
  std::vector<sim::Op> ops;
  bool broken = false;
  bool relaxed = false;  // memory may be taken meanwhile
};

struct CUgraphExec_st {
  std::vector<sim::Op> ops;
};

struct CUstream_st {
  bool blocking = true;  // ordered with the legacy default stream
  int priority = 0;
  CUcontext context = nullptr;
  std::deque<sim::OpRef> queue;
  sim::OpRef last;
  uint64_t serial = 0;
  CUgraph graph = nullptr;  // being captured into
  bool origin = false;      // the stream on which the capture began
  bool dead = false;
};

struct CUevent_st {
  sim::OpRef op;
  bool timing = true;
  CUgraph graph = nullptr;
  bool dead = false;
};

namespace sim {
CUstream resolve(CUstream stream);  // the legacy default stream for its special handles; null when there is none such
CUstream make_stream(unsigned flags, int priority, CUcontext context);
void drop_stream(CUstream stream);
bool busy(CUstream stream);
void progress();  // one step, as time passes for who polls
CUresult wait_op(const OpRef &op);
CUresult launch_graph(CUgraphExec graph, CUstream stream);
void end_capture(CUgraph graph);
bool capturing();  // some stream is
bool capturing_strictly();  // in a mode in which no memory may be taken meanwhile
void break_captures();
}  // namespace sim
