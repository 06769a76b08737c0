// Tests of what archives say of themselves: every refusal, and the way back.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/ArchiveHeader.h"

#include "test/unit/weights/ExampleArchive.h"
#include "weights/Safetensors.h"

#include <gtest/gtest.h>

using namespace moec::test;
using namespace moec::weights;

namespace {

std::string replaced(std::string text, const std::string &from,
                     const std::string &to) {
  size_t place = text.find(from);
  EXPECT_NE(place, std::string::npos) << from;
  return place == std::string::npos ? text
                                    : text.replace(place, from.size(), to);
}

/// The message that refuses a text, without what is in front of all.
std::string refusal(const std::string &text) {
  Result<ArchiveHeader> header = parseArchiveMetadata("f", text);
  EXPECT_FALSE(header) << "was accepted: " << text;
  std::string front = "f: moec.archive: ";
  EXPECT_EQ(header.error().substr(0, front.size()), front);
  return header ? "" : header.error().substr(front.size());
}

/// An archive of one record 'r' of one tensor 't'.
const std::string record =
    R"({"name":"r","class":"base","offset":0,"length":8,)"
    R"("xxh3":"00000000000000ff","tensors":[{"name":"t","encoding":"f32",)"
    R"("layout":"row_major","shape":[2]}]})";
const std::string one =
    R"({"moec_archive":"0.1","layout_hash":"0123456789abcdef",)"
    R"("source":{"name":"a/b","hash":"0a"},"records":[)" +
    record + "]}";

std::string refusalOf(const std::string &from, const std::string &to) {
  return refusal(replaced(one, from, to));
}

/// A whole file with the metadata and these tensors.
std::string makeFile(const std::string &metadata,
                     const std::vector<TensorRecord> &tensors,
                     uint64_t alignment = 4096) {
  Result<std::string> header =
      safetensorsHeader(tensors,
                        {{"moec.archive", metadata},
                         {"moec.archive.xxh3", hashText(hash64(metadata))}},
                        alignment);
  EXPECT_TRUE(header) << header.error();
  return *header + std::string(tensors.empty() ? 0 : tensors.back().end, '\0');
}

Result<ArchiveHeader> parse(const std::string &file) {
  return parseArchive(
      "f", {reinterpret_cast<const uint8_t *>(file.data()), file.size()});
}

std::string refusalOfFile(const std::string &metadata,
                          const std::vector<TensorRecord> &tensors) {
  Result<ArchiveHeader> header = parse(makeFile(metadata, tensors));
  EXPECT_FALSE(header);
  return header ? "" : header.error();
}

const TensorRecord t = {"t", ElementType::F32, {2}, 0, 8};
TensorRecord pad(uint64_t begin, uint64_t end, int number = 0) {
  return {"__pad__." + std::to_string(number),
          ElementType::U8,
          {int64_t(end - begin)},
          begin,
          end};
}

TEST(ArchiveHeader, classesHaveNames) {
  for (const char *name :
       {"base", "residual", "router", "table", "prototype", "shared", "other"})
    EXPECT_EQ(recordClassName(*recordClassFromName(name)), name);
  EXPECT_FALSE(recordClassFromName("Base"));
}

TEST(ArchiveHeader, placesRecordsInPagesAndPartsBehindEachOther) {
  ArchiveHeader plan = exampleArchive();
  Status status = placeArchive(plan);
  ASSERT_TRUE(status) << status.error();
  uint64_t cursor = 0;
  for (const ArchiveRecord &record : plan.records) {
    EXPECT_EQ(record.offset, (cursor + 4095) / 4096 * 4096);
    cursor = record.offset;
    for (const ArchiveTensor &tensor : record.tensors)
      for (auto [begin, end] : tensor.parts) {
        EXPECT_EQ(begin, (cursor + 63) / 64 * 64);
        cursor = end;
      }
    EXPECT_EQ(record.offset + record.length, cursor);
  }
  EXPECT_EQ(plan.dataBytes, (cursor + 4095) / 4096 * 4096);
  EXPECT_EQ(plan.dataOffset % 4096, 0u);
  // Hashes do not change the length.
  for (ArchiveRecord &record : plan.records)
    record.hash = ~uint64_t(0);
  EXPECT_EQ(archiveFileHeader(plan)->size(), plan.dataOffset);
}

TEST(ArchiveHeader, textAndBack) {
  ArchiveHeader plan = exampleArchive();
  plan.records[0].name = "qu\"ote \\ \xC3\xA9";
  plan.records[4].tensors[0].splat = -1e-30;
  ASSERT_TRUE(placeArchive(plan));
  Result<ArchiveHeader> read = parseArchiveMetadata("f", archiveMetadata(plan));
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(archiveMetadata(*read), archiveMetadata(plan));
  std::string file =
      *archiveFileHeader(plan) + std::string(plan.dataBytes, '\0');
  Result<ArchiveHeader> whole = parse(file);
  ASSERT_TRUE(whole) << whole.error();
  EXPECT_EQ(*whole, plan);
}

TEST(ArchiveHeader, isReadAsDocumented) {
  Result<ArchiveHeader> header = parseArchiveMetadata("f", one);
  ASSERT_TRUE(header) << header.error();
  EXPECT_EQ(header->minor, 1u);
  EXPECT_EQ(header->layoutHash, 0x0123456789ABCDEFu);
  EXPECT_EQ(header->source.name, "a/b");
  EXPECT_EQ(header->source.hash, "0a");
  ASSERT_EQ(header->records.size(), 1u);
  EXPECT_EQ(header->records[0].recordClass, RecordClass::Base);
  EXPECT_EQ(header->records[0].hash, 0xFFu);
  EXPECT_EQ(toString(header->records[0].tensors[0].form), "f32 row_major [2]");
  // A table has no layout but one, an empty shape is a scalar.
  header = parseArchiveMetadata(
      "f", replaced(one, R"("encoding":"f32","layout":"row_major","shape":[2])",
                    R"("dtype":"I64","shape":[],"splat":-3)"));
  ASSERT_TRUE(header) << header.error();
  EXPECT_EQ(toString(header->records[0].tensors[0].form), "I64 row_major []");
  EXPECT_EQ(header->records[0].tensors[0].splat, -3.0);
}

TEST(ArchiveHeader, versions) {
  EXPECT_EQ(refusalOf("0.1", "1.0"),
            "expected an archive of version 0.x, found version 1.0");
  EXPECT_EQ(refusalOf("0.1", "12.34"),
            "expected an archive of version 0.x, found version 12.34");
  for (std::string bad : {"", "0", "0.", ".1", "0.1.2", "x.1", "0.1x", "-0.1",
                          "99999999999.1", "0.99999999999"})
    EXPECT_EQ(refusalOf("0.1", bad),
              "expected a version MAJOR.MINOR, found '" + bad + "'");
  // Another major is refused before anything else is looked at.
  EXPECT_EQ(refusal(R"({"moec_archive":"7.2","records":{"a":[]}})"),
            "expected an archive of version 0.x, found version 7.2");
  EXPECT_EQ(refusal(R"({"layout_hash":"0123456789abcdef"})"),
            "expected moec_archive first, found layout_hash");
  EXPECT_EQ(refusal(R"({"what":1})"),
            "expected moec_archive first, found 'what'");
}

TEST(ArchiveHeader, whatALaterMinorAddsIsSkipped) {
  std::string nested = R"({"a":[1,-1,0.5,null,true,"x",{"name":[[]]}],"b":{}})";
  std::string later = replaced(one, "0.1", "0.2");
  later = replaced(later, R"("layout_hash")",
                   R"("new":)" + nested + R"(,"layout_hash")");
  later = replaced(later, R"("hash":"0a")", R"("hash":"0a","new":)" + nested);
  later = replaced(later, R"("offset":0)", R"("offset":0,"new":)" + nested);
  later =
      replaced(later, R"("shape":[2])", R"("new":-1,"shape":[2],"":)" + nested);
  later = replaced(later, R"("class":"base")", R"("class":"novel")");
  Result<ArchiveHeader> header = parseArchiveMetadata("f", later);
  ASSERT_TRUE(header) << header.error();
  EXPECT_EQ(header->minor, 2u);
  EXPECT_EQ(header->records[0].recordClass, RecordClass::Other);
  EXPECT_EQ(header->records[0].length, 8u);
  EXPECT_EQ(header->records[0].tensors[0].form.shape,
            (std::vector<int64_t>{2}));
  // But this version has said all it has to say.
  EXPECT_EQ(refusalOf(R"("layout_hash")", R"("new":1,"layout_hash")"),
            "expected no field 'new', found it");
  EXPECT_EQ(refusalOf(R"("hash":"0a")", R"("hash":"0a","":1)"),
            "source: expected no field '', found it");
  EXPECT_EQ(refusalOf(R"("offset":0)", R"("offset":0,"new":[])"),
            "record 'r': expected no field 'new', found it");
  EXPECT_EQ(refusalOf(R"("shape":[2])", R"("shape":[2],"new":{})"),
            "tensor 't': expected no field 'new', found it");
  EXPECT_EQ(refusalOf(R"("class":"base")", R"("class":"novel")"),
            "record 'r': expected a class of base, residual, router, table, "
            "prototype, shared or other, found 'novel'");
  // Depth is limited there too, and values in arrays are still checked.
  std::string deep = std::string(17, '[') + std::string(17, ']');
  EXPECT_EQ(refusal(replaced(replaced(one, "0.1", "0.2"), R"("layout_hash")",
                             R"("new":)" + deep + R"(,"layout_hash")")),
            "expected at most 16 levels in a field of a later version, found "
            "more");
  EXPECT_EQ(
      refusal(replaced(
          replaced(one, "0.1", "0.2"), record,
          replaced(record, R"("shape":[2])", R"("shape":[2],"new":1)") + ",1")),
      "expected objects in records, found a number");
}

TEST(ArchiveHeader, refusesWhatIsNotTheFormat) {
  EXPECT_EQ(refusal("[]"), "expected an object, found an array");
  EXPECT_EQ(refusal("1"), "expected an object, found a number");
  EXPECT_EQ(refusal("null"), "expected an object, found null");
  EXPECT_EQ(refusal(""),
            "expected JSON text, found at byte 0: The document is empty.");
  EXPECT_EQ(refusal(one + "x"), "expected JSON text, found at byte " +
                                    std::to_string(one.size()) +
                                    ": The document root must not be followed "
                                    "by other values.");
  EXPECT_EQ(refusal(one + std::string(1, '\0')),
            "expected JSON text, found a zero byte");
  EXPECT_EQ(refusal("{}"), "expected moec_archive, found none");
  EXPECT_EQ(refusal(R"({"moec_archive":"0.1"})"),
            "expected layout_hash, found none");
  EXPECT_EQ(refusal(R"({"moec_archive":1})"),
            "expected a string for moec_archive, found a number");
  EXPECT_EQ(refusalOf(R"({"name":"a/b","hash":"0a"})", "[]"),
            "expected an object for source, found an array");
  EXPECT_EQ(refusalOf(R"("name":"a/b",)", ""),
            "source: expected name, found none");
  EXPECT_EQ(refusalOf(record, "3"),
            "expected objects in records, found a number");
  EXPECT_EQ(refusalOf("[" + record + "]", "{}"),
            "expected an array for records, found an object");
  EXPECT_EQ(refusalOf(R"("name":"r",)", ""),
            "record 0: expected name, found none");
  EXPECT_EQ(refusalOf(R"("class":"base",)", ""),
            "record 'r': expected class, found none");
  EXPECT_EQ(refusalOf(R"("xxh3":"00000000000000ff",)", ""),
            "record 'r': expected xxh3, found none");
  EXPECT_EQ(refusalOf("00000000000000ff", "00000000000000FF"),
            "record 'r': expected 16 hexadecimal digits for xxh3, found "
            "'00000000000000FF'");
  EXPECT_EQ(refusalOf("0123456789abcdef", "0123"),
            "expected 16 hexadecimal digits for layout_hash, found '0123'");
  EXPECT_EQ(refusalOf(R"("offset":0)", R"("offset":-1)"),
            "record 'r': expected a number from 0 on for offset, found a "
            "negative number");
  EXPECT_EQ(refusalOf(R"("length":8)", R"("length":0.5)"),
            "record 'r': expected a number from 0 on for length, found a "
            "fraction");
  EXPECT_EQ(refusalOf(R"("length":8)", R"("length":18446744073709551616)"),
            "record 'r': expected a number from 0 on for length, found a "
            "number of more than 64 bits");
  EXPECT_EQ(refusalOf(R"("length":8)", R"("length":8,"length":8)"),
            "record 'r': expected length once, found it twice");
  EXPECT_EQ(refusalOf(R"([{"name":"t")", R"([true,{"name":"t")"),
            "record 'r': expected objects in tensors, found a boolean");
  EXPECT_EQ(refusalOf(R"("name":"t",)", ""),
            "record 'r': expected name, found none");
  EXPECT_EQ(refusalOf(R"(,"shape":[2])", ""),
            "tensor 't': expected shape, found none");
  EXPECT_EQ(refusalOf(R"([2])", "[-2]"),
            "tensor 't': expected integers in shape, found a negative number");
  EXPECT_EQ(refusalOf(R"([2])", "[[2]]"),
            "tensor 't': expected integers in shape, found an array");
  EXPECT_EQ(refusalOf(R"([2])", "[9223372036854775808]"),
            "tensor 't': expected extents below 2^63, found "
            "9223372036854775808");
  EXPECT_EQ(refusalOf(R"([2])", "[1,1,1,1,1,1,1,1,1]"),
            "tensor 't': expected at most 8 extents, found more");
  EXPECT_EQ(refusalOf(R"([2])", "[2],\"splat\":null"),
            "tensor 't': expected a number for splat, found null");
  EXPECT_EQ(refusalOf(R"([2])", "[2],\"splat\":1e-400"),
            "tensor 't': expected a splat within f64, found '1e-400'");
  // Long numbers are numbers.
  EXPECT_TRUE(parseArchiveMetadata(
      "f", replaced(one, "[2]",
                    "[2],\"splat\":0.000000000000000000000000000"
                    "00000000000000000000000000000000000001")));
  EXPECT_EQ(refusalOf(R"("encoding":"f32",)", ""),
            "tensor 't': expected encoding or dtype, found neither");
  EXPECT_EQ(
      refusalOf(R"("encoding":"f32",)", R"("encoding":"f32","dtype":"I8",)"),
      "tensor 't': expected encoding or dtype, found both");
  EXPECT_EQ(refusalOf(R"("encoding":"f32",)", R"("dtype":"I7",)"),
            "tensor 't': expected a known dtype, found 'I7'");
  EXPECT_EQ(refusalOf("f32", "int4"),
            "tensor 't': expected a group on int4, found none");
  EXPECT_EQ(refusalOf("row_major", "panel17"),
            "tensor 't': expected a known layout, found 'panel17'");
}

TEST(ArchiveHeader, refusesContentThatDoesNotHoldTogether) {
  EXPECT_EQ(refusalOf("f32", "int4 group 4"),
            "tensor 't': expected a group that divides the 1 rows, found group "
            "4");
  EXPECT_EQ(refusalOf("\"r\"", "\"\""),
            "record '': expected a name of 1 to 1024 bytes, found 0");
  EXPECT_EQ(refusalOf("\"r\"", "\"" + std::string(1025, 'r') + "\""),
            "record '" + std::string(200, 'r') +
                "...': expected a name of 1 to 1024 bytes, found 1025");
  EXPECT_EQ(refusalOf("\"t\"", "\"t\\n\""),
            "tensor 't?': expected a name without control characters, found "
            "'t?'");
  // Half of a surrogate pair, which JSON can spell and UTF-8 cannot.
  EXPECT_EQ(refusalOf("\"t\"", "\"t\\ude00\""),
            "tensor 't\xED\xB8\x80': expected a name in UTF-8, found "
            "'t\xED\xB8\x80'");
  EXPECT_EQ(refusalOf("\"t\"", "\"__pad__.3\""),
            "tensor '__pad__.3': expected a name that safetensors or padding "
            "does not use");
  EXPECT_EQ(refusalOf("\"t\"", "\"__metadata__\""),
            "tensor '__metadata__': expected a name that safetensors or "
            "padding does not use");
  EXPECT_EQ(refusalOf(record, record + "," + record),
            "record 'r': expected each record once, found it twice");
  EXPECT_EQ(
      refusalOf(record, record + "," + replaced(record, "\"r\"", "\"s\"")),
      "tensor 't': expected each name once, found 't' twice");
  // What a splat would store is taken too.
  std::string scaled =
      replaced(replaced(record, "f32", "int8"), "[2]", "[2],\"splat\":1");
  EXPECT_EQ(refusalOf(record, scaled + "," +
                                  replaced(replaced(record, "\"r\"", "\"s\""),
                                           "\"t\"", "\"t.scales\"")),
            "tensor 't.scales': expected each name once, found 't.scales' "
            "twice");
  EXPECT_EQ(refusalOf("[2]", "[2],\"splat\":1e39"),
            "tensor 't': expected a finite f32 as splat, found "
            "9.9999999999999994e+38");
  for (std::string path : {"/a", "./a", "../a", "~a"})
    EXPECT_EQ(refusalOf("a/b", path),
              "source: expected a name and no path, found '" + path + "'");
  EXPECT_EQ(refusalOf("a/b", std::string(2000, 'a')),
            "source: expected a name of 1 to 1024 bytes, found 2000");
  EXPECT_EQ(refusalOf("\"0a\"", "\"0A\""),
            "source: expected a hash of at most 128 hexadecimal digits, found "
            "'0A'");
  EXPECT_EQ(refusalOf("\"0a\"", "\"" + std::string(129, '0') + "\""),
            "source: expected a hash of at most 128 hexadecimal digits, found "
            "'" +
                std::string(129, '0') + "'");
}

TEST(ArchiveHeader, refusesPlansThatAreTooLarge) {
  ArchiveHeader plan;
  int64_t large = int64_t(1) << 56;
  plan.records.push_back({"r",
                          RecordClass::Base,
                          {floats("a", "f32", Layout::RowMajor, {large})}});
  EXPECT_TRUE(placeArchive(plan));
  for (int i = 0; i < 16; ++i)
    plan.records[0].tensors.push_back(
        floats("b" + std::to_string(i), "f32", Layout::RowMajor, {large}));
  EXPECT_EQ(placeArchive(plan).error(),
            "tensor 'b15': expected at most 2^62 bytes in an archive, found "
            "more");
}

TEST(ArchiveHeader, layoutHashesDependOnFormsAlone) {
  ArchiveHeader plan = exampleArchive();
  uint64_t hash = defaultLayoutHash(plan);
  // Other names, other order, one expert more: the same code runs it.
  plan.records[4].name = "x";
  plan.records[4].tensors[0].name = "x";
  std::swap(plan.records[0], plan.records[3]);
  plan.records.push_back(plan.records[5]);
  EXPECT_EQ(defaultLayoutHash(plan), hash);
  plan.records[4].tensors[0].form.layout = Layout::Panel16;
  EXPECT_NE(defaultLayoutHash(plan), hash);
}

TEST(ArchiveHeader, filesHoldWhatTheirTextSays) {
  EXPECT_TRUE(parse(makeFile(one, {t, pad(8, 4096)})));
  EXPECT_EQ(refusalOfFile(one, {pad(0, 4096)}),
            "f: tensor 't': expected it among the file's tensors, as 'r' has "
            "it, found none");
  TensorRecord other = t;
  other.type = ElementType::I32;
  EXPECT_EQ(refusalOfFile(one, {other, pad(8, 4096)}),
            "f: tensor 't': expected F32 [2] for f32 row_major [2], found I32 "
            "[2]");
  other = t;
  other.shape = {1, 2};
  EXPECT_EQ(refusalOfFile(one, {other, pad(8, 4096)}),
            "f: tensor 't': expected F32 [2] for f32 row_major [2], found F32 "
            "[1, 2]");
  TensorRecord moved = {"t", ElementType::F32, {2}, 8, 16};
  EXPECT_EQ(refusalOfFile(one, {pad(0, 8), moved, pad(16, 4096, 1)}),
            "f: tensor 't': expected to begin at a multiple of 64, found 8");
  moved.begin = 64, moved.end = 72;
  EXPECT_EQ(refusalOfFile(one, {pad(0, 64), moved, pad(72, 4096, 1)}),
            "f: tensor 't': expected to follow in record 'r' at 0, found it at "
            "64");
  TensorRecord stray = {"u", ElementType::U8, {4088}, 8, 4096};
  EXPECT_EQ(refusalOfFile(one, {t, stray}),
            "f: tensor 'u': expected each tensor in a record, found it in "
            "none");
  TensorRecord badPad = pad(8, 4096);
  badPad.type = ElementType::I8;
  EXPECT_EQ(refusalOfFile(one, {t, badPad}),
            "f: tensor '__pad__.0': expected padding as U8 of one extent, "
            "found I8 [4088]");
}

TEST(ArchiveHeader, recordsAreAlignedAndDoNotOverlap) {
  auto with = [](const std::string &from, const std::string &to) {
    return replaced(one, from, to);
  };
  std::vector<TensorRecord> tensors = {t, pad(8, 4096)};
  EXPECT_EQ(refusalOfFile(with(R"("offset":0)", R"("offset":64)"), tensors),
            "f: record 'r': expected an offset that is a multiple of 4096, "
            "found 64");
  EXPECT_EQ(refusalOfFile(with(R"("offset":0)", R"("offset":4096)"), tensors),
            "f: record 'r': expected to lie within the 4096 bytes of data, "
            "found 8 bytes at 4096");
  EXPECT_EQ(
      refusalOfFile(with(R"("offset":0)", R"("offset":18446744073709547520)"),
                    tensors),
      "f: record 'r': expected to lie within the 4096 bytes of data, found 8 "
      "bytes at 18446744073709547520");
  EXPECT_EQ(
      refusalOfFile(with(R"("length":8)", R"("length":18446744073709551615)"),
                    tensors),
      "f: record 'r': expected to lie within the 4096 bytes of data, "
      "found 18446744073709551615 bytes at 0");
  EXPECT_EQ(refusalOfFile(with(R"("length":8)", R"("length":9)"), tensors),
            "f: record 'r': expected a length of 8 bytes, found 9");
  // A second record at the same place.
  std::string two =
      with(record,
           record + "," +
               replaced(replaced(record, "\"r\"", "\"s\""), "\"t\"", "\"u\""));
  EXPECT_EQ(refusalOfFile(two, tensors),
            "f: record 's': expected to begin behind what is before it, at 8 "
            "or later, found 0");
  // A record's tensors in another order than the file's.
  std::string turned =
      with(R"("tensors":[)", R"("tensors":[{"name":"v","encoding":"f32",)"
                             R"("shape":[2]},)");
  TensorRecord v = {"v", ElementType::F32, {2}, 64, 72};
  EXPECT_EQ(refusalOfFile(turned, {t, pad(8, 64), v, pad(72, 4096, 1)}),
            "f: tensor 'v': expected to follow in record 'r' at 0, found it at "
            "64");
  TensorRecord first = {"v", ElementType::F32, {2}, 0, 8};
  TensorRecord second = {"t", ElementType::F32, {2}, 64, 72};
  EXPECT_EQ(
      refusalOfFile(turned, {first, pad(8, 64), second, pad(72, 4096, 1)}),
      "f: record 'r': expected a length of 72 bytes, found 8");
}

TEST(ArchiveHeader, dataStartsAndEndsAtAPage) {
  Result<ArchiveHeader> header =
      parse(makeFile(one, {t, pad(8, 4096)}, 4096 + 8));
  ASSERT_FALSE(header);
  EXPECT_EQ(header.error(),
            "f: expected data that starts at a multiple of 4096, found 4104");
  EXPECT_EQ(refusalOfFile(one, {t}),
            "f: expected data of a multiple of 4096 bytes, found 8");
}

TEST(ArchiveHeader, theTextHasItsOwnHash) {
  std::string file = makeFile(one, {t, pad(8, 4096)});
  Result<ArchiveHeader> header =
      parse(replaced(file, R"(\"name\":\"r\")", R"(\"name\":\"q\")"));
  ASSERT_FALSE(header);
  EXPECT_EQ(header.error(),
            "f: moec.archive: expected XXH3 " + hashText(hash64(one)) +
                " of the text, found " +
                hashText(hash64(replaced(one, "\"r\"", "\"q\""))) +
                ": the header is damaged");
  Result<std::string> without =
      safetensorsHeader({}, {{"moec.archive", one}}, 4096);
  ASSERT_TRUE(without);
  EXPECT_EQ(parse(*without).error(),
            "f: moec.archive: expected XXH3 none of the text, found " +
                hashText(hash64(one)) + ": the header is damaged");
}

} // namespace
