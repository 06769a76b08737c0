// The moert dialect: registration, types and inlining.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "dialects/MoERT/IR/MoERT.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/Transforms/InliningUtils.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moec::moert;

#include "dialects/MoERT/IR/MoERTDialect.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/MoERT/IR/MoERTTypes.cpp.inc"

namespace {
/// Operations name what they read and write, so they may stand anywhere.
struct MoERTInlinerInterface : DialectInlinerInterface {
  using DialectInlinerInterface::DialectInlinerInterface;
  bool isLegalToInline(Operation *, Region *, bool, IRMapping &) const final {
    return true;
  }
};
} // namespace

void MoERTDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/MoERT/IR/MoERTTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/MoERT/IR/ExchangeOps.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/MoERT/IR/ResidencyOps.cpp.inc"
      >();
  addInterfaces<MoERTInlinerInterface>();
}
