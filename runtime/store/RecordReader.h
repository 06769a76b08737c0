// Records of an archive, read past the page cache and checked on the way.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_RUNTIME_STORE_RECORDREADER_H
#define MOEC_RUNTIME_STORE_RECORDREADER_H

#include "runtime/store/ReadQueue.h"
#include "weights/Archive.h"
#include "weights/Hash.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace moec::store {

/// Where a record is, and what its bytes hash to.
struct RecordPlace {
  std::string name;
  /// In the file; a multiple of pageBytes.
  uint64_t offset = 0;
  uint64_t length = 0;
  uint64_t hash = 0;
};

/// What reads past the page cache are multiples of.
inline constexpr uint64_t pageBytes = 4096;

/// What a record's buffer has to have.
inline uint64_t bufferBytes(uint64_t length) {
  return (length + pageBytes - 1) / pageBytes * pageBytes;
}

struct ReaderOptions {
  /// Bytes of a read, a multiple of pageBytes, and reads at a time.
  uint64_t chunkBytes = uint64_t(1) << 20;
  unsigned depth = 8;
  /// Whether hashes are checked.
  bool verifies = true;
  /// Makes the queue of a file; empty: a ring, else threads.
  std::function<weights::Result<std::unique_ptr<ReadQueue>>(int file)> queue;
};

/// For one thread. A record is read in chunks, several at a time, straight to where it is to be; while later chunks come, earlier
/// ones are hashed. Nothing allocates after open.
class RecordReader {
public:
  static weights::Result<RecordReader> open(const std::string &path,
                                            const ReaderOptions &options = {});

  RecordReader(RecordReader &&) noexcept;
  ~RecordReader();

  /// What it does without, and why, for a log; empty: nothing.
  const std::string &notice() const { return said; }
  /// "io_uring", "pread".
  std::string_view queueName() const { return queue->name(); }

  /// Fills the first `length` bytes of a buffer, which begins at a multiple of pageBytes and has bufferBytes of them. Fails with
  /// the file, the record and its place where bytes are missing, are other ones than hashed, or cannot be read, or where the file was
  /// replaced or changed since it was opened.
  weights::Status read(const RecordPlace &record, std::span<uint8_t> into);

private:
  /// One chunk: how much of it is there.
  struct Chunk {
    uint64_t begin = 0, bytes = 0, needed = 0, done = 0;
    unsigned tries = 0;

    bool isThere() const { return done >= needed; }
  };
  /// What tells one state of a file from another.
  struct Identity {
    uint64_t device = 0, node = 0, size = 0;
    int64_t seconds = 0, nanoseconds = 0;

    bool operator==(const Identity &) const = default;
  };
  struct File;

  RecordReader() = default;
  weights::Error fail(const RecordPlace &record,
                      const std::string &message) const;
  weights::Status readChunks(const RecordPlace &record,
                             std::span<uint8_t> into);
  std::optional<std::string> begin(const RecordPlace &record, uint64_t number,
                                   std::span<uint8_t> into);
  std::optional<std::string> take(const EndedRead &ended, Chunk &chunk) const;

  std::string path, said;
  std::unique_ptr<File> file;
  ReaderOptions options;
  Identity identity;
  std::vector<Chunk> chunks;
  weights::StreamingHash hash;
  std::unique_ptr<ReadQueue> queue;
};

/// Of an archive's record.
RecordPlace placeOf(const weights::Archive &archive,
                    const weights::ArchiveRecord &record);

} // namespace moec::store

#endif // MOEC_RUNTIME_STORE_RECORDREADER_H
