// Records of an archive, read past the page cache and checked on the way.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/store/RecordReader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

using namespace moec::store;
using namespace moec::weights;

/// How often one chunk may be interrupted, refused for now, or come in part.
static constexpr unsigned mostTries = 64;

struct RecordReader::File {
  int descriptor = -1;

  ~File() {
    if (descriptor >= 0)
      ::close(descriptor);
  }

  /// 0 or an errno.
  int identify(Identity &identity) const {
    struct stat found;
    if (::fstat(descriptor, &found))
      return errno;
    identity = {found.st_dev, found.st_ino, uint64_t(found.st_size),
                found.st_mtim.tv_sec, found.st_mtim.tv_nsec};
    return 0;
  }
};

RecordReader::RecordReader(RecordReader &&) noexcept = default;
RecordReader::~RecordReader() = default;

RecordPlace moec::store::placeOf(const Archive &archive,
                                 const ArchiveRecord &record) {
  return {record.name, archive.fileOffset(record), record.length, record.hash};
}

Result<RecordReader> RecordReader::open(const std::string &path,
                                        const ReaderOptions &options) {
  if (!options.depth || !options.chunkBytes ||
      options.chunkBytes % pageBytes != 0)
    return Error{path +
                 ": expected a depth from 1 and chunks of whole pages "
                 "of 4096 bytes, found " +
                 std::to_string(options.depth) + " and " +
                 std::to_string(options.chunkBytes)};
  RecordReader reader;
  reader.path = path;
  reader.options = options;
  reader.file = std::make_unique<File>();
  int &descriptor = reader.file->descriptor;
  descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT);
  if (descriptor < 0 && errno == EINVAL) {
    reader.said = "the file system has no reads past its cache";
    descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  }
  if (descriptor < 0)
    return Error{path + ": " + std::strerror(errno)};
  if (int error = reader.file->identify(reader.identity))
    return Error{path + ": " + std::strerror(error)};
  auto made = options.queue ? options.queue(descriptor)
                            : openReadRing(descriptor, options.depth);
  if (!made) {
    reader.said += (reader.said.empty() ? "" : "; ") + made.error() +
                   ": reads by threads instead";
    reader.queue = openReadThreads(descriptor, options.depth);
  } else {
    reader.queue = std::move(*made);
  }
  reader.chunks.resize(std::min(options.depth, reader.queue->depth()));
  return reader;
}

Error RecordReader::fail(const RecordPlace &record,
                         const std::string &message) const {
  return Error{path + ": record '" + record.name + "' at " +
               std::to_string(record.offset) + " (" +
               std::to_string(record.length) + " bytes): " + message};
}

/// Begins what is missing of a chunk, from a whole page on. Nothing, or why not.
std::optional<std::string> RecordReader::begin(const RecordPlace &record,
                                               uint64_t number,
                                               std::span<uint8_t> into) {
  Chunk &chunk = chunks[number % chunks.size()];
  uint64_t whole = chunk.done / pageBytes * pageBytes;
  chunk.done = whole;
  Read read{record.offset + chunk.begin + whole,
            into.subspan(chunk.begin + whole, chunk.bytes - whole), number};
  while (int error = queue->begin(read))
    if ((error != EINTR && error != EAGAIN && error != EBUSY) ||
        ++chunk.tries > mostTries)
      return std::strerror(error);
  return {};
}

/// What came of a chunk. Nothing, or why it is no use.
std::optional<std::string> RecordReader::take(const EndedRead &ended,
                                              Chunk &chunk) const {
  if (ended.result > 0) {
    chunk.done += uint64_t(ended.result);
    // Pages that come in part are read again; that must end too.
    if (!chunk.isThere() && ++chunk.tries > mostTries)
      return "reads end too early, " + std::to_string(mostTries) + " times";
    return {};
  }
  if (ended.result == 0)
    return "the file ends too early";
  int error = int(-ended.result);
  if ((error != EINTR && error != EAGAIN) || ++chunk.tries > mostTries)
    return std::strerror(error);
  return {};
}

Status RecordReader::readChunks(const RecordPlace &record,
                                std::span<uint8_t> into) {
  uint64_t size = options.chunkBytes;
  uint64_t count = (record.length + size - 1) / size;
  uint64_t begun = 0, hashed = 0, underWay = 0;
  std::optional<std::string> wrong;
  // As many as fit are under way; who comes again keeps its place.
  uint64_t window = chunks.size();
  hash.reset();
  while (underWay || (!wrong && hashed < count)) {
    while (!wrong && begun < count && begun < hashed + window) {
      Chunk &chunk = chunks[begun % window];
      uint64_t first = begun * size;
      chunk = {first, std::min(size, bufferBytes(record.length) - first),
               std::min(size, record.length - first), 0, 0};
      wrong = begin(record, begun, into);
      underWay += !wrong;
      ++begun;
    }
    if (underWay) {
      EndedRead ended = queue->wait();
      --underWay;
      Chunk &chunk = chunks[ended.tag % window];
      if (!wrong)
        wrong = take(ended, chunk);
      if (!wrong && !chunk.isThere()) {
        wrong = begin(record, ended.tag, into);
        underWay += !wrong;
      }
    }
    // The next ones are on their way meanwhile.
    for (; !wrong && hashed < begun && chunks[hashed % window].isThere();
         ++hashed) {
      Chunk &chunk = chunks[hashed % window];
      if (options.verifies)
        hash.update(into.subspan(chunk.begin, chunk.needed));
    }
  }
  if (!wrong)
    return success();
  Identity now;
  uint64_t end = record.offset + record.length;
  if (file->identify(now) == 0 && now.size < end && now.size >= record.offset)
    return fail(record, "the file ends after " +
                            std::to_string(now.size - record.offset) +
                            " of them");
  return fail(record, *wrong);
}

Status RecordReader::read(const RecordPlace &record, std::span<uint8_t> into) {
  if (record.offset % pageBytes != 0 ||
      reinterpret_cast<uintptr_t>(into.data()) % pageBytes != 0 ||
      into.size() < bufferBytes(record.length))
    return fail(record, "expected whole pages of 4096 bytes, in the file and "
                        "in memory, and a buffer of " +
                            std::to_string(bufferBytes(record.length)) +
                            " bytes, found one of " +
                            std::to_string(into.size()));
  if (Status status = readChunks(record, into); !status)
    return status;
  Identity now;
  if (int error = file->identify(now))
    return fail(record, std::strerror(error));
  if (now != identity)
    return fail(record, "the file has changed since it was opened");
  if (!options.verifies)
    return success();
  if (uint64_t found = hash.digest64(); found != record.hash)
    return fail(record, "expected XXH3 " + hashText(record.hash) + ", found " +
                            hashText(found));
  return success();
}
