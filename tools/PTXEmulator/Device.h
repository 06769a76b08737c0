// The emulated device: what the functions of the driver share.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_DEVICE_H
#define MOEC_TOOLS_PTXEMULATOR_DEVICE_H

#include "tools/PTXEmulator/DriverTypes.h"
#include "tools/PTXEmulator/Image.h"
#include "tools/PTXEmulator/Machine.h"

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

/// There is one, the primary context.
struct CUctx_st {};

struct CUfunc_st {
  const moec::ptx::Program *program;
  CUmod_st *module;
  /// CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
  uint32_t maxDynamicShared = 48 * 1024;
};

struct CUmod_st {
  std::unique_ptr<moec::ptx::Image> image;
  std::map<std::string, std::unique_ptr<CUfunc_st>> functions;
};

/// Work in the order it was recorded in.
struct CUgraph_st {
  std::vector<std::function<CUresult()>> work;
};

struct CUgraphExec_st {
  CUgraph_st graph;
};

/// A capture that some streams take part in.
struct Capture {
  CUgraph_st graph;
  /// CU_STREAM_CAPTURE_MODE_RELAXED lets other calls pass.
  bool isRelaxed = false;
  bool isInvalid = false;
};

struct CUstream_st {
  std::shared_ptr<Capture> capture;
  bool beganCapture = false;
};

struct CUevent_st {
  std::shared_ptr<Capture> capture;
  bool isRecorded = false;
  double seconds = 0;
};

namespace moec::ptx {

/// What the environment says; docs/emulator.md has the names.
struct DeviceSettings {
  Settings machine;
  int capabilityMajor = 9, capabilityMinor = 0;
  int driverVersion = 13000;
  int deviceCount = 1;
  uint64_t memoryBytes = uint64_t(4) << 30;
  /// File that faults are appended to; may be empty.
  std::string report;
  bool statistics = false;

  /// Defaults where a variable is not set. A value that is no number ends the
  /// process with a message: nobody is there yet to return it to.
  static DeviceSettings fromEnvironment();
};

/// The state behind the driver's functions. They hold `mutex` while they use
/// it; everything happens in the order of the calls.
class Device {
public:
  static Device &get();

  explicit Device(const DeviceSettings &settings);

  /// CUDA_SUCCESS, or what every call returns after a fault in a kernel.
  CUresult stickyError() const { return sticky; }

  /// Does work of a stream now, or records it if the stream is captured.
  CUresult submit(CUstream stream, std::function<CUresult()> work);

  /// CUDA_SUCCESS unless a call that may not be captured is made during a
  /// capture, which becomes invalid by it.
  CUresult checkUncaptured();

  /// Launches a grid. It runs when anything but a programmatic dependent of it
  /// is asked for. A fault is reported and becomes the sticky error.
  void launch(const Grid &grid, bool isDependent);

  /// Runs what was launched.
  void flush();

  /// Bytes of dynamic shared memory that a kernel may ask for.
  uint32_t maxSharedOptIn() const;

  DeviceSettings settings;
  DeviceMemory memory;
  std::mutex mutex;
  bool isInitialized = false;
  CUctx_st context;
  CUstream_st defaultStream;
  std::set<std::unique_ptr<CUmod_st>> modules;
  std::set<std::unique_ptr<CUstream_st>> streams;
  std::set<std::unique_ptr<CUevent_st>> events;
  std::set<std::unique_ptr<CUgraph_st>> graphs;
  std::set<std::unique_ptr<CUgraphExec_st>> executables;

private:
  CUresult sticky = CUDA_SUCCESS;
  uint64_t launches = 0;
  /// A grid and its programmatic dependents, which did not run yet.
  std::vector<Grid> launched;
};

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_DEVICE_H
