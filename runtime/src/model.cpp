// Layers of an artifact: entries together with their weights.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "moert/model.h"

#include "binding.h"
#include "library.h"
#include "weights/Archive.h"
#include "weights/Hash.h"

#include <cstddef>
#include <memory>
#include <mutex>

using namespace moec::runtime;
using moec::weights::Archive;

namespace {

struct CloseLibrary {
  void operator()(moert_library *library) const {
    moert_library_close(library);
  }
};
struct DestroyPool {
  void operator()(moert_pool *pool) const { moert_pool_destroy(pool); }
};

} // namespace

struct moert_layer {
  const moert_model *model = nullptr;
  const ManifestLayer *manifest = nullptr;
  const moert_library_entry *entry = nullptr;
  /// Guards `current` against a new epoch while a call takes hold of it.
  std::mutex mutex;
  Binding *current = nullptr;

  ~moert_layer() { release(current); }

  Binding *acquire() {
    std::lock_guard lock(mutex);
    current->holders.fetch_add(1, std::memory_order_relaxed);
    return current;
  }

  static void release(Binding *binding) {
    if (binding &&
        binding->holders.fetch_sub(1, std::memory_order_acq_rel) == 1)
      delete binding;
  }

  void publish(std::unique_ptr<Binding> binding) {
    Binding *old = binding.release();
    {
      std::lock_guard lock(mutex);
      std::swap(current, old);
    }
    release(old);
  }
};

struct moert_model {
  /// Outlives the library and the weights.
  std::unique_ptr<moert_device> device;
  std::unique_ptr<moert_library, CloseLibrary> library;
  std::vector<std::unique_ptr<moert_layer>> layers;
  std::mutex loading;
  uint64_t epoch = 0;
  /// Null: calls run on the caller's thread.
  std::unique_ptr<moert_pool, DestroyPool> pool;
  moec::weights::ArchiveSource source;
};

/// Reads and checks the whole archive, then publishes all layers at once.
static moert_status_t loadWeights(moert_model &model, const std::string &path,
                                  std::string &error) {
  const Manifest &manifest = model.library->manifest;
  auto archive = Archive::open(path);
  if (!archive) {
    error = archive.error();
    return MOERT_IO_ERROR;
  }
  std::string hash = moec::weights::hashText(archive->header().layoutHash);
  if (hash != manifest.layoutHash) {
    error = path + ": expected layout hash " + manifest.layoutHash +
            " of the library, found " + hash;
    return MOERT_INCOMPATIBLE;
  }
  for (const moec::weights::ArchiveRecord &record : archive->records())
    if (auto intact = archive->verify(record); !intact) {
      error = intact.error();
      return MOERT_INCOMPATIBLE;
    }
  std::lock_guard lock(model.loading);
  std::vector<std::unique_ptr<Binding>> bindings;
  for (const ManifestLayer &layer : manifest.layers) {
    bindings.emplace_back();
    if (moert_status_t status = Binding::load(
            manifest.entries[layer.entry], layer, *archive, model.epoch + 1,
            *model.device, bindings.back(), error))
      return status;
  }
  if (model.epoch == 0)
    model.source = archive->header().source;
  ++model.epoch;
  for (size_t i = 0; i < bindings.size(); ++i)
    model.layers[i]->publish(std::move(bindings[i]));
  return MOERT_OK;
}

/// Opens the model on `device`, or with null on the first one of the library's
/// kind.
static moert_status_t openModel(const char *path, const DLDevice *device,
                                const moert_error_sink *error,
                                moert_model **model) {
  if (!path || !model)
    return report(error, MOERT_INVALID_ARGUMENT,
                  "moert_model_open: expected a path and a place for the "
                  "model, found null");
  *model = nullptr;
  auto opened = std::make_unique<moert_model>();
  moert_library *library = nullptr;
  if (moert_status_t status = moert_library_open(path, error, &library))
    return status;
  opened->library.reset(library);
  std::string message;
  const DLDevice first = {library->manifest.device, 0};
  if (device && device->device_type != first.device_type)
    return report(error, MOERT_INCOMPATIBLE,
                  std::string(path) + ": expected device type " +
                      std::to_string(first.device_type) + " (" +
                      (first.device_type == kDLCUDA ? "CUDA" : "CPU") +
                      "), which its entries are for, found " +
                      std::to_string(device->device_type));
  if (moert_status_t status =
          openDevice(device ? *device : first, opened->device, message))
    return report(error, status, std::string(path) + ": " + message);
  for (const ManifestLayer &layer : library->manifest.layers) {
    auto made = std::make_unique<moert_layer>();
    made->model = opened.get();
    made->manifest = &layer;
    made->entry = &library->entries[layer.entry];
    opened->layers.push_back(std::move(made));
  }
  if (!opened->layers.empty())
    if (moert_status_t status = loadWeights(
            *opened, std::string(path) + "/" + library->manifest.weightsFile,
            message))
      return report(error, status, message);
  *model = opened.release();
  return MOERT_OK;
}

moert_status_t moert_model_open(const char *path, const moert_error_sink *error,
                                moert_model **model) try {
  return openModel(path, nullptr, error, model);
}
MOERT_CATCH_OUT_OF_MEMORY(error)

moert_status_t moert_model_open_on(const char *path, DLDevice device,
                                   const moert_error_sink *error,
                                   moert_model **model) try {
  return openModel(path, &device, error, model);
}
MOERT_CATCH_OUT_OF_MEMORY(error)

moert_status_t moert_model_device(const moert_model *model,
                                  moert_device **device) {
  if (!model || !device)
    return MOERT_INVALID_ARGUMENT;
  *device = model->device.get();
  return MOERT_OK;
}

moert_status_t moert_model_close(moert_model *model) {
  delete model;
  return MOERT_OK;
}

moert_status_t moert_model_library(const moert_model *model,
                                   const moert_library **library) {
  if (!model || !library)
    return MOERT_INVALID_ARGUMENT;
  *library = model->library.get();
  return MOERT_OK;
}

moert_status_t moert_model_set_threads(moert_model *model, int32_t threads,
                                       const moert_error_sink *error) {
  if (!model)
    return report(error, MOERT_INVALID_ARGUMENT,
                  "moert_model_set_threads: expected a model, found null");
  moert_pool *pool = nullptr;
  if (threads != 1)
    if (moert_status_t status = moert_pool_create(threads, error, &pool))
      return status;
  model->pool.reset(pool);
  return MOERT_OK;
}

moert_status_t moert_model_source(const moert_model *model, const char **name,
                                  const char **hash) {
  if (!model || !name || !hash)
    return MOERT_INVALID_ARGUMENT;
  *name = model->source.name.c_str();
  *hash = model->source.hash.c_str();
  return MOERT_OK;
}

moert_status_t moert_model_load_weights(moert_model *model, const char *archive,
                                        const moert_error_sink *error) try {
  if (!model || !archive)
    return report(error, MOERT_INVALID_ARGUMENT,
                  "moert_model_load_weights: expected a model and a path, "
                  "found null");
  std::string message;
  moert_status_t status = loadWeights(*model, archive, message);
  return status ? report(error, status, message) : MOERT_OK;
}
MOERT_CATCH_OUT_OF_MEMORY(error)

moert_status_t moert_model_layer_count(const moert_model *model,
                                       int32_t *count) {
  if (!model || !count)
    return MOERT_INVALID_ARGUMENT;
  *count = int32_t(model->layers.size());
  return MOERT_OK;
}

moert_status_t moert_model_layer_at(const moert_model *model, int32_t index,
                                    moert_layer **layer) {
  if (!model || !layer)
    return MOERT_INVALID_ARGUMENT;
  *layer = nullptr;
  if (index < 0 || size_t(index) >= model->layers.size())
    return MOERT_NOT_FOUND;
  *layer = model->layers[size_t(index)].get();
  return MOERT_OK;
}

moert_status_t moert_model_find_layer(const moert_model *model,
                                      const char *name,
                                      const moert_error_sink *error,
                                      moert_layer **layer) try {
  if (!model || !name || !layer)
    return report(error, MOERT_INVALID_ARGUMENT,
                  "moert_model_find_layer: expected a model, a name and a "
                  "place for the layer, found null");
  *layer = nullptr;
  std::string names;
  for (const auto &candidate : model->layers) {
    if (candidate->manifest->name == name) {
      *layer = candidate.get();
      return MOERT_OK;
    }
    names += (names.empty() ? "" : ", ") + candidate->manifest->name;
  }
  return report(error, MOERT_NOT_FOUND,
                std::string("expected a layer '") + name + "', found " +
                    (names.empty() ? "none" : "only " + names));
}
MOERT_CATCH_OUT_OF_MEMORY(error)

moert_status_t moert_layer_name(const moert_layer *layer, const char **name) {
  if (!layer || !name)
    return MOERT_INVALID_ARGUMENT;
  *name = layer->manifest->name.c_str();
  return MOERT_OK;
}

moert_status_t moert_layer_entry(const moert_layer *layer,
                                 const moert_library_entry **entry) {
  if (!layer || !entry)
    return MOERT_INVALID_ARGUMENT;
  *entry = layer->entry;
  return MOERT_OK;
}

moert_status_t moert_layer_resident_bytes(const moert_layer *layer,
                                          uint64_t *bytes) {
  if (!layer || !bytes)
    return MOERT_INVALID_ARGUMENT;
  Binding *binding = const_cast<moert_layer *>(layer)->acquire();
  *bytes = binding->bytes();
  moert_layer::release(binding);
  return MOERT_OK;
}

moert_status_t moert_layer_acquire(moert_layer *layer,
                                   const moert_layer_binding **binding) {
  if (!layer || !binding)
    return MOERT_INVALID_ARGUMENT;
  *binding = layer->acquire()->view();
  return MOERT_OK;
}

moert_status_t moert_layer_release(moert_layer *layer,
                                   const moert_layer_binding *binding) {
  if (!layer || !binding)
    return MOERT_INVALID_ARGUMENT;
  moert_layer::release(Binding::of(binding));
  return MOERT_OK;
}

/// Calls the function with `call` and the layer's binding of today, held
/// meanwhile.
template <typename Function>
static moert_status_t withBinding(moert_layer *layer, const moert_call *call,
                                  Function function) {
  // Callers of an earlier minor have a shorter call.
  if (!layer || !call || call->size < offsetof(moert_call, executor))
    return MOERT_INVALID_ARGUMENT;
  Binding *binding = layer->acquire();
  moert_call bound = {};
  std::memcpy(&bound, call, std::min<size_t>(call->size, sizeof bound));
  bound.size = sizeof(moert_call);
  if (!bound.executor && layer->model->pool)
    moert_pool_executor(layer->model->pool.get(), &bound.executor);
  bound.binding = binding->view();
  moert_status_t status = function(bound);
  moert_layer::release(binding);
  return status;
}

moert_status_t moert_layer_call(moert_layer *layer, const moert_call *call,
                                DLTensor *const *args, int32_t count) {
  return withBinding(layer, call, [&](const moert_call &bound) {
    return moert_library_call(layer->entry, &bound, args, count);
  });
}

moert_status_t moert_layer_workspace_bytes(moert_layer *layer,
                                           const moert_call *call,
                                           DLTensor *const *args, int32_t count,
                                           uint64_t *bytes) {
  return withBinding(layer, call, [&](const moert_call &bound) {
    return moert_library_workspace_bytes(layer->entry, &bound, args, count,
                                         bytes);
  });
}
