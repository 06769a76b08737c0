// Tests of the weight provider: sources, conversions, and every refusal.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/WeightProvider.h"

#include "weights/Safetensors.h"
#include "weights/Seeded.h"

#include "test/unit/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <cstring>

using namespace moec::weights;

namespace {

using Floats = std::vector<float>;
using Integers = std::vector<int32_t>;

template <typename T> std::vector<uint8_t> bytesOf(std::vector<T> values) {
  std::vector<uint8_t> bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

class WeightProviderTest : public testing::Test {
protected:
  void SetUp() override {
    auto f32 = bytesOf<float>({1.5f, -2, 3, 4});
    auto f64 = bytesOf<double>({1.5, 1e-60});
    auto f16 = bytesOf<uint16_t>({0x3C00, 0xC000});
    auto bf16 = bytesOf<uint16_t>({0x3F80, 0xC000});
    auto i64 = bytesOf<int64_t>({5, -6});
    auto large = bytesOf<int64_t>({1, int64_t(1) << 40});
    auto i32 = bytesOf<int32_t>({7, -8});
    auto i16 = bytesOf<int16_t>({9, -10});
    auto i8 = bytesOf<int8_t>({11, -12});
    auto u8 = bytesOf<uint8_t>({13, 200});
    std::vector<TensorToWrite> tensors = {
        {"f32", ElementType::F32, {2, 2}, f32},
        {"f64", ElementType::F64, {2}, f64},
        {"f16", ElementType::F16, {2}, f16},
        {"bf16", ElementType::BF16, {2}, bf16},
        {"i64", ElementType::I64, {2}, i64},
        {"large", ElementType::I64, {2}, large},
        {"i32", ElementType::I32, {2}, i32},
        {"i16", ElementType::I16, {2}, i16},
        {"i8", ElementType::I8, {2}, i8},
        {"u8", ElementType::U8, {2}, u8}};
    path = folder.file("w.safetensors");
    Status written = writeSafetensors(path, tensors);
    ASSERT_TRUE(written) << written.error();
    Status bound = provider.bind("m=" + path);
    ASSERT_TRUE(bound) << bound.error();
  }

  Result<Floats> floats(const char *key, std::vector<int64_t> shape,
                        const char *scope = "m") {
    auto matrices = provider.openMatrices(scope, key, shape);
    if (!matrices)
      return Error{matrices.error()};
    return readAll(**matrices);
  }
  Result<Integers> integers(const char *key, std::vector<int64_t> shape,
                            const char *scope = "m") {
    return provider.loadIntegers(scope, key, shape);
  }

  moec::test::TemporaryFolder folder;
  std::string path;
  WeightProvider provider;
};

TEST_F(WeightProviderTest, readsEveryFloatType) {
  EXPECT_EQ(*floats("f32", {2, 2}), (Floats{1.5f, -2, 3, 4}));
  EXPECT_EQ(*floats("f64", {2}), (Floats{1.5f, 0}));
  EXPECT_EQ(*floats("f16", {2}), (Floats{1, -2}));
  EXPECT_EQ(*floats("bf16", {2}), (Floats{1, -2}));
}

TEST_F(WeightProviderTest, readsEveryIntegerType) {
  EXPECT_EQ(*integers("i64", {2}), (Integers{5, -6}));
  EXPECT_EQ(*integers("i32", {2}), (Integers{7, -8}));
  EXPECT_EQ(*integers("i16", {2}), (Integers{9, -10}));
  EXPECT_EQ(*integers("i8", {2}), (Integers{11, -12}));
  EXPECT_EQ(*integers("u8", {2}), (Integers{13, 200}));
}

TEST_F(WeightProviderTest, splatsAndSeeds) {
  ASSERT_TRUE(provider.bind("half=splat:0.5"));
  ASSERT_TRUE(provider.bind("one=splat:1"));
  ASSERT_TRUE(provider.bind("s=seeded:7"));
  ASSERT_TRUE(provider.bind("t=seeded:7:0.1"));
  EXPECT_EQ(*floats("any", {3}, "half"), (Floats{0.5f, 0.5f, 0.5f}));
  EXPECT_EQ(*integers("any", {2}, "one"), (Integers{1, 1}));
  EXPECT_EQ(*floats("w", {2, 2}, "s"), seededValues(seedForKey(7, "w"), 4));
  EXPECT_EQ(*floats("w", {2, 2}, "t"),
            seededValues(seedForKey(7, "w"), 4, 0.1));
  EXPECT_NE(*floats("v", {2, 2}, "s"), *floats("w", {2, 2}, "s"));
  EXPECT_TRUE(provider.isBound("s"));
  EXPECT_FALSE(provider.isBound("u"));
}

TEST_F(WeightProviderTest, namesWhatIsNotThere) {
  EXPECT_EQ(floats("w", {1}, "x").error(),
            "x::w: expected scope 'x' to be bound, found only m");
  EXPECT_EQ(WeightProvider().openMatrices("x", "w", {}).error(),
            "x::w: expected scope 'x' to be bound, found no scope bound");
  EXPECT_EQ(floats("w", {1}).error(),
            "m::w: expected a tensor of that key in " + path +
                ", found none among 10");
  EXPECT_EQ(integers("w", {1}).error(),
            "m::w: expected a tensor of that key in " + path +
                ", found none among 10");
}

TEST_F(WeightProviderTest, refusesShapesAndTypes) {
  EXPECT_EQ(floats("f32", {4}).error(),
            "m::f32: expected shape [4], found [2, 2]");
  EXPECT_EQ(floats("f32", {2, 1}).error(),
            "m::f32: expected shape [2, 1], found [2, 2]");
  EXPECT_EQ(floats("i32", {2}).error(),
            "m::i32: expected F32, F16, BF16 or F64, found I32");
  EXPECT_EQ(integers("f16", {2}).error(),
            "m::f16: expected I64, I32, I16, I8 or U8, found F16");
  EXPECT_EQ(integers("i32", {3}).error(),
            "m::i32: expected shape [3], found [2]");
  EXPECT_EQ(integers("large", {2}).error(),
            "m::large: expected integers of 32 bits, found 1099511627776 at "
            "element 1");
}

TEST_F(WeightProviderTest, refusesMadeValuesThatDoNotFit) {
  ASSERT_TRUE(provider.bind("half=splat:0.5"));
  ASSERT_TRUE(provider.bind("s=seeded:7"));
  EXPECT_EQ(integers("t", {2}, "half").error(),
            "half::t: expected a splat of an integer of 32 bits, found "
            "splat:0.500000");
  EXPECT_EQ(integers("t", {2}, "s").error(),
            "s::t: expected integers, found seeded values");
  EXPECT_EQ(floats("t", {int64_t(1) << 37}, "s").error(),
            "s::t: expected a shape of at most 2^36 values, found "
            "[137438953472]");
  EXPECT_EQ(floats("t", {-1}, "half").error(),
            "half::t: expected a shape of at most 2^36 values, found [-1]");
}

TEST_F(WeightProviderTest, refusesBindings) {
  for (const char *text : {"", "m", "=splat:1", "m="})
    EXPECT_EQ(WeightProvider().bind(text).error(),
              "expected scope=path.safetensors, scope=splat:VALUE or "
              "scope=seeded:SEED[:SCALE], found '" +
                  std::string(text) + "'");
  EXPECT_EQ(provider.bind("m=splat:1").error(),
            "expected each scope to be bound once, found 'm' bound again by "
            "'m=splat:1'");
  EXPECT_EQ(provider.bind("n=splat:x").error(),
            "expected a number behind splat:, found 'x'");
  for (const char *source : {"seeded:", "seeded:-1", "seeded:1:x",
                             "seeded:1:", "seeded:4294967296", "seeded:1:inf"})
    EXPECT_EQ(provider.bind("n=" + std::string(source)).error(),
              "expected seeded:SEED or seeded:SEED:SCALE with a seed of 32 "
              "bits, found '" +
                  std::string(source) + "'");
  EXPECT_EQ(provider.bind("n=/no/such/file").error(),
            "/no/such/file: cannot open: No such file or directory");
}

} // namespace
