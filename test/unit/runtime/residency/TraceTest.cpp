// Tests of traces as files.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/residency/Trace.h"
#include "test/unit/TemporaryFolder.h"
#include "weights/Safetensors.h"

#include <gtest/gtest.h>

#include <algorithm>

using namespace moec::residency;
using namespace moec::weights;

namespace {

TEST(Trace, thereAndBack) {
  moec::test::TemporaryFolder folder;
  SyntheticTraffic traffic;
  traffic.extents = {3, 5};
  traffic.requests = 4;
  traffic.stepsOfRequest = 6;
  traffic.met = 2;
  for (double precision : {0.0, 0.5}) {
    traffic.hintPrecision = precision;
    auto trace = synthesize(traffic);
    Status written = writeTrace(folder.file("trace"), *trace);
    ASSERT_TRUE(written) << written.error();
    auto found = readTrace(folder.file("trace"));
    ASSERT_TRUE(found) << found.error();
    EXPECT_EQ(found->extents.layers, 3u);
    EXPECT_EQ(found->extents.clusters, 5u);
    EXPECT_EQ(found->requests, trace->requests);
    ASSERT_EQ(found->turns(), trace->turns());
    ASSERT_EQ(found->hints.size(), trace->hints.size());
    for (uint64_t turn = 0; turn < trace->turns(); ++turn) {
      EXPECT_TRUE(std::ranges::equal(found->used[turn], trace->used[turn]));
      if (precision > 0) {
        EXPECT_TRUE(std::ranges::equal(found->hints[turn], trace->hints[turn]));
      }
    }
  }
}

TEST(Trace, stepsThatMeetNothing) {
  moec::test::TemporaryFolder folder;
  Trace trace;
  trace.extents = {2, 4};
  trace.used.append(std::vector<uint32_t>{});
  trace.used.append(std::vector<uint32_t>{3, 1});
  ASSERT_TRUE(writeTrace(folder.file("trace"), trace));
  auto found = readTrace(folder.file("trace"));
  ASSERT_TRUE(found) << found.error();
  EXPECT_TRUE(found->used[0].empty());
  EXPECT_TRUE(std::ranges::equal(found->used[1], std::vector<uint32_t>{3, 1}));
  EXPECT_EQ(found->most(), 2u);
}

/// A file of one step of two layers, as a test changes it.
struct File {
  std::string metadata = "{\"version\": \"1.0\", \"clusters\": 4}";
  ElementType type = ElementType::I32;
  std::vector<int64_t> shape = {1, 2, 2}, hintShape = {};
  std::vector<int32_t> used = {0, 1, 2, -1}, hints = {};
  std::vector<int64_t> requests = {0};
  bool hasUsed = true, hasRequests = true;
};

template <typename T>
std::span<const uint8_t> bytesOf(const std::vector<T> &values) {
  return {reinterpret_cast<const uint8_t *>(values.data()),
          values.size() * sizeof(T)};
}

/// The message without the path.
template <typename Change> std::string messageOf(Change change) {
  moec::test::TemporaryFolder folder;
  File file;
  change(file);
  std::vector<TensorToWrite> tensors;
  if (file.hasRequests)
    tensors.push_back({"trace.requests",
                       ElementType::I64,
                       {int64_t(file.requests.size())},
                       bytesOf(file.requests)});
  if (file.hasUsed)
    tensors.push_back(
        {"trace.used", file.type, file.shape, bytesOf(file.used)});
  if (!file.hintShape.empty())
    tensors.push_back(
        {"trace.hints", ElementType::I32, file.hintShape, bytesOf(file.hints)});
  std::map<std::string, std::string> metadata;
  if (!file.metadata.empty())
    metadata["moec.trace"] = file.metadata;
  std::string path = folder.file("trace");
  EXPECT_TRUE(writeSafetensors(path, tensors, metadata));
  std::string message = readTrace(path).error();
  if (message.starts_with(path))
    message = message.substr(path.size() + 2);
  return message;
}

TEST(Trace, whatIsNone) {
  EXPECT_EQ(messageOf([](File &) {}), "");
  EXPECT_EQ(messageOf([](File &f) { f.metadata = ""; }),
            "expected a trace, found no metadata 'moec.trace'");
  EXPECT_NE(messageOf([](File &f) { f.metadata = "{"; }), "");
  EXPECT_EQ(messageOf([](File &f) {
              f.metadata = "{\"version\": \"2.0\", \"clusters\": 4}";
            }),
            "moec.trace: expected version 1, found the string '2.0'");
  EXPECT_EQ(messageOf([](File &f) { f.metadata = "{\"clusters\": 4}"; }),
            "moec.trace: expected version 1, found none");
  EXPECT_EQ(messageOf([](File &f) { f.metadata = "{\"version\": \"1.0\"}"; }),
            "moec.trace: expected 1 to 65536 clusters, found none");
  EXPECT_EQ(messageOf([](File &f) {
              f.metadata = "{\"version\": \"1.7\", \"clusters\": 0}";
            }),
            "moec.trace: expected 1 to 65536 clusters, found 0");
  EXPECT_EQ(messageOf([](File &f) { f.hasUsed = false; }),
            "expected trace.used, 3 extents of I32");
  EXPECT_EQ(messageOf([](File &f) { f.type = ElementType::F32; }),
            "expected trace.used, 3 extents of I32");
  EXPECT_EQ(messageOf([](File &f) { f.shape = {2, 2}; }),
            "expected trace.used, 3 extents of I32");
  EXPECT_EQ(messageOf([](File &f) { f.hasRequests = false; }),
            "expected trace.requests, 1 extents of I64");
}

TEST(Trace, extentsAndNumbers) {
  EXPECT_EQ(messageOf([](File &f) {
              f.shape = {0, 0, 4};
              f.used.clear();
            }),
            "trace.used: expected 1 to 4096 layers and at most 2^32 numbers, "
            "found 0 and 0");
  const char *different = "trace.used: expected different clusters below 4 in "
                          "a step, found ";
  EXPECT_EQ(messageOf([](File &f) { f.used[2] = 4; }),
            different + std::string("4 in step 0 of layer 1"));
  EXPECT_EQ(messageOf([](File &f) { f.used[0] = -2; }),
            different + std::string("-2 in step 0 of layer 0"));
  EXPECT_EQ(messageOf([](File &f) { f.used[1] = 0; }),
            different + std::string("0 in step 0 of layer 0"));
  const char *steps = "expected as many steps and layers in trace.hints as in "
                      "trace.used";
  EXPECT_EQ(messageOf([](File &f) {
              f.hintShape = {1, 1, 1};
              f.hints = {0};
            }),
            steps);
  EXPECT_EQ(messageOf([](File &f) {
              f.hintShape = {2, 1, 1};
              f.hints = {0, 0};
            }),
            steps);
}

TEST(Trace, requests) {
  const char *firsts = "trace.requests: expected first steps from 0 on, each "
                       "larger than the one before and below 1, found ";
  EXPECT_EQ(messageOf([](File &f) { f.requests = {1}; }),
            firsts + std::string("1"));
  EXPECT_EQ(messageOf([](File &f) { f.requests = {0, 1}; }),
            firsts + std::string("1"));
  EXPECT_EQ(messageOf([](File &f) { f.requests = {0, 0}; }),
            firsts + std::string("0"));
  EXPECT_EQ(messageOf([](File &f) { f.requests = {}; }),
            "trace.requests: expected one or more, found none");
}

TEST(Trace, noFile) { EXPECT_NE(readTrace("/nowhere").error(), ""); }

} // namespace
