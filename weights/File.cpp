// Files as they are read and written: mapped, and replaced as a whole.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/File.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace moec::weights {

namespace {

Error systemError(const std::string &path, const char *verb) {
  return Error{path + ": cannot " + verb + ": " + std::strerror(errno)};
}

/// A file descriptor that closes itself.
struct Descriptor {
  int number = -1;
  ~Descriptor() {
    if (number >= 0)
      ::close(number);
  }
};

bool writeAll(int descriptor, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    // One call writes at most 2 GiB; smaller pieces keep it interruptible.
    size_t piece = bytes.size() < (1u << 30) ? bytes.size() : (1u << 30);
    ssize_t written = ::write(descriptor, bytes.data(), piece);
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return false;
    bytes = bytes.subspan(size_t(written));
  }
  return true;
}

} // namespace

Result<MappedFile> MappedFile::open(const std::string &path) {
  // Non-blocking, so that a pipe is refused and not waited for.
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.number < 0)
    return systemError(path, "open");
  struct stat status;
  if (::fstat(file.number, &status) != 0)
    return systemError(path, "stat");
  if (!S_ISREG(status.st_mode))
    return Error{path + ": expected a regular file, found " +
                 (S_ISDIR(status.st_mode) ? "a directory" : "a special file")};
  MappedFile result;
  result.size = size_t(status.st_size);
  if (result.size == 0)
    return result;
  void *address =
      ::mmap(nullptr, result.size, PROT_READ, MAP_PRIVATE, file.number, 0);
  if (address == MAP_FAILED) {
    result.size = 0;
    return systemError(path, "map");
  }
  result.data = static_cast<const uint8_t *>(address);
  return result;
}

MappedFile::MappedFile(MappedFile &&other) noexcept
    : data(std::exchange(other.data, nullptr)),
      size(std::exchange(other.size, 0)) {}

MappedFile &MappedFile::operator=(MappedFile &&other) noexcept {
  std::swap(data, other.data);
  std::swap(size, other.size);
  return *this;
}

MappedFile::~MappedFile() {
  if (data)
    ::munmap(const_cast<uint8_t *>(data), size);
}

Status writeFileAtomically(const std::string &path,
                           std::span<const std::span<const uint8_t>> parts) {
  Descriptor file;
  std::string temporary;
  for (int attempt = 0; attempt < 100 && file.number < 0; ++attempt) {
    temporary = path + ".tmp-" + std::to_string(::getpid()) + "-" +
                std::to_string(attempt);
    file.number = ::open(temporary.c_str(),
                         O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file.number < 0 && errno != EEXIST)
      break;
  }
  if (file.number < 0)
    return systemError(path, "create a temporary file beside it");
  bool written = true;
  for (std::span<const uint8_t> part : parts)
    written = written && writeAll(file.number, part);
  written = written && ::fsync(file.number) == 0 &&
            ::rename(temporary.c_str(), path.c_str()) == 0;
  if (!written) {
    Error error = systemError(path, "write");
    ::unlink(temporary.c_str());
    return error;
  }
  // The rename itself is durable once the directory is; not every file system
  // can flush one, so a failure here is not an error.
  size_t slash = path.rfind('/');
  std::string directory = slash == std::string::npos ? "."
                          : slash == 0               ? "/"
                                                     : path.substr(0, slash);
  Descriptor parent{
      ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (parent.number >= 0)
    (void)::fsync(parent.number);
  return success();
}

} // namespace moec::weights
