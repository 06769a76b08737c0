// What a user who ends the program leaves behind: nothing.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOECOMPILE_INTERRUPTION_H
#define MOEC_TOOLS_MOECOMPILE_INTERRUPTION_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace moec {

/// Stands in front of SIGHUP, SIGINT and SIGTERM while it lives. One at a time.
class Interruption {
public:
  /// `files` are the names that may stand in directories to be removed.
  explicit Interruption(llvm::ArrayRef<llvm::StringLiteral> files);
  Interruption(const Interruption &) = delete;
  Interruption &operator=(const Interruption &) = delete;
  /// A signal that was held ends the program now.
  ~Interruption();

  /// From now on a signal removes the directory and then ends the program.
  void removeFirst(llvm::StringRef directory);

  /// From now on signals wait.
  void hold();
};

} // namespace moec

#endif // MOEC_TOOLS_MOECOMPILE_INTERRUPTION_H
