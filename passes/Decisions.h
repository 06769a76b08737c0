// Remarks about decisions, taken and declined, with the numbers that decided them.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_PASSES_DECISIONS_H
#define MOEC_PASSES_DECISIONS_H

#include "mlir/IR/Location.h"
#include "llvm/Support/raw_ostream.h"
#include <string>

namespace moec {

/// Collects the text of one remark and emits it, when anybody listens, at the end of the statement:
///   Decision::taken(loc, "share-base") << "base once: " << type;
class Decision {
public:
  static Decision taken(mlir::Location loc, llvm::StringRef pass) {
    return Decision(loc, pass, Outcome::taken);
  }
  static Decision declined(mlir::Location loc, llvm::StringRef pass) {
    return Decision(loc, pass, Outcome::declined);
  }
  /// A figure rather than a decision.
  static Decision figure(mlir::Location loc, llvm::StringRef pass) {
    return Decision(loc, pass, Outcome::figure);
  }
  ~Decision();

  template <typename T> Decision &operator<<(const T &value) {
    if (heard)
      stream << value;
    return *this;
  }

private:
  enum class Outcome { taken, declined, figure };
  Decision(mlir::Location loc, llvm::StringRef pass, Outcome outcome);
  Decision(const Decision &) = delete;

  mlir::Location loc;
  llvm::StringRef pass;
  Outcome outcome;
  bool heard;
  std::string text;
  llvm::raw_string_ostream stream;
};

} // namespace moec

#endif // MOEC_PASSES_DECISIONS_H
