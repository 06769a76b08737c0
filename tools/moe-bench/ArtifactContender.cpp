// An entry of an artifact as a contender.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/ArtifactContender.h"

#include "weights/Json.h"
#include "moert/model.h"
#include "tools/moe-bench/WeightSet.h"

#include <cstring>
#include <filesystem>
#include <map>

using namespace moec::weights;
using moec::weights::JsonValue;

namespace moec::bench {

namespace {

struct Close {
  void operator()(moert_model *model) const { moert_model_close(model); }
  void operator()(moert_pool *pool) const { moert_pool_destroy(pool); }
  void operator()(moert_library *library) const {
    moert_library_close(library);
  }
};

/// Where the manifest says of binding arguments which part they are.
std::map<std::string, std::string> partsOf(const moert_library *library) {
  std::map<std::string, std::string> parts;
  const char *text = "";
  moert_library_manifest(library, &text);
  Result<JsonValue> manifest = weights::parseJson("manifest", text);
  const JsonValue *layers = manifest ? manifest->member("layers") : nullptr;
  if (!layers || layers->items.empty())
    return parts;
  if (const JsonValue *binding = layers->items[0].member("binding"))
    for (const JsonValue &item : binding->items) {
      const JsonValue *name = item.member("argument");
      const JsonValue *part = item.member("part");
      if (name && part)
        parts[name->string] = part->string;
    }
  return parts;
}

class ArtifactContender : public Contender {
public:
  using Contender::Contender;
  ~ArtifactContender() override {
    if (held)
      moert_layer_release(layer, held);
  }

  Status open(bool randomWeights, int64_t threads) {
    char text[512] = "";
    moert_error_sink sink = {text, sizeof text};
    if (threads > 1) {
      moert_pool *made = nullptr;
      if (moert_pool_create(int32_t(threads), &sink, &made) != MOERT_OK)
        return Error{text};
      pool.reset(made);
      moert_pool_executor(made, &call.executor);
    }
    const std::string &path = spec.artifact;
    std::error_code code;
    bool hasArchive =
        std::filesystem::exists(path + "/weights.safetensors", code);
    const moert_library *opened = nullptr;
    if (hasArchive && !randomWeights) {
      moert_model *handle = nullptr;
      if (moert_model_open(path.c_str(), &sink, &handle) != MOERT_OK)
        return Error{text};
      model.reset(handle);
      moert_model_library(handle, &opened);
      moert_model_layer_at(handle, 0, &layer);
      if (layer) {
        moert_layer_entry(layer, &entry);
        moert_layer_acquire(layer, &held);
      }
    } else {
      moert_library *handle = nullptr;
      if (moert_library_open(path.c_str(), &sink, &handle) != MOERT_OK)
        return Error{text};
      library.reset(handle);
      opened = handle;
    }
    if (!entry && moert_library_entry_at(opened, 0, &entry) != MOERT_OK)
      return Error{path + ": expected an entry, found none"};
    return readArguments(partsOf(opened));
  }

  Status prepare(const Inputs &given) override {
    inputs = &given;
    values.clear();
    shapes.clear();
    views.clear();
    output_ = chosen_ = -1;
    logits = -1;
    for (size_t i = 0; i < arguments.size(); ++i)
      addArgument(*arguments[i], uint32_t(i));
    args.clear();
    for (DLTensor &view : views)
      args.push_back(&view);
    bind(0);
    uint64_t bytes = 0;
    call.workspace = nullptr;
    call.workspace_bytes = 0;
    if (Status status = check(moert_library_workspace_bytes(
            entry, &call, args.data(), int32_t(args.size()), &bytes));
        !status)
      return status;
    call.workspace_bytes = (bytes + 63) / 64 * 64;
    workspace = Memory(call.workspace_bytes);
    call.workspace = workspace.bytes();
    return success();
  }

  Status run(size_t routing, size_t copy) override {
    bind(copy);
    if (logits >= 0)
      views[size_t(logits)].data = const_cast<float *>(
          inputs->logits[routing % inputs->logits.size()].data());
    return check(
        moert_library_call(entry, &call, args.data(), int32_t(args.size())));
  }

  std::span<const float> output() const override {
    if (output_ < 0)
      return {};
    const Memory &memory = values[size_t(output_)];
    return {memory.floats(), memory.size() / sizeof(float)};
  }

  std::span<const int32_t> chosen() const override {
    if (chosen_ < 0)
      return {};
    const Memory &memory = values[size_t(chosen_)];
    return {reinterpret_cast<const int32_t *>(memory.bytes()),
            memory.size() / sizeof(int32_t)};
  }

  Result<std::vector<float>> matrix(const std::string &name, int64_t index,
                                    int64_t rows,
                                    int64_t columns) const override {
    std::vector<TensorView> found;
    for (size_t i = 0; i < weightTensors.size(); ++i)
      found.push_back(
          {&weightTensors[i],
           held ? static_cast<const uint8_t *>(held->tensors[i]->data) +
                      held->tensors[i]->byte_offset
                : weights.data(i, 0)});
    bool isResidual = name.ends_with("_a") || name.ends_with("_b");
    return decodeMatrix(found, name,
                        isResidual ? problem.residual : problem.base, index,
                        rows, columns);
  }

  void setCopies(size_t count) override {
    if (held || weightTensors.empty())
      return;
    weights.setCopies(count);
    makeBindings();
  }

  size_t copies() const override {
    return held || weightTensors.empty() ? 1 : weights.copies();
  }

  uint64_t bytes() const override {
    uint64_t bytes = 0;
    for (const WeightTensor &tensor : weightTensors)
      bytes += tensor.bytes();
    return bytes;
  }

private:
  Status readArguments(const std::map<std::string, std::string> &parts) {
    const moert_argument *argument = nullptr;
    for (int32_t i = 0; moert_library_argument(entry, i, &argument) == MOERT_OK;
         ++i) {
      if (argument->role != MOERT_BINDING) {
        arguments.push_back(argument);
        continue;
      }
      int64_t below = 0;
      moert_library_argument_below(entry, i, &below);
      WeightTensor tensor;
      tensor.name = argument->name;
      auto part = parts.find(tensor.name);
      tensor.part =
          part != parts.end() ? part->second : partFromName(tensor.name, below);
      tensor.type = {argument->code, argument->bits, 1};
      tensor.shape.assign(argument->shape, argument->shape + argument->rank);
      tensor.below = below;
      for (int64_t extent : tensor.shape)
        if (extent < 0)
          return Error{spec.artifact + ": argument '" + tensor.name +
                       "': expected extents that are known"};
      weightTensors.push_back(std::move(tensor));
    }
    if (!held && !weightTensors.empty()) {
      weights.make(weightTensors, 7);
      for (size_t i = 0; i < weightTensors.size(); ++i) {
        const std::string &name = weightTensors[i].name;
        zeroPadding(weightTensors[i], weights.data(i, 0),
                    columnsOf(problem, name.substr(0, name.find('.'))));
      }
      makeBindings();
    }
    call.size = sizeof call;
    call.abi_version = MOERT_ABI_VERSION;
    call.error = {message, sizeof message};
    return success();
  }

  void makeBindings() {
    bindingViews.clear();
    bindingPointers.clear();
    bindings.clear();
    for (size_t copy = 0; copy < weights.copies(); ++copy) {
      auto &copyViews = bindingViews.emplace_back();
      for (size_t i = 0; i < weightTensors.size(); ++i)
        copyViews.push_back({weights.data(i, copy),
                             {kDLCPU, 0},
                             int32_t(weightTensors[i].shape.size()),
                             weightTensors[i].type,
                             weightTensors[i].shape.data(),
                             nullptr,
                             0});
      auto &pointers = bindingPointers.emplace_back();
      for (DLTensor &view : copyViews)
        pointers.push_back(&view);
      bindings.push_back({sizeof(moert_layer_binding), int32_t(pointers.size()),
                          pointers.data(), copy, nullptr, nullptr});
    }
  }

  void bind(size_t copy) {
    call.binding = held               ? held
                   : bindings.empty() ? nullptr
                                      : &bindings[copy % bindings.size()];
  }

  /// Memory of one input or output, filled if an input.
  void addArgument(const moert_argument &argument, uint32_t seed) {
    std::string name = argument.name;
    WeightTensor tensor;
    tensor.name = name;
    tensor.type = {argument.code, argument.bits, 1};
    for (int64_t extent : std::span(argument.shape, argument.rank))
      tensor.shape.push_back(extent < 0 ? inputs->tokens : extent);
    int64_t below = 0;
    for (int32_t i = 0;; ++i) {
      const moert_argument *each = nullptr;
      if (moert_library_argument(entry, i, &each) != MOERT_OK)
        break;
      if (each == &argument)
        moert_library_argument_below(entry, i, &below);
    }
    tensor.below = below;
    Memory &memory = values.emplace_back(tensor.bytes());
    int64_t place = int64_t(values.size()) - 1;
    if (argument.role == MOERT_OUTPUT) {
      bool isFloat = argument.code == kDLFloat && argument.bits == 32;
      if (isFloat && output_ < 0)
        output_ = place;
      if (argument.code == kDLInt && argument.bits == 32 && chosen_ < 0)
        chosen_ = place;
    } else {
      const std::vector<float> *source =
          name == "x"                                   ? &inputs->x
          : name == "router"                            ? &inputs->router
          : name == "norm"                              ? &inputs->norm
          : name == "logits" && !inputs->logits.empty() ? &inputs->logits[0]
                                                        : nullptr;
      if (source && source->size() * sizeof(float) == tensor.bytes()) {
        std::memcpy(memory.bytes(), source->data(), tensor.bytes());
        if (name == "logits")
          logits = place;
      } else {
        tensor.part = "input";
        fillTensor(tensor, memory.bytes(), seed);
      }
    }
    shapes.push_back(std::make_unique<std::vector<int64_t>>(tensor.shape));
    views.push_back({memory.bytes(),
                     {kDLCPU, 0},
                     int32_t(tensor.shape.size()),
                     tensor.type,
                     shapes.back()->data(),
                     nullptr,
                     0});
  }

  Status check(moert_status_t status) {
    if (status == MOERT_OK)
      return success();
    return Error{spec.artifact + ": " + message};
  }

  std::unique_ptr<moert_pool, Close> pool;
  std::unique_ptr<moert_model, Close> model;
  std::unique_ptr<moert_library, Close> library;
  const moert_library_entry *entry = nullptr;
  moert_layer *layer = nullptr;
  const moert_layer_binding *held = nullptr;
  std::vector<const moert_argument *> arguments;
  std::vector<WeightTensor> weightTensors;
  WeightSet weights;
  std::vector<std::vector<DLTensor>> bindingViews;
  std::vector<std::vector<DLTensor *>> bindingPointers;
  std::vector<moert_layer_binding> bindings;
  const Inputs *inputs = nullptr;
  std::vector<Memory> values;
  std::vector<std::unique_ptr<std::vector<int64_t>>> shapes;
  std::vector<DLTensor> views;
  std::vector<DLTensor *> args;
  int64_t output_ = -1, chosen_ = -1, logits = -1;
  Memory workspace;
  moert_call call = {};
  char message[512] = "";
};

} // namespace

Result<std::unique_ptr<Contender>> openArtifact(const Problem &problem,
                                                const ContenderSpec &spec,
                                                bool randomWeights,
                                                int64_t threads) {
  auto contender = std::make_unique<ArtifactContender>(problem, spec);
  if (Status status = contender->open(randomWeights, threads); !status)
    return Error{status.error()};
  return std::unique_ptr<Contender>(std::move(contender));
}

} // namespace moec::bench
