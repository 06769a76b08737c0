// An artifact that is open, and its entries as functions of tensors.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_EXECUTION_ARTIFACT_H
#define MOEC_TOOLS_EXECUTION_ARTIFACT_H

#include "moert/executor.h"
#include "moert/model.h"
#include "tools/Execution/Tensor.h"
#include "weights/Result.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace moec::run {

struct CloseModel {
  void operator()(moert_model *model) const { moert_model_close(model); }
};

/// An open artifact with its weights, if it has any; closed with its handle.
using Artifact = std::unique_ptr<moert_model, CloseModel>;

/// How bases of clusters are brought to memory: moert_model_options. Empty and
/// 0 are the runtime's choice.
struct Paging {
  int64_t memoryBudget = 0;
  std::string eviction, predictor;
  int64_t lookahead = 0, idleSteps = 0;
};

/// A rank among those that share an artifact's clusters. Null: there is one.
struct Sharing {
  moert_communicator *communicator = nullptr;
  /// The file that says who has which; empty for the artifact's.
  std::string placement;
};

/// Opens the artifact at `path`, on that device or on the first one of the kind
/// that it was made for.
weights::Result<Artifact>
openArtifact(const std::string &path,
             std::optional<DLDevice> device = std::nullopt,
             const Paging &paging = {}, const Sharing &sharing = {});

/// Opens the artifact at `path`, which may be for another kind of device than
/// the wanted one, if there is one; then on the first of its kind.
weights::Result<Artifact> openOther(const std::string &path,
                                    std::optional<DLDevice> wanted);

struct CloseLibrary {
  void operator()(moert_library *library) const {
    moert_library_close(library);
  }
};

/// What an artifact says of itself; needs neither its device nor its weights.
using Library = std::unique_ptr<moert_library, CloseLibrary>;

/// Opens the library of the artifact at `path`.
weights::Result<Library> openLibrary(const std::string &path);

/// The type of the device that an artifact was made for: a DLDeviceType.
weights::Result<int32_t> deviceTypeOf(const std::string &path);

/// The device that an open artifact is on.
moert_device *deviceOf(const Artifact &artifact);

/// The library in an open artifact.
const moert_library *libraryOf(const Artifact &artifact);

struct DestroyPool {
  void operator()(moert_pool *pool) const { moert_pool_destroy(pool); }
};

/// Threads that calls may use.
using Pool = std::unique_ptr<moert_pool, DestroyPool>;

/// That many threads, 0 for one on each CPU.
weights::Result<Pool> makePool(int64_t threads);

/// What a run calls: an entry, and the layer whose weights it reads, if any.
struct Callable {
  const moert_library_entry *entry = nullptr;
  moert_layer *layer = nullptr;
  /// Whose weights the layer reads; null: each call those of its moment.
  moert_epoch *epoch = nullptr;
};

/// The layer or the entry of these names. With both empty the only layer, or
/// the only entry of an artifact without layers.
weights::Result<Callable> findCallable(const Artifact &artifact,
                                       const std::string &entry,
                                       const std::string &layer);

/// The layer of that name, or else the entry.
weights::Result<Callable> findNamed(const Artifact &artifact,
                                    const std::string &name);

/// The name of the layer, or of the entry.
std::string nameOf(const Callable &callable);

struct ReleaseEpoch {
  void operator()(moert_epoch *epoch) const { moert_epoch_release(epoch); }
};

/// The weights of all layers at one moment.
using Epoch = std::unique_ptr<moert_epoch, ReleaseEpoch>;

/// Those of now; null for an artifact without weights of its own.
Epoch acquireEpoch(const Artifact &artifact);

/// How calls are made.
struct Manner {
  Pool pool;
  /// The variant; empty for the best one.
  std::string isa;
};

/// Runs it `repeat` times on its artifact's device, which fills the outputs
/// among the tensors; returns the seconds of each run by the device's clock.
weights::Result<std::vector<double>> call(moert_device *device,
                                          const Callable &callable,
                                          std::span<Tensor> tensors,
                                          const Manner &manner, int64_t repeat);

} // namespace moec::run

#endif // MOEC_TOOLS_EXECUTION_ARTIFACT_H
