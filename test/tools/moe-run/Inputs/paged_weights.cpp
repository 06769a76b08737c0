// Makes the artifact around fake_paged_model.c in a folder.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
//   moe-run-paged-weights FOLDER [SCALE [exchanging]]
#include "test/unit/runtime/FakePagedModel.h"

using namespace moec::test;

int main(int count, char **argv) {
  FakePagedWeights weights;
  if (count > 2)
    weights.scale = std::stof(argv[2]);
  writeFakePagedModel(argv[1], weights, /*exchanges=*/count > 3);
  return testing::Test::HasFailure();
}
