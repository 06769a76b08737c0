// The moe dialect: registration and inlining.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "dialects/MoE/IR/MoE.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/InliningUtils.h"

using namespace mlir;
using namespace moec::moe;

#include "dialects/MoE/IR/MoEDialect.cpp.inc"

namespace {
/// All moe operations may be inlined anywhere: they have no regions and no effects but on their operands.
struct MoEInlinerInterface : DialectInlinerInterface {
  using DialectInlinerInterface::DialectInlinerInterface;
  bool isLegalToInline(Operation *, Region *, bool, IRMapping &) const final {
    return true;
  }
};
} // namespace

void MoEDialect::initialize() {
  registerAttributes();
  registerTypes();
  addOperations<
#define GET_OP_LIST
#include "dialects/MoE/IR/WeightOps.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/MoE/IR/GraphOps.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/MoE/IR/CommunicationOps.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/MoE/IR/SlotOps.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/MoE/IR/ScheduledOps.cpp.inc"
      >();
  addInterfaces<MoEInlinerInterface>();
}
