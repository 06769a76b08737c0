// How far a command is, for people who look at a terminal.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_ARCHIVE_PROGRESS_H
#define MOEC_TOOLS_MOE_ARCHIVE_PROGRESS_H

#include <chrono>
#include <cstddef>

namespace moec::archive {

/// A line on standard error that overwrites itself and goes away at the end;
/// nothing where that is not a terminal.
class Progress {
public:
  /// `what` is counted: "records".
  Progress(const char *what, size_t total);
  ~Progress();

  /// So many are done.
  void show(size_t done);

  /// Makes room for a line of output.
  void clear();

private:
  const char *what;
  size_t total;
  bool isTerminal;
  bool isShown = false;
  std::chrono::steady_clock::time_point last;
};

} // namespace moec::archive

#endif // MOEC_TOOLS_MOE_ARCHIVE_PROGRESS_H
