// What a user who ends the program leaves behind: nothing.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// The handler calls only what POSIX allows in one: paths are made before.
#include "tools/moe-compile/Interruption.h"

#include "llvm/ADT/Twine.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <iterator>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

using namespace moec;

namespace {
struct Scratch {
  std::string directory;
  std::vector<std::string> files;
};

constexpr int endings[] = {SIGHUP, SIGINT, SIGTERM};
struct sigaction before[std::size(endings)];
llvm::ArrayRef<llvm::StringLiteral> names;
/// What a signal removes; null while signals wait. Owned by `owned`.
std::atomic<const Scratch *> current{nullptr};
std::unique_ptr<Scratch> owned;
std::atomic<int> waiting{0};

void removeScratch(const Scratch &scratch) {
  // The linker and other threads may still make a file or two; they cannot once the directory is gone.
  for (int attempt = 0; attempt < 1000; ++attempt) {
    for (const std::string &file : scratch.files)
      ::unlink(file.c_str());
    if (::rmdir(scratch.directory.c_str()) == 0 || errno != ENOTEMPTY)
      return;
  }
}

void onSignal(int signal) {
  int saved = errno;
  const Scratch *scratch = current.load();
  if (!scratch) {
    waiting.store(signal);
    errno = saved;
    return;
  }
  removeScratch(*scratch);
  // Whoever was there before goes on when this returns.
  for (size_t i = 0; i < std::size(endings); ++i)
    if (endings[i] == signal)
      ::sigaction(signal, &before[i], nullptr);
  ::raise(signal);
  errno = saved;
}
} // namespace

Interruption::Interruption(llvm::ArrayRef<llvm::StringLiteral> files) {
  names = files;
  hold();
  struct sigaction action = {};
  action.sa_handler = onSignal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < std::size(endings); ++i) {
    ::sigaction(endings[i], nullptr, &before[i]);
    // What is ignored, as under nohup, stays so.
    if (before[i].sa_handler != SIG_IGN)
      ::sigaction(endings[i], &action, nullptr);
  }
}

Interruption::~Interruption() {
  for (size_t i = 0; i < std::size(endings); ++i)
    ::sigaction(endings[i], &before[i], nullptr);
  hold();
  if (int signal = waiting.exchange(0))
    ::raise(signal);
}

void Interruption::removeFirst(llvm::StringRef directory) {
  owned = std::make_unique<Scratch>();
  owned->directory = directory.str();
  for (llvm::StringRef name : names)
    owned->files.push_back((directory + llvm::Twine("/") + name).str());
  current.store(owned.get());
  if (int signal = waiting.exchange(0))
    ::raise(signal);
}

void Interruption::hold() { current.store(nullptr); }
