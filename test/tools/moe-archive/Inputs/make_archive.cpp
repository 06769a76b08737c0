// Writes an archive for a test: make-archive KIND FILE
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// KIND is example (test/unit/weights/ExampleArchive.h), nan (the same with a
// NaN and an infinity), other (a name and a shape differ), partial (interrupted
// behind two records), huge (splats of more than memory holds).
#include "test/unit/weights/ExampleArchive.h"

#include <cmath>
#include <cstdio>

using namespace moec::test;

namespace {

Status make(const std::string &kind, const std::string &path) {
  ArchiveHeader plan = exampleArchive();
  if (kind == "other") {
    plan.records[0].tensors[0].form.shape = {4, 8};
    plan.records[5].tensors[1].name = "renamed";
  }
  if (kind == "huge")
    for (ArchiveRecord &record : plan.records)
      for (ArchiveTensor &tensor : record.tensors) {
        tensor.form.shape = {8192, 8192, 8192, 32};
        tensor.splat = 0;
      }
  Result<ArchiveWriter> writer = ArchiveWriter::open(path, plan);
  if (!writer)
    return Error{writer.error()};
  if (kind == "huge")
    return writer->finish();
  for (size_t i = 0; i < plan.records.size(); ++i) {
    if (kind == "partial" && i == 2)
      return success();
    std::vector<StoredTensor> stored =
        exampleRecord(writer->header().records[i]);
    if (kind == "nan" && i == 0) {
      std::vector<float> values =
          exampleFloats(writer->header().records[i].tensors[0]);
      values[7] = NAN;
      values[9] = INFINITY;
      stored[0] =
          *storeFloats(writer->header().records[i].tensors[0].form, values);
    }
    if (Status status = writer->write(
            i, std::vector<StoredTensorView>(stored.begin(), stored.end()));
        !status)
      return status;
  }
  return writer->finish();
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 3)
    return 2;
  Status status = make(argv[1], argv[2]);
  if (!status)
    std::fprintf(stderr, "make-archive: %s\n", status.error().c_str());
  return status ? 0 : 1;
}
