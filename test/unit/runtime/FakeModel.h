// An artifact of two layers around fake_model.c, with an archive that tests can get wrong.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TEST_UNIT_RUNTIME_FAKEMODEL_H
#define MOEC_TEST_UNIT_RUNTIME_FAKEMODEL_H

#include "test/unit/TemporaryFolder.h"
#include "test/unit/runtime/fake_model.h"
#include "weights/ArchiveWriter.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace moec::test {

/// What the archive of the fake model holds.
struct FakeWeights {
  uint64_t layoutHash = 7;
  /// Value of each cluster's matrix, by layer.
  float values[2][2] = {{2, 3}, {5, 7}};
  int32_t choice[2] = {0, 1};
  /// Of layer 0's clusters; the library asks for 4.
  int64_t width = 4;
  weights::Layout layout = weights::Layout::RowMajor;
  bool isComplete = true;
  bool isSplat = false;
};

inline void writeFakeWeights(const std::string &path, const FakeWeights &what) {
  using namespace weights;
  ArchiveHeader plan;
  plan.layoutHash = what.layoutHash;
  plan.source = {"a fake", "f00d"};
  std::vector<std::vector<StoredTensor>> bytes;
  auto add = [&](const std::string &name, TensorForm form, StoredTensor stored,
                 std::optional<double> splat = std::nullopt) {
    ArchiveRecord record;
    record.name = name + ".record";
    ArchiveTensor tensor;
    tensor.name = name;
    tensor.form = std::move(form);
    tensor.splat = splat;
    record.tensors.push_back(std::move(tensor));
    plan.records.push_back(std::move(record));
    bytes.emplace_back();
    if (!splat)
      bytes.back().push_back(std::move(stored));
  };
  for (int layer = 0; layer < 2; ++layer) {
    std::string name = "layer" + std::to_string(layer);
    for (int cluster = 0; cluster < 2; ++cluster) {
      if (layer == 1 && cluster == 1 && !what.isComplete)
        continue;
      TensorForm form;
      form.values = Encoding();
      form.layout = what.layout;
      int64_t width = layer == 0 ? what.width : 4;
      form.shape = {1, width};
      float value = what.values[layer][cluster];
      auto stored =
          storeFloats(form, std::vector<float>(size_t(width), value));
      ASSERT_TRUE(stored) << stored.error();
      add(name + ".cluster." + std::to_string(cluster) + ".w", form, *stored,
          what.isSplat ? std::optional<double>(value) : std::nullopt);
    }
    TensorForm table;
    table.values = ElementType::I32;
    table.shape = {1};
    int64_t entry[] = {what.choice[layer]};
    auto stored = storeIntegers(table, entry);
    ASSERT_TRUE(stored) << stored.error();
    add(name + ".choice", table, *stored);
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

/// Makes the artifact in the folder, of a library beside its manifest.
inline void writeFakeModel(const TemporaryFolder &folder,
                           const FakeWeights &what = {},
                           const char *library = "fake_model.so",
                           const char *manifest = FAKE_MODEL_MANIFEST) {
  std::filesystem::copy_file(std::string(MOEC_TEST_FAKES) + "/" + library,
                             folder.file("library.so"));
  folder.write("manifest.json", manifest);
  writeFakeWeights(folder.file("weights.safetensors"), what);
}

/// The same for a CUDA device.
inline void writeFakeCudaModel(const TemporaryFolder &folder) {
  writeFakeModel(folder, {}, "fake_cuda_model.so",
                 FAKE_MODEL_MANIFEST_ON("cuda"));
}

} // namespace moec::test

#endif // MOEC_TEST_UNIT_RUNTIME_FAKEMODEL_H
