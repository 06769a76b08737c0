// Tests of stored tensors: every encoding in every layout and back.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/StoredTensor.h"

#include "weights/Seeded.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

using namespace moec::weights;

namespace {

using Bytes = std::vector<uint8_t>;
using Floats = std::vector<float>;
using Shape = std::vector<int64_t>;

TensorForm form(const std::string &encoding, Layout layout, Shape shape) {
  Result<Encoding> parsed = encodingFromText(encoding);
  EXPECT_TRUE(parsed) << parsed.error();
  return {*parsed, layout, std::move(shape)};
}

TensorForm table(ElementType type, Shape shape) {
  return {type, Layout::RowMajor, std::move(shape)};
}

/// "F32 [2, 3]; U8 [4]": the parts of a form.
std::string parts(const TensorForm &form) {
  Result<std::vector<PartForm>> parts = partsOf(form);
  if (!parts)
    return parts.error();
  std::string text;
  for (const PartForm &part : *parts) {
    text += (text.empty() ? "" : "; ") + std::string(partSuffix(part.part)) +
            (part.part == TensorPart::Codes ? "" : " ") +
            std::string(elementTypeName(part.type)) + " " +
            shapeToString(part.shape);
    EXPECT_EQ(tensorBytes(part.type, part.shape), part.bytes) << text;
  }
  return text;
}

const char *const encodings[] = {
    "f32",
    "bf16",
    "f16",
    "f8e4m3",
    "f8e4m3 group 4",
    "f8e4m3 group 4 scale f16",
    "f8e4m3 group 4 along output",
    "int8",
    "int8 zero_point",
    "int8 scale bf16",
    "int8 group 4",
    "int8 group 4 zero_point scale f16",
    "int8 group 4 along output",
    "int8 group 4 zero_point along output",
    "int4 group 4",
    "int4 group 4 scale bf16",
    "int4 group 4 zero_point",
    "int4 group 4 zero_point scale f16",
    "int4 group 4 along output",
    "int4 group 4 zero_point scale f16 along output",
    "mxfp4 group 32",
    "mxfp4 group 32 along output",
};

TEST(StoredTensor, everyEncodingInEveryLayoutAndBack) {
  // Columns that do and do not fill panels, odd rows, several entries, none.
  const Shape shapes[] = {{8, 16},     {4, 20},      {32, 36}, {64, 32},
                          {2, 36, 12}, {2, 3, 4, 4}, {3, 32},  {1, 4},
                          {4, 1},      {5, 7},       {0, 32},  {32, 0},
                          {0, 32, 32}, {32},         {7},      {}};
  size_t tried = 0;
  for (const char *text : encodings)
    for (Layout layout : {Layout::RowMajor, Layout::Panel16})
      for (const Shape &shape : shapes) {
        TensorForm tensor = form(text, layout, shape);
        MatrixShape matrices = matrixShapeOf(shape);
        if (!verifyEncoding(*tensor.encoding(), matrices))
          continue;
        ++tried;
        Floats values = seededValues(7, *elementCount(shape));
        Result<Floats> expected =
            roundTrip(*tensor.encoding(), matrices, values);
        ASSERT_TRUE(expected) << expected.error();
        Result<StoredTensor> stored = storeFloats(tensor, values);
        ASSERT_TRUE(stored) << toString(tensor) << ": " << stored.error();
        Result<std::vector<PartForm>> forms = partsOf(tensor);
        ASSERT_TRUE(forms);
        StoredTensorView view = *stored;
        size_t bytes = 0;
        for (const PartForm &part : *forms) {
          EXPECT_EQ(view[part.part].size(), part.bytes) << toString(tensor);
          bytes += part.bytes;
        }
        EXPECT_EQ(view.codes.size() + view.scales.size() +
                      view.zeroPoints.size(),
                  bytes);
        if (layout == Layout::RowMajor) {
          EXPECT_EQ(bytes, *encodedBytes(*tensor.encoding(), matrices));
        }
        Result<Floats> loaded = loadFloats(tensor, *stored);
        ASSERT_TRUE(loaded) << toString(tensor) << ": " << loaded.error();
        EXPECT_EQ(*loaded, *expected) << toString(tensor);
      }
  EXPECT_GT(tried, 300u);
}

TEST(StoredTensor, rowMajorCodesOfWholeBytesKeepTypeAndShape) {
  Layout rows = Layout::RowMajor;
  EXPECT_EQ(parts(form("f32", rows, {2, 4, 8})), "F32 [2, 4, 8]");
  EXPECT_EQ(parts(form("bf16", rows, {8})), "BF16 [8]");
  EXPECT_EQ(parts(form("f16", rows, {})), "F16 []");
  EXPECT_EQ(parts(form("f8e4m3", rows, {4, 8})), "F8_E4M3 [4, 8]");
  EXPECT_EQ(parts(form("f8e4m3 group 4", rows, {4, 8})),
            "F8_E4M3 [4, 8]; .scales F32 [1, 1, 8]");
  EXPECT_EQ(parts(form("int8", rows, {2, 4, 8})),
            "I8 [2, 4, 8]; .scales F32 [2]");
  EXPECT_EQ(parts(form("int8 zero_point scale f16", rows, {4, 8})),
            "U8 [4, 8]; .scales F16 [1]; .zero_points U8 [1]");
}

TEST(StoredTensor, otherCodesAreBytes) {
  Layout rows = Layout::RowMajor, panels = Layout::Panel16;
  EXPECT_EQ(parts(form("f32", panels, {4, 20})), "U8 [512]");
  EXPECT_EQ(parts(form("int4 group 4", rows, {2, 8, 3})),
            "U8 [24]; .scales F32 [2, 2, 3]");
  EXPECT_EQ(parts(form("int4 group 4 zero_point scale bf16 along output", rows,
                       {3, 8})),
            "U8 [12]; .scales BF16 [1, 3, 2]; .zero_points U8 [1, 3, 2]");
  // Scales follow the columns into panels where they have the same columns.
  EXPECT_EQ(parts(form("int4 group 4 zero_point", panels, {8, 20})),
            "U8 [128]; .scales F32 [64]; .zero_points U8 [64]");
  EXPECT_EQ(parts(form("int4 group 4 along output", panels, {8, 20})),
            "U8 [128]; .scales F32 [1, 8, 5]");
  EXPECT_EQ(parts(form("mxfp4 group 32", panels, {64, 16})),
            "U8 [512]; .scales F8_E8M0 [32]");
  EXPECT_EQ(parts(form("int8 zero_point", panels, {3, 2, 16})),
            "U8 [96]; .scales F32 [3]; .zero_points U8 [3]");
}

TEST(StoredTensor, codesThatAreChosenAlready) {
  Floats values = {7, -7, 1, 2, 3, 4, 5, 6};
  TensorForm tensor = form("int8 group 2 zero_point", Layout::Panel16, {4, 2});
  EncodedTensor encoded = *encode(*tensor.encoding(), {1, 4, 2}, values);
  Result<StoredTensor> expected = storeFloats(tensor, values);
  Result<StoredTensor> stored = storeEncoded(tensor, encoded);
  ASSERT_TRUE(stored) << stored.error();
  EXPECT_EQ(stored->codes, expected->codes);
  EXPECT_EQ(stored->scales, expected->scales);
  EXPECT_EQ(stored->zeroPoints, expected->zeroPoints);
  encoded.shape = {1, 2, 4};
  EXPECT_EQ(storeEncoded(tensor, encoded).error(),
            "expected codes of int8 group 2 zero_point panel16 [4, 2], found "
            "int8 group 2 zero_point panel16 [1, 2, 4]");
  tensor.values = ElementType::I32;
  EXPECT_FALSE(storeEncoded(tensor, encoded));
}

TEST(StoredTensor, panelsOfNibblesHoldPairsOfRows) {
  // Columns 0 and 1 of rows 0 to 4; scales are 1, so codes are the values.
  Floats values = {7, -7, 1, 2, 3, 4, 5, 6, 7, 7};
  TensorForm tensor = form("int4 group 1", Layout::Panel16, {5, 2});
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = i % 3 == 0 ? 7.0f : -7.0f;
  Result<StoredTensor> stored = storeFloats(tensor, values);
  ASSERT_TRUE(stored) << stored.error();
  // Rows 0 and 1, 2 and 3, 4 and none; 16 columns each.
  Bytes expected(48);
  expected[0] = 0x97; // row 0: 7, row 1: -7
  expected[1] = 0x79; // -7, 7
  expected[16] = 0x79;
  expected[17] = 0x99;
  expected[32] = 0x09;
  expected[33] = 0x07;
  EXPECT_EQ(stored->codes, expected);
  // [1][5][16] of f32.
  EXPECT_EQ(stored->scales.size(), 5u * 16 * 4);
}

TEST(StoredTensor, tablesThereAndBack) {
  struct Case {
    ElementType type;
    int64_t least, largest;
  };
  const Case cases[] = {{ElementType::Bool, 0, 1},
                        {ElementType::U8, 0, 255},
                        {ElementType::I8, -128, 127},
                        {ElementType::U16, 0, 65535},
                        {ElementType::I16, -32768, 32767},
                        {ElementType::U32, 0, 4294967295},
                        {ElementType::I32, -2147483648, 2147483647},
                        {ElementType::I64, std::numeric_limits<int64_t>::min(),
                         std::numeric_limits<int64_t>::max()}};
  for (auto [type, least, largest] : cases) {
    TensorForm tensor = table(type, {4});
    EXPECT_EQ(parts(tensor), std::string(elementTypeName(type)) + " [4]");
    std::vector<int64_t> values = {least, largest, 0, 1};
    Result<StoredTensor> stored = storeIntegers(tensor, values);
    ASSERT_TRUE(stored) << stored.error();
    EXPECT_EQ(*loadIntegers(tensor, *stored), values);
    EXPECT_TRUE(verifySplat(tensor, double(least)));
    if (type == ElementType::I64)
      continue;
    EXPECT_TRUE(verifySplat(tensor, double(largest)));
    EXPECT_FALSE(verifySplat(tensor, double(largest + 1)));
    EXPECT_FALSE(verifySplat(tensor, double(least - 1)));
    values[3] = largest + 1;
    EXPECT_EQ(storeIntegers(tensor, values).error(),
              "expected values from " + std::to_string(least) + " to " +
                  std::to_string(largest) + ", found " +
                  std::to_string(largest + 1) + " at 3");
    values[3] = least - 1;
    EXPECT_FALSE(storeIntegers(tensor, values));
  }
  TensorForm wide = table(ElementType::I64, {1});
  EXPECT_FALSE(verifySplat(wide, 0x1p63));
  EXPECT_TRUE(verifySplat(wide, -0x1p63));
  EXPECT_EQ(verifySplat(wide, 0.5).error(),
            "expected an integer from -9223372036854775808 to "
            "9223372036854775807, found 0.5");
}

TEST(StoredTensor, splatsAreRoundedAsTheirEncodingRounds) {
  for (const char *text : encodings)
    for (double value : {0.0, 1.0, 0.3, -0.7, 100.1}) {
      TensorForm tensor = form(text, Layout::RowMajor, {32, 32});
      Result<float> splat = splatFloat(tensor, value);
      ASSERT_TRUE(splat) << splat.error();
      EXPECT_TRUE(verifySplat(tensor, value));
      Floats values(1024, float(value));
      Result<StoredTensor> stored = storeFloats(tensor, values);
      ASSERT_TRUE(stored);
      EXPECT_EQ(*loadFloats(tensor, *stored), Floats(1024, *splat))
          << text << " " << value;
    }
  // However large its groups: only one of their members is looked at.
  int64_t large = int64_t(1) << 50;
  TensorForm huge =
      form("int4 group " + std::to_string(large), Layout::Panel16, {large, 1});
  EXPECT_EQ(*splatFloat(huge, 7), 7.0f);
  TensorForm plain = form("f32", Layout::RowMajor, {1});
  EXPECT_EQ(verifySplat(plain, 1e39).error(),
            "expected a finite f32 as splat, found 9.9999999999999994e+38");
  EXPECT_FALSE(verifySplat(plain, NAN));
  EXPECT_EQ(verifySplat(form("f16", Layout::RowMajor, {1}), 1e6).error(),
            "expected a splat within f16, found 1000000");
}

TEST(StoredTensor, refusesFormsThatDoNotGoTogether) {
  Layout rows = Layout::RowMajor;
  EXPECT_EQ(parts(form("int4 group 4", rows, {6, 8})),
            "expected a group that divides the 6 rows, found group 4");
  EXPECT_EQ(parts(form("f32", Layout::Vnni2, {2, 2})),
            "layout vnni2 is not supported yet; expected row_major or panel16");
  EXPECT_EQ(parts(form("f32", rows, {1, 1, 1, 1, 1, 1, 1, 1, 1})),
            "expected at most 8 extents, found 9");
  EXPECT_EQ(parts(form("f32", rows, {-1})),
            "expected a shape of less than 2^60 bytes, found [-1]");
  // Leading extents overflow though the whole has no element.
  int64_t large = int64_t(1) << 40;
  EXPECT_EQ(parts(form("f32", rows, {large, large, large, 0})),
            "expected a shape of less than 2^60 bytes, found [1099511627776, "
            "1099511627776, 1099511627776, 0]");
  EXPECT_EQ(parts(table(ElementType::F64, {2})),
            "expected an encoding, or a table of BOOL, U8, I8, I16, U16, I32, "
            "U32 or I64, found F64");
  TensorForm panels = table(ElementType::I32, {2});
  panels.layout = Layout::Panel16;
  EXPECT_EQ(parts(panels),
            "expected layout row_major of a table, found panel16");
}

TEST(StoredTensor, refusesBytesAndValuesThatDoNotFit) {
  TensorForm tensor = form("int4 group 4 zero_point", Layout::RowMajor, {4, 4});
  Floats values(16, 1.0f);
  Result<StoredTensor> stored = storeFloats(tensor, values);
  ASSERT_TRUE(stored);
  StoredTensor bad = *stored;
  bad.codes.pop_back();
  EXPECT_EQ(loadFloats(tensor, bad).error(),
            "expected 8 bytes of codes, found 7");
  bad = *stored;
  bad.scales.push_back(0);
  EXPECT_EQ(loadFloats(tensor, bad).error(),
            "expected 16 bytes of scales, found 17");
  bad = *stored;
  bad.zeroPoints.clear();
  EXPECT_EQ(loadFloats(tensor, bad).error(),
            "expected 4 bytes of zero points, found 0");
  values[5] = NAN;
  EXPECT_FALSE(storeFloats(tensor, values));
  values.pop_back();
  EXPECT_EQ(storeFloats(tensor, values).error(),
            "expected 16 values, found 15");
  EXPECT_EQ(loadIntegers(tensor, *stored).error(),
            "expected a form of integers, found int4 group 4 zero_point "
            "row_major [4, 4]");
  TensorForm numbers = table(ElementType::I32, {2});
  EXPECT_EQ(loadFloats(numbers, StoredTensor{}).error(),
            "expected a form of floats, found I32 row_major [2]");
  EXPECT_FALSE(storeFloats(numbers, Floats(2)));
  EXPECT_FALSE(splatFloat(numbers, 1));
  EXPECT_FALSE(storeIntegers(tensor, std::vector<int64_t>(16)));
  EXPECT_EQ(storeIntegers(numbers, std::vector<int64_t>(3)).error(),
            "expected 2 values, found 3");
  EXPECT_EQ(loadIntegers(numbers, StoredTensor{}).error(),
            "expected 8 bytes of codes, found 0");
}

} // namespace
