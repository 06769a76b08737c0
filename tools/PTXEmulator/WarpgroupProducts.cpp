// wgmma: products of matrices in shared memory by four warps. Each warp has 16
// rows; all are computed as late as the first wait of any of the warps allows.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/WarpgroupProducts.h"

#include "tools/PTXEmulator/Lanes.h"
#include "tools/PTXEmulator/MatrixFragments.h"
#include "tools/PTXEmulator/MatrixProduct.h"
#include "tools/PTXEmulator/Rounding.h"
#include "tools/PTXEmulator/SharedMemory.h"
#include "tools/PTXEmulator/TensorMap.h"
#include "weights/FloatFormats.h"

#include <algorithm>
#include <cstdio>

namespace moec::ptx {

namespace {

/// Rows of a warp, and of a core matrix, which has rows of 16 bytes.
constexpr unsigned warpRows = 16, coreRows = 8, unitBytes = 16;
constexpr unsigned warpsOfGroup = 4;

/// A matrix in shared memory, as its 64-bit descriptor says.
struct Descriptor {
  uint32_t start, leading, stride;
  Swizzle swizzle;
  bool hasBaseOffset;

  explicit Descriptor(uint64_t bits)
      : start((bits & 0x3FFF) << 4), leading((bits >> 16 & 0x3FFF) << 4),
        stride((bits >> 32 & 0x3FFF) << 4),
        hasBaseOffset((bits >> 49 & 7) != 0) {
    static constexpr Swizzle modes[] = {Swizzle::None, Swizzle::Bytes128,
                                        Swizzle::Bytes64, Swizzle::Bytes32};
    swizzle = modes[bits >> 62];
  }

  /// Units of a row of the swizzle's pattern.
  unsigned span() const { return 1u << static_cast<unsigned>(swizzle); }

  /// The address of unit `unit` along the depth of row `row`: elements of the
  /// depth lie next to each other.
  uint32_t depthMajor(unsigned row, unsigned unit) const {
    uint32_t group = row / coreRows * stride, within = row % coreRows;
    uint32_t linear = swizzle == Swizzle::None
                          ? unit * leading + within * unitBytes
                          : within * span() * unitBytes + unit * unitBytes;
    return swizzled(start + group + linear, swizzle);
  }

  /// The address of unit `unit` along the rows at depth `depth`: elements of
  /// rows lie next to each other.
  uint32_t rowMajor(unsigned unit, unsigned depth) const {
    uint32_t group = depth / coreRows, within = depth % coreRows;
    if (swizzle == Swizzle::None)
      return start + unit * stride + within * unitBytes + group * leading;
    return swizzled(start + unit % span() * unitBytes +
                        unit / span() * leading + within * span() * unitBytes +
                        group * stride,
                    swizzle);
  }
};

/// One factor of a product: a matrix of `rows` by `depth` in shared memory.
struct Factor {
  Descriptor descriptor;
  Type type;
  unsigned firstRow, rows, depth;
  bool isTransposed;
  float scale;

  unsigned elementsOfUnit() const { return unitBytes * 8 / bitsOf(type); }

  /// Calls `visit(address, row, depth)` with each unit; further elements are
  /// along the depth, or along the rows if it is transposed.
  template <typename F> void forEachUnit(F visit) const {
    unsigned count = elementsOfUnit();
    if (isTransposed) {
      for (unsigned k = 0; k < depth; ++k)
        for (unsigned row = 0; row < rows; row += count)
          visit(descriptor.rowMajor((firstRow + row) / count, k), row, k);
      return;
    }
    for (unsigned row = 0; row < rows; ++row)
      for (unsigned k = 0; k < depth; k += count)
        visit(descriptor.depthMajor(firstRow + row, k / count), row, k);
  }

  /// Calls `put(row, depth, value)` with each element.
  template <typename F> void load(const Cta &cta, F put) const {
    unsigned bytes = bitsOf(type) / 8;
    forEachUnit([&](uint32_t address, unsigned row, unsigned k) {
      for (unsigned i = 0; i < elementsOfUnit(); ++i) {
        uint32_t bits = 0;
        std::memcpy(&bits, &cta.shared[address + i * bytes], bytes);
        float value = scale * elementOf(bits, type, 0);
        isTransposed ? put(row + i, k, value) : put(row, k + i, value);
      }
    });
  }
};

// Fields of the operation: type and sourceType are those of A and B, number the
// depth, elementCount 1 if A is transposed plus 2 if B is; vectors are D and,
// if it is in registers, A; offsets: the columns, the scales of A and B.

unsigned columnsOf(const Operation &operation) {
  return static_cast<unsigned>(operation.offsets[0]);
}

bool hasRegisterA(const Operation &operation) {
  return operation.vectors.size() == 2;
}

Factor factorA(const Warp &warp, const WarpProduct &product) {
  const Operation &operation = *product.operation;
  return {Descriptor(product.a),
          operation.type,
          warp.index % warpsOfGroup * warpRows,
          warpRows,
          static_cast<unsigned>(operation.number),
          (operation.elementCount & 1) != 0,
          static_cast<float>(operation.offsets[1])};
}

Factor factorB(const WarpProduct &product) {
  const Operation &operation = *product.operation;
  return {Descriptor(product.b),
          operation.sourceType,
          0,
          columnsOf(operation),
          static_cast<unsigned>(operation.number),
          (operation.elementCount & 2) != 0,
          static_cast<float>(operation.offsets[2])};
}

/// Checks what a factor reads, and forbids others to write there.
bool beginReading(Warp &warp, const Operation &operation,
                  const Factor &factor) {
  if (factor.descriptor.hasBaseOffset)
    return warp.fault(FaultKind::LaunchFailed, operation, 0,
                      "expected a matrix descriptor without a base offset");
  bool failed = false;
  factor.forEachUnit([&](uint32_t address, unsigned, unsigned) {
    SharedPlace place = failed ? SharedPlace()
                               : findShared(warp, operation, 0, Space::Shared,
                                            address, unitBytes);
    if (!place ||
        !touchShared(warp, operation, 0, place, unitBytes, Touch::AsyncRead)) {
      failed = true;
      return;
    }
    countAsyncReader(place, unitBytes, 1);
  });
  return !failed;
}

void endReading(Warp &warp, const Factor &factor) {
  factor.forEachUnit([&](uint32_t address, unsigned, unsigned) {
    countAsyncReader({warp.cta, address}, unitBytes, -1);
  });
}

/// Row and column of accumulator `i` of a lane within the warp's rows.
unsigned accumulatorPlace(unsigned lane, unsigned i, unsigned columns) {
  unsigned row = lane / 4 + 8 * (i / 2 % 2);
  return row * columns + 8 * (i / 4) + 2 * (lane % 4) + i % 2;
}

bool isHalf(const Operation &operation) {
  return operation.vectors[0].size() == columnsOf(operation) / 4;
}

void loadAccumulators(const Warp &warp, const Operation &operation, float *d) {
  unsigned columns = columnsOf(operation);
  bool half = isHalf(operation);
  for (unsigned lane = 0; lane < warpSize; ++lane)
    for (unsigned i = 0; i < columns / 2; ++i) {
      uint32_t bits = static_cast<uint32_t>(
          readLane(warp, operation.vectors[0][half ? i / 2 : i], lane));
      d[accumulatorPlace(lane, i, columns)] =
          half ? elementOf(bits, Type::F16, i % 2) : std::bit_cast<float>(bits);
    }
}

void storeAccumulators(Warp &warp, const Operation &operation, const float *d) {
  unsigned columns = columnsOf(operation);
  bool half = isHalf(operation);
  for (unsigned lane = 0; lane < warpSize; ++lane)
    for (unsigned i = 0; i < columns / 2; i += half ? 2 : 1) {
      float value = d[accumulatorPlace(lane, i, columns)];
      uint32_t bits = std::bit_cast<uint32_t>(canonical(value));
      if (half)
        bits = weights::floatToF16(value) |
               uint32_t(weights::floatToF16(
                   d[accumulatorPlace(lane, i + 1, columns)]))
                   << 16;
      writeLane(warp, operation.vectors[0][half ? i / 2 : i], lane, bits);
    }
}

void changeInFlight(Warp &warp, const Operation &operation, int change) {
  for (const std::vector<Slot> &registers : operation.vectors)
    for (const Slot &slot : registers)
      warp.registerStates[slot.offset / 64].inFlight = static_cast<uint16_t>(
          warp.registerStates[slot.offset / 64].inFlight + change);
}

void perform(Warp &warp, WarpProduct &product) {
  if (product.isPerformed)
    return;
  product.isPerformed = true;
  const Operation &operation = *product.operation;
  unsigned columns = columnsOf(operation);
  unsigned depth = static_cast<unsigned>(operation.number);
  std::vector<float> a(warpRows * depth), b(depth * columns),
      d(warpRows * columns);
  if (hasRegisterA(operation)) {
    loadA(warp, operation.vectors[1], operation.type, depth, a.data());
    for (float &value : a)
      value *= static_cast<float>(operation.offsets[1]);
  } else {
    Factor factor = factorA(warp, product);
    factor.load(*warp.cta, [&](unsigned row, unsigned k, float value) {
      a[row * depth + k] = value;
    });
    endReading(warp, factor);
  }
  Factor factor = factorB(product);
  factor.load(*warp.cta, [&](unsigned column, unsigned k, float value) {
    b[k * columns + column] = value;
  });
  endReading(warp, factor);
  if (product.accumulates)
    loadAccumulators(warp, operation, d.data());
  addProduct(d.data(), a.data(), b.data(), warpRows, columns, depth);
  storeAccumulators(warp, operation, d.data());
}

/// Registers that were written must be fenced before a product has them.
bool checkFenced(Warp &warp, const Operation &operation) {
  for (const std::vector<Slot> &registers : operation.vectors)
    for (const Slot &slot : registers)
      if (warp.registerStates[slot.offset / 64].isUnfenced)
        return warp.fault(
            FaultKind::LaunchFailed, operation, 0,
            "expected a wgmma.fence after its registers were written");
  return true;
}

bool checkWarpgroup(Warp &warp, const Operation &operation) {
  size_t warps = warp.cta->warps.size();
  return warp.index / warpsOfGroup < warps / warpsOfGroup ||
         warp.fault(FaultKind::LaunchFailed, operation, 0,
                    "expected a warpgroup of 4 warps, found a CTA of " +
                        std::to_string(warps) + " warps");
}

/// All lanes have the same value.
uint64_t uniform(Warp &warp, const Operation &operation, const Slot &slot) {
  uint64_t value = readLane(warp, slot, 0);
  for (unsigned lane = 1; lane < warpSize; ++lane)
    if (readLane(warp, slot, lane) != value)
      warp.fault(FaultKind::LaunchFailed, operation, lane,
                 "expected the same descriptor in all lanes");
  return value;
}

/// slots: -, descriptor of A, descriptor of B, whether it accumulates.
Mask runProduct(Warp &warp, const Operation &operation, Mask mask) {
  if (!isReady(warp, operation, mask) || !checkWarpgroup(warp, operation) ||
      !checkFenced(warp, operation))
    return 0;
  WarpProduct product{&operation, 0,
                      uniform(warp, operation, operation.slots[2]),
                      readMask(warp, operation.slots[3]) != 0};
  if (!hasRegisterA(operation)) {
    product.a = uniform(warp, operation, operation.slots[1]);
    if (warp.machine->fault ||
        !beginReading(warp, operation, factorA(warp, product)))
      return 0;
  }
  if (warp.machine->fault || !beginReading(warp, operation, factorB(product)))
    return 0;
  changeInFlight(warp, operation, 1);
  warp.products.open.push_back(product);
  return mask;
}

Mask runFence(Warp &warp, const Operation &operation, Mask mask) {
  if (!isReady(warp, operation, mask))
    return 0;
  for (RegisterState &state : warp.registerStates)
    state.isUnfenced = false;
  return mask;
}

/// The warps of a warp's warpgroup.
std::span<Warp> warpgroupOf(Warp &warp) {
  size_t first = warp.index / warpsOfGroup * warpsOfGroup;
  return std::span(warp.cta->warps).subspan(first, warpsOfGroup);
}

Mask runCommit(Warp &warp, const Operation &operation, Mask mask) {
  if (!isReady(warp, operation, mask) || !checkWarpgroup(warp, operation))
    return 0;
  warp.products.groups.push_back(std::move(warp.products.open));
  warp.products.open.clear();
  ++warp.products.committed;
  // Those that wait for this warp look again.
  for (Warp &other : warpgroupOf(warp))
    other.waiting = 0;
  ++warp.machine->effects;
  return mask;
}

/// Performs a warp's groups before the `end`th.
void performGroups(Warp &warp, uint64_t end) {
  uint64_t index = warp.products.committed - warp.products.groups.size();
  for (std::vector<WarpProduct> &group : warp.products.groups)
    if (index++ < end)
      for (WarpProduct &product : group)
        perform(warp, product);
}

/// A product is of the whole warpgroup: who has waited for it knows that no
/// warp of the group reads its factors any more. number: groups that may be
/// left.
Mask runWait(Warp &warp, const Operation &operation, Mask mask) {
  if (!isReady(warp, operation, mask) || !checkWarpgroup(warp, operation))
    return 0;
  ThreadProducts &own = warp.products;
  uint64_t keep = static_cast<uint64_t>(operation.number);
  uint64_t end = own.committed - std::min(keep, own.committed);
  for (const Warp &other : warpgroupOf(warp))
    if (other.products.committed < end)
      return 0;
  for (Warp &other : warpgroupOf(warp))
    performGroups(other, end);
  for (; own.groups.size() > keep; own.groups.pop_front())
    for (const WarpProduct &product : own.groups.front())
      changeInFlight(warp, *product.operation, -1);
  ++warp.machine->effects;
  return mask;
}

/// The shape m64nNkK: N columns and the depth.
bool takeShape(Decoder &decoder, unsigned &columns, unsigned &depth) {
  std::string shape(decoder.nextModifier());
  int length = 0;
  if (std::sscanf(shape.c_str(), "m64n%uk%u%n", &columns, &depth, &length) !=
          2 ||
      static_cast<size_t>(length) != shape.size() || columns % 8 != 0 ||
      columns == 0 || columns > 256) {
    decoder.fail("expected a shape m64nNkK with N a multiple of 8 up to 256");
    return false;
  }
  return decoder.take(shape);
}

/// An integer constant of 1 or -1, or of 0 or 1.
int32_t takeImmediate(Decoder &decoder, size_t &next, int64_t low) {
  int64_t value = decoder.constant(next++);
  if (value != 1 && value != low)
    decoder.fail("expected 1 or " + std::to_string(low));
  return static_cast<int32_t>(value);
}

/// Whether the product is added to the accumulators: a predicate or a constant.
Slot takeAccumulates(Decoder &decoder, size_t index) {
  return decoder.source(index, Type::Pred);
}

void buildProduct(Decoder &decoder) {
  Operation &operation = decoder.operation;
  unsigned columns = 0, depth = 0;
  if (!takeShape(decoder, columns, depth))
    return;
  Type result = decoder.takeType();
  operation.type = decoder.takeType();
  operation.sourceType = decoder.takeType();
  if (!isFactorType(operation.type) || !isFactorType(operation.sourceType) ||
      bitsOf(operation.type) != bitsOf(operation.sourceType) ||
      depth * bitsOf(operation.type) != 256)
    return decoder.fail("expected factors of 32 bytes of .f16, .bf16, .tf32, "
                        ".e4m3 or .e5m2");
  if (result != Type::F32 && result != Type::F16)
    return decoder.fail(
        "the emulator knows accumulators of .f32 and .f16 only");
  operation.number = depth;
  operation.offsets[0] = static_cast<int32_t>(columns);
  operation.vectors.push_back(
      vectorOf(decoder, 0, columns / (result == Type::F32 ? 2 : 4), true));
  bool registerA = decoder.operand(1).kind == Operand::Kind::Vector;
  if (registerA)
    operation.vectors.push_back(vectorOf(decoder, 1, 4, false));
  else
    operation.slots[1] = decoder.source(1, Type::B64);
  operation.slots[2] = decoder.source(2, Type::B64);
  operation.slots[3] = takeAccumulates(decoder, 3);
  size_t next = 4;
  operation.offsets[1] = takeImmediate(decoder, next, -1);
  operation.offsets[2] = takeImmediate(decoder, next, -1);
  operation.elementCount = 0;
  if (bitsOf(operation.type) == 16) {
    if (!registerA && takeImmediate(decoder, next, 0))
      operation.elementCount |= 1;
    if (takeImmediate(decoder, next, 0))
      operation.elementCount |= 2;
  }
  decoder.expectOperands(next, next);
  // Its registers are looked after by itself.
  operation.accessed.clear();
  operation.written.clear();
  operation.handler = runProduct;
}

enum class Step : uint8_t { Product, Fence, Commit, Wait };

void buildWarpgroup(Decoder &decoder) {
  Operation &operation = decoder.operation;
  Step step = decoder.require<Step>({{"mma_async", Step::Product},
                                     {"fence", Step::Fence},
                                     {"commit_group", Step::Commit},
                                     {"wait_group", Step::Wait}});
  decoder.require<bool>({{"sync", true}});
  decoder.require<bool>({{"aligned", true}});
  if (step == Step::Product)
    return buildProduct(decoder);
  size_t count = step == Step::Wait ? 1 : 0;
  decoder.expectOperands(count, count);
  if (step == Step::Wait)
    operation.number = decoder.constant(0);
  operation.handler = step == Step::Fence    ? runFence
                      : step == Step::Commit ? runCommit
                                             : runWait;
}

constexpr BuilderRow rows[] = {{"wgmma", buildWarpgroup}};

} // namespace

void checkRegisters(Warp &warp, const Operation &operation, Mask mask) {
  for (uint32_t offset : operation.accessed)
    if (warp.registerStates[offset / 64].inFlight)
      warp.fault(
          FaultKind::LaunchFailed, operation,
          static_cast<unsigned>(std::countr_zero(mask)),
          "expected a wgmma.wait_group before registers of a product are "
          "accessed");
  for (uint32_t offset : operation.written)
    warp.registerStates[offset / 64].isUnfenced = true;
}

void checkProducts(Warp &warp, Mask exiting) {
  if (warp.products.open.empty() && warp.products.groups.empty())
    return;
  const WarpProduct &product = warp.products.open.empty()
                                   ? warp.products.groups[0][0]
                                   : warp.products.open[0];
  warp.fault(FaultKind::LaunchFailed, *product.operation,
             static_cast<unsigned>(std::countr_zero(exiting)),
             "expected a wgmma.wait_group before the thread exits");
}

std::span<const BuilderRow> warpgroupBuilders() { return rows; }

} // namespace moec::ptx
