// The driver's functions on streams, events and graphs.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Driver.h"

#include <chrono>

namespace moec::ptx {

CUstream findStream(Device &device, CUstream stream) {
  // The null stream, and the handles that mean the default streams.
  if (reinterpret_cast<uintptr_t>(stream) <= 2)
    return &device.defaultStream;
  return owns(device.streams, stream) ? stream : nullptr;
}

namespace {

constexpr int captureModeRelaxed = 2;

/// Runs a function with a stream that exists.
template <typename F> CUresult withStream(CUstream stream, F run) {
  return withContext([&](Device &device) -> CUresult {
    CUstream found = findStream(device, stream);
    return found ? run(device, found) : CUDA_ERROR_INVALID_HANDLE;
  });
}

double now() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void endCapture(Device &device, const std::shared_ptr<Capture> &capture) {
  for (const std::unique_ptr<CUstream_st> &stream : device.streams)
    if (stream->capture == capture) {
      stream->capture = nullptr;
      stream->beganCapture = false;
    }
  for (const std::unique_ptr<CUevent_st> &event : device.events)
    if (event->capture == capture)
      event->capture = nullptr;
}

} // namespace

} // namespace moec::ptx

using namespace moec::ptx;

MOEC_DRIVER cuStreamCreate(CUstream *stream, unsigned) {
  return withContext([&](Device &device) {
    auto created = std::make_unique<CUstream_st>();
    *stream = created.get();
    device.streams.insert(std::move(created));
    return CUDA_SUCCESS;
  });
}

MOEC_DRIVER cuStreamCreateWithPriority(CUstream *stream, unsigned flags, int) {
  return cuStreamCreate(stream, flags);
}

MOEC_DRIVER cuStreamDestroy_v2(CUstream stream) {
  return withDevice([&](Device &device) {
    return disown(device.streams, stream) ? CUDA_SUCCESS
                                          : CUDA_ERROR_INVALID_HANDLE;
  });
}

MOEC_DRIVER cuStreamSynchronize(CUstream stream) {
  return withStream(stream, [](Device &, CUstream found) {
    if (!found->capture)
      return CUDA_SUCCESS;
    found->capture->isInvalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  });
}

MOEC_DRIVER cuStreamQuery(CUstream stream) {
  return cuStreamSynchronize(stream);
}

MOEC_DRIVER cuStreamGetCtx(CUstream stream, CUcontext *context) {
  return withStream(stream, [&](Device &device, CUstream) {
    *context = &device.context;
    return CUDA_SUCCESS;
  });
}

MOEC_DRIVER cuStreamWaitEvent(CUstream stream, CUevent event, unsigned) {
  return withStream(stream, [&](Device &device, CUstream found) -> CUresult {
    if (!owns(device.events, event))
      return CUDA_ERROR_INVALID_HANDLE;
    // A stream that waits for captured work is captured with it.
    if (event->capture && !found->capture)
      found->capture = event->capture;
    return CUDA_SUCCESS;
  });
}

MOEC_DRIVER cuEventCreate(CUevent *event, unsigned) {
  return withContext([&](Device &device) {
    auto created = std::make_unique<CUevent_st>();
    *event = created.get();
    device.events.insert(std::move(created));
    return CUDA_SUCCESS;
  });
}

MOEC_DRIVER cuEventDestroy_v2(CUevent event) {
  return withDevice([&](Device &device) {
    return disown(device.events, event) ? CUDA_SUCCESS
                                        : CUDA_ERROR_INVALID_HANDLE;
  });
}

MOEC_DRIVER cuEventRecord(CUevent event, CUstream stream) {
  return withStream(stream, [&](Device &device, CUstream found) -> CUresult {
    if (!owns(device.events, event))
      return CUDA_ERROR_INVALID_HANDLE;
    event->capture = found->capture;
    return device.submit(found, [&device, event] {
      device.flush();
      event->isRecorded = true;
      event->seconds = now();
      return CUDA_SUCCESS;
    });
  });
}

MOEC_DRIVER cuEventSynchronize(CUevent event) {
  return withContext([&](Device &device) -> CUresult {
    if (!owns(device.events, event))
      return CUDA_ERROR_INVALID_HANDLE;
    return event->capture ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED
                          : CUDA_SUCCESS;
  });
}

MOEC_DRIVER cuEventQuery(CUevent event) { return cuEventSynchronize(event); }

MOEC_DRIVER cuEventElapsedTime(float *milliseconds, CUevent begin,
                               CUevent end) {
  return withContext([&](Device &device) -> CUresult {
    if (!owns(device.events, begin) || !owns(device.events, end) ||
        !begin->isRecorded || !end->isRecorded)
      return CUDA_ERROR_INVALID_HANDLE;
    *milliseconds = static_cast<float>(1000 * (end->seconds - begin->seconds));
    return CUDA_SUCCESS;
  });
}

MOEC_DRIVER cuEventElapsedTime_v2(float *milliseconds, CUevent begin,
                                  CUevent end) {
  return cuEventElapsedTime(milliseconds, begin, end);
}

MOEC_DRIVER cuStreamBeginCapture_v2(CUstream stream, int mode) {
  return withStream(stream, [&](Device &device, CUstream found) -> CUresult {
    if (found == &device.defaultStream)
      return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (found->capture)
      return CUDA_ERROR_INVALID_VALUE;
    found->capture = std::make_shared<Capture>();
    found->capture->isRelaxed = mode == captureModeRelaxed;
    found->beganCapture = true;
    return CUDA_SUCCESS;
  });
}

MOEC_DRIVER cuStreamEndCapture(CUstream stream, CUgraph *graph) {
  return withStream(stream, [&](Device &device, CUstream found) -> CUresult {
    *graph = nullptr;
    if (!found->capture)
      return CUDA_ERROR_INVALID_VALUE;
    if (!found->beganCapture)
      return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
    std::shared_ptr<Capture> capture = found->capture;
    endCapture(device, capture);
    if (capture->isInvalid)
      return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    auto created = std::make_unique<CUgraph_st>(std::move(capture->graph));
    *graph = created.get();
    device.graphs.insert(std::move(created));
    return CUDA_SUCCESS;
  });
}

MOEC_DRIVER cuStreamIsCapturing(CUstream stream, int *status) {
  return withStream(stream, [&](Device &, CUstream found) {
    // 0: no, 1: yes, 2: yes, but it is invalid.
    *status = !found->capture ? 0 : found->capture->isInvalid ? 2 : 1;
    return CUDA_SUCCESS;
  });
}

MOEC_DRIVER cuGraphInstantiateWithFlags(CUgraphExec *executable, CUgraph graph,
                                        unsigned long long) {
  return withUncaptured([&](Device &device) -> CUresult {
    if (!owns(device.graphs, graph))
      return CUDA_ERROR_INVALID_HANDLE;
    auto created = std::make_unique<CUgraphExec_st>(CUgraphExec_st{*graph});
    *executable = created.get();
    device.executables.insert(std::move(created));
    return CUDA_SUCCESS;
  });
}

MOEC_DRIVER cuGraphLaunch(CUgraphExec executable, CUstream stream) {
  return withStream(stream, [&](Device &device, CUstream found) -> CUresult {
    if (!owns(device.executables, executable))
      return CUDA_ERROR_INVALID_HANDLE;
    return device.submit(found, [&device, graph = executable->graph] {
      for (const std::function<CUresult()> &work : graph.work) {
        if (CUresult result = work())
          return result;
        if (device.stickyError())
          break;
      }
      return CUresult(CUDA_SUCCESS);
    });
  });
}

MOEC_DRIVER cuGraphExecDestroy(CUgraphExec executable) {
  return withDevice([&](Device &device) {
    return disown(device.executables, executable) ? CUDA_SUCCESS
                                                  : CUDA_ERROR_INVALID_HANDLE;
  });
}

MOEC_DRIVER cuGraphDestroy(CUgraph graph) {
  return withDevice([&](Device &device) {
    return disown(device.graphs, graph) ? CUDA_SUCCESS
                                        : CUDA_ERROR_INVALID_HANDLE;
  });
}
