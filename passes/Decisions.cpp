// Remarks about decisions, taken and declined, with the numbers that decided them.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Decisions.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Remarks.h"

using namespace mlir;
using namespace moec;

Decision::Decision(Location loc, StringRef pass, Outcome outcome)
    : loc(loc), pass(pass), outcome(outcome),
      heard(loc.getContext()->getRemarkEngine() != nullptr), stream(text) {}

Decision::~Decision() {
  if (!heard)
    return;
  auto options = remark::RemarkOpts::name(pass).category("moe");
  if (outcome == Outcome::taken)
    remark::passed(loc, options) << text;
  else if (outcome == Outcome::declined)
    remark::missed(loc, options) << text;
  else
    remark::analysis(loc, options) << text;
}
