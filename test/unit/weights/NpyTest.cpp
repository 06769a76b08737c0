// Tests of .npy: the format's bytes, every refusal, and the way back.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Npy.h"

#include "test/unit/TemporaryFolder.h"

#include <gtest/gtest.h>

using namespace moec::weights;

namespace {

std::string makeFile(const std::string &header, size_t dataBytes = 0,
                     char version = 1) {
  std::string file = "\x93NUMPY";
  file += version;
  file += '\0';
  file += char(header.size());
  file += char(header.size() >> 8);
  if (version == 2)
    file += std::string(2, '\0');
  return file + header + std::string(dataBytes, 'd');
}

Result<NpyArray> parse(const std::string &file) {
  return parseNpy(
      "f", {reinterpret_cast<const uint8_t *>(file.data()), file.size()});
}

std::string refusal(const std::string &file) {
  Result<NpyArray> array = parse(file);
  EXPECT_FALSE(array) << "was accepted";
  return array ? "" : array.error();
}

constexpr char good[] =
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }  \n";

TEST(Npy, readsVersionsOneAndTwo) {
  for (char version : {1, 2}) {
    Result<NpyArray> array = parse(makeFile(good, 24, version));
    ASSERT_TRUE(array) << array.error();
    EXPECT_EQ(array->type, ElementType::F32);
    EXPECT_EQ(array->shape, (std::vector<int64_t>{2, 3}));
    EXPECT_EQ(array->data.size(), 24u);
  }
}

TEST(Npy, readsTuplesOfEveryRank) {
  auto shapeOf = [](const std::string &tuple, size_t bytes) {
    Result<NpyArray> array = parse(makeFile(
        "{'shape':" + tuple + ",\"fortran_order\":False,'descr':'<i8'}",
        bytes));
    EXPECT_TRUE(array) << array.error();
    return array ? array->shape : std::vector<int64_t>{-1};
  };
  EXPECT_EQ(shapeOf("()", 8), (std::vector<int64_t>{}));
  EXPECT_EQ(shapeOf("(3,)", 24), (std::vector<int64_t>{3}));
  EXPECT_EQ(shapeOf("(0, 5)", 0), (std::vector<int64_t>{0, 5}));
  EXPECT_EQ(shapeOf("(1,1,2,)", 16), (std::vector<int64_t>{1, 1, 2}));
}

TEST(Npy, refusesWhatIsNotNpy) {
  EXPECT_EQ(refusal("hello"),
            "f: expected a .npy file, found other bytes at its start");
  EXPECT_EQ(refusal(makeFile(good, 24, 3)),
            "f: expected .npy version 1.0 or 2.0, found 3.0");
  EXPECT_EQ(refusal(std::string("\x93NUMPY\2\0\1\0\0", 11)),
            "f: expected a header length, found the end of the file");
  EXPECT_EQ(refusal(std::string("\x93NUMPY\1\0\7\0", 10)),
            "f: expected a header within the file and of at most 65536 bytes, "
            "found 7");
}

TEST(Npy, refusesOtherHeaders) {
  const char *expected = "f: expected a header {'descr': ..., "
                         "'fortran_order': ..., 'shape': (...)}, found other "
                         "text";
  for (const char *header :
       {"", "{}", "{'descr': '<f4'}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2 3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': [2, 3]}",
        "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2, 3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)} x",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (), 'x': 1}",
        "{'descr': '<f4, 'fortran_order': False, 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': "
        "(99999999999999999999,)}"})
    EXPECT_EQ(refusal(makeFile(header, 24)), expected) << header;
}

TEST(Npy, refusesTypesOrderAndSizes) {
  auto refused = [](const std::string &type, const std::string &order,
                    const std::string &shape, size_t bytes) {
    return refusal(makeFile("{'descr': '" + type + "', 'fortran_order': " +
                                order + ", 'shape': " + shape + "}",
                            bytes));
  };
  EXPECT_EQ(refused(">f4", "False", "(1,)", 4),
            "f: expected descr <f2, <f4, <f8, |i1, <i4, <i8, |u1 or |b1, found "
            "'>f4'");
  EXPECT_EQ(refused("<f4", "True", "(1,)", 4),
            "f: expected C order, found Fortran order");
  EXPECT_EQ(refused("<f4", "False", "(2,)", 7),
            "f: expected 8 bytes of data for shape [2], found 7");
  EXPECT_EQ(refused("<f4", "False", "(2,)", 9),
            "f: expected 8 bytes of data for shape [2], found 9");
  EXPECT_EQ(refused("<f4", "False", "(-2,)", 8),
            "f: expected non-negative extents of less than 2^60 bytes, found "
            "shape [-2]");
  EXPECT_EQ(refused("<f4", "False", "(4611686018427387904, 4)", 8),
            "f: expected non-negative extents of less than 2^60 bytes, found "
            "shape [4611686018427387904, 4]");
}

TEST(Npy, writesWhatItReads) {
  moec::test::TemporaryFolder folder;
  std::string path = folder.file("a.npy");
  for (ElementType type :
       {ElementType::F16, ElementType::F32, ElementType::F64, ElementType::I8,
        ElementType::I32, ElementType::I64, ElementType::U8, ElementType::Bool})
    for (std::vector<int64_t> shape :
         {std::vector<int64_t>{}, {3}, {2, 3}, {0, 2}}) {
      std::vector<uint8_t> data(*tensorBytes(type, shape), 42);
      Status written = writeNpy(path, type, shape, data);
      ASSERT_TRUE(written) << written.error();
      Result<NpyArray> array = readNpy(path);
      ASSERT_TRUE(array) << array.error();
      EXPECT_EQ(array->type, type);
      EXPECT_EQ(array->shape, shape);
      EXPECT_EQ(array->data, data);
      EXPECT_EQ((std::filesystem::file_size(path) - data.size()) % 64, 0u);
    }
}

TEST(Npy, refusesToWriteWhatTheFormatLacks) {
  const uint8_t data[] = {0, 0};
  int64_t one[] = {1}, two[] = {2};
  EXPECT_EQ(writeNpy("f", ElementType::BF16, one, data).error(),
            "f: expected a type that .npy has, found BF16");
  EXPECT_EQ(writeNpy("f", ElementType::F16, two, data).error(),
            "f: expected data that fills shape [2], found 2 bytes");
}

} // namespace
