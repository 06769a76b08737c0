// A small archive with every class, part and kind of tensor, for tests.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TEST_UNIT_WEIGHTS_EXAMPLEARCHIVE_H
#define MOEC_TEST_UNIT_WEIGHTS_EXAMPLEARCHIVE_H

#include "weights/ArchiveWriter.h"
#include "weights/Seeded.h"

#include <string>
#include <vector>

namespace moec::test {

using namespace weights;

inline ArchiveTensor floats(const std::string &name,
                            const std::string &encoding, Layout layout,
                            std::vector<int64_t> shape) {
  return {
      name, {*encodingFromText(encoding), layout, std::move(shape)}, {}, {}};
}

inline ArchiveTensor splat(ArchiveTensor tensor, double value) {
  tensor.splat = value;
  return tensor;
}

/// The plan: a layer of 4 experts in 2 clusters.
inline ArchiveHeader exampleArchive() {
  Layout rows = Layout::RowMajor, panels = Layout::Panel16;
  ArchiveHeader plan;
  plan.source = {"example/tiny-moe", "00ff"};
  auto add = [&](const std::string &name, RecordClass recordClass,
                 std::vector<ArchiveTensor> tensors) {
    plan.records.push_back({name, recordClass, std::move(tensors)});
  };
  std::string layer = "layers.0.";
  add(layer + "router", RecordClass::Router,
      {floats(layer + "router.weight", "f32", rows, {8, 4})});
  add(layer + "tables", RecordClass::Table,
      {{layer + "cluster_of", {ElementType::I32, rows, {4}}, {}, {}},
       {layer + "rank_of", {ElementType::U8, rows, {4}}, 2.0, {}}});
  for (int c = 0; c < 2; ++c) {
    std::string name = layer + "clusters." + std::to_string(c);
    add(name, RecordClass::Base,
        {floats(name + ".gate", "bf16", panels, {8, 20}),
         floats(name + ".up", "int4 group 4 zero_point scale f16", panels,
                {8, 20}),
         floats(name + ".down", "f8e4m3", rows, {20, 8})});
  }
  for (int e = 0; e < 4; ++e) {
    std::string name = layer + "experts." + std::to_string(e);
    add(name, RecordClass::Residual,
        {floats(name + ".gate.a", "f16", rows, {8, 2}),
         floats(name + ".gate.b", "int8 group 2", rows, {2, 20})});
  }
  add(layer + "prototypes", RecordClass::Prototype,
      {splat(floats(layer + "prototypes", "f32", rows, {2, 8}), 0.5)});
  add(layer + "shared", RecordClass::Shared,
      {floats(layer + "shared.bias", "mxfp4 group 32 along output", rows,
              {32})});
  add("nothing", RecordClass::Other, {floats("empty", "f32", rows, {0, 4})});
  plan.layoutHash = defaultLayoutHash(plan);
  return plan;
}

/// The values of one of its tensors, before they are encoded.
inline std::vector<float> exampleFloats(const ArchiveTensor &tensor) {
  return seededValues(seedForKey(1, tensor.name),
                      *elementCount(tensor.form.shape));
}

/// The bytes of a record's tensors that are stored.
inline std::vector<StoredTensor> exampleRecord(const ArchiveRecord &record) {
  std::vector<StoredTensor> stored;
  for (const ArchiveTensor &tensor : record.tensors) {
    if (tensor.splat)
      continue;
    stored.push_back(
        tensor.form.encoding()
            ? *storeFloats(tensor.form, exampleFloats(tensor))
            : *storeIntegers(tensor.form, std::vector<int64_t>{0, 1, 1, 0}));
  }
  return stored;
}

/// Writes one of the plan's records.
inline Status writeExampleRecord(ArchiveWriter &writer, size_t index) {
  std::vector<StoredTensor> stored =
      exampleRecord(writer.header().records[index]);
  return writer.write(
      index, std::vector<StoredTensorView>(stored.begin(), stored.end()));
}

/// Writes the whole archive.
inline Status writeExample(const std::string &path) {
  Result<ArchiveWriter> writer = ArchiveWriter::open(path, exampleArchive());
  if (!writer)
    return Error{writer.error()};
  for (size_t i = 0; i < writer->header().records.size(); ++i)
    if (Status status = writeExampleRecord(*writer, i); !status)
      return status;
  return writer->finish();
}

} // namespace moec::test

#endif // MOEC_TEST_UNIT_WEIGHTS_EXAMPLEARCHIVE_H
