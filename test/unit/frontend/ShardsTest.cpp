// Tests of the weight files of checkpoints.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "frontend/Shards.h"

#include "test/unit/frontend/SyntheticCheckpoint.h"

#include <gtest/gtest.h>

#include <filesystem>

using namespace moec::frontend;
using namespace moec::test;
using moec::weights::ElementType;
using moec::weights::Result;

namespace {

std::string refusal(const std::string &text) {
  Result<ShardIndex> index = parseShardIndex("index", text);
  EXPECT_FALSE(index);
  return index.error();
}

TEST(Shards, readsAnIndex) {
  Result<ShardIndex> index =
      parseShardIndex("index",
                      R"({"metadata": {"total_size": 1e3, "more": [{}]},
          "weight_map": {"c": "2.st", "a": "1.st", "b": "2.st", "d": "1.st"}})");
  ASSERT_TRUE(index) << index.error();
  EXPECT_EQ(index->files, (std::vector<std::string>{"1.st", "2.st"}));
  std::string entries;
  for (const ShardIndex::Entry &entry : index->entries)
    entries += entry.tensor + std::to_string(entry.file) + " ";
  EXPECT_EQ(entries, "a0 b1 c1 d0 ");
}

TEST(Shards, refusesAnIndex) {
  EXPECT_EQ(refusal("{}"), "index: expected an object weight_map, found none");
  EXPECT_EQ(refusal("[]"), "index: expected an object weight_map, found none");
  EXPECT_EQ(refusal(R"({"weight_map": []})"),
            "index: expected an object weight_map, found an array of 0");
  EXPECT_EQ(refusal(R"({"weight_map": {}})"),
            "index: expected tensors in weight_map, found none");
  EXPECT_EQ(refusal(R"({"weight_map": {"a": "f", "a": "f"}})"),
            "index: expected each key once, found 'a' twice");
  EXPECT_EQ(refusal(R"({"weight_map": {"a": 1}})"),
            "index: tensor 'a': expected the name of a file, found 1");
  for (const char *name : {"", ".", "..", "../f", "/f", "d/f", "f\\u0000"})
    EXPECT_EQ(refusal(R"({"weight_map": {"a": ")" + std::string(name) + "\"}}")
                  .substr(0, 63),
              "index: tensor 'a': expected the name of a file in this folder, ")
        << name;
  std::string many;
  for (size_t i = 0; i < mostShards + 1; ++i) {
    if (i == mostShards) {
      EXPECT_TRUE(
          parseShardIndex("index", R"({"weight_map": {)" + many + "}}"));
    }
    many += (i == 0 ? "\"" : ", \"") + std::to_string(i) + "\": \"f" +
            std::to_string(i) + "\"";
  }
  EXPECT_EQ(refusal(R"({"weight_map": {)" + many + "}}"),
            "index: expected at most 4096 files in weight_map, found 4097");
}

/// Three shards of tensors t0 to t5 in turn.
class ShardFolder : public testing::Test {
protected:
  ShardFolder() {
    for (size_t i = 0; i < 6; ++i)
      shards[i % 3].push_back(
          {"t" + std::to_string(i), ElementType::F32, {0}, {}});
  }

  /// Writes the shards and the index; what comes of opening them.
  Result<std::vector<Shard>> open() {
    for (size_t i = 0; i < 3; ++i)
      SyntheticCheckpoint::writeTensors(folder.file(name(i)), shards[i]);
    writeIndex(map);
    return openShards(folder.path);
  }
  void writeIndex(const std::string &text) {
    folder.write("model.safetensors.index.json",
                 R"({"weight_map": {)" + text + "}}");
  }
  std::string refusal() {
    Result<std::vector<Shard>> opened = open();
    EXPECT_FALSE(opened);
    std::string index = folder.file("model.safetensors.index.json") + ": ";
    std::string text = opened.error();
    return text.starts_with(index) ? text.substr(index.size()) : text;
  }
  static std::string name(size_t number) {
    return SyntheticCheckpoint::shardName(number);
  }

  TemporaryFolder folder;
  std::vector<SyntheticTensor> shards[3];
  std::string map =
      R"("t0": "model-0.safetensors", "t1": "model-1.safetensors",
         "t2": "model-2.safetensors", "t3": "model-0.safetensors",
         "t4": "model-1.safetensors", "t5": "model-2.safetensors")";
};

TEST_F(ShardFolder, opensAll) {
  Result<std::vector<Shard>> opened = open();
  ASSERT_TRUE(opened) << opened.error();
  ASSERT_EQ(opened->size(), 3u);
  EXPECT_EQ((*opened)[1].name, "model-1.safetensors");
  EXPECT_EQ((*opened)[1].file.tensors().size(), 2u);
  EXPECT_EQ((*opened)[1].file.bytes(),
            std::filesystem::file_size(folder.file(name(1))));
}

TEST_F(ShardFolder, takesASingleFileFirst) {
  SyntheticCheckpoint::writeTensors(folder.file("model.safetensors"),
                                    {shards[0][0]});
  Result<std::vector<Shard>> opened = open();
  ASSERT_TRUE(opened) << opened.error();
  ASSERT_EQ(opened->size(), 1u);
  EXPECT_EQ((*opened)[0].name, "model.safetensors");
}

TEST_F(ShardFolder, refusesNoFiles) {
  EXPECT_EQ(openShards(folder.path).error(),
            folder.path + ": expected model.safetensors or "
                          "model.safetensors.index.json, found neither");
}

TEST_F(ShardFolder, refusesFilesThatAreNone) {
  folder.write("model.safetensors", "short");
  EXPECT_EQ(openShards(folder.path).error(),
            folder.file("model.safetensors") +
                ": expected a safetensors file of at least 8 bytes, found 5");
  std::filesystem::remove(folder.file("model.safetensors"));
  writeIndex("");
  EXPECT_EQ(openShards(folder.path).error(),
            folder.file("model.safetensors.index.json") +
                ": expected tensors in weight_map, found none");
  ASSERT_TRUE(open());
  folder.write(name(2), "12345678");
  EXPECT_TRUE(openShards(folder.path)
                  .error()
                  .starts_with(folder.file(name(2)) + ": expected a header"));
}

TEST_F(ShardFolder, refusesAMissingShard) {
  map += R"(, "t6": "model-3.safetensors")";
  EXPECT_EQ(refusal(), "expected the file 'model-3.safetensors' that it names, "
                       "found none");
}

TEST_F(ShardFolder, refusesTensorsThatAFileLacks) {
  shards[1].clear();
  EXPECT_EQ(refusal(), "expected each tensor in the file named for it, found "
                       "none of 't1', 't4'");
  shards[0].clear();
  shards[2].clear();
  EXPECT_EQ(refusal(), "expected each tensor in the file named for it, found "
                       "none of 't0', 't1', 't2', 't3' and 2 more");
}

TEST_F(ShardFolder, refusesATensorInTheWrongShard) {
  shards[2].push_back(shards[1][0]);
  shards[1].erase(shards[1].begin());
  EXPECT_EQ(refusal(), "tensor 't1': expected it in 'model-1.safetensors', "
                       "found it in 'model-2.safetensors'");
}

TEST_F(ShardFolder, refusesATensorInTwoShards) {
  shards[0].push_back(shards[1][0]);
  EXPECT_EQ(refusal(), "tensor 't1': expected it in 'model-1.safetensors' "
                       "alone, found it also in 'model-0.safetensors'");
}

TEST_F(ShardFolder, refusesTensorsThatTheIndexLacks) {
  for (const char *extra : {"a", "z"})
    shards[2].push_back({extra, ElementType::F32, {0}, {}});
  EXPECT_EQ(refusal(), "expected every tensor of its files in weight_map, "
                       "found no entry for 'a', 'z'");
}

TEST(Shards, listsSomeNames) {
  EXPECT_EQ(someNames({"a"}, 1), "'a'");
  EXPECT_EQ(someNames({"a", "b", "c", "d"}, 4), "'a', 'b', 'c', 'd'");
  EXPECT_EQ(someNames({"a", "b", "c", "d", "e"}, 5),
            "'a', 'b', 'c', 'd' and 1 more");
  EXPECT_EQ(someNames({"a"}, 3), "'a' and 2 more");
}

} // namespace
