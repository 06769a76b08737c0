// Tests of safetensors: every refusal with its message, and the way back.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Safetensors.h"

#include "test/unit/TemporaryFolder.h"

#include <gtest/gtest.h>

using namespace moec::weights;

namespace {

/// A file of this header and that many bytes of data.
std::string makeFile(const std::string &header, size_t dataBytes = 0) {
  std::string file(8, '\0');
  for (size_t i = 0; i < 8; ++i)
    file[i] = char(header.size() >> (8 * i));
  return file + header + std::string(dataBytes, 'd');
}

Result<SafetensorsHeader> parse(const std::string &file) {
  return parseSafetensors(
      "f", {reinterpret_cast<const uint8_t *>(file.data()), file.size()});
}

/// The message that refuses the file, without the file's name.
std::string refusal(const std::string &file) {
  Result<SafetensorsHeader> header = parse(file);
  EXPECT_FALSE(header) << "was accepted";
  EXPECT_EQ(header.error().substr(0, 3), "f: ");
  return header ? "" : header.error().substr(3);
}

std::string refusalOf(const std::string &header, size_t dataBytes = 0) {
  return refusal(makeFile(header, dataBytes));
}

/// The header of one tensor 'a' with the given fields.
std::string tensor(const std::string &type, const std::string &shape,
                   const std::string &offsets) {
  return R"({"a":{"dtype":)" + type + R"(,"shape":)" + shape +
         R"(,"data_offsets":)" + offsets + "}}";
}

TEST(Safetensors, readsWhatIsWellFormed) {
  std::string file =
      makeFile(R"({"__metadata__":{"k":"v"},"b":{"shape":[2],"dtype":"F32",)"
               R"("data_offsets":[4,12]},"a":{"dtype":"BF16","shape":[1,2],)"
               R"("data_offsets":[0,4]},"e":{"dtype":"I8","shape":[0],)"
               R"("data_offsets":[4,4]}}   )",
               12);
  Result<SafetensorsHeader> header = parse(file);
  ASSERT_TRUE(header) << header.error();
  ASSERT_EQ(header->tensors.size(), 3u);
  // In the order of their data.
  EXPECT_EQ(header->tensors[0].name, "a");
  EXPECT_EQ(header->tensors[0].type, ElementType::BF16);
  EXPECT_EQ(header->tensors[0].shape, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(header->tensors[1].name, "e");
  EXPECT_EQ(header->tensors[2].begin, 4u);
  EXPECT_EQ(header->tensors[2].end, 12u);
  EXPECT_EQ(header->metadata.at("k"), "v");
  EXPECT_EQ(header->dataOffset, file.size() - 12);
  EXPECT_TRUE(parse(makeFile("{}")));
  EXPECT_TRUE(parse(makeFile(tensor("\"F64\"", "[]", "[0,8]"), 8)));
}

TEST(Safetensors, refusesByTheHeadersLength) {
  EXPECT_EQ(refusal("1234567"),
            "expected a safetensors file of at least 8 bytes, found 7");
  EXPECT_EQ(refusal(std::string("\x01\xE1\xF5\x05\0\0\0\0", 8)),
            "expected a header of at most 100000000 bytes, found 100000001");
  EXPECT_EQ(refusal(std::string(8, '\xFF')),
            "expected a header of at most 100000000 bytes, found "
            "18446744073709551615");
  EXPECT_EQ(refusal(std::string("\x05\0\0\0\0\0\0\0{}", 10)),
            "expected a header within the 10 bytes of the file, found 5 bytes "
            "of header");
}

TEST(Safetensors, refusesWhatIsNotJson) {
  EXPECT_EQ(refusalOf(""), "expected a header that starts with '{', found an "
                           "empty header");
  EXPECT_EQ(refusalOf(" {}"),
            "expected a header that starts with '{', found byte 32");
  EXPECT_EQ(refusalOf(std::string("{}\0", 3)),
            "expected JSON text as header, found a zero byte");
  EXPECT_EQ(refusalOf("{} x"),
            "expected JSON text as header, found at byte 3: The document root "
            "must not be followed by other values.");
  EXPECT_EQ(refusalOf("{\"\xFF\":1}"),
            "expected JSON text as header, found at byte 2: Invalid encoding "
            "in string.");
  EXPECT_EQ(refusalOf("{"),
            "expected JSON text as header, found at byte 1: Missing a name for "
            "object member.");
}

TEST(Safetensors, refusesNestingWithoutRecursion) {
  std::string deep = "{\"a\":" + std::string(1000000, '[');
  EXPECT_EQ(refusalOf(deep), "tensor 'a': expected an object, found an array");
  EXPECT_EQ(refusalOf(tensor("\"F32\"", "[[1]]", "[0,4]")),
            "tensor 'a': expected non-negative integers in its shape, found an "
            "array");
  EXPECT_EQ(refusalOf(tensor("{}", "[1]", "[0,4]")),
            "tensor 'a': expected a string for dtype, found an object");
}

TEST(Safetensors, refusesWrongFields) {
  EXPECT_EQ(refusalOf(R"({"a":1})"),
            "tensor 'a': expected an object, found a number");
  EXPECT_EQ(refusalOf(R"({"a":"x"})"),
            "tensor 'a': expected an object, found a string");
  EXPECT_EQ(refusalOf(R"({"a":null})"),
            "tensor 'a': expected an object, found null");
  EXPECT_EQ(refusalOf(R"({"a":{}})"),
            "tensor 'a': expected dtype, shape and data_offsets, found no "
            "dtype");
  EXPECT_EQ(refusalOf(R"({"a":{"dtype":"F32"}})"),
            "tensor 'a': expected dtype, shape and data_offsets, found no "
            "shape");
  EXPECT_EQ(refusalOf(R"({"a":{"dtype":"F32","shape":[]}})"),
            "tensor 'a': expected dtype, shape and data_offsets, found no "
            "data_offsets");
  EXPECT_EQ(refusalOf(R"({"a":{"color":1}})"),
            "tensor 'a': expected dtype, shape and data_offsets, found "
            "'color'");
  EXPECT_EQ(refusalOf(tensor("\"F31\"", "[1]", "[0,4]")),
            "tensor 'a': expected a known dtype, found 'F31'");
  EXPECT_EQ(refusalOf(tensor("32", "[1]", "[0,4]")),
            "tensor 'a': expected a string for dtype, found a number");
  EXPECT_EQ(refusalOf(tensor("\"F32\"", "1", "[0,4]")),
            "tensor 'a': expected an array for shape, found a number");
  EXPECT_EQ(refusalOf(tensor("\"F32\"", "[-1]", "[0,4]")),
            "tensor 'a': expected non-negative integers in its shape, found a "
            "negative number");
  EXPECT_EQ(refusalOf(tensor("\"F32\"", "[1.5]", "[0,4]")),
            "tensor 'a': expected non-negative integers in its shape, found a "
            "fraction");
  EXPECT_EQ(refusalOf(tensor("\"F32\"", "[true]", "[0,4]")),
            "tensor 'a': expected non-negative integers in its shape, found a "
            "boolean");
  EXPECT_EQ(refusalOf(tensor("\"F32\"", "[9223372036854775808]", "[0,4]")),
            "tensor 'a': expected extents below 2^63 in its shape, found "
            "9223372036854775808");
  std::string manyExtents = "[1";
  for (int i = 0; i < 64; ++i)
    manyExtents += ",1";
  EXPECT_EQ(refusalOf(tensor("\"F32\"", manyExtents + "]", "[0,4]")),
            "tensor 'a': expected at most 64 extents in its shape, found more");
  EXPECT_EQ(refusalOf(tensor("\"F32\"", "[1]", "[0]")),
            "tensor 'a': expected two data_offsets, found 1");
  EXPECT_EQ(refusalOf(tensor("\"F32\"", "[1]", "[0,4,8]")),
            "tensor 'a': expected two data_offsets, found more");
  EXPECT_EQ(refusalOf(tensor("\"F32\"", "[1]", "[0,\"4\"]")),
            "tensor 'a': expected non-negative integers in its data_offsets, "
            "found a string");
  EXPECT_EQ(refusalOf(R"({"__metadata__":{"k":1}})"),
            "__metadata__: expected a string for 'k', found a number");
  EXPECT_EQ(refusalOf(R"({"__metadata__":[]})"),
            "tensor '__metadata__': expected an object, found an array");
}

TEST(Safetensors, refusesDuplicates) {
  std::string one = R"("a":{"dtype":"I8","shape":[0],"data_offsets":[0,0]})";
  EXPECT_EQ(refusalOf("{" + one + "," + one + "}"),
            "expected each tensor once, found 'a' twice");
  // The same name by an escape.
  EXPECT_EQ(refusalOf("{" + one + R"(,"b")" + one.substr(3) +
                      R"(,"\u0061")" + one.substr(3) + "}"),
            "expected each tensor once, found 'a' twice");
  EXPECT_EQ(refusalOf(R"({"__metadata__":{"k":"1","k":"2"}})"),
            "__metadata__: expected each key once, found 'k' twice");
  EXPECT_EQ(refusalOf(R"({"__metadata__":{},"__metadata__":{}})"),
            "expected each tensor once, found '__metadata__' twice");
  EXPECT_EQ(refusalOf(R"({"a":{"dtype":"F32","dtype":"F32"}})"),
            "tensor 'a': expected dtype once, found it twice");
}

TEST(Safetensors, refusesSizesThatDoNotFit) {
  EXPECT_EQ(refusalOf(tensor("\"F32\"", "[2]", "[0,4]"), 4),
            "tensor 'a': expected 8 bytes for shape [2] of F32, found 4");
  EXPECT_EQ(refusalOf(tensor("\"F32\"", "[2]", "[8,0]"), 8),
            "tensor 'a': expected data_offsets in order, found 8 to 0");
  EXPECT_EQ(refusalOf(tensor("\"F32\"", "[2]", "[0,8]"), 7),
            "tensor 'a': expected data_offsets within the 7 bytes of data, "
            "found 0 to 8");
  EXPECT_EQ(refusalOf(tensor("\"F4\"", "[3]", "[0,2]"), 2),
            "tensor 'a': expected whole bytes, below 2^60, found shape [3] of "
            "F4");
  EXPECT_EQ(
      refusalOf(tensor("\"F32\"", "[4294967296,4294967296]", "[0,4]"), 4),
      "tensor 'a': expected whole bytes, below 2^60, found shape [4294967296, "
      "4294967296] of F32");
}

TEST(Safetensors, refusesGapsOverlapsAndTrailingBytes) {
  auto two = [](const std::string &first, const std::string &second) {
    return R"({"a":{"dtype":"I8","shape":[4],"data_offsets":)" + first +
           R"(},"b":{"dtype":"I8","shape":[4],"data_offsets":)" + second + "}}";
  };
  EXPECT_TRUE(parse(makeFile(two("[0,4]", "[4,8]"), 8)));
  EXPECT_EQ(refusalOf(two("[0,4]", "[5,9]"), 9),
            "tensor 'b': expected its data at 4, found it at 5, a gap");
  EXPECT_EQ(refusalOf(two("[1,5]", "[5,9]"), 9),
            "tensor 'a': expected its data at 0, found it at 1, a gap");
  EXPECT_EQ(refusalOf(two("[0,4]", "[3,7]"), 7),
            "tensor 'b': expected its data at 4, found it at 3, an overlap");
  EXPECT_EQ(refusalOf(two("[0,4]", "[4,8]"), 9),
            "expected the file to end behind the last tensor, at 8 bytes of "
            "data, found 9");
  EXPECT_EQ(refusalOf("{}", 1),
            "expected the file to end behind the last tensor, at 0 bytes of "
            "data, found 1");
}

TEST(Safetensors, refusesTooManyTensors) {
  std::string header = "{";
  for (uint64_t i = 0; i <= safetensorsMaxTensors + 1; ++i) {
    header += (i ? ",\"" : "\"") + std::to_string(i) +
              R"(":{"dtype":"I8","shape":[0],"data_offsets":[0,0]})";
    if (header.size() > safetensorsMaxHeaderBytes - 100)
      break;
  }
  EXPECT_EQ(refusalOf(header + "}"),
            "expected at most 1048576 tensors, found more");
}

TEST(Safetensors, cutsAndCleansNamesInMessages) {
  std::string name(1000, 'x');
  EXPECT_EQ(refusalOf("{\"" + name + "\":1}"),
            "tensor '" + std::string(200, 'x') +
                "...': expected an object, found a number");
  EXPECT_EQ(refusalOf(R"({"a\u001bb":1})"),
            "tensor 'a?b': expected an object, found a number");
}

TEST(Safetensors, writesWhatItReads) {
  moec::test::TemporaryFolder folder;
  std::string path = folder.file("w.safetensors");
  const uint8_t first[] = {1, 2, 3, 4}, second[] = {5};
  std::vector<TensorToWrite> tensors = {
      {"q \"quoted\" \xC3\xA9", ElementType::BF16, {2, 1}, first},
      {"scalar", ElementType::Bool, {}, second},
      {"empty", ElementType::F32, {0, 3}, {}}};
  Status written = writeSafetensors(path, tensors, {{"format", "pt"}});
  ASSERT_TRUE(written) << written.error();
  Result<SafetensorsFile> file = SafetensorsFile::open(path);
  ASSERT_TRUE(file) << file.error();
  EXPECT_EQ(file->metadata().at("format"), "pt");
  ASSERT_EQ(file->tensors().size(), 3u);
  const TensorRecord *quoted = file->find("q \"quoted\" \xC3\xA9");
  ASSERT_TRUE(quoted);
  EXPECT_EQ(quoted->shape, (std::vector<int64_t>{2, 1}));
  EXPECT_TRUE(std::ranges::equal(file->data(*quoted), first));
  EXPECT_TRUE(std::ranges::equal(file->data(*file->find("scalar")), second));
  EXPECT_EQ(file->find("none"), nullptr);
  // The data starts at a multiple of 8.
  EXPECT_EQ(std::filesystem::file_size(path) % 8, 5u);
}

TEST(Safetensors, refusesToWriteNonsense) {
  moec::test::TemporaryFolder folder;
  std::string path = folder.file("w.safetensors");
  const uint8_t data[] = {1, 2, 3, 4};
  std::vector<TensorToWrite> tensors = {{"a", ElementType::F32, {1}, data},
                                        {"a", ElementType::F32, {1}, data}};
  EXPECT_EQ(writeSafetensors(path, tensors).error(),
            path + ": tensor 'a': expected each name once, and not "
                   "__metadata__");
  tensors.pop_back();
  tensors[0].shape = {2};
  EXPECT_EQ(writeSafetensors(path, tensors).error(),
            path + ": tensor 'a': expected 8 bytes for shape [2] of F32, found "
                   "4");
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Safetensors, namesTheFileThatIsMissing) {
  EXPECT_EQ(SafetensorsFile::open("/no/such/file").error(),
            "/no/such/file: cannot open: No such file or directory");
}

} // namespace
