// An artifact that is open, and its entries as functions of tensors.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/Execution/Artifact.h"

#include <chrono>
#include <cstdlib>

using namespace moec::weights;

namespace moec::run {

namespace {

struct Free {
  void operator()(void *memory) const { std::free(memory); }
};

/// The runtime's answer, with the message it wrote.
Status check(moert_status_t status, const char *message) {
  if (status == MOERT_OK)
    return success();
  const char *name = "";
  moert_status_name(status, &name);
  return Error{std::string(message) + " (" + name + ")"};
}

} // namespace

Result<Artifact> openArtifact(const std::string &path) {
  char text[512] = "";
  moert_error_sink sink = {text, sizeof text};
  moert_model *model = nullptr;
  if (moert_model_open(path.c_str(), &sink, &model) != MOERT_OK)
    return Error{text};
  return Artifact(model);
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
  return isLayer ? findLayer(artifact, name)
                 : findCallable(artifact, name, "");
}

std::string nameOf(const Callable &callable) {
  const char *name = "";
  if (callable.layer)
    moert_layer_name(callable.layer, &name);
  else
    moert_library_entry_name(callable.entry, &name);
  return name;
}

Result<std::vector<double>> call(const Callable &callable,
                                 std::span<Tensor> tensors,
                                 const Manner &manner, int64_t repeat) {
  std::vector<DLTensor> views;
  for (Tensor &tensor : tensors)
    views.push_back({tensor.data.data(),
                     {kDLCPU, 0},
                     int32_t(tensor.shape.size()),
                     {tensor.argument->code, tensor.argument->bits, 1},
                     tensor.shape.data(),
                     nullptr,
                     0});
  std::vector<DLTensor *> args;
  for (DLTensor &view : views)
    args.push_back(&view);

  char text[512] = "";
  moert_call call = {};
  call.size = sizeof call;
  call.abi_version = MOERT_ABI_VERSION;
  call.error = {text, sizeof text};
  moert_pool_executor(manner.pool.get(), &call.executor);
  call.isa = manner.isa.empty() ? nullptr : manner.isa.c_str();
  uint64_t bytes = 0;
  if (Status status =
          check(callable.layer
                    ? moert_layer_workspace_bytes(callable.layer, &call,
                                                  args.data(),
                                                  int32_t(args.size()), &bytes)
                    : moert_library_workspace_bytes(
                          callable.entry, &call, args.data(),
                          int32_t(args.size()), &bytes),
                text);
      !status)
    return Error{status.error()};
  std::unique_ptr<void, Free> workspace;
  if (bytes > 0) {
    call.workspace_bytes = (bytes + 63) / 64 * 64;
    workspace.reset(std::aligned_alloc(64, call.workspace_bytes));
    call.workspace = workspace.get();
    if (!call.workspace)
      return Error{"expected " + std::to_string(bytes) +
                   " bytes of workspace, found too little memory"};
  }
  std::vector<double> seconds;
  for (int64_t i = 0; i < repeat; ++i) {
    auto start = std::chrono::steady_clock::now();
    moert_status_t answer =
        callable.layer ? moert_layer_call(callable.layer, &call, args.data(),
                                          int32_t(args.size()))
                       : moert_library_call(callable.entry, &call, args.data(),
                                            int32_t(args.size()));
    std::chrono::duration<double> elapsed =
        std::chrono::steady_clock::now() - start;
    if (Status status = check(answer, text); !status)
      return Error{status.error()};
    seconds.push_back(elapsed.count());
  }
  return seconds;
}

} // namespace moec::run
