// Tests of binding scopes to checkpoints and all else.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "frontend/BindSource.h"

#include "test/unit/frontend/SyntheticCheckpoint.h"

#include <gtest/gtest.h>

using namespace moec::frontend;
using namespace moec::test;
using namespace moec::weights;

namespace {

TEST(BindSource, bindsDirectories) {
  TemporaryFolder folder;
  SyntheticCheckpoint model("mixtral");
  model.write(folder);
  WeightProvider provider;
  Status status = bindSource(provider, "model=" + folder.path);
  ASSERT_TRUE(status) << status.error();
  EXPECT_TRUE(provider.isBound("model"));
  std::vector<int64_t> shape = {5, 4};
  auto router = provider.openMatrices("model", "layers.0.router", shape);
  ASSERT_TRUE(router) << router.error();
  Result<std::vector<float>> values = readAll(**router);
  ASSERT_TRUE(values) << values.error();
  EXPECT_EQ((*values)[1 * 4 + 2], syntheticValue(0, "router", 0, 1, 2));
  EXPECT_EQ(bindSource(provider, "model=" + folder.path).error(),
            "expected each scope to be bound once, found 'model' bound again");
}

TEST(BindSource, bindsWhatAProviderBinds) {
  TemporaryFolder folder;
  SyntheticCheckpoint("mixtral").write(folder);
  WeightProvider provider;
  EXPECT_TRUE(bindSource(provider, "a=splat:0.5"));
  EXPECT_TRUE(bindSource(provider, "b=seeded:7"));
  EXPECT_TRUE(bindSource(provider, "c=" + folder.file("model.safetensors")));
  EXPECT_TRUE(provider.isBound("a"));
  EXPECT_TRUE(provider.isBound("b"));
  EXPECT_TRUE(provider.isBound("c"));
  EXPECT_EQ(bindSource(provider, "=" + folder.path).error(),
            "expected scope=path.safetensors, scope=splat:VALUE or "
            "scope=seeded:SEED[:SCALE], found '=" +
                folder.path + "'");
  EXPECT_EQ(bindSource(provider, "d=" + folder.file("none")).error(),
            folder.file("none") + ": cannot open: No such file or directory");
}

TEST(BindSource, handsOnWhatIsWrongWithACheckpoint) {
  TemporaryFolder folder;
  WeightProvider provider;
  EXPECT_EQ(bindSource(provider, "model=" + folder.path).error(),
            folder.path + ": expected config.json in it, found none");
  EXPECT_FALSE(provider.isBound("model"));
  SyntheticCheckpoint("mixtral").write(folder);
  EXPECT_EQ(bindSource(provider, "model=" + folder.path,
                       {.families = folder.path, .checkFinite = false})
                .error()
                .substr(0, folder.path.size() + 14),
            folder.file("config.json") + ": ");
}

} // namespace
