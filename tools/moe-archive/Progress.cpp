// How far a command is, for people who look at a terminal.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-archive/Progress.h"

#include <cstdio>
#include <unistd.h>

namespace moec::archive {

Progress::Progress(const char *what, size_t total)
    : what(what), total(total), isTerminal(::isatty(STDERR_FILENO)),
      last(std::chrono::steady_clock::now()) {}

Progress::~Progress() { clear(); }

void Progress::show(size_t done) {
  if (!isTerminal)
    return;
  // What takes no time shall not flicker.
  auto now = std::chrono::steady_clock::now();
  if (now - last < std::chrono::milliseconds(200))
    return;
  last = now;
  isShown = true;
  std::fprintf(stderr, "\r%zu of %zu %s", done, total, what);
  std::fflush(stderr);
}

void Progress::clear() {
  if (!isShown)
    return;
  isShown = false;
  // Erases the line.
  std::fputs("\r\x1b[K", stderr);
}

} // namespace moec::archive
