// An archive of layers whose experts share bases, its originals and its
// traffic. Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TEST_UNIT_WEIGHTS_CLUSTEREDARCHIVE_H
#define MOEC_TEST_UNIT_WEIGHTS_CLUSTEREDARCHIVE_H

#include "weights/ArchiveWriter.h"
#include "weights/Prototypes.h"
#include "weights/Recipes.h"
#include "weights/Regrouping.h"
#include "weights/Seeded.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace moec::test {

using namespace weights;
using Table = std::vector<int32_t>;

/// Layers 0 and 1 of 8 experts in 3 clusters, gate, up and down. Layer 0
/// guesses what layer 1 meets, whose clusters have prototypes. Fields may be
/// changed before it is written.
struct ClusteredArchive {
  static constexpr int64_t layers = 3, experts = 8, clusters = 3, width = 12,
                           hidden = 20, rank = 4;
  std::string hash = "cafe";
  std::string baseEncoding = "bf16", factorEncoding = "int8 group 4";
  Layout layout = Layout::Panel16;
  bool hasFactors = true;
  /// Weights of the mean, another recipe than the regrouper's.
  std::vector<double> meanWeights;
  /// For faults: called with the plan before it is written.
  std::function<void(ArchiveHeader &)> changePlan;

  static MatrixShape shapeOf(const std::string &role) {
    bool isDown = role == "down";
    return {experts, isDown ? hidden : width, isDown ? width : hidden};
  }

  /// layers.N.ROLE of seeded values as bf16 has them.
  class Source final : public TensorSource {
  public:
    Result<MatrixSourcePtr>
    openMatrices(const std::string &name, std::string_view key,
                 std::span<const int64_t> shape) const override {
      Encoding bf16;
      bf16.format = Format::BF16;
      MatrixShape matrices{shape[0], shape[1], shape[2]};
      return encodedMatrices(
          name,
          seededMatrices(name, matrices, seedForKey(3, std::string(key)), 1),
          bf16);
    }
    Result<std::vector<int32_t>>
    loadIntegers(const std::string &name, std::string_view,
                 std::span<const int64_t>) const override {
      return Error{name + ": no table"};
    }
  };

  OriginalMatrices originals() const {
    return {std::make_shared<Source>(), hash,
            [](int64_t, const std::string &) -> Result<Format> {
              return Format::BF16;
            }};
  }

  /// Traffic in which the experts of each cluster of the table are fed alike.
  Profile traffic(const Table &table) const {
    Profile profile;
    profile.model = hash;
    for (int64_t number = 0; number < layers; ++number) {
      LayerProfile &layer = profile.layers[number];
      layer.experts = experts;
      layer.width = width;
      layer.tokens = 64 * experts;
      layer.counts.assign(size_t(experts), 64);
      layer.gateSums.assign(size_t(experts), 32);
      layer.cooccurrence.assign(size_t(experts * experts), 0);
      layer.inputMomentsFull.assign(size_t(width * width), 0);
      for (int64_t e = 0; e < experts; ++e) {
        layer.cooccurrence[size_t(e * (experts + 1))] = 64;
        for (int64_t d = 0; d < width; ++d)
          layer.centroids.push_back(d == table[size_t(e)] ? 1.0f : 0.01f);
      }
      for (int64_t d = 0; d < width; ++d)
        layer.inputMomentsFull[size_t(d * (width + 1))] = 64;
      layer.means = layer.centroids;
    }
    return profile;
  }

  /// What seldom depends on anything but inputs: weights are seeded.
  static RegroupOptions options() {
    RegroupOptions options;
    options.alpha = 0.1;
    options.slack = 0;
    options.maxError = 1;
    options.parallel.threads = 1;
    return options;
  }

  void write(const std::string &path, const Table &table) const {
    ArchiveHeader plan;
    plan.source = {"an example", hash};
    std::vector<std::vector<StoredTensor>> bytes;
    for (int64_t layer = 0; layer < layers; ++layer)
      addLayer(layer, table, plan, bytes);
    plan.layoutHash = defaultLayoutHash(plan);
    ArchiveHeader asMade = plan;
    if (changePlan)
      changePlan(plan);
    auto writer = ArchiveWriter::open(path, plan);
    ASSERT_TRUE(writer) << writer.error();
    for (size_t i = 0; i < bytes.size(); ++i) {
      std::vector<StoredTensorView> views;
      for (size_t t = 0; t < bytes[i].size(); ++t) {
        const ArchiveTensor &tensor = plan.records[i].tensors[t];
        // Values of other forms do not matter.
        if (!tensor.splat && tensor.form != asMade.records[i].tensors[t].form)
          bytes[i][t] = *storeFloats(
              tensor.form,
              std::vector<float>(size_t(*elementCount(tensor.form.shape))));
        if (!tensor.splat)
          views.push_back(bytes[i][t]);
      }
      Status status = writer->write(i, views);
      ASSERT_TRUE(status) << status.error();
    }
    Status status = writer->finish();
    ASSERT_TRUE(status) << status.error();
  }

private:
  using Records = std::vector<std::vector<StoredTensor>>;

  static void addRecord(ArchiveHeader &plan, Records &bytes, std::string name,
                        RecordClass recordClass) {
    plan.records.push_back({std::move(name), recordClass, {}});
    bytes.emplace_back();
  }
  static void addTensor(ArchiveHeader &plan, Records &bytes, std::string name,
                        TensorForm form, Result<StoredTensor> stored) {
    ASSERT_TRUE(stored) << name << ": " << stored.error();
    ArchiveTensor tensor;
    tensor.name = std::move(name);
    tensor.form = std::move(form);
    plan.records.back().tensors.push_back(std::move(tensor));
    bytes.back().push_back(*std::move(stored));
  }
  static void addTable(ArchiveHeader &plan, Records &bytes, std::string name,
                       const Table &table) {
    TensorForm form;
    form.values = ElementType::I32;
    form.shape = {experts};
    addTensor(
        plan, bytes, std::move(name), form,
        storeIntegers(form, std::vector<int64_t>(table.begin(), table.end())));
  }
  void addMatrix(ArchiveHeader &plan, Records &bytes, std::string name,
                 const MatrixSource &source, int64_t entry,
                 const std::string &encoding) const {
    TensorForm form;
    form.values = *encodingFromText(encoding);
    form.layout = layout;
    form.shape = {source.shape().rows, source.shape().cols};
    auto encoded = source.readEncoded(entry, *form.encoding());
    ASSERT_TRUE(encoded) << encoded.error();
    addTensor(plan, bytes, std::move(name), form, storeEncoded(form, *encoded));
  }

  struct Role {
    std::string name;
    MatrixSourcePtr mean;
    LowRankSources factors;
  };

  Role makeRole(int64_t layer, const std::string &name,
                const Table &table) const {
    std::string key = "layers." + std::to_string(layer) + "." + name;
    MatrixShape shape = shapeOf(name);
    const int64_t extents[] = {shape.entries, shape.rows, shape.cols};
    MatrixSourcePtr of = *Source().openMatrices(key, key, extents);
    Role role{
        name, *meanMatrices("mean", of, table, clusters, meanWeights), {}};
    MatrixSourcePtr base =
        *encodedMatrices("base", role.mean, *encodingFromText(baseEncoding));
    ResidualOptions residual;
    residual.factorization.rank = rank;
    role.factors = *residualFactors("residual", of, base, table, residual);
    return role;
  }

  void addLayer(int64_t number, const Table &table, ArchiveHeader &plan,
                Records &bytes) const {
    std::string name = "layer" + std::to_string(number);
    std::vector<Role> roles;
    for (const char *role : {"gate", "up", "down"})
      roles.push_back(makeRole(number, role, table));
    addRecord(plan, bytes, name, RecordClass::Table);
    addTable(plan, bytes, name + ".cluster", table);
    MatrixSourcePtr router =
        seededMatrices("router", {1, width, experts}, 5, 1);
    addMatrix(plan, bytes, name + ".router", *router, 0, "f32");
    if (number == 0)
      for (const char *copy : {".next.cluster", ".next2.cluster"})
        addTable(plan, bytes, name + copy, table);
    MatrixSourcePtr prototypes = matricesOf(
        "prototypes", {1, width, clusters},
        *learnPrototypes(traffic(table).layers.at(number), table, clusters));
    addMatrix(plan, bytes,
              name + (number == 0 ? ".next.prototypes" : ".prototypes"),
              *prototypes, 0, "f32");
    for (int64_t e = 0; e < experts && hasFactors; ++e) {
      std::string expert = name + ".expert." + std::to_string(e);
      addRecord(plan, bytes, expert, RecordClass::Residual);
      for (const Role &role : roles) {
        addMatrix(plan, bytes, expert + "." + role.name + ".a",
                  *role.factors.input, e, factorEncoding);
        addMatrix(plan, bytes, expert + "." + role.name + ".b",
                  *role.factors.output, e, factorEncoding);
      }
    }
    for (int64_t c = 0; c < clusters; ++c) {
      std::string cluster = name + ".cluster." + std::to_string(c);
      addRecord(plan, bytes, cluster, RecordClass::Base);
      for (const Role &role : roles)
        addMatrix(plan, bytes, cluster + "." + role.name + ".base", *role.mean,
                  c, baseEncoding);
    }
  }
};

} // namespace moec::test

#endif // MOEC_TEST_UNIT_WEIGHTS_CLUSTEREDARCHIVE_H
