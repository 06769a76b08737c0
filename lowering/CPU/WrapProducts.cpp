// moe-wrap-products: products beside a layer become what kernels do.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "dialects/MoE/IR/MoE.h"
#include "lowering/CPU/StoredWeight.h"
#include "lowering/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

namespace moec::lowering {
#define GEN_PASS_DEF_WRAPPRODUCTSPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;
using namespace moec;
using namespace moec::lowering;

/// The argument of a body that a value is, or is a wider form of.
static BlockArgument argumentBehind(Value value) {
  if (auto wider = value.getDefiningOp<arith::ExtFOp>())
    value = wider.getIn();
  return dyn_cast<BlockArgument>(value);
}

/// Whether a body adds the product of its first two arguments to the third.
static bool isMultiplyAdd(Block &body) {
  if (body.getNumArguments() != 3)
    return false;
  auto sum = body.getTerminator()->getOperand(0).getDefiningOp<arith::AddFOp>();
  if (!sum)
    return false;
  Value before = body.getArgument(2);
  Value added = sum.getLhs() == before ? sum.getRhs() : sum.getLhs();
  auto product = added.getDefiningOp<arith::MulFOp>();
  if (!product || (sum.getLhs() != before && sum.getRhs() != before))
    return false;
  BlockArgument lhs = argumentBehind(product.getLhs());
  BlockArgument rhs = argumentBehind(product.getRhs());
  return lhs && rhs && lhs.getArgNumber() + rhs.getArgNumber() == 1;
}

namespace {
/// y[m, n] += Σ_k x[m, k]·w[k, n], or w[n, k].
struct Product {
  Value x, w, y;
  bool isTransposed;

  Type element() const {
    return cast<MemRefType>(y.getType()).getElementType();
  }
};
} // namespace

/// The product that an operation is, if it is one that kernels compute.
static std::optional<Product> productOf(linalg::LinalgOp op) {
  if (!op.hasPureBufferSemantics() || op.getNumDpsInputs() != 2 ||
      op.getNumDpsInits() != 1 || !isMultiplyAdd(*op.getBlock()))
    return std::nullopt;
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  if (op.getNumLoops() != 3 || op.getNumReductionLoops() != 1 ||
      !maps[2].isProjectedPermutation() || maps[2].getNumResults() != 2)
    return std::nullopt;
  unsigned row = maps[2].getDimPosition(0), column = maps[2].getDimPosition(1);
  unsigned k = 3 - row - column;
  auto isOver = [&](unsigned operand, ArrayRef<unsigned> dims) {
    return maps[operand] ==
           AffineMap::getMultiDimMapWithTargets(3, dims, op.getContext());
  };
  bool isTransposed = isOver(1, {column, k});
  if (!isOver(0, {row, k}) || (!isTransposed && !isOver(1, {k, column})))
    return std::nullopt;
  Product product{op.getDpsInputs()[0], op.getDpsInputs()[1],
                  op.getDpsInits()[0], isTransposed};
  auto w = cast<MemRefType>(product.w.getType());
  if (!w.hasStaticShape() || !plainFormatOf(w.getElementType()) ||
      !plainFormatOf(product.element()) ||
      cast<MemRefType>(product.x.getType()).getElementType() !=
          product.element())
    return std::nullopt;
  return product;
}

/// The second factor as a weight.
static Value wrap(OpBuilder &b, Location loc, const Product &product) {
  Value matrix = product.w;
  if (product.isTransposed)
    matrix = memref::TransposeOp::create(
        b, loc, matrix,
        AffineMapAttr::get(AffineMap::getPermutationMap(
            ArrayRef<unsigned>{1, 0}, b.getContext())));
  auto type = cast<MemRefType>(matrix.getType());
  auto weight = moe::WeightType::get(b.getContext(), type.getDimSize(0),
                                     type.getDimSize(1), product.element(),
                                     moe::Axis::none, /*count=*/1);
  moe::EncodingAttr encoding;
  if (type.getElementType() != product.element())
    encoding = moe::EncodingAttr::get(
        b.getContext(), *plainFormatOf(type.getElementType()), /*group=*/0,
        /*zeroPoint=*/false, moe::ScaleType::f32, moe::Side::input);
  return moe::WrapOp::create(b, loc, weight, matrix, /*scales=*/Value(),
                             /*zeroPoints=*/Value(), /*slots=*/Value(),
                             encoding, moe::LayoutAttr());
}

namespace {
struct WrapProductsPass
    : moec::lowering::impl::WrapProductsPassBase<WrapProductsPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<std::pair<linalg::LinalgOp, Product>> found;
    getOperation()->walk([&](linalg::LinalgOp op) {
      if (std::optional<Product> product = productOf(op))
        found.emplace_back(op, *product);
    });
    for (auto [op, product] : found) {
      OpBuilder b(op);
      moe::GroupedMatmulOp::create(
          b, op.getLoc(), TypeRange(), product.x, wrap(b, op.getLoc(), product),
          /*biases=*/ValueRange(), /*offsets=*/Value(), /*entries=*/Value(),
          /*pairRow=*/Value(), /*pairExpert=*/Value(),
          /*residuals=*/ValueRange(), /*segment=*/Value(), /*expand=*/Value(),
          /*segmentWeights=*/Value(), product.y, moe::ActivationAttr(),
          /*accumulate=*/true, /*rounding=*/moe::EncodingAttr());
      op->erase();
    }
  }
};
} // namespace
