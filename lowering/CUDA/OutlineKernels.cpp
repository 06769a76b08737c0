// moe-outline-kernels: whatever touches memory in an entry becomes kernels.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/FuseTurns.h"
#include "lowering/CUDA/KernelTable.h"
#include "lowering/Library/EntryArguments.h"
#include "lowering/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/Transforms.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace moec::lowering {
#define GEN_PASS_DEF_OUTLINEKERNELSPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;
using namespace moec;
using namespace moec::lowering;

/// Threads of a block where nothing else decides.
static constexpr int64_t plainThreads = 128;

/// Loops inside a thread run one turn after the other.
static void makeSequential(Operation *root) {
  SmallVector<scf::ParallelOp> loops;
  root->walk([&](scf::ParallelOp loop) { loops.push_back(loop); });
  IRRewriter rewriter(root->getContext());
  for (scf::ParallelOp loop : loops) {
    rewriter.setInsertionPoint(loop);
    (void)scf::parallelForToNestedFors(rewriter, loop);
  }
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

/// Memory is the device's: what reads or writes it runs there.
static bool touchesMemory(Operation *op) { return !isMemoryEffectFree(op); }

namespace {
/// Takes the kernels out of one entry, in order.
class KernelOutliner {
public:
  KernelOutliner(func::FuncOp entry, KernelTable &kernels)
      : entry(entry), kernels(kernels) {}

  LogicalResult run() {
    auto pointer = LLVM::LLVMPointerType::get(entry.getContext());
    if (failed(entry.insertArgument(entry.getNumArguments(), pointer,
                                    /*argAttrs=*/{}, entry.getLoc())))
      return failure();
    return outline(entry.getBody().front());
  }

private:
  LogicalResult outline(Block &block) {
    for (Operation *op = &block.front(), *next; op; op = next) {
      next = op->getNextNode();
      if (!touchesMemory(op))
        continue;
      if (auto asked = dyn_cast<gpu::LaunchFuncOp>(op)) {
        launch(asked);
        continue;
      }
      if (auto loop = dyn_cast<scf::ForOp>(op); loop && isHostLoop(loop)) {
        if (failed(outline(*loop.getBody())))
          return failure();
        continue;
      }
      if (auto branch = dyn_cast<scf::IfOp>(op);
          branch && isHostBranch(branch)) {
        for (Region &region : branch->getRegions())
          if (!region.empty() && failed(outline(region.front())))
            return failure();
        continue;
      }
      SmallVector<Operation *> range = collectRange(op);
      next = range.back()->getNextNode();
      auto parallel = dyn_cast<scf::ParallelOp>(op);
      if (parallel && parallel.getInitVals().empty() && range.size() == 1) {
        if (failed(parallel->hasAttr(turnOfBlockAttrName)
                       ? launchTurns(parallel)
                       : launchParallel(parallel)))
          return failure();
      } else if (failed(launchSerial(range))) {
        return failure();
      }
    }
    return success();
  }

  /// A choice between launches, by extents.
  static bool isHostBranch(scf::IfOp branch) {
    return branch
        ->walk([](gpu::LaunchFuncOp) { return WalkResult::interrupt(); })
        .wasInterrupted();
  }

  /// A loop whose turns have kernels of their own. Numbers that it carried would be the device's.
  static bool isHostLoop(scf::ForOp loop) {
    return loop.getInitArgs().empty() &&
           !loop.getBody()->getOps<scf::ParallelOp>().empty();
  }

  /// `op` and what is behind it up to the last that needs a number made here: numbers do not leave the device. What stands
  /// between and needs none of them moves in front.
  static SmallVector<Operation *> collectRange(Operation *op) {
    Block *block = op->getBlock();
    SmallVector<Operation *> range;
    llvm::SmallPtrSet<Operation *, 8> inside;
    auto needsNumbers = [&](Operation *here) {
      return here
          ->walk([&](Operation *nested) {
            return llvm::any_of(nested->getOperands(),
                                [&](Value value) {
                                  return inside.contains(value.getDefiningOp());
                                })
                       ? WalkResult::interrupt()
                       : WalkResult::advance();
          })
          .wasInterrupted();
    };
    Operation *last = op;
    for (Operation *here = op;;) {
      Operation *following = here->getNextNode();
      if (touchesMemory(here) || needsNumbers(here)) {
        range.push_back(here);
        inside.insert(here);
        for (Operation *user : here->getUsers()) {
          Operation *used = block->findAncestorOpInBlock(*user);
          if (last->isBeforeInBlock(used))
            last = used;
        }
      } else {
        here->moveBefore(op);
      }
      if (here == last)
        break;
      here = following;
    }
    return range;
  }

  /// A kernel of what `body` emits, and its launch in front of `op`.
  LogicalResult launch(Operation *op, int64_t threads, Value blocks,
                       llvm::function_ref<void(OpBuilder &)> body) {
    FailureOr<Kernel> kernel =
        kernels.add(op->getLoc(), entryNameOf(entry), threads,
                    [&](OpBuilder &builder, gpu::GPUFuncOp) { body(builder); });
    if (failed(kernel))
      return failure();
    makeSequential(kernel->function);
    OpBuilder host(op);
    kernels.launch(host, op->getLoc(), kernel->function.getName(),
                   entry.getArguments().back(), blocks, kernel->captures);
    return success();
  }

  /// One thread for each turn; the last dimension's turns are neighbours.
  LogicalResult launchParallel(scf::ParallelOp loop) {
    Location loc = loop.getLoc();
    OpBuilder host(loop);
    // The bounds are the host's, so it counts blocks.
    Value turns = emitProduct(host, loc, emitExtents(host, loop));
    Value size = arith::ConstantIndexOp::create(host, loc, plainThreads);
    Value blocks = arith::CeilDivUIOp::create(host, loc, turns, size);
    LogicalResult status =
        launch(loop, plainThreads, blocks,
               [&](OpBuilder &builder) { emitTurn(builder, loop); });
    loop.erase();
    return status;
  }

  static void emitTurn(OpBuilder &builder, scf::ParallelOp loop) {
    Location loc = loop.getLoc();
    SmallVector<Value> extents = emitExtents(builder, loop);
    Value total = emitProduct(builder, loc, extents);
    Value rest = emitThread(builder, loc);
    auto isTurn = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult,
                                        rest, total);
    auto branch = scf::IfOp::create(builder, loc, isTurn);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(&branch.getThenRegion().front());
    IRMapping mapping;
    emitTurn(builder, loop, rest, mapping);
  }

  /// The turn of that number; the last dimension's are neighbours.
  static void emitTurn(OpBuilder &builder, scf::ParallelOp loop, Value rest,
                       IRMapping &mapping) {
    Location loc = loop.getLoc();
    SmallVector<Value> extents = emitExtents(builder, loop);
    for (size_t i = loop.getNumLoops(); i-- > 0;) {
      Value at = rest;
      if (i > 0) {
        at = arith::RemUIOp::create(builder, loc, rest, extents[i]);
        rest = arith::DivUIOp::create(builder, loc, rest, extents[i]);
      }
      Value scaled = arith::MulIOp::create(builder, loc, at, loop.getStep()[i]);
      Value variable =
          arith::AddIOp::create(builder, loc, scaled, loop.getLowerBound()[i]);
      mapping.map(loop.getInductionVars()[i], variable);
    }
    for (Operation &op : loop.getBody()->without_terminator())
      builder.clone(op, mapping);
  }

  /// A block for each turn of a loop that moe-fuse-turns made: the threads share the turns of each loop inside, and meet
  /// behind it.
  LogicalResult launchTurns(scf::ParallelOp loop) {
    int64_t threads = threadsFor(loop);
    LogicalResult status = launch(
        loop, threads, loop.getUpperBound().front(), [&](OpBuilder &builder) {
          Location loc = loop.getLoc();
          Value turn = gpu::BlockIdOp::create(builder, loc, gpu::Dimension::x);
          Value thread =
              gpu::ThreadIdOp::create(builder, loc, gpu::Dimension::x);
          Value step = arith::ConstantIndexOp::create(builder, loc, threads);
          auto inside = loop.getBody()->getOps<scf::ParallelOp>();
          for (scf::ParallelOp piece : inside) {
            if (piece != *inside.begin())
              gpu::BarrierOp::create(builder, loc);
            Value turns =
                emitProduct(builder, loc, emitExtents(builder, piece));
            auto share = scf::ForOp::create(builder, loc, thread, turns, step);
            OpBuilder::InsertionGuard guard(builder);
            builder.setInsertionPointToStart(share.getBody());
            IRMapping mapping;
            mapping.map(loop.getInductionVars().front(), turn);
            emitTurn(builder, piece, share.getInductionVar(), mapping);
          }
        });
    loop.erase();
    return status;
  }

  /// Whole warps, enough for the widest loop inside.
  static int64_t threadsFor(scf::ParallelOp loop) {
    int64_t most = 1;
    for (auto piece : loop.getBody()->getOps<scf::ParallelOp>())
      most = std::max(most, *turnsOf(piece));
    return std::clamp<int64_t>(llvm::alignTo(most, 32), 32, 256);
  }

  /// Turns of each dimension.
  static SmallVector<Value> emitExtents(OpBuilder &builder,
                                        scf::ParallelOp loop) {
    SmallVector<Value> extents;
    Location loc = loop.getLoc();
    for (auto [from, to, step] : llvm::zip_equal(
             loop.getLowerBound(), loop.getUpperBound(), loop.getStep())) {
      // An empty range may end before it begins.
      Value upper = arith::MaxSIOp::create(builder, loc, from, to);
      Value span = arith::SubIOp::create(builder, loc, upper, from);
      extents.push_back(arith::CeilDivUIOp::create(builder, loc, span, step));
    }
    return extents;
  }

  static Value emitProduct(OpBuilder &builder, Location loc,
                           ArrayRef<Value> factors) {
    Value product = factors.front();
    for (Value factor : factors.drop_front())
      product = arith::MulIOp::create(builder, loc, product, factor);
    return product;
  }

  /// The number of this thread in the grid.
  static Value emitThread(OpBuilder &builder, Location loc) {
    Value block = gpu::BlockIdOp::create(builder, loc, gpu::Dimension::x);
    Value size = arith::ConstantIndexOp::create(builder, loc, plainThreads);
    Value thread = gpu::ThreadIdOp::create(builder, loc, gpu::Dimension::x);
    return arith::AddIOp::create(
        builder, loc, arith::MulIOp::create(builder, loc, block, size), thread);
  }

  /// One thread does it all.
  LogicalResult launchSerial(ArrayRef<Operation *> range) {
    OpBuilder host(range.front());
    Value one =
        arith::ConstantIndexOp::create(host, range.front()->getLoc(), 1);
    LogicalResult status =
        launch(range.front(), /*threads=*/1, one, [&](OpBuilder &builder) {
          IRMapping mapping;
          for (Operation *op : range)
            builder.clone(*op, mapping);
        });
    for (Operation *op : llvm::reverse(range))
      op->erase();
    return status;
  }

  /// A launch that an earlier pass asked for.
  void launch(gpu::LaunchFuncOp op) {
    OpBuilder host(op);
    kernels.launch(host, op.getLoc(), op.getKernelName().getValue(),
                   entry.getArguments().back(), op.getGridSizeX(),
                   op.getKernelOperands());
    op.erase();
  }

  func::FuncOp entry;
  KernelTable &kernels;
};

struct OutlineKernelsPass
    : lowering::impl::OutlineKernelsPassBase<OutlineKernelsPass> {
  using Base::Base;

  void runOnOperation() override {
    KernelTable kernels(getOperation());
    for (func::FuncOp entry : findEntries(getOperation()))
      if (failed(KernelOutliner(entry, kernels).run()))
        return signalPassFailure();
  }
};
} // namespace
