// One line on a terminal that counts what is done.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/TerminalProgress.h"

#include "llvm/Support/raw_ostream.h"

#include <memory>

namespace {
/// A line that is erased in the end, also when the work fails half way and a diagnostic follows.
struct Line {
  ~Line() { erase(); }

  void erase() {
    if (percent >= 0)
      llvm::errs() << "\r\x1b[K";
    percent = -1;
  }

  /// What is shown; -1 for nothing.
  int64_t percent = -1;
};
} // namespace

std::function<void(int64_t, int64_t)>
moec::progressOnTerminal(std::string what, std::string unit) {
  if (!llvm::errs().is_displayed())
    return {};
  return [what = std::move(what), unit = std::move(unit),
          line = std::make_shared<Line>()](int64_t done, int64_t total) {
    if (done >= total)
      return line->erase();
    // Of many small pieces every hundredth part is enough.
    int64_t percent = done * 100 / total;
    if (percent == line->percent)
      return;
    line->percent = percent;
    llvm::errs() << "\r" << what << ": " << done << " of " << total << " "
                 << unit << "\x1b[K";
  };
}
