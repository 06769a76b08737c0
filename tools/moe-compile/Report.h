// What a run of moe-compile has to say about itself: times and remarks, as JSON.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOECOMPILE_REPORT_H
#define MOEC_TOOLS_MOECOMPILE_REPORT_H

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/StringRef.h"

#include <chrono>
#include <string>
#include <vector>

namespace mlir {
class MLIRContext;
} // namespace mlir

namespace moec {

/// Collects while a compilation goes on; must outlive the context it listens to.
class Report {
public:
  /// Listens to the remarks of passes: decisions taken and declined.
  llvm::LogicalResult listen(mlir::MLIRContext &context);

  /// The time from the end of the stage before to now is this stage's.
  void endStage(llvm::StringRef name);

  /// Writes the report; "-" is stdout.
  llvm::LogicalResult write(llvm::StringRef path) const;

  /// One remark, as text.
  struct Remark {
    std::string kind;
    std::string name;
    std::string location;
    std::string message;
  };

private:
  struct Stage {
    std::string name;
    double milliseconds;
  };
  using Clock = std::chrono::steady_clock;

  std::vector<Stage> stages;
  std::vector<Remark> remarks;
  Clock::time_point last = Clock::now();
};

} // namespace moec

#endif // MOEC_TOOLS_MOECOMPILE_REPORT_H
