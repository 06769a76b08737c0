// What a warp does with matrices: mma, ldmatrix, stmatrix, movmatrix.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Collectives.h"
#include "tools/PTXEmulator/Decoder.h"
#include "tools/PTXEmulator/MatrixFragments.h"
#include "tools/PTXEmulator/MatrixProduct.h"
#include "tools/PTXEmulator/MemoryAccess.h"
#include "tools/PTXEmulator/Rounding.h"
#include "weights/FloatFormats.h"

namespace moec::ptx {

namespace {

constexpr unsigned tileRows = 16, tileColumns = 8;
/// Bytes of a row of an 8 x 8 matrix of 16 bits.
constexpr unsigned matrixRowBytes = 16;

void loadB(const Warp &warp, const std::vector<Slot> &slots, Type type,
           float *b) {
  unsigned count = 32 / bitsOf(type);
  for (unsigned i = 0; i < slots.size(); ++i) {
    Lanes<uint32_t> values = read<uint32_t>(warp, slots[i]);
    for (unsigned lane = 0; lane < warpSize; ++lane) {
      unsigned row = count * (lane % 4) + 4 * count * i;
      for (unsigned j = 0; j < count; ++j)
        b[(row + j) * tileColumns + lane / 4] =
            elementOf(values[lane], type, j);
    }
  }
}

/// The place of accumulator `i` of a lane.
unsigned accumulatorPlace(unsigned lane, unsigned i) {
  return (lane / 4 + 8 * (i / 2)) * tileColumns + 2 * (lane % 4) + i % 2;
}

void loadC(const Warp &warp, const std::vector<Slot> &slots, bool isHalf,
           float *c) {
  for (unsigned lane = 0; lane < warpSize; ++lane)
    for (unsigned i = 0; i < 4; ++i) {
      uint32_t bits = static_cast<uint32_t>(
          readLane(warp, slots[isHalf ? i / 2 : i], lane));
      c[accumulatorPlace(lane, i)] = isHalf ? elementOf(bits, Type::F16, i % 2)
                                            : std::bit_cast<float>(bits);
    }
}

void storeD(Warp &warp, const std::vector<Slot> &slots, bool isHalf,
            const float *d) {
  for (unsigned lane = 0; lane < warpSize; ++lane)
    for (unsigned i = 0; i < 4; i += isHalf ? 2 : 1) {
      float value = d[accumulatorPlace(lane, i)];
      uint32_t bits = std::bit_cast<uint32_t>(canonical(value));
      if (isHalf)
        bits = weights::floatToF16(value) |
               uint32_t(weights::floatToF16(d[accumulatorPlace(lane, i + 1)]))
                   << 16;
      writeLane(warp, slots[isHalf ? i / 2 : i], lane, bits);
    }
}

/// vectors: D, A, B, C; number: the depth k; type of A, sourceType of B.
Mask runMma(Warp &warp, const Operation &operation, Mask mask) {
  if (!isReady(warp, operation, mask))
    return 0;
  unsigned depth = static_cast<unsigned>(operation.number);
  float a[tileRows * 32], b[32 * tileColumns], d[tileRows * tileColumns];
  loadA(warp, operation.vectors[1], operation.type, depth, a);
  loadB(warp, operation.vectors[2], operation.sourceType, b);
  loadC(warp, operation.vectors[3], operation.vectors[3].size() == 2, d);
  addProduct(d, a, b, tileRows, tileColumns, depth);
  storeD(warp, operation.vectors[0], operation.vectors[0].size() == 2, d);
  return mask;
}

void buildMma(Decoder &decoder) {
  Operation &operation = decoder.operation;
  decoder.require<bool>({{"sync", true}});
  decoder.require<bool>({{"aligned", true}});
  unsigned depth = decoder.require<unsigned>(
      {{"m16n8k4", 4}, {"m16n8k8", 8}, {"m16n8k16", 16}, {"m16n8k32", 32}});
  decoder.require<bool>({{"row", true}});
  decoder.require<bool>({{"col", true}});
  Type result = decoder.takeType();
  operation.type = decoder.takeType();
  operation.sourceType = decoder.takeType();
  Type addend = decoder.takeType();
  operation.number = depth;
  if (!isFactorType(operation.type) || !isFactorType(operation.sourceType) ||
      bitsOf(operation.type) != bitsOf(operation.sourceType))
    return decoder.fail("the emulator knows factors of .f16, .bf16, .tf32, "
                        ".e4m3 and .e5m2 only");
  if ((result != Type::F32 && result != Type::F16) ||
      (addend != Type::F32 && addend != Type::F16))
    decoder.fail("the emulator knows accumulators of .f32 and .f16 only");
  unsigned elements = 32 / bitsOf(operation.type);
  size_t registersOfB = depth / (4 * elements);
  if (registersOfB != 1 && registersOfB != 2)
    return decoder.fail("expected a shape that the type has");
  decoder.expectOperands(4, 4);
  operation.vectors = {
      vectorOf(decoder, 0, result == Type::F32 ? 4 : 2, true),
      vectorOf(decoder, 1, 2 * registersOfB, false),
      vectorOf(decoder, 2, registersOfB, false),
      vectorOf(decoder, 3, addend == Type::F32 ? 4 : 2, false)};
  operation.handler = runMma;
}

/// Of an 8 x 8 matrix the rows that lanes 8 i to 8 i + 7 point to.
bool accessRows(Warp &warp, const Operation &operation, unsigned matrix,
                bool isWrite, uint8_t *(&rows)[8]) {
  for (unsigned row = 0; row < 8; ++row) {
    unsigned lane = 8 * matrix + row;
    rows[row] =
        warp.access(operation, lane, operation.space,
                    addressOf(warp, operation, lane), matrixRowBytes, isWrite);
    if (!rows[row])
      return false;
  }
  return true;
}

/// Row and column of half `half` of a lane's register.
std::pair<unsigned, unsigned> placeOf(unsigned lane, unsigned half,
                                      bool transposed) {
  unsigned row = lane / 4, column = 2 * (lane % 4) + half;
  return transposed ? std::pair(column, row) : std::pair(row, column);
}

/// mode: whether transposed.
Mask runLoadMatrix(Warp &warp, const Operation &operation, Mask mask) {
  if (!isReady(warp, operation, mask))
    return 0;
  // Addresses may be in registers that are written, so all are read first.
  Lanes<uint32_t> results[4];
  for (unsigned matrix = 0; matrix < operation.list.size(); ++matrix) {
    uint8_t *rows[8];
    if (!accessRows(warp, operation, matrix, false, rows))
      return 0;
    for (unsigned lane = 0; lane < warpSize; ++lane) {
      uint16_t halves[2];
      for (unsigned half = 0; half < 2; ++half) {
        auto [row, column] = placeOf(lane, half, operation.mode);
        std::memcpy(&halves[half], rows[row] + 2 * column, 2);
      }
      results[matrix][lane] = halves[0] | uint32_t(halves[1]) << 16;
    }
  }
  for (unsigned matrix = 0; matrix < operation.list.size(); ++matrix)
    write(warp, operation.list[matrix], results[matrix], mask);
  return mask;
}

Mask runStoreMatrix(Warp &warp, const Operation &operation, Mask mask) {
  if (!isReady(warp, operation, mask))
    return 0;
  for (unsigned matrix = 0; matrix < operation.list.size(); ++matrix) {
    uint8_t *rows[8];
    if (!accessRows(warp, operation, matrix, true, rows))
      return 0;
    Lanes<uint32_t> values = read<uint32_t>(warp, operation.list[matrix]);
    for (unsigned lane = 0; lane < warpSize; ++lane)
      for (unsigned half = 0; half < 2; ++half) {
        auto [row, column] = placeOf(lane, half, operation.mode);
        uint16_t value = uint16_t(values[lane] >> (16 * half));
        std::memcpy(rows[row] + 2 * column, &value, 2);
      }
  }
  ++warp.machine->effects;
  return mask;
}

Mask runMoveMatrix(Warp &warp, const Operation &operation, Mask mask) {
  if (!isReady(warp, operation, mask))
    return 0;
  Lanes<uint32_t> values = read<uint32_t>(warp, operation.slots[1]);
  Lanes<uint32_t> results;
  for (unsigned lane = 0; lane < warpSize; ++lane) {
    results[lane] = 0;
    for (unsigned half = 0; half < 2; ++half) {
      auto [row, column] = placeOf(lane, half, true);
      uint32_t source = values[row * 4 + column / 2];
      results[lane] |= (source >> (16 * (column % 2)) & 0xFFFF) << (16 * half);
    }
  }
  write(warp, operation.slots[0], results, mask);
  return mask;
}

void takeMatrixModifiers(Decoder &decoder) {
  decoder.require<bool>({{"sync", true}});
  decoder.require<bool>({{"aligned", true}});
  decoder.require<bool>({{"m8n8", true}});
  decoder.operation.mode = decoder.take("trans");
  decoder.require<bool>({{"b16", true}});
}

void buildMatrixAccess(Decoder &decoder, bool isLoad) {
  Operation &operation = decoder.operation;
  operation.space = takeSpace(decoder);
  if (operation.space == Space::Generic)
    operation.space = Space::Shared;
  size_t count = decoder.require<size_t>({{"x1", 1}, {"x2", 2}, {"x4", 4}});
  takeMatrixModifiers(decoder);
  decoder.expectOperands(2, 2);
  const Operand &registers = decoder.operand(isLoad ? 0 : 1);
  if (registers.kind == Operand::Kind::Register && count == 1)
    operation.list = {isLoad ? decoder.destination(registers, Type::B32)
                             : decoder.source(registers, Type::B32)};
  else
    operation.list = vectorOf(decoder, isLoad ? 0 : 1, count, isLoad);
  operation.slots[1] = decoder.address(decoder.operand(isLoad ? 1 : 0));
  operation.handler = isLoad ? runLoadMatrix : runStoreMatrix;
}

void buildLoadMatrix(Decoder &decoder) { buildMatrixAccess(decoder, true); }

void buildStoreMatrix(Decoder &decoder) { buildMatrixAccess(decoder, false); }

void buildMoveMatrix(Decoder &decoder) {
  takeMatrixModifiers(decoder);
  if (!decoder.operation.mode)
    decoder.fail("expected .trans");
  decoder.expectOperands(2, 2);
  decoder.operation.slots[0] = decoder.destination(0, Type::B32);
  decoder.operation.slots[1] = decoder.source(1, Type::B32);
  decoder.operation.handler = runMoveMatrix;
}

constexpr BuilderRow rows[] = {{"mma", buildMma},
                               {"ldmatrix", buildLoadMatrix},
                               {"stmatrix", buildStoreMatrix},
                               {"movmatrix", buildMoveMatrix}};

} // namespace

std::span<const BuilderRow> tensorCoreBuilders() { return rows; }

} // namespace moec::ptx
