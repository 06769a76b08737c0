// A run whose model is regrouped by the traffic that it sees.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_RUN_REGROUPING_H
#define MOEC_TOOLS_MOE_RUN_REGROUPING_H

#include "moert/regroup.h"
#include "tools/Execution/Artifact.h"
#include "tools/Execution/Tensor.h"
#include "tools/moe-run/Options.h"
#include "weights/Result.h"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace moec::run {

/// The functions of libmoert_regroup.so, which is loaded when it is asked for.
struct RegroupFunctions {
  decltype(&moert_regrouper_start) start;
  decltype(&moert_regrouper_observe) observe;
  decltype(&moert_regrouper_statistics) statistics;
  decltype(&moert_regrouper_report) report;
  decltype(&moert_regrouper_stop) stop;
};

/// Watches the steps of an open artifact, which outlives it.
class Regrouping {
public:
  static weights::Result<Regrouping> start(const Options &options,
                                           const Artifact &artifact);

  /// What an instrumented layer was given and decided.
  weights::Status observe(const Callable &layer,
                          std::span<const Tensor> tensors);
  /// A step took so long.
  void noteStep(double seconds);
  /// Waits for a regroup that is under way, and says what there was, line by
  /// line.
  std::string finish();

private:
  struct Stop {
    RegroupFunctions functions;
    void operator()(moert_regrouper *regrouper) const {
      functions.stop(regrouper);
    }
  };
  using Handle = std::unique_ptr<moert_regrouper, Stop>;

  explicit Regrouping(Handle handle) : handle(std::move(handle)) {}

  moert_regroup_statistics statistics() const;

  Handle handle;
  bool wasWorking = false;
  /// Seconds of steps while a regroup was under way, and of others.
  std::vector<double> beside, alone;
};

} // namespace moec::run

#endif // MOEC_TOOLS_MOE_RUN_REGROUPING_H
