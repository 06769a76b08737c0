// An artifact around fake_paged_model.c, with an archive that tests can get
// wrong.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TEST_UNIT_RUNTIME_FAKEPAGEDMODEL_H
#define MOEC_TEST_UNIT_RUNTIME_FAKEPAGEDMODEL_H

#include "test/unit/runtime/fake_paged_model.h"
#include "weights/ArchiveWriter.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace moec::test {

/// What the archive of the fake model holds; b's second value is that of w and
/// a half.
struct FakePagedWeights {
  float scale = 1;
  /// Of layer l1's cluster 2: b in front of w, b in a record of its own, or b
  /// not stored.
  bool isTurned = false, isApart = false, isSplat = false;

  float value(size_t layer, size_t cluster) const {
    return scale * float(layer * 8 + cluster + 1) / 1024;
  }
  /// What the library makes of an x of 1, exactly.
  float result(size_t layer, size_t cluster) const {
    return FAKE_PAGED_WIDTH * value(layer, cluster) + value(layer, cluster) +
           0.5f;
  }
};

inline void writeFakePagedWeights(const std::string &path,
                                  const FakePagedWeights &what = {}) {
  using namespace weights;
  ArchiveHeader plan;
  plan.layoutHash = 7;
  std::vector<std::vector<StoredTensor>> bytes;
  auto add = [&](const std::string &record) {
    plan.records.emplace_back().name = record;
    bytes.emplace_back();
  };
  auto put = [&](const std::string &name, const std::vector<float> &values,
                 bool isSplat) {
    ArchiveTensor tensor;
    tensor.name = name;
    tensor.form.values = Encoding();
    tensor.form.shape = {1, int64_t(values.size())};
    auto stored = storeFloats(tensor.form, values);
    ASSERT_TRUE(stored) << stored.error();
    if (isSplat)
      tensor.splat = values[0];
    else
      bytes.back().push_back(*stored);
    plan.records.back().tensors.push_back(tensor);
  };
  for (size_t layer = 0; layer < FAKE_PAGED_LAYERS; ++layer)
    for (size_t cluster = 0; cluster < FAKE_PAGED_CLUSTERS; ++cluster) {
      bool isOdd = layer == 1 && cluster == 2;
      float value = what.value(layer, cluster);
      std::string of =
          "l" + std::to_string(layer) + ".cluster." + std::to_string(cluster);
      add(of);
      auto putB = [&] {
        put(of + ".b", {0, value + 0.5f}, isOdd && what.isSplat);
      };
      if (isOdd && what.isTurned)
        putB();
      put(of + ".w", std::vector<float>(FAKE_PAGED_WIDTH, value), false);
      if (isOdd && what.isApart)
        add(of + ".apart");
      if (!isOdd || !what.isTurned)
        putB();
    }
  auto writer = ArchiveWriter::open(path, plan);
  ASSERT_TRUE(writer) << writer.error();
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::vector<StoredTensorView> views(bytes[i].begin(), bytes[i].end());
    Status status = writer->write(i, views);
    ASSERT_TRUE(status) << status.error();
  }
  Status status = writer->finish();
  ASSERT_TRUE(status) << status.error();
}

/// Makes the artifact in the folder; one that exchanges rows between ranks if
/// that is asked for.
inline void writeFakePagedModel(const std::string &folder,
                                const FakePagedWeights &what = {},
                                bool exchanges = false) {
  std::filesystem::copy_file(std::string(MOEC_TEST_FAKES) + "/fake_" +
                                 (exchanges ? "exchanging" : "paged") +
                                 "_model.so",
                             folder + "/library.so");
  std::ofstream(folder + "/manifest.json")
      << (exchanges ? FAKE_EXCHANGING_MANIFEST : FAKE_PAGED_MANIFEST);
  writeFakePagedWeights(folder + "/weights.safetensors", what);
}

} // namespace moec::test

#endif // MOEC_TEST_UNIT_RUNTIME_FAKEPAGEDMODEL_H
