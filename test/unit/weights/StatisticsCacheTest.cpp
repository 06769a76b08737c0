// Tests of the statistics cache: there and back, and every way in which a file
// is none of ours.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/StatisticsCache.h"

#include "weights/Safetensors.h"

#include "test/unit/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <thread>

using namespace moec::weights;
using moec::test::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

using Sources = std::vector<std::shared_ptr<const MatrixSource>>;

Hash128 hashOf(const Sources &sources, std::string_view options = "") {
  Result<Hash128> hash = contentHash(sources, options);
  EXPECT_TRUE(hash) << hash.error();
  return hash ? *hash : Hash128();
}

TEST(StatisticsCache, contentIsWhatCounts) {
  std::vector<float> values{1, 2, 3, 4, 5, 6};
  auto source = [&](const MatrixShape &shape, std::vector<float> v) {
    return matricesOf("w", shape, v);
  };
  Hash128 hash = hashOf({source({1, 2, 3}, values)}, "mean");
  // What the documentation says is hashed, put together by hand.
  std::vector<uint64_t> numbers{4, 1, 1, 2, 3};
  StreamingHash expected;
  auto number = [&](size_t n) {
    expected.update({reinterpret_cast<const uint8_t *>(&numbers[n]), 8});
  };
  number(0);
  expected.update("mean");
  for (size_t n = 1; n < 5; ++n)
    number(n);
  expected.update({reinterpret_cast<const uint8_t *>(values.data()), 24});
  EXPECT_EQ(hash, expected.digest128());

  // Another name is the same; anything else is not.
  EXPECT_EQ(hash, hashOf({matricesOf("v", {1, 2, 3}, values)}, "mean"));
  std::vector<float> other = values;
  other[5] = 7;
  std::set<Hash128> different{
      hash,
      hashOf({source({1, 2, 3}, values)}),
      hashOf({source({1, 2, 3}, values)}, "mean "),
      hashOf({source({1, 3, 2}, values)}, "mean"),
      hashOf({source({2, 1, 3}, values)}, "mean"),
      hashOf({source({1, 2, 3}, other)}, "mean"),
      hashOf({source({1, 1, 3}, {1, 2, 3}), source({1, 1, 3}, {4, 5, 6})},
             "mean"),
      hashOf({source({1, 2, 3}, values), source({0, 1, 1}, {})}, "mean"),
      hashOf({}, "mean"),
  };
  EXPECT_EQ(different.size(), 9u);
}

TEST(StatisticsCache, hashesMoreThanOnePiece) {
  // 2^22 values are hashed at once.
  int64_t count = (int64_t(1) << 22) + 5;
  std::vector<float> values(size_t(count), 0.5f);
  Hash128 first = hashOf({matricesOf("w", {1, 1, count}, values)});
  values.back() = 0.25f;
  EXPECT_NE(hashOf({matricesOf("w", {1, 1, count}, values)}), first);
  values.back() = 0.5f;
  values.front() = 0.25f;
  EXPECT_NE(hashOf({matricesOf("w", {1, 1, count}, values)}), first);
}

/// A source that cannot be read.
class Unreadable final : public MatrixSource {
public:
  Unreadable() : MatrixSource("gone", {1, 2, 2}) {}

private:
  Status doRead(int64_t, std::span<float>) const override {
    return Error{"gone: cannot read"};
  }
};

TEST(StatisticsCache, passesReadErrorsOn) {
  Sources sources{std::make_shared<Unreadable>()};
  EXPECT_EQ(contentHash(sources, "").error(), "gone: cannot read");
}

StatisticsCache openCache(const TemporaryFolder &folder,
                          uint64_t maxBytes = 1 << 30) {
  Result<StatisticsCache> cache =
      StatisticsCache::open(folder.file("cache"), maxBytes);
  EXPECT_TRUE(cache) << cache.error();
  return *cache;
}

const Hash128 key{0x0123456789ABCDEF, 0xFEDCBA9876543210};

std::vector<NamedArray> sample() {
  return {{"similarity", {2, 2}, std::vector<double>{1, 0.25, 0.25, 1}},
          {"table", {3}, std::vector<int32_t>{0, -1, INT32_MAX}},
          {"nothing", {0, 4}, std::vector<double>{}},
          {"also nothing", {0}, std::vector<int32_t>{}},
          {"one", {}, std::vector<double>{1e-300}}};
}

std::string entryPath(const TemporaryFolder &folder) {
  return folder.file("cache") + "/0123456789abcdeffedcba9876543210.safetensors";
}

TEST(StatisticsCache, thereAndBack) {
  TemporaryFolder folder;
  StatisticsCache cache = openCache(folder);
  EXPECT_EQ(cache.directory(), folder.file("cache"));
  EXPECT_FALSE(cache.get(key));
  ASSERT_TRUE(cache.put(key, sample()));
  EXPECT_TRUE(fs::exists(entryPath(folder)));
  std::optional<std::vector<NamedArray>> found = cache.get(key);
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, sample());
  EXPECT_FALSE(cache.get({key.low, key.high}));
  // Another cache of the same directory, and another value.
  std::vector<NamedArray> other{{"x", {1}, std::vector<double>{7}}};
  ASSERT_TRUE(openCache(folder).put(key, other));
  EXPECT_EQ(*cache.get(key), other);
  ASSERT_TRUE(cache.put(key, {}));
  EXPECT_TRUE(cache.get(key)->empty());
  // More than ten, in the order they were put.
  std::vector<NamedArray> many;
  for (int32_t n = 0; n < 64; ++n)
    many.push_back(
        {"a" + std::to_string(1000 - n), {1}, std::vector<int32_t>{n}});
  ASSERT_TRUE(cache.put(key, many));
  EXPECT_EQ(*cache.get(key), many);
  // Bits of NaN and infinity are kept.
  ASSERT_TRUE(
      cache.put(key, std::vector<NamedArray>{
                         {"x", {2}, std::vector<double>{NAN, -INFINITY}}}));
  EXPECT_TRUE(std::isnan(
      std::get<std::vector<double>>((*cache.get(key))[0].values)[0]));
}

TEST(StatisticsCache, whatIsDamagedIsAMissAndOverwritten) {
  TemporaryFolder folder;
  StatisticsCache cache = openCache(folder);
  ASSERT_TRUE(cache.put(key, sample()));
  std::ifstream file(entryPath(folder), std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  auto replace = [&](const std::string &content) {
    std::ofstream(entryPath(folder), std::ios::binary) << content;
  };
  // Every byte counts, wherever it lies, but for what JSON may hold between.
  for (size_t n = 0; n < bytes.size(); ++n) {
    std::string damaged = bytes;
    damaged[n] = char(damaged[n] ^ 1);
    replace(damaged);
    std::optional<std::vector<NamedArray>> found = cache.get(key);
    EXPECT_TRUE(!found || *found == sample()) << n;
    if (n >= bytes.size() - 52) {
      EXPECT_FALSE(found) << "a value was changed at " << n;
    }
  }
  for (size_t length :
       {size_t(0), size_t(7), bytes.size() / 2, bytes.size() - 1}) {
    replace(bytes.substr(0, length));
    EXPECT_FALSE(cache.get(key));
  }
  replace(bytes + "x");
  EXPECT_FALSE(cache.get(key));
  ASSERT_TRUE(cache.put(key, sample()));
  EXPECT_EQ(*cache.get(key), sample());
  // A directory in its place is a miss as well, and stays one.
  fs::remove(entryPath(folder));
  fs::create_directory(entryPath(folder));
  EXPECT_FALSE(cache.get(key));
  EXPECT_FALSE(cache.put(key, sample()));
}

TEST(StatisticsCache, whatIsForeignIsAMiss) {
  TemporaryFolder folder;
  StatisticsCache cache = openCache(folder);
  ASSERT_TRUE(cache.put(key, sample()));
  std::map<std::string, std::string> metadata =
      SafetensorsFile::open(entryPath(folder))->metadata();
  // An entry under another's name.
  Hash128 other{1, 2};
  fs::copy_file(entryPath(folder),
                folder.file("cache") + "/" + hashText(other) + ".safetensors");
  EXPECT_FALSE(cache.get(other));
  auto missWith = [&](const std::string &field, const std::string &value) {
    std::map<std::string, std::string> changed = metadata;
    changed[field] = value;
    if (value.empty())
      changed.erase(field);
    std::vector<uint8_t> bytes(8);
    std::vector<TensorToWrite> tensors{{"00.x", ElementType::F64, {1}, bytes}};
    EXPECT_TRUE(writeSafetensors(entryPath(folder), tensors, changed));
    EXPECT_FALSE(cache.get(key)) << field;
  };
  missWith("moec.statistics", "0.2");
  missWith("moec.statistics", "");
  missWith("key", "");
  missWith("check", "");
  missWith("check", "0000000000000000");
  // Files that hash right, but whose tensors are not ours.
  auto checkedWith = [&](const std::string &stored, ElementType type,
                         const std::vector<NamedArray> &as) {
    std::vector<uint8_t> bytes(8);
    Hash128 scratch{5, 5};
    EXPECT_TRUE(cache.put(scratch, as));
    std::map<std::string, std::string> changed = metadata;
    changed["check"] = SafetensorsFile::open(folder.file("cache") + "/" +
                                             hashText(scratch) + ".safetensors")
                           ->metadata()
                           .at("check");
    std::vector<TensorToWrite> tensors{{stored, type, {1}, bytes}};
    EXPECT_TRUE(writeSafetensors(entryPath(folder), tensors, changed));
    return cache.get(key).has_value();
  };
  std::vector<NamedArray> zero{{"x", {1}, std::vector<double>{0}}};
  EXPECT_TRUE(checkedWith("00.x", ElementType::F64, zero));
  EXPECT_FALSE(checkedWith("01.x", ElementType::F64, zero));
  EXPECT_FALSE(checkedWith("00-x", ElementType::F64, zero));
  EXPECT_FALSE(checkedWith("x", ElementType::F64, zero));
  EXPECT_FALSE(checkedWith("00.x", ElementType::I64, zero));
  EXPECT_FALSE(checkedWith("00.y", ElementType::F64, zero));
}

TEST(StatisticsCache, sizesAreBounded) {
  TemporaryFolder folder;
  StatisticsCache cache = openCache(folder);
  auto refuse = [&](const std::vector<NamedArray> &arrays) {
    Status status = cache.put(key, arrays);
    EXPECT_FALSE(status);
    EXPECT_FALSE(fs::exists(entryPath(folder)));
    return status.error().substr(
        std::min(status.error().size(), entryPath(folder).size() + 2));
  };
  auto named = [](const std::string &name) {
    return NamedArray{name, {1}, std::vector<double>{0}};
  };
  EXPECT_EQ(refuse(std::vector<NamedArray>(65, named("x"))),
            "expected at most 64 arrays, found 65");
  for (const std::vector<NamedArray> &arrays :
       {std::vector<NamedArray>{named("")},
        {named(std::string(201, 'n'))},
        {named("a\n")},
        {named("\xC3\xA9")},
        {named("x"), named("x")}})
    EXPECT_EQ(refuse(arrays),
              "expected names of 1 to 200 printable ASCII characters, each "
              "once, found another");
  EXPECT_EQ(refuse({{"x", {2, 2}, std::vector<double>(3)}}),
            "array 'x': expected values for shape [2, 2], found 3");
  EXPECT_EQ(refuse({{"x", {-1}, std::vector<int32_t>()}}),
            "array 'x': expected values for shape [-1], found 0");
  int64_t many = (int64_t(1) << 25) + 1;
  EXPECT_EQ(refuse({{"x", {many}, std::vector<double>(size_t(many))}}),
            "expected at most 268435456 bytes of values, found 268435464");
  // A file that is too large is not even opened: this one is all holes.
  std::ofstream(entryPath(folder)) << "x";
  fs::resize_file(entryPath(folder), uint64_t(1) << 34);
  EXPECT_FALSE(cache.get(key));
}

TEST(StatisticsCache, oldEntriesMakeRoom) {
  TemporaryFolder folder;
  // An entry of 8000 bytes of values is a bit larger than that.
  StatisticsCache cache = openCache(folder, 30'000);
  std::vector<NamedArray> large{{"x", {1000}, std::vector<double>(1000, 1.0)}};
  std::string mine =
      folder.write("cache/mine.safetensors", std::string(100'000, 'x'));
  auto now = fs::file_time_type::clock::now();
  for (uint64_t n = 0; n < 3; ++n) {
    ASSERT_TRUE(cache.put({0, n}, large));
    // 1 is the oldest, then 0, then 2.
    int age[] = {50, 100, 10};
    fs::last_write_time(folder.file("cache") + "/" + hashText(Hash128{0, n}) +
                            ".safetensors",
                        now - std::chrono::seconds(age[n]));
  }
  for (uint64_t n = 0; n < 3; ++n)
    EXPECT_TRUE(cache.get({0, n}));
  ASSERT_TRUE(cache.put({0, 3}, large));
  EXPECT_FALSE(cache.get({0, 1}));
  for (uint64_t n : {0, 2, 3})
    EXPECT_TRUE(cache.get({0, n}));
  ASSERT_TRUE(cache.put({0, 4}, large));
  EXPECT_FALSE(cache.get({0, 0}));
  // What was just put stays, and what is none of ours.
  StatisticsCache tiny = openCache(folder, 10);
  ASSERT_TRUE(tiny.put({0, 5}, large));
  EXPECT_TRUE(tiny.get({0, 5}));
  for (uint64_t n : {2, 3, 4})
    EXPECT_FALSE(tiny.get({0, n}));
  EXPECT_TRUE(fs::exists(mine));
}

TEST(StatisticsCache, threadsShareADirectory) {
  TemporaryFolder folder;
  StatisticsCache cache = openCache(folder);
  std::vector<std::thread> threads;
  for (int32_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int32_t n = 0; n < 20; ++n) {
        std::vector<NamedArray> mine{
            {"x", {100}, std::vector<int32_t>(100, t)}};
        EXPECT_TRUE(cache.put(key, mine));
        std::optional<std::vector<NamedArray>> found = cache.get(key);
        // Whoever's it is, it is whole.
        ASSERT_TRUE(found);
        const auto &values = std::get<std::vector<int32_t>>((*found)[0].values);
        EXPECT_EQ(values, std::vector<int32_t>(100, values[0]));
      }
    });
  for (std::thread &thread : threads)
    thread.join();
}

TEST(StatisticsCache, refusesWhatIsNoDirectory) {
  TemporaryFolder folder;
  std::string file = folder.write("file", "x");
  EXPECT_EQ(StatisticsCache::open(file + "/cache").error(),
            file + "/cache: cannot make the directory: Not a directory");
  EXPECT_EQ(StatisticsCache::open(file).error(),
            file + ": cannot make the directory: Not a directory");
}

} // namespace
