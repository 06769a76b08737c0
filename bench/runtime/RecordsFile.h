// What benchmarks of paging share: a file of records, and numbers of a command
// line.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_BENCH_RUNTIME_RECORDSFILE_H
#define MOEC_BENCH_RUNTIME_RECORDSFILE_H

#include "runtime/store/RecordReader.h"
#include "weights/Seeded.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace moec::bench {

[[noreturn]] inline void fail(const std::string &message) {
  std::fprintf(stderr, "%s: %s\n", program_invocation_short_name,
               message.c_str());
  std::exit(1);
}

inline double numberAfter(int argc, char **argv, const char *name,
                          double otherwise) {
  for (int i = 2; i + 1 < argc; ++i)
    if (!std::strcmp(argv[i], name))
      return std::atof(argv[i + 1]);
  return otherwise;
}

/// Records of bytes that nothing compresses, synced.
inline std::vector<store::RecordPlace>
makeRecordsFile(const std::string &path, uint64_t records, uint64_t bytes) {
  if (bytes % store::pageBytes || !bytes || !records)
    fail("expected records of whole pages of 4096 bytes");
  int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0644);
  if (file < 0)
    fail(path + ": " + std::strerror(errno));
  std::vector<store::RecordPlace> places;
  std::vector<uint32_t> content(bytes / 4);
  for (uint64_t record = 0; record < records; ++record) {
    for (uint64_t i = 0; i < content.size(); ++i)
      content[i] = weights::seededBits(uint32_t(record), i);
    std::span<const uint8_t> all(
        reinterpret_cast<const uint8_t *>(content.data()), bytes);
    if (::write(file, all.data(), bytes) != ssize_t(bytes))
      fail(path + ": cannot write " + std::to_string(bytes) + " bytes");
    places.push_back(
        {std::to_string(record), record * bytes, bytes, weights::hash64(all)});
  }
  ::fsync(file);
  ::close(file);
  return places;
}

} // namespace moec::bench

#endif // MOEC_BENCH_RUNTIME_RECORDSFILE_H
