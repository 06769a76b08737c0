// Times entries of an artifact on a CUDA device: graphs of calls, replayed, by the device's own clock; and what the device itself can do.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
//   device-time-entry ARTIFACT --entry NAME --tokens 1,32,512 [--isa sm_90a] [--rounds 7] [--milliseconds 20]
//   device-time-entry --rates [--bytes 2147483648] [--size 8192]
//
// One JSON object a line. Inputs are seeded, and made on the host once; weights are the same numbers over and over.
#include "moert/device.h"
#include "tools/Execution/Artifact.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <map>
#include <string_view>

using namespace moec;
using namespace moec::run;

namespace {

[[noreturn]] void fail(const std::string &message) {
  std::fprintf(stderr, "device-time-entry: %s\n", message.c_str());
  std::exit(1);
}

/// Fails unless it is MOERT_OK.
struct Sink {
  char text[1024] = "";
  moert_error_sink sink = {text, sizeof text};

  void check(int32_t status, const char *what) {
    if (status != MOERT_OK)
      fail(std::string(what) + ": " + text);
  }
};

/// What graphs need of the driver; the names are the driver's.
class Driver {
public:
  Driver() {
    const char *given = std::getenv("MOERT_CUDA_DRIVER");
    void *library = dlopen(given && *given ? given : "libcuda.so.1", RTLD_NOW);
    if (!library)
      fail(dlerror());
    find(library, "cuDevicePrimaryCtxRetain", retain);
    find(library, "cuCtxSetCurrent", setCurrent);
    find(library, "cuStreamBeginCapture_v2", beginCapture);
    find(library, "cuStreamEndCapture", endCapture);
    find(library, "cuGraphInstantiateWithFlags", instantiate);
    find(library, "cuGraphLaunch", launch);
    find(library, "cuGraphExecDestroy", destroyExec);
    find(library, "cuGraphDestroy", destroyGraph);
    find(library, "cuMemcpyDtoDAsync_v2", copy);
  }

  static void check(int error, const char *what) {
    if (error)
      fail(std::string(what) + ": CUDA error " + std::to_string(error));
  }

  int (*retain)(void **, int);
  int (*setCurrent)(void *);
  int (*beginCapture)(void *, int);
  int (*endCapture)(void *, void **);
  int (*instantiate)(void **, void *, unsigned long long);
  int (*launch)(void *, void *);
  int (*destroyExec)(void *);
  int (*destroyGraph)(void *);
  int (*copy)(unsigned long long, unsigned long long, size_t, void *);

private:
  template <typename Function>
  void find(void *library, const char *name, Function &function) {
    function = reinterpret_cast<Function>(dlsym(library, name));
    if (!function)
      fail(std::string("the driver has no ") + name);
  }
};

using Arguments = std::map<std::string, std::string, std::less<>>;

int64_t numberOr(const Arguments &arguments, std::string_view name,
                 int64_t otherwise) {
  auto found = arguments.find(name);
  return found == arguments.end() ? otherwise
                                  : std::atoll(found->second.c_str());
}

std::string textOr(const Arguments &arguments, std::string_view name,
                   const char *otherwise) {
  auto found = arguments.find(name);
  return found == arguments.end() ? otherwise : found->second;
}

std::vector<int64_t> numbers(const std::string &text) {
  std::vector<int64_t> list;
  for (size_t at = 0; at < text.size();) {
    list.push_back(std::atoll(text.c_str() + at));
    at = text.find(',', at);
    at = at == std::string::npos ? text.size() : at + 1;
  }
  return list;
}

/// Uniform numbers in (-1, 1), as f32, or as the upper half of one: bf16, and a float16 of some value.
std::vector<uint8_t> randomBlock(bool isWide) {
  constexpr size_t count = size_t(1) << 23;
  std::vector<uint8_t> block(count * (isWide ? 4 : 2));
  uint64_t state = 0x9e3779b97f4a7c15;
  for (size_t i = 0; i < count; ++i) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    float value =
        static_cast<float>(static_cast<int32_t>(state >> 32)) * 0x1p-31f;
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    if (!isWide)
      bits >>= 16;
    std::memcpy(&block[i * (isWide ? 4 : 2)], &bits, isWide ? 4 : 2);
  }
  return block;
}

class Timer {
public:
  Timer(moert_device *device, const Arguments &arguments)
      : device(device), rounds(numberOr(arguments, "--rounds", 7)),
        milliseconds(numberOr(arguments, "--milliseconds", 20)) {
    sink.check(moert_device_stream(device, &stream), "stream");
    DLDevice identity;
    moert_device_identity(device, &identity);
    void *context = nullptr;
    Driver::check(driver.retain(&context, identity.device_id), "context");
    Driver::check(driver.setCurrent(context), "context");
  }

  /// Seconds of one turn of what `work` puts into the stream: medians over rounds of as many replays as fill `milliseconds`.
  template <typename Work> std::vector<double> time(Work work) {
    work(); // Loads modules, which no graph may.
    sink.check(moert_device_synchronize(device, &sink.sink), "first call");
    void *graph = nullptr, *exec = nullptr;
    Driver::check(driver.beginCapture(stream, /*relaxed=*/2), "capture");
    work();
    Driver::check(driver.endCapture(stream, &graph), "capture");
    Driver::check(driver.instantiate(&exec, graph, 0), "graph");
    double once = replay(exec, 3);
    int64_t turns = std::clamp<int64_t>(
        static_cast<int64_t>(static_cast<double>(milliseconds) * 1e-3 /
                             std::max(once, 1e-7)),
        1, 2000);
    std::vector<double> seconds;
    for (int64_t round = 0; round < rounds; ++round)
      seconds.push_back(replay(exec, turns));
    std::sort(seconds.begin(), seconds.end());
    driver.destroyExec(exec);
    driver.destroyGraph(graph);
    return seconds;
  }

  Driver driver;
  void *stream = nullptr;
  Sink sink;

private:
  double replay(void *exec, int64_t turns) {
    sink.check(moert_device_start_timer(device, &sink.sink), "timer");
    for (int64_t i = 0; i < turns; ++i)
      Driver::check(driver.launch(exec, stream), "replay");
    double seconds = 0;
    sink.check(moert_device_stop_timer(device, &sink.sink, &seconds), "timer");
    return seconds / static_cast<double>(turns);
  }

  moert_device *device;
  int64_t rounds, milliseconds;
};

/// A tensor in the device's memory.
class DeviceTensor {
public:
  DeviceTensor(moert_device *device, const moert_argument &argument,
               int64_t tokens)
      : device(device) {
    bytes = argument.bits / 8;
    for (int i = 0; i < argument.rank; ++i) {
      shape.push_back(argument.shape[i] < 0 ? tokens : argument.shape[i]);
      bytes *= static_cast<uint64_t>(shape.back());
    }
    Sink sink;
    sink.check(moert_device_allocate(device, bytes, &sink.sink, &tensor.data),
               argument.name);
    moert_device_identity(device, &tensor.device);
    tensor.ndim = argument.rank;
    tensor.dtype = {argument.code, argument.bits, 1};
    tensor.shape = shape.data();
    if (argument.role == MOERT_INPUT)
      fill(argument);
  }
  DeviceTensor(const DeviceTensor &) = delete;
  ~DeviceTensor() { moert_device_free(device, tensor.data); }

  DLTensor tensor = {};
  uint64_t bytes;

private:
  void fill(const moert_argument &argument) {
    bool isWide = argument.bits == 32;
    if (argument.code == kDLInt || (!isWide && argument.bits != 16))
      fail(std::string(argument.name) + ": expected floats of 16 or 32 bits");
    static std::map<bool, std::vector<uint8_t>> blocks;
    std::vector<uint8_t> &block = blocks[isWide];
    if (block.empty())
      block = randomBlock(isWide);
    Sink sink;
    for (uint64_t at = 0; at < bytes; at += block.size())
      sink.check(moert_device_write(
                     device, static_cast<uint8_t *>(tensor.data) + at,
                     block.data(), std::min<uint64_t>(block.size(), bytes - at),
                     &sink.sink),
                 argument.name);
  }

  moert_device *device;
  std::vector<int64_t> shape;
};

/// One entry at several numbers of tokens; weights, whose extents are fixed, stay.
void timeEntry(const std::string &path, const Arguments &arguments) {
  weights::Result<Artifact> artifact = openArtifact(path, DLDevice{kDLCUDA, 0});
  if (!artifact)
    fail(artifact.error());
  std::string name = textOr(arguments, "--entry", "");
  std::string isa = textOr(arguments, "--isa", "");
  weights::Result<Callable> callable = findCallable(*artifact, name, "");
  if (!callable)
    fail(callable.error());
  moert_device *device = deviceOf(*artifact);
  Timer timer(device, arguments);
  Sink sink;
  int32_t count = 0;
  moert_library_argument_count(callable->entry, &count);
  std::vector<std::unique_ptr<DeviceTensor>> tensors(
      static_cast<size_t>(count));
  for (int64_t tokens : numbers(textOr(arguments, "--tokens", "1"))) {
    std::vector<DLTensor *> list;
    for (int32_t i = 0; i < count; ++i) {
      const moert_argument *argument = nullptr;
      moert_library_argument(callable->entry, i, &argument);
      bool isFixed =
          std::all_of(argument->shape, argument->shape + argument->rank,
                      [](int64_t extent) { return extent >= 0; });
      auto &tensor = tensors[static_cast<size_t>(i)];
      if (!isFixed)
        tensor.reset();
      if (!tensor)
        tensor = std::make_unique<DeviceTensor>(device, *argument, tokens);
      list.push_back(&tensor->tensor);
    }
    moert_call call = {};
    call.size = sizeof call;
    call.abi_version = MOERT_ABI_VERSION;
    call.stream = timer.stream;
    call.error = sink.sink;
    call.isa = isa.empty() ? nullptr : isa.c_str();
    sink.check(moert_library_workspace_bytes(callable->entry, &call,
                                             list.data(), count,
                                             &call.workspace_bytes),
               "workspace");
    sink.check(moert_device_allocate(device, call.workspace_bytes, &sink.sink,
                                     &call.workspace),
               "workspace");
    std::vector<double> seconds = timer.time([&] {
      sink.check(moert_library_call(callable->entry, &call, list.data(), count),
                 "call");
    });
    std::printf("{\"entry\": \"%s\", \"isa\": \"%s\", \"tokens\": %lld, "
                "\"seconds\": %.9g, \"least\": %.9g, \"most\": %.9g, "
                "\"workspace\": %llu}\n",
                nameOf(*callable).c_str(), isa.c_str(),
                static_cast<long long>(tokens), seconds[seconds.size() / 2],
                seconds.front(), seconds.back(),
                static_cast<unsigned long long>(call.workspace_bytes));
    std::fflush(stdout);
    moert_device_free(device, call.workspace);
  }
}

/// bf16 products of size^3 by cuBLAS, in operations a second; 0 where there is none.
double blasRate(Timer &timer, moert_device *device, int64_t size) {
  void *library = nullptr;
  for (const char *name :
       {"libcublas.so.13", "libcublas.so.12", "libcublas.so"})
    if (!library)
      library = dlopen(name, RTLD_NOW);
  if (!library)
    return 0;
  auto create =
      reinterpret_cast<int (*)(void **)>(dlsym(library, "cublasCreate_v2"));
  auto setStream = reinterpret_cast<int (*)(void *, void *)>(
      dlsym(library, "cublasSetStream_v2"));
  auto setWorkspace = reinterpret_cast<int (*)(void *, void *, size_t)>(
      dlsym(library, "cublasSetWorkspace_v2"));
  auto multiply = reinterpret_cast<int (*)(
      void *, int, int, int, int, int, const void *, const void *, int, int,
      const void *, int, int, const void *, void *, int, int, int, int)>(
      dlsym(library, "cublasGemmEx"));
  void *handle = nullptr;
  if (!create || !setStream || !setWorkspace || !multiply || create(&handle))
    return 0;
  constexpr int bf16 = 14, f32Sums = 68, defaultAlgorithm = -1;
  constexpr size_t scratchBytes = size_t(64) << 20;
  moert_argument matrix = {};
  matrix.name = "matrix";
  matrix.code = kDLBfloat;
  matrix.bits = 16;
  matrix.rank = 2;
  matrix.role = MOERT_INPUT;
  matrix.shape[0] = matrix.shape[1] = size;
  DeviceTensor a(device, matrix, 0), b(device, matrix, 0), c(device, matrix, 0);
  void *scratch = nullptr;
  Sink sink;
  sink.check(moert_device_allocate(device, scratchBytes, &sink.sink, &scratch),
             "scratch");
  setStream(handle, timer.stream);
  setWorkspace(handle, scratch, scratchBytes);
  float one = 1, zero = 0;
  int n = static_cast<int>(size);
  std::vector<double> seconds = timer.time([&] {
    if (multiply(handle, 0, 0, n, n, n, &one, a.tensor.data, bf16, n,
                 b.tensor.data, bf16, n, &zero, c.tensor.data, bf16, n, f32Sums,
                 defaultAlgorithm))
      fail("cublasGemmEx failed");
  });
  moert_device_free(device, scratch);
  double edge = static_cast<double>(size);
  return 2 * edge * edge * edge / seconds[seconds.size() / 2];
}

void measureRates(const Arguments &arguments) {
  moert_device *device = nullptr;
  Sink sink;
  sink.check(moert_device_open(DLDevice{kDLCUDA, 0}, &sink.sink, &device),
             "device");
  const char *description = "";
  moert_device_description(device, &description);
  {
    Timer timer(device, arguments);
    uint64_t bytes =
        static_cast<uint64_t>(numberOr(arguments, "--bytes", int64_t(1) << 31));
    void *from = nullptr, *to = nullptr;
    sink.check(moert_device_allocate(device, bytes, &sink.sink, &from),
               "memory");
    sink.check(moert_device_allocate(device, bytes, &sink.sink, &to), "memory");
    std::vector<double> seconds = timer.time([&] {
      Driver::check(
          timer.driver.copy(reinterpret_cast<unsigned long long>(to),
                            reinterpret_cast<unsigned long long>(from), bytes,
                            timer.stream),
          "copy");
    });
    moert_device_free(device, from);
    moert_device_free(device, to);
    double copied =
        2 * static_cast<double>(bytes) / seconds[seconds.size() / 2];
    double products =
        blasRate(timer, device, numberOr(arguments, "--size", 8192));
    std::printf("{\"device\": \"%s\", \"copy\": %.6g, \"blas\": %.6g}\n",
                description, copied, products);
  }
  moert_device_close(device);
}

} // namespace

int main(int argc, char **argv) {
  std::string artifact;
  Arguments arguments;
  bool areRates = false;
  for (int i = 1; i < argc; ++i) {
    std::string_view word = argv[i];
    if (word == "--rates")
      areRates = true;
    else if (word.starts_with("--") && i + 1 < argc)
      arguments.emplace(word, argv[++i]);
    else if (artifact.empty() && !word.starts_with("--"))
      artifact = word;
    else
      fail("expected ARTIFACT --entry NAME --tokens LIST, or --rates; found '" +
           std::string(word) + "'");
  }
  if (areRates == !artifact.empty())
    fail("expected an artifact or --rates");
  if (areRates)
    measureRates(arguments);
  else
    timeEntry(artifact, arguments);
}
