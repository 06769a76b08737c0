// Layers of an artifact: entries together with their weights.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "moert/model.h"

#include "binding.h"
#include "expert_parallel.h"
#include "library.h"
#include "weights/Archive.h"
#include "weights/Hash.h"

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <set>
#include <string_view>

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

/// One epoch of all layers' weights. Never changed after it was published.
struct moert_epoch {
  explicit moert_epoch(moert_model &model) : model(model) {}

  moert_model &model;
  uint64_t number = 0;
  /// By layer.
  std::vector<std::unique_ptr<Binding>> bindings;
  /// The model, as long as it is today's, and who acquired it.
  std::atomic<int64_t> holders{1};

  void release();
};

struct moert_layer {
  moert_model *model = nullptr;
  /// Its place among the model's layers.
  size_t index = 0;
  const ManifestLayer *manifest = nullptr;
  const moert_library_entry *entry = nullptr;
};

struct moert_model {
  /// Outlives the library and the weights.
  std::unique_ptr<moert_device> device;
  std::unique_ptr<moert_library, CloseLibrary> library;
  std::vector<std::unique_ptr<moert_layer>> layers;
  /// Guards `lastEpoch` and what follows from it: one archive is read at a
  /// time.
  std::mutex loading;
  uint64_t lastEpoch = 0;
  /// Guards the two below against a new epoch while a call takes hold of one.
  std::mutex publishing;
  /// Null without layers.
  moert_epoch *current = nullptr;
  /// Numbers of the epochs that somebody holds, today's among them.
  std::set<uint64_t> held;
  /// Null: calls run on the caller's thread.
  std::unique_ptr<moert_pool, DestroyPool> pool;
  moec::weights::ArchiveSource source;
  /// A budget of 0: nothing is paged.
  moec::pager::PagerOptions paging;
  /// Of today's weights; older ones live as long as bindings are held. Guarded
  /// by `pagerMutex`.
  std::shared_ptr<moec::pager::Pager> pager;
  std::mutex pagerMutex;
  /// Null: this process computes everything.
  std::unique_ptr<ExpertParallel> parallel;

  ~moert_model() {
    if (current)
      current->release();
  }

  std::shared_ptr<moec::pager::Pager> currentPager() {
    std::lock_guard lock(pagerMutex);
    return pager;
  }

  /// Takes hold of today's epoch.
  moert_epoch *acquire() {
    std::lock_guard lock(publishing);
    current->holders.fetch_add(1, std::memory_order_relaxed);
    return current;
  }

  void publish(std::unique_ptr<moert_epoch> epoch) {
    moert_epoch *old = epoch.release();
    {
      std::lock_guard lock(publishing);
      held.insert(old->number);
      std::swap(current, old);
    }
    if (old)
      old->release();
  }
};

void moert_epoch::release() {
  if (holders.fetch_sub(1, std::memory_order_acq_rel) != 1)
    return;
  {
    std::lock_guard lock(model.publishing);
    model.held.erase(number);
  }
  delete this;
}

/// Checks the hash of every record but of those that are checked whenever they
/// are read.
static moert_status_t
verifyRecords(const Archive &archive,
              const std::vector<moec::pager::PagedLayer> &paged,
              std::string &error) {
  std::set<std::string_view> later;
  for (const moec::pager::PagedLayer &layer : paged)
    for (const moec::store::RecordPlace &record : layer.records)
      later.insert(record.name);
  for (const moec::weights::ArchiveRecord &record : archive.records()) {
    if (later.count(record.name))
      continue;
    if (auto intact = archive.verify(record); !intact) {
      error = intact.error();
      return MOERT_INCOMPATIBLE;
    }
  }
  return MOERT_OK;
}

/// The layers with paged pools, if there is a budget for them.
static moert_status_t
findPagedLayers(const moert_model &model, const Archive &archive,
                std::vector<moec::pager::PagedLayer> &paged,
                std::string &error) {
  if (!model.paging.budgetBytes)
    return MOERT_OK;
  const Manifest &manifest = model.library->manifest;
  for (const ManifestLayer &layer : manifest.layers) {
    if (!layer.pagedClusters)
      continue;
    paged.push_back({layer.name, {}});
    if (moert_status_t status =
            findPagedRecords(manifest.entries[layer.entry], layer, archive,
                             paged.back().records, error))
      return status;
  }
  if (!paged.empty())
    return MOERT_OK;
  error = archive.path() +
          ": expected an artifact of moe-compile --page-bases for a memory "
          "budget, found one without paged weights";
  return MOERT_INCOMPATIBLE;
}

static moert_status_t openPager(const moert_model &model,
                                const std::string &archive,
                                std::vector<moec::pager::PagedLayer> paged,
                                std::shared_ptr<moec::pager::Pager> &pager,
                                std::string &error) {
  if (paged.empty())
    return MOERT_OK;
  if (auto fits = moec::pager::Pager::check(paged, model.paging); !fits) {
    error = archive + ": " + fits.error();
    return MOERT_INVALID_ARGUMENT;
  }
  auto opened =
      moec::pager::Pager::open(archive, std::move(paged), model.paging);
  if (!opened) {
    error = opened.error();
    return MOERT_IO_ERROR;
  }
  pager = *std::move(opened);
  return MOERT_OK;
}

/// Reads and checks the archive, then publishes all layers at once.
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
  std::vector<moec::pager::PagedLayer> paged;
  if (moert_status_t status = findPagedLayers(model, *archive, paged, error))
    return status;
  if (moert_status_t status = verifyRecords(*archive, paged, error))
    return status;
  LayerPaging paging;
  if (moert_status_t status =
          openPager(model, path, std::move(paged), paging.pager, error))
    return status;
  std::lock_guard lock(model.loading);
  auto epoch = std::make_unique<moert_epoch>(model);
  epoch->number = model.lastEpoch + 1;
  for (const ManifestLayer &layer : manifest.layers) {
    size_t layerNumber = epoch->bindings.size();
    epoch->bindings.emplace_back();
    if (moert_status_t status = Binding::load(
            manifest.entries[layer.entry], layer, *archive, epoch->number,
            *model.device, paging, epoch->bindings.back(), error,
            model.parallel ? model.parallel->shareOf(layerNumber)
                           : moec::comm::ClusterShare()))
      return status;
    epoch->bindings.back()->epoch = epoch.get();
    if (model.parallel)
      epoch->bindings.back()->bindExchange(model.parallel->of(layerNumber));
    paging.layer += layer.pagedClusters > 0;
  }
  if (model.lastEpoch == 0)
    model.source = archive->header().source;
  ++model.lastEpoch;
  {
    std::lock_guard pagerLock(model.pagerMutex);
    std::swap(model.pager, paging.pager);
  }
  model.publish(std::move(epoch));
  return MOERT_OK;
}

/// Options as far as the caller's go, the rest zero: those of an earlier minor
/// end in front of the communicator.
static moert_status_t copyOptions(const moert_model_options &options,
                                  moert_model_options &copy,
                                  std::string &error) {
  constexpr size_t least = offsetof(moert_model_options, communicator);
  if (options.size < least) {
    error = "got options of " + std::to_string(options.size) +
            " bytes, expected at least " + std::to_string(least);
    return MOERT_INVALID_ARGUMENT;
  }
  std::memcpy(&copy, &options, std::min<size_t>(options.size, sizeof copy));
  return MOERT_OK;
}

/// What the caller asks for of paging; MOERT_INVALID_ARGUMENT and a message
/// where that is contradictory.
static moert_status_t readOptions(const moert_model_options &options,
                                  moec::pager::PagerOptions &paging,
                                  std::string &error) {
  if (!options.memory_budget) {
    if (!options.eviction && !options.predictor && !options.idle_steps &&
        !options.lookahead)
      return MOERT_OK;
    error = "expected a memory budget beside an eviction, a predictor, a "
            "lookahead or idle steps, found none";
    return MOERT_INVALID_ARGUMENT;
  }
  if (options.lookahead < 0) {
    error = "expected a lookahead of 0 or more layers, found " +
            std::to_string(options.lookahead);
    return MOERT_INVALID_ARGUMENT;
  }
  paging.budgetBytes = options.memory_budget;
  paging.eviction = options.eviction ? options.eviction : "lru";
  paging.predictor = options.predictor ? options.predictor : "hint";
  bool predicts = paging.predictor != "none";
  paging.lookahead =
      options.lookahead || !predicts ? uint32_t(options.lookahead) : 1;
  paging.idleSteps = options.idle_steps;
  return MOERT_OK;
}

/// The library and its device.
static moert_status_t openLibrary(const std::string &path,
                                  const DLDevice *device, moert_model &model,
                                  const moert_error_sink *error) {
  moert_library *library = nullptr;
  if (moert_status_t status = moert_library_open(path.c_str(), error, &library))
    return status;
  model.library.reset(library);
  std::string message;
  const DLDevice first = {library->manifest.device, 0};
  if (device && device->device_type != first.device_type)
    return report(error, MOERT_INCOMPATIBLE,
                  path + ": expected device type " +
                      std::to_string(first.device_type) + " (" +
                      (first.device_type == kDLCUDA ? "CUDA" : "CPU") +
                      "), which its entries are for, found " +
                      std::to_string(device->device_type));
  if (model.paging.budgetBytes && first.device_type != kDLCPU)
    return report(error, MOERT_INCOMPATIBLE,
                  path + ": expected entries for the CPU beside a memory "
                         "budget, found ones for CUDA");
  moert_status_t status =
      openDevice(device ? *device : first, model.device, message);
  return status ? report(error, status, path + ": " + message) : MOERT_OK;
}

moert_status_t moert_model_open_with(const char *path,
                                     const moert_model_options *options,
                                     const moert_error_sink *error,
                                     moert_model **model) try {
  if (!path || !model)
    return report(error, MOERT_INVALID_ARGUMENT,
                  "moert_model_open: expected a path and a place for the "
                  "model, found null");
  *model = nullptr;
  auto opened = std::make_unique<moert_model>();
  std::string message;
  moert_model_options read = {};
  moert_status_t wrong =
      options ? copyOptions(*options, read, message) : MOERT_OK;
  if (wrong == MOERT_OK)
    wrong = readOptions(read, opened->paging, message);
  if (wrong != MOERT_OK)
    return report(error, wrong, std::string(path) + ": " + message);
  if (moert_status_t status = openLibrary(path, read.device, *opened, error))
    return status;
  const Manifest &manifest = opened->library->manifest;
  for (const ManifestLayer &layer : manifest.layers) {
    auto made = std::make_unique<moert_layer>();
    made->model = opened.get();
    made->index = opened->layers.size();
    made->manifest = &layer;
    made->entry = &opened->library->entries[layer.entry];
    opened->layers.push_back(std::move(made));
  }
  if (opened->layers.empty() && opened->paging.budgetBytes)
    return report(error, MOERT_INCOMPATIBLE,
                  std::string(path) + ": expected layers beside a memory "
                                      "budget, found an artifact without");
  if (read.communicator)
    if (moert_status_t status =
            ExpertParallel::open(path, *opened->library, *read.communicator,
                                 read.placement, opened->parallel, message))
      return report(error, status, message);
  if (!opened->layers.empty())
    if (moert_status_t status = loadWeights(
            *opened, std::string(path) + "/" + manifest.weightsFile, message))
      return report(error, status, message);
  *model = opened.release();
  return MOERT_OK;
}
MOERT_CATCH_OUT_OF_MEMORY(error)

moert_status_t moert_model_open(const char *path, const moert_error_sink *error,
                                moert_model **model) {
  return moert_model_open_with(path, nullptr, error, model);
}

moert_status_t moert_model_open_on(const char *path, DLDevice device,
                                   const moert_error_sink *error,
                                   moert_model **model) {
  moert_model_options options = {};
  options.size = sizeof options;
  options.device = &device;
  return moert_model_open_with(path, &options, error, model);
}

moert_status_t
moert_model_paging_statistics(moert_model *model,
                              moert_paging_statistics *statistics) {
  if (!model || !statistics || statistics->size < sizeof statistics->size)
    return MOERT_INVALID_ARGUMENT;
  moert_paging_statistics filled = {};
  filled.size = statistics->size;
  filled.notice = "";
  if (auto pager = model->currentPager()) {
    moec::pager::PagerStatistics counted = pager->statistics();
    filled = {
        statistics->size,       counted.hits,          counted.late,
        counted.misses,         counted.reads,         counted.readsAhead,
        counted.wasted,         counted.failures,      counted.demoted,
        counted.bytesRead,      counted.residentBytes, counted.slotBytes,
        counted.baseBytes,      counted.stallSeconds,  counted.readSeconds,
        pager->notice().c_str()};
  }
  std::memcpy(statistics, &filled,
              std::min<size_t>(statistics->size, sizeof filled));
  return MOERT_OK;
}

moert_status_t
moert_model_exchange_statistics(const moert_model *model,
                                moert_exchange_statistics *statistics) {
  if (!model || !statistics || statistics->size < sizeof statistics->size)
    return MOERT_INVALID_ARGUMENT;
  moert_exchange_statistics filled = {};
  filled.size = statistics->size;
  if (model->parallel) {
    const moec::comm::ExchangeStatistics &counted =
        model->parallel->statistics();
    filled = {statistics->size,  counted.steps,   counted.tokens,
              counted.rows,      counted.choices, counted.rowBytes,
              counted.otherBytes};
  }
  std::memcpy(statistics, &filled,
              std::min<size_t>(statistics->size, sizeof filled));
  return MOERT_OK;
}

moert_status_t moert_model_begin_request(moert_model *model) {
  if (!model)
    return MOERT_INVALID_ARGUMENT;
  if (auto pager = model->currentPager())
    pager->beginRequest();
  return MOERT_OK;
}

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
  moert_epoch *epoch = layer->model->acquire();
  *bytes = epoch->bindings[layer->index]->bytes();
  epoch->release();
  return MOERT_OK;
}

moert_status_t moert_layer_acquire(moert_layer *layer,
                                   const moert_layer_binding **binding) {
  if (!layer || !binding)
    return MOERT_INVALID_ARGUMENT;
  *binding = layer->model->acquire()->bindings[layer->index]->view();
  return MOERT_OK;
}

moert_status_t moert_layer_release(moert_layer *layer,
                                   const moert_layer_binding *binding) {
  if (!layer || !binding)
    return MOERT_INVALID_ARGUMENT;
  Binding::of(binding)->epoch->release();
  return MOERT_OK;
}

moert_status_t moert_model_acquire_epoch(moert_model *model,
                                         moert_epoch **epoch) {
  if (!model || !epoch)
    return MOERT_INVALID_ARGUMENT;
  *epoch = nullptr;
  if (model->layers.empty())
    return MOERT_NOT_FOUND;
  *epoch = model->acquire();
  return MOERT_OK;
}

moert_status_t moert_epoch_release(moert_epoch *epoch) {
  if (epoch)
    epoch->release();
  return MOERT_OK;
}

moert_status_t moert_epoch_number(const moert_epoch *epoch, uint64_t *number) {
  if (!epoch || !number)
    return MOERT_INVALID_ARGUMENT;
  *number = epoch->number;
  return MOERT_OK;
}

moert_status_t moert_model_oldest_epoch(moert_model *model, uint64_t *number) {
  if (!model || !number)
    return MOERT_INVALID_ARGUMENT;
  std::lock_guard lock(model->publishing);
  *number = model->held.empty() ? 0 : *model->held.begin();
  return MOERT_OK;
}

/// Calls the function with `call` and the layer's binding of an epoch that is
/// held meanwhile.
template <typename Function>
static moert_status_t withBinding(moert_layer *layer, const moert_epoch &epoch,
                                  const moert_call *call, Function function) {
  moert_call bound = {};
  std::memcpy(&bound, call, std::min<size_t>(call->size, sizeof bound));
  bound.size = sizeof(moert_call);
  if (!bound.executor && layer->model->pool)
    moert_pool_executor(layer->model->pool.get(), &bound.executor);
  bound.binding = epoch.bindings[layer->index]->view();
  return function(bound);
}

/// Whether a layer can be called so. Callers of an earlier minor have a shorter
/// call.
static bool canCall(const moert_layer *layer, const moert_call *call) {
  return layer && call && call->size >= offsetof(moert_call, executor);
}

/// The same with the epoch of today.
template <typename Function>
static moert_status_t withBinding(moert_layer *layer, const moert_call *call,
                                  Function function) {
  if (!canCall(layer, call))
    return MOERT_INVALID_ARGUMENT;
  moert_epoch *epoch = layer->model->acquire();
  moert_status_t status = withBinding(layer, *epoch, call, function);
  epoch->release();
  return status;
}

moert_status_t moert_layer_call(moert_layer *layer, const moert_call *call,
                                DLTensor *const *args, int32_t count) {
  return withBinding(layer, call, [&](const moert_call &bound) {
    return moert_library_call(layer->entry, &bound, args, count);
  });
}

moert_status_t moert_epoch_call(moert_epoch *epoch, moert_layer *layer,
                                const moert_call *call, DLTensor *const *args,
                                int32_t count) {
  if (!epoch || !canCall(layer, call) || &epoch->model != layer->model)
    return MOERT_INVALID_ARGUMENT;
  return withBinding(layer, *epoch, call, [&](const moert_call &bound) {
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
