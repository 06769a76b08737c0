// An artifact that is open, and its entries as functions of tensors.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/Execution/Artifact.h"

using namespace moec::weights;

namespace moec::run {

namespace {

/// The runtime's answer, with the message it wrote.
Status check(moert_status_t status, const char *message) {
  if (status == MOERT_OK)
    return success();
  const char *name = "";
  moert_status_name(status, &name);
  return Error{std::string(message) + " (" + name + ")"};
}

/// The same of a function that takes a place for its message.
template <typename Function> Status check(Function function) {
  char text[1024] = "";
  moert_error_sink sink = {text, sizeof text};
  moert_status_t status = function(&sink);
  return check(status, text);
}

} // namespace

Result<Artifact> openArtifact(const std::string &path,
                              std::optional<DLDevice> device,
                              const Paging &paging, const Sharing &sharing) {
  auto named = [](const std::string &name) {
    return name.empty() ? nullptr : name.c_str();
  };
  moert_model_options options = {};
  options.size = sizeof options;
  options.device = device ? &*device : nullptr;
  options.memory_budget = uint64_t(paging.memoryBudget);
  options.eviction = named(paging.eviction);
  options.predictor = named(paging.predictor);
  options.lookahead = int32_t(paging.lookahead);
  options.idle_steps = uint64_t(paging.idleSteps);
  options.communicator = sharing.communicator;
  options.placement = named(sharing.placement);
  char text[1024] = "";
  moert_error_sink sink = {text, sizeof text};
  moert_model *model = nullptr;
  if (moert_model_open_with(path.c_str(), &options, &sink, &model) != MOERT_OK)
    return Error{text};
  return Artifact(model);
}

Result<Library> openLibrary(const std::string &path) {
  char text[1024] = "";
  moert_error_sink sink = {text, sizeof text};
  moert_library *library = nullptr;
  if (moert_library_open(path.c_str(), &sink, &library) != MOERT_OK)
    return Error{text};
  return Library(library);
}

Result<int32_t> deviceTypeOf(const std::string &path) {
  Result<Library> library = openLibrary(path);
  if (!library)
    return Error{library.error()};
  int32_t type = 0;
  moert_library_device_type(library->get(), &type);
  return type;
}

Result<Artifact> openOther(const std::string &path,
                           std::optional<DLDevice> wanted) {
  Result<int32_t> type = deviceTypeOf(path);
  if (!type)
    return Error{type.error()};
  bool isAlike = wanted && wanted->device_type == *type;
  return openArtifact(path, isAlike ? wanted : std::nullopt);
}

moert_device *deviceOf(const Artifact &artifact) {
  moert_device *device = nullptr;
  moert_model_device(artifact.get(), &device);
  return device;
}

Result<Pool> makePool(int64_t threads) {
  char text[512] = "";
  moert_error_sink sink = {text, sizeof text};
  moert_pool *pool = nullptr;
  if (moert_pool_create(int32_t(threads), &sink, &pool) != MOERT_OK)
    return Error{text};
  return Pool(pool);
}

const moert_library *libraryOf(const Artifact &artifact) {
  const moert_library *library = nullptr;
  moert_model_library(artifact.get(), &library);
  return library;
}

static Result<Callable> findLayer(const Artifact &artifact,
                                  const std::string &name) {
  char text[512] = "";
  moert_error_sink sink = {text, sizeof text};
  Callable callable;
  int32_t count = 0;
  moert_model_layer_count(artifact.get(), &count);
  moert_status_t status =
      name.empty() && count == 1
          ? moert_model_layer_at(artifact.get(), 0, &callable.layer)
          // No layer has the empty name, so the message lists those there are.
          : moert_model_find_layer(artifact.get(), name.c_str(), &sink,
                                   &callable.layer);
  if (status != MOERT_OK)
    return Error{name.empty() ? std::string("--layer is needed: ") + text
                              : std::string(text)};
  moert_layer_entry(callable.layer, &callable.entry);
  return callable;
}

Result<Callable> findCallable(const Artifact &artifact, const std::string &name,
                              const std::string &layer) {
  int32_t layers = 0, entries = 0;
  moert_model_layer_count(artifact.get(), &layers);
  if (!layer.empty() || (name.empty() && layers > 0))
    return findLayer(artifact, layer);
  const moert_library *library = libraryOf(artifact);
  char text[512] = "";
  moert_error_sink sink = {text, sizeof text};
  Callable callable;
  moert_library_entry_count(library, &entries);
  if (name.empty() && entries == 1) {
    moert_library_entry_at(library, 0, &callable.entry);
    return callable;
  }
  // No entry has the empty name, so the message lists those there are.
  if (moert_library_find_entry(library, name.c_str(), &sink, &callable.entry) !=
      MOERT_OK)
    return Error{name.empty() ? std::string("--entry is needed: ") + text
                              : std::string(text)};
  return callable;
}

Result<Callable> findNamed(const Artifact &artifact, const std::string &name) {
  moert_layer *layer = nullptr;
  bool isLayer = moert_model_find_layer(artifact.get(), name.c_str(), nullptr,
                                        &layer) == MOERT_OK;
  return isLayer ? findLayer(artifact, name) : findCallable(artifact, name, "");
}

Epoch acquireEpoch(const Artifact &artifact) {
  moert_epoch *epoch = nullptr;
  moert_model_acquire_epoch(artifact.get(), &epoch);
  return Epoch(epoch);
}

std::string nameOf(const Callable &callable) {
  const char *name = "";
  if (callable.layer)
    moert_layer_name(callable.layer, &name);
  else
    moert_library_entry_name(callable.entry, &name);
  return name;
}

namespace {

/// Memory of a device.
class Buffer {
public:
  explicit Buffer(moert_device *device) : device(device) {}
  Buffer(Buffer &&other) noexcept : device(other.device), data(other.data) {
    other.data = nullptr;
  }
  ~Buffer() { moert_device_free(device, data); }

  Status allocate(uint64_t bytes) {
    return check([&](const moert_error_sink *sink) {
      return moert_device_allocate(device, bytes, sink, &data);
    });
  }
  Status write(std::span<const uint8_t> from) {
    return check([&](const moert_error_sink *sink) {
      return moert_device_write(device, data, from.data(), from.size(), sink);
    });
  }
  Status read(std::span<uint8_t> to) const {
    return check([&](const moert_error_sink *sink) {
      return moert_device_read(device, to.data(), data, to.size(), sink);
    });
  }
  void *get() const { return data; }

private:
  moert_device *device;
  void *data = nullptr;
};

/// A call of an entry, with its tensors on the device.
class DeviceCall {
public:
  DeviceCall(moert_device *device, DLDevice where, const Callable &callable,
             const Manner &manner)
      : device(device), where(where), callable(callable), workspace(device) {
    call.size = sizeof call;
    call.abi_version = MOERT_ABI_VERSION;
    call.error = {text, sizeof text};
    moert_device_stream(device, &call.stream);
    moert_pool_executor(manner.pool.get(), &call.executor);
    call.isa = manner.isa.empty() ? nullptr : manner.isa.c_str();
  }

  Status bring(std::span<Tensor> tensors) {
    for (Tensor &tensor : tensors) {
      Buffer &buffer = buffers.emplace_back(device);
      if (Status status = buffer.allocate(tensor.data.size()); !status)
        return status;
      if (Status status = buffer.write(tensor.data); !status)
        return status;
      views.push_back({buffer.get(),
                       where,
                       int32_t(tensor.shape.size()),
                       {tensor.argument->code, tensor.argument->bits, 1},
                       tensor.shape.data(),
                       nullptr,
                       0});
    }
    for (DLTensor &view : views)
      args.push_back(&view);
    return makeWorkspace();
  }

  /// Runs once; the seconds it took.
  Result<double> run() {
    double seconds = 0;
    if (Status status = check([&](const moert_error_sink *sink) {
          return moert_device_start_timer(device, sink);
        });
        !status)
      return Error{status.error()};
    int32_t count = int32_t(args.size());
    moert_status_t answer =
        callable.epoch ? moert_epoch_call(callable.epoch, callable.layer, &call,
                                          args.data(), count)
        : callable.layer
            ? moert_layer_call(callable.layer, &call, args.data(), count)
            : moert_library_call(callable.entry, &call, args.data(), count);
    if (Status status = check(answer, text); !status)
      return Error{status.error()};
    if (Status status = check([&](const moert_error_sink *sink) {
          return moert_device_stop_timer(device, sink, &seconds);
        });
        !status)
      return Error{status.error()};
    return seconds;
  }

  Status fetchOutputs(std::span<Tensor> tensors) const {
    for (size_t i = 0; i < tensors.size(); ++i)
      if (tensors[i].argument->role == MOERT_OUTPUT)
        if (Status status = buffers[i].read(tensors[i].data); !status)
          return status;
    return success();
  }

private:
  Status makeWorkspace() {
    uint64_t bytes = 0;
    int32_t count = int32_t(args.size());
    moert_status_t answer =
        callable.layer ? moert_layer_workspace_bytes(callable.layer, &call,
                                                     args.data(), count, &bytes)
                       : moert_library_workspace_bytes(
                             callable.entry, &call, args.data(), count, &bytes);
    if (Status status = check(answer, text); !status)
      return status;
    if (Status status = workspace.allocate(bytes); !status)
      return status;
    call.workspace = workspace.get();
    call.workspace_bytes = bytes;
    return success();
  }

  moert_device *device;
  DLDevice where;
  const Callable &callable;
  std::vector<Buffer> buffers;
  std::vector<DLTensor> views;
  std::vector<DLTensor *> args;
  Buffer workspace;
  moert_call call = {};
  char text[1024] = "";
};

} // namespace

Result<std::vector<double>> call(moert_device *device, const Callable &callable,
                                 std::span<Tensor> tensors,
                                 const Manner &manner, int64_t repeat) {
  DLDevice where = {};
  moert_device_identity(device, &where);
  DeviceCall call(device, where, callable, manner);
  if (Status status = call.bring(tensors); !status)
    return Error{status.error()};
  std::vector<double> seconds;
  for (int64_t i = 0; i < repeat; ++i) {
    Result<double> elapsed = call.run();
    if (!elapsed)
      return Error{elapsed.error()};
    seconds.push_back(*elapsed);
  }
  if (Status status = call.fetchOutputs(tensors); !status)
    return Error{status.error()};
  return seconds;
}

} // namespace moec::run
