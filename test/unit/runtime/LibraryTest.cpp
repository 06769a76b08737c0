// Tests of opening artifacts and calling them, and of what libmoert.so exports.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "moert/library.h"

#include "test/unit/TemporaryFolder.h"
#include "test/unit/runtime/TestTensor.h"
#include "test/unit/runtime/fake_manifest.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <elf.h>
#include <fstream>
#include <set>
#include <sstream>

using moec::test::TemporaryFolder;
using moec::test::TestCall;
using moec::test::TestTensor;

namespace {

constexpr char goodManifest[] = FAKE_MANIFEST("0.1", "0.1", "layer");

int ownMachine() {
#ifdef __x86_64__
  return EM_X86_64;
#else
  return EM_AARCH64;
#endif
}

class LibraryTest : public testing::Test {
protected:
  ~LibraryTest() override { moert_library_close(library); }

  /// Puts a fake library and a manifest into the folder as an artifact.
  void makeArtifact(const std::string &fake,
                    const std::string &manifest = goodManifest) {
    std::filesystem::copy_file(std::string(MOEC_TEST_FAKES) + "/" + fake +
                                   ".so",
                               folder.file("library.so"));
    folder.write("manifest.json", manifest);
  }

  moert_status_t open(const std::string &path) {
    moert_error_sink sink = {text, sizeof text};
    return moert_library_open(path.c_str(), &sink, &library);
  }

  void expectRefused(moert_status_t status, const std::string &message) {
    EXPECT_EQ(open(folder.path), status);
    EXPECT_EQ(std::string(text), message);
    EXPECT_EQ(library, nullptr);
  }

  std::string file() const { return folder.file("library.so"); }

  TemporaryFolder folder;
  moert_library *library = nullptr;
  char text[512] = "";
};

TEST_F(LibraryTest, opensAndDescribesAnArtifact) {
  makeArtifact("fake_library", std::string(goodManifest) + "\n");
  ASSERT_EQ(open(folder.path), MOERT_OK) << text;
  const char *json = nullptr;
  EXPECT_EQ(moert_library_manifest(library, &json), MOERT_OK);
  EXPECT_STREQ(json, goodManifest);
  int32_t count = 0;
  EXPECT_EQ(moert_library_entry_count(library, &count), MOERT_OK);
  EXPECT_EQ(count, 1);
  const moert_library_entry *entry = nullptr, *found = nullptr;
  ASSERT_EQ(moert_library_entry_at(library, 0, &entry), MOERT_OK);
  EXPECT_EQ(moert_library_find_entry(library, "layer", nullptr, &found),
            MOERT_OK);
  EXPECT_EQ(entry, found);
  const char *name = nullptr;
  EXPECT_EQ(moert_library_entry_name(entry, &name), MOERT_OK);
  EXPECT_STREQ(name, "layer");
  EXPECT_EQ(moert_library_argument_count(entry, &count), MOERT_OK);
  EXPECT_EQ(count, 3);
  const moert_argument *argument = nullptr;
  ASSERT_EQ(moert_library_argument(entry, 2, &argument), MOERT_OK);
  EXPECT_STREQ(argument->name, "y");
  EXPECT_EQ(argument->role, 1);
  EXPECT_EQ(argument->shape[0], -2);
  EXPECT_EQ(moert_library_argument(entry, 3, &argument), MOERT_NOT_FOUND);
  EXPECT_EQ(argument, nullptr);
  EXPECT_EQ(moert_library_entry_at(library, -1, &entry), MOERT_NOT_FOUND);
  EXPECT_EQ(entry, nullptr);
}

TEST_F(LibraryTest, callsAnEntry) {
  makeArtifact("fake_library");
  ASSERT_EQ(open(folder.path), MOERT_OK) << text;
  const moert_library_entry *entry = nullptr;
  ASSERT_EQ(moert_library_find_entry(library, "layer", nullptr, &entry),
            MOERT_OK);
  float x[] = {1, 2, 3, 4, 5, 6, 7, 8}, y[8] = {};
  int32_t ids[] = {100, 200};
  TestTensor xTensor{x, kDLFloat, 32, {2, 4}}, idsTensor{ids, kDLInt, 32, {2}},
      yTensor{y, kDLFloat, 32, {2, 4}};
  DLTensor *args[] = {&xTensor.view, &idsTensor.view, &yTensor.view};
  TestCall call;
  uint64_t bytes = 0;
  ASSERT_EQ(moert_library_workspace_bytes(entry, &call.call, args, 3, &bytes),
            MOERT_OK);
  EXPECT_EQ(bytes, 32u);
  ASSERT_EQ(moert_library_call(entry, &call.call, args, 3), MOERT_OK)
      << call.message();
  for (int i = 0; i < 8; ++i)
    EXPECT_EQ(y[i], 2 * x[i] + float(ids[i / 4]));
  idsTensor.view.dtype.bits = 64;
  EXPECT_EQ(moert_library_call(entry, &call.call, args, 3),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(call.message(), "moec_layer: argument 1 'ids' has dtype int64, "
                            "expected int32");
}

TEST_F(LibraryTest, opensALibraryAlone) {
  makeArtifact("fake_library", "not read");
  EXPECT_EQ(open(file()), MOERT_OK) << text;
}

TEST_F(LibraryTest, looksInTheCurrentFolderForABareName) {
  makeArtifact("fake_library");
  std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path);
  moert_status_t status = open("library.so");
  std::filesystem::current_path(before);
  EXPECT_EQ(status, MOERT_OK) << text;
}

TEST_F(LibraryTest, refusesPathsThatAreNoArtifact) {
  EXPECT_EQ(open("/no/such/artifact"), MOERT_NOT_FOUND);
  EXPECT_STREQ(text,
               "/no/such/artifact: cannot open: No such file or directory");
  expectRefused(MOERT_IO_ERROR, folder.file("manifest.json") +
                                    ": cannot open: No such file or directory");
  folder.write("manifest.json", goodManifest);
  EXPECT_EQ(open(folder.path), MOERT_IO_ERROR);
  EXPECT_EQ(std::string(text).find(file() + ": cannot load: "), 0u);
  folder.write("library.so", "not a library");
  EXPECT_EQ(open(folder.path), MOERT_IO_ERROR);
  EXPECT_EQ(std::string(text).find(file() + ": cannot load: "), 0u);
}

TEST_F(LibraryTest, refusesALibraryOfAnotherMachine) {
  makeArtifact("fake_library");
  for (auto [machine, name] :
       {std::pair(EM_S390, "ELF's machine 22"),
        std::pair(EM_X86_64 + EM_AARCH64 - ownMachine(),
                  ownMachine() == EM_X86_64 ? "AArch64" : "x86-64")}) {
    std::fstream file(folder.file("library.so"),
                      std::ios::binary | std::ios::in | std::ios::out);
    auto number = uint16_t(machine);
    file.seekp(offsetof(Elf64_Ehdr, e_machine));
    file.write(reinterpret_cast<const char *>(&number), sizeof number);
    file.close();
    EXPECT_EQ(open(folder.path), MOERT_INCOMPATIBLE);
    EXPECT_EQ(std::string(text).find(this->file() + ": cannot load: made for " +
                                     name + ", expected "),
              0u)
        << text;
  }
}

TEST_F(LibraryTest, refusesAManifestThatDiffers) {
  std::string other = goodManifest;
  other[other.find("float32")] = 'F';
  makeArtifact("fake_library", other);
  expectRefused(MOERT_INCOMPATIBLE,
                folder.path + ": expected manifest.json to be the manifest "
                              "inside library.so, found that they differ");
}

TEST_F(LibraryTest, refusesALongManifest) {
  makeArtifact("fake_library", std::string((16 << 20) + 1, ' '));
  expectRefused(MOERT_INCOMPATIBLE,
                folder.file("manifest.json") +
                    ": expected at most 16777216 bytes, found more");
}

TEST_F(LibraryTest, refusesAnotherMajorVersion) {
  makeArtifact("fake_library_other_major");
  expectRefused(MOERT_INCOMPATIBLE,
                file() + ": made for ABI 7.1, expected 0.6 of this runtime or "
                         "an earlier minor");
}

TEST_F(LibraryTest, refusesALaterMinorVersion) {
  makeArtifact("fake_library_newer_minor");
  expectRefused(MOERT_INCOMPATIBLE,
                file() + ": made for ABI 0.9, expected 0.6 of this runtime or "
                         "an earlier minor");
}

TEST_F(LibraryTest, refusesAnotherManifestVersion) {
  makeArtifact("fake_library_later_manifest",
               FAKE_MANIFEST("9.0", "0.1", "layer"));
  expectRefused(MOERT_INCOMPATIBLE,
                file() + ": manifest: expected version 0.x, found 9.0");
}

TEST_F(LibraryTest, refusesAnEntryThatIsNotThere) {
  makeArtifact("fake_library_other_manifest",
               FAKE_MANIFEST("0.1", "0.1", "other"));
  expectRefused(
      MOERT_INCOMPATIBLE,
      file() + ": expected symbol moec_other of entry 'other', found none");
}

TEST_F(LibraryTest, refusesAnEntryWithoutWorkspaceFunction) {
  makeArtifact("fake_library_without_workspace");
  expectRefused(MOERT_INCOMPATIBLE,
                file() + ": expected symbol moec_layer_workspace of entry "
                         "'layer', found none");
}

TEST_F(LibraryTest, refusesALibraryOfAnotherKind) {
  makeArtifact("fake_library_without_manifest");
  expectRefused(MOERT_INCOMPATIBLE,
                file() + ": expected a library made by moec, found no symbol "
                         "moec_manifest");
}

TEST_F(LibraryTest, namesTheEntriesThereAre) {
  makeArtifact("fake_library");
  ASSERT_EQ(open(folder.path), MOERT_OK) << text;
  moert_error_sink sink = {text, sizeof text};
  const moert_library_entry *entry = nullptr;
  EXPECT_EQ(moert_library_find_entry(library, "lair", &sink, &entry),
            MOERT_NOT_FOUND);
  EXPECT_STREQ(text, "expected an entry 'lair', found only layer");
  // A short sink gets a short message.
  sink.capacity = 12;
  moert_library_find_entry(library, "lair", &sink, &entry);
  EXPECT_STREQ(text, "expected an");
}

TEST_F(LibraryTest, refusesNulls) {
  EXPECT_EQ(moert_library_open(nullptr, nullptr, &library),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_library_open("x", nullptr, nullptr), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_library_close(nullptr), MOERT_OK);
  const char *string = nullptr;
  int32_t count = 0;
  const moert_library_entry *entry = nullptr;
  const moert_argument *argument = nullptr;
  EXPECT_EQ(moert_library_manifest(nullptr, &string), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_library_entry_count(nullptr, &count), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_library_entry_at(nullptr, 0, &entry), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_library_find_entry(nullptr, "x", nullptr, &entry),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_library_entry_name(nullptr, &string), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_library_argument_count(nullptr, &count),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_library_argument(nullptr, 0, &argument),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_library_call(nullptr, nullptr, nullptr, 0),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(
      moert_library_workspace_bytes(nullptr, nullptr, nullptr, 0, nullptr),
      MOERT_INVALID_ARGUMENT);
}

/// The lines a command prints.
std::vector<std::string> linesOf(const std::string &command) {
  std::string output;
  FILE *pipe = popen(command.c_str(), "r");
  char buffer[4096];
  size_t count = 0;
  while (pipe && (count = fread(buffer, 1, sizeof buffer, pipe)) > 0)
    output.append(buffer, count);
  EXPECT_TRUE(pipe && pclose(pipe) == 0) << command;
  std::vector<std::string> lines;
  std::istringstream stream(output);
  for (std::string line; std::getline(stream, line);)
    lines.push_back(line);
  return lines;
}

TEST(LibraryFile, exportsTheAbiAndNothingElse) {
  if (MOEC_TEST_SANITIZED)
    GTEST_SKIP() << "sanitizers add symbols of their own";
  std::vector<std::string> lines =
      linesOf("nm -D --defined-only " MOEC_TEST_LIBMOERT);
  EXPECT_GE(lines.size(), 13u);
  for (const std::string &line : lines)
    EXPECT_NE(line.find(" T moert_"), std::string::npos) << line;
}

TEST(LibraryFile, needsTheCLibraryOnly) {
  if (MOEC_TEST_SANITIZED)
    GTEST_SKIP() << "sanitizers bring libraries of their own";
  std::set<std::string> allowed = {"libc.so.6",
                                   "libm.so.6",
                                   "libdl.so.2",
                                   "libpthread.so.0",
                                   "ld-linux-x86-64.so.2",
                                   "ld-linux-aarch64.so.1"};
  int needed = 0;
  for (const std::string &line : linesOf("readelf -d " MOEC_TEST_LIBMOERT)) {
    if (line.find("(NEEDED)") == std::string::npos)
      continue;
    ++needed;
    size_t open = line.find('['), close = line.find(']');
    EXPECT_TRUE(allowed.count(line.substr(open + 1, close - open - 1))) << line;
  }
  EXPECT_GE(needed, 1);
}

} // namespace
