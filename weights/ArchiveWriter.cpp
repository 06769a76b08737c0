// Weight archives as they are written: record by record, and resumed.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// Nothing of the data is flushed before the end: the journal names the hash of
// each complete record, and the next run believes the hash, not the journal. So
// data that a crash lost is only written again.
#include "weights/ArchiveWriter.h"

#include "weights/File.h"
#include "weights/Hash.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace moec::weights {

namespace {

/// First words of a journal; the hash of the plan follows.
constexpr std::string_view journalMagic = "moec-archive-journal 0.1 ";

struct Descriptor {
  int number = -1;

  Descriptor() = default;
  Descriptor(int number) : number(number) {}
  Descriptor(Descriptor &&other) noexcept
      : number(std::exchange(other.number, -1)) {}
  Descriptor &operator=(Descriptor &&other) noexcept {
    std::swap(number, other.number);
    return *this;
  }
  ~Descriptor() {
    if (number >= 0)
      ::close(number);
  }
};

/// The plan alone: what is the same in every run of it.
std::string planHash(ArchiveHeader plan) {
  for (ArchiveRecord &record : plan.records)
    record.hash = 0;
  return hashText(hash128(archiveMetadata(plan)));
}

/// A line of the journal: which record, and the hash of its bytes.
struct JournalLine {
  size_t record;
  uint64_t hash;
};

/// The whole lines of a journal of that plan, and where they end; nothing of
/// any other. A run that ends while it writes leaves part of a line.
struct Journal {
  std::vector<JournalLine> lines;
  uint64_t end = 0;
};

Journal parseJournal(std::string_view text, const std::string &plan,
                     size_t recordCount) {
  Journal journal;
  std::string start = std::string(journalMagic) + plan + "\n";
  if (!text.starts_with(start))
    return journal;
  journal.end = start.size();
  for (size_t length;
       (length = text.substr(journal.end).find('\n')) != text.npos;
       journal.end += length + 1) {
    std::string_view line = text.substr(journal.end, length);
    size_t record = 0;
    auto [blank, code] =
        std::from_chars(line.data(), line.data() + line.size(), record);
    size_t used = size_t(blank - line.data());
    if (code != std::errc() || used >= line.size() || line[used] != ' ' ||
        record >= recordCount)
      break;
    std::optional<uint64_t> hash = hash64FromText(line.substr(used + 1));
    if (!hash)
      break;
    journal.lines.push_back({record, *hash});
  }
  return journal;
}

} // namespace

FileCalls FileCalls::system() {
  return {::ftruncate, ::pwrite, ::fsync,
          [](const char *from, const char *to) { return ::rename(from, to); }};
}

struct ArchiveWriter::State {
  std::string path;
  std::string partial;
  std::string journal;
  ArchiveHeader header;
  FileCalls calls;
  Descriptor file;
  Descriptor journalFile;
  /// Whether the files beside the path are ours to remove.
  bool isOpen = false;

  /// Of everything below; hashes in the header too.
  mutable std::mutex mutex;
  std::vector<bool> written;
  size_t writtenCount = 0;
  uint64_t journalBytes = 0;

  Error systemError(const std::string &what) const {
    return Error{path + ": " + what + ": " + std::strerror(errno)};
  }
  Status lockPartial();
  bool resume(const std::string &plan);
  Status startAfresh(const std::string &plan);
  Status writeAt(int descriptor, uint64_t offset,
                 std::span<const uint8_t> bytes) const;
  Status complete(size_t record, uint64_t hash);
  std::string whatIsKept() const;
  void remove();
};

/// Opens PATH.partial, alone: two runs of one plan would write over each other.
Status ArchiveWriter::State::lockPartial() {
  for (int attempt = 0; attempt < 100; ++attempt) {
    file =
        Descriptor(::open(partial.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    if (file.number < 0)
      return systemError("cannot create " + partial);
    if (::flock(file.number, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK)
        return Error{path + ": expected to write it alone, found " + partial +
                     " in use by another process"};
      return systemError("cannot lock " + partial);
    }
    // Who had the lock before may have renamed the file: then it is the archive
    // and no longer ours.
    struct stat mine, named;
    if (::fstat(file.number, &mine) == 0 &&
        ::stat(partial.c_str(), &named) == 0 && mine.st_ino == named.st_ino &&
        mine.st_dev == named.st_dev)
      return success();
  }
  return Error{path + ": expected to write it alone, found " + partial +
               " replaced again and again"};
}

/// Takes over what an earlier run of the plan has completed. False if there is
/// nothing to go on from.
bool ArchiveWriter::State::resume(const std::string &plan) {
  Result<MappedFile> text = MappedFile::open(journal);
  Result<MappedFile> data = MappedFile::open(partial);
  if (!text || !data ||
      data->bytes().size() != header.dataOffset + header.dataBytes)
    return false;
  Journal earlier =
      parseJournal({reinterpret_cast<const char *>(text->bytes().data()),
                    text->bytes().size()},
                   plan, header.records.size());
  for (auto [index, hash] : earlier.lines) {
    ArchiveRecord &record = header.records[index];
    if (written[index] ||
        hash64(data->bytes().subspan(header.dataOffset + record.offset,
                                     record.length)) != hash)
      continue;
    record.hash = hash;
    written[index] = true;
    ++writtenCount;
  }
  if (writtenCount == 0)
    return false;
  // A line that was found to be wrong may stay: the record's next one counts.
  journalFile = Descriptor(::open(journal.c_str(), O_WRONLY | O_CLOEXEC));
  journalBytes = earlier.end;
  return journalFile.number >= 0;
}

Status ArchiveWriter::State::startAfresh(const std::string &plan) {
  std::fill(written.begin(), written.end(), false);
  writtenCount = 0;
  // The journal first: it must never speak of another plan's data.
  journalFile = Descriptor(
      ::open(journal.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_TRUNC, 0666));
  if (journalFile.number < 0)
    return systemError("cannot create " + journal);
  // Shorter and longer again: what was in it is gone, padding reads as zeros.
  off_t size = off_t(header.dataOffset + header.dataBytes);
  if (calls.truncate(file.number, 0) != 0 ||
      calls.truncate(file.number, size) != 0)
    return systemError("cannot make a file of " + std::to_string(size) +
                       " bytes");
  // A full disk is found now where the file system can tell.
  if (::fallocate(file.number, FALLOC_FL_KEEP_SIZE, 0, size) != 0 &&
      errno == ENOSPC)
    return systemError("cannot make a file of " + std::to_string(size) +
                       " bytes");
  std::string start = std::string(journalMagic) + plan + "\n";
  journalBytes = start.size();
  return writeAt(
      journalFile.number, 0,
      {reinterpret_cast<const uint8_t *>(start.data()), start.size()});
}

Status ArchiveWriter::State::writeAt(int descriptor, uint64_t offset,
                                     std::span<const uint8_t> bytes) const {
  while (!bytes.empty()) {
    // One call writes at most 2 GiB; smaller pieces keep it interruptible.
    size_t piece = std::min<size_t>(bytes.size(), 1u << 30);
    ssize_t count = calls.write(descriptor, bytes.data(), piece, off_t(offset));
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return systemError("cannot write");
    // Nothing written and no reason: trying again would never end.
    if (count == 0)
      return Error{path + ": cannot write: expected " + std::to_string(piece) +
                   " bytes to be written, found none"};
    bytes = bytes.subspan(size_t(count));
    offset += uint64_t(count);
  }
  return success();
}

/// Notes in the journal that a record is complete.
Status ArchiveWriter::State::complete(size_t record, uint64_t hash) {
  std::string line = std::to_string(record) + " " + hashText(hash) + "\n";
  std::lock_guard lock(mutex);
  // Written where the last whole line ends: a failed attempt is overwritten.
  if (Status status = writeAt(
          journalFile.number, journalBytes,
          {reinterpret_cast<const uint8_t *>(line.data()), line.size()});
      !status)
    return status;
  journalBytes += line.size();
  header.records[record].hash = hash;
  written[record] = true;
  ++writtenCount;
  return success();
}

/// What the next run finds, for messages.
std::string ArchiveWriter::State::whatIsKept() const {
  std::lock_guard lock(mutex);
  if (writtenCount == 0)
    return "";
  return "; " + std::to_string(writtenCount) + " of " +
         std::to_string(header.records.size()) + " records stay in " + partial +
         " for the next run";
}

void ArchiveWriter::State::remove() {
  if (!isOpen)
    return;
  ::unlink(partial.c_str());
  ::unlink(journal.c_str());
  isOpen = false;
}

ArchiveWriter::ArchiveWriter(std::unique_ptr<State> state)
    : state(std::move(state)) {}

ArchiveWriter::ArchiveWriter(ArchiveWriter &&) noexcept = default;

ArchiveWriter &ArchiveWriter::operator=(ArchiveWriter &&other) noexcept {
  // What this one wrote goes the way its destructor sends it.
  ArchiveWriter old(std::move(*this));
  state = std::move(other.state);
  return *this;
}

ArchiveWriter::~ArchiveWriter() {
  if (state && state->writtenCount == 0)
    state->remove();
}

Result<ArchiveWriter> ArchiveWriter::open(const std::string &path,
                                          ArchiveHeader plan, FileCalls calls) {
  for (ArchiveRecord &record : plan.records)
    record.hash = 0;
  plan.minor = archiveMinor;
  if (Status status = placeArchive(plan); !status)
    return Error{path + ": " + status.error()};
  // Found out now, not when hours of work are to be renamed.
  struct stat target;
  if (::stat(path.c_str(), &target) == 0 && !S_ISREG(target.st_mode))
    return Error{path + ": expected a regular file or none, found " +
                 (S_ISDIR(target.st_mode) ? "a directory" : "a special file")};

  auto state = std::make_unique<State>();
  state->path = path;
  state->partial = path + ".partial";
  state->journal = path + ".partial.journal";
  state->header = std::move(plan);
  state->calls = std::move(calls);
  state->written.resize(state->header.records.size());
  if (Status status = state->lockPartial(); !status)
    return Error{status.error()};
  state->isOpen = true;
  std::string hash = planHash(state->header);
  if (!state->resume(hash))
    if (Status status = state->startAfresh(hash); !status) {
      state->remove();
      return Error{status.error()};
    }
  return ArchiveWriter(std::move(state));
}

const ArchiveHeader &ArchiveWriter::header() const { return state->header; }

bool ArchiveWriter::isWritten(size_t record) const {
  std::lock_guard lock(state->mutex);
  return state->written[record];
}

Status ArchiveWriter::write(size_t index,
                            std::span<const StoredTensorView> tensors) {
  const ArchiveRecord &record = state->header.records[index];
  auto refuse = [&](const std::string &message) {
    return Error{state->path + ": record '" + record.name + "': " + message};
  };
  // All sizes before the first byte.
  std::vector<std::span<const uint8_t>> bytes;
  std::vector<ByteRange> places;
  size_t next = 0;
  for (const ArchiveTensor &tensor : record.tensors) {
    if (tensor.splat)
      continue;
    if (next == tensors.size())
      return refuse("expected bytes of tensor '" + tensor.name +
                    "', found none");
    StoredTensorView view = tensors[next++];
    Result<std::vector<PartForm>> forms = partsOf(tensor.form);
    for (size_t i = 0; i < forms->size(); ++i) {
      const PartForm &form = (*forms)[i];
      if (view[form.part].size() != form.bytes)
        return refuse("tensor '" + tensor.name +
                      std::string(partSuffix(form.part)) + "': expected " +
                      std::to_string(form.bytes) + " bytes, found " +
                      std::to_string(view[form.part].size()));
      bytes.push_back(view[form.part]);
      places.push_back(tensor.parts[i]);
    }
  }
  if (next != tensors.size())
    return refuse("expected bytes of " + std::to_string(next) +
                  " tensors, found " + std::to_string(tensors.size()));

  static constexpr uint8_t zeros[archivePartBytes] = {};
  StreamingHash hash;
  uint64_t cursor = record.offset;
  for (size_t i = 0; i < bytes.size(); ++i) {
    hash.update(std::span(zeros).first(places[i].begin - cursor));
    hash.update(bytes[i]);
    cursor = places[i].end;
  }
  uint64_t digest = hash.digest64();
  if (isWritten(index)) {
    if (digest != record.hash)
      return refuse("expected the bytes of the run before, XXH3 " +
                    hashText(record.hash) + ", found " + hashText(digest));
    return success();
  }
  // Padding is already there: the file was made of zeros.
  for (size_t i = 0; i < bytes.size(); ++i)
    if (Status status = state->writeAt(
            state->file.number, state->header.dataOffset + places[i].begin,
            bytes[i]);
        !status)
      return Error{status.error() + " (record '" + record.name + "')" +
                   state->whatIsKept()};
  if (Status status = state->complete(index, digest); !status)
    return Error{status.error() + " (journal)" + state->whatIsKept()};
  return success();
}

Status ArchiveWriter::finish() {
  State &s = *state;
  for (size_t i = 0; i < s.written.size(); ++i) {
    if (s.written[i])
      continue;
    ArchiveRecord &record = s.header.records[i];
    bool isStored =
        std::any_of(record.tensors.begin(), record.tensors.end(),
                    [](const ArchiveTensor &tensor) { return !tensor.splat; });
    if (isStored)
      return Error{s.path + ": expected all records to be written, found '" +
                   record.name + "' missing"};
    record.hash = hash64("");
  }
  Result<std::string> text = archiveFileHeader(s.header);
  if (!text)
    return Error{s.path + ": " + text.error()};
  Status status = s.writeAt(
      s.file.number, 0,
      {reinterpret_cast<const uint8_t *>(text->data()), text->size()});
  if (status && s.calls.sync(s.file.number) != 0)
    status = s.systemError("cannot flush to disk");
  if (status && s.calls.rename(s.partial.c_str(), s.path.c_str()) != 0)
    status = s.systemError("cannot rename " + s.partial);
  if (!status)
    return Error{status.error() + s.whatIsKept()};
  ::unlink(s.journal.c_str());
  s.isOpen = false;
  // The rename itself is durable once the directory is; not every file system
  // can flush one, so a failure here is not an error.
  size_t slash = s.path.rfind('/');
  std::string directory = slash == std::string::npos ? "."
                          : slash == 0               ? "/"
                                                     : s.path.substr(0, slash);
  Descriptor parent(
      ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (parent.number >= 0)
    (void)::fsync(parent.number);
  return success();
}

void ArchiveWriter::discard() { state->remove(); }

} // namespace moec::weights
