// One instruction at a time from its text to an operation.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Decoder.h"

#include "tools/PTXEmulator/SpecialRegisters.h"

#include <algorithm>
#include <unordered_map>

namespace moec::ptx {

Decoder::Decoder(Layout &layout, const Function &function,
                 const Statement &statement, Operation &operation)
    : operation(operation), layout(layout), function(function),
      statement(statement), taken(statement.opcode.size()) {
  taken[0] = true;
  operation.statement = &statement;
  if (!statement.guarded)
    return;
  operation.guarded = true;
  operation.guard = source(statement.guard, Type::Pred);
}

bool Decoder::take(std::string_view modifier) {
  for (size_t i = 1; i < taken.size(); ++i)
    if (!taken[i] && statement.opcode[i] == modifier) {
      taken[i] = true;
      return true;
    }
  return false;
}

Type Decoder::takeType() {
  for (size_t i = 1; i < taken.size(); ++i) {
    if (taken[i])
      continue;
    if (std::optional<Type> type = parseType(statement.opcode[i])) {
      taken[i] = true;
      return *type;
    }
  }
  fail("expected a type among the modifiers");
  return Type::B32;
}

void Decoder::takeMemoryHints() {
  static constexpr std::string_view hints[] = {"weak",
                                               "relaxed",
                                               "acquire",
                                               "release",
                                               "acq_rel",
                                               "volatile",
                                               "mmio",
                                               "sys",
                                               "gpu",
                                               "cta",
                                               "cluster",
                                               "nc",
                                               "ca",
                                               "cg",
                                               "cs",
                                               "lu",
                                               "cv",
                                               "wb",
                                               "wt",
                                               "unified",
                                               "L1::evict_normal",
                                               "L1::evict_unchanged",
                                               "L1::evict_first",
                                               "L1::evict_last",
                                               "L1::no_allocate",
                                               "L2::64B",
                                               "L2::128B",
                                               "L2::256B",
                                               "L2::evict_last",
                                               "L2::evict_normal",
                                               "L2::evict_first"};
  for (std::string_view hint : hints)
    take(hint);
}

std::string_view Decoder::nextModifier() const {
  for (size_t i = 1; i < taken.size(); ++i)
    if (!taken[i])
      return statement.opcode[i];
  return {};
}

size_t Decoder::operandCount() const { return statement.operands.size(); }

const Operand &Decoder::operand(size_t index) {
  static const Operand none;
  if (index < statement.operands.size())
    return statement.operands[index];
  fail("expected at least " + std::to_string(index + 1) + " operands, found " +
       std::to_string(statement.operands.size()));
  return none;
}

void Decoder::expectOperands(size_t least, size_t most) {
  size_t found = statement.operands.size();
  if (found < least || found > most)
    fail("expected " + std::to_string(least) +
         (most > least ? " to " + std::to_string(most) : "") +
         " operands, found " + std::to_string(found));
}

Slot Decoder::registerOf(const Operand &operand, unsigned bits,
                         bool mayBeWider) {
  const Register &declared = function.registers[operand.index];
  unsigned found = bitsOf(declared.type);
  bool isPredicate = bits == 1;
  bool fits = isPredicate == (found == 1) &&
              (found == bits || (mayBeWider && found > bits));
  if (!fits)
    fail("expected '" + declared.name + "' to have " + std::to_string(bits) +
         " bits, found " + std::to_string(found));
  Slot slot = layout.registerSlot(operand.index);
  slot.negated = operand.negated;
  operation.accessed.push_back(slot.offset);
  return slot;
}

Slot Decoder::writtenRegister(const Operand &operand, unsigned bits,
                              bool mayBeWider) {
  Slot slot = registerOf(operand, bits, mayBeWider);
  operation.written.push_back(slot.offset);
  return slot;
}

uint8_t laneBytesOf(Type type) {
  if (type == Type::Pred)
    return 0;
  return bitsOf(type) <= 32 ? 4 : bitsOf(type) <= 64 ? 8 : 16;
}

Slot Decoder::constantOf(const Operand &operand, Type type) {
  switch (operand.kind) {
  case Operand::Kind::Integer: {
    if (type == Type::Pred)
      return layout.constantSlot(operand.bits ? allLanes : 0, 0);
    uint64_t bits = operand.bits;
    if (bitsOf(type) < 64)
      bits &= (uint64_t(1) << bitsOf(type)) - 1;
    if ((type == Type::F32 || type == Type::F64) && bits != 0)
      fail("expected a float as 0f or 0d, found an integer");
    return layout.constantSlot(bits, laneBytesOf(type));
  }
  case Operand::Kind::Float32:
    if (bitsOf(type) != 32)
      fail("expected no constant of 32 bits");
    return layout.constantSlot(operand.bits, 4);
  case Operand::Kind::Float64:
    if (bitsOf(type) != 64)
      fail("expected no constant of 64 bits");
    return layout.constantSlot(operand.bits, 8);
  case Operand::Kind::Variable:
  case Operand::Kind::Name:
    if (std::optional<Layout::Address> found = layout.addressOf(operand))
      return layout.constantSlot(found->address + operand.offset,
                                 laneBytesOf(type));
    fail("expected a variable, found '" + operand.name + "'");
    return {};
  default:
    fail("expected a register or a constant");
    return {};
  }
}

Slot Decoder::source(const Operand &operand, Type type) {
  if (operand.kind == Operand::Kind::Register)
    return registerOf(operand, bitsOf(type), false);
  return constantOf(operand, type);
}

Slot Decoder::wideSource(const Operand &operand, Type type) {
  if (operand.kind == Operand::Kind::Register)
    return registerOf(operand, bitsOf(type), true);
  return constantOf(operand, type);
}

Slot Decoder::destination(const Operand &operand, Type type) {
  if (operand.kind == Operand::Kind::Sink)
    return layout.sinkSlot(laneBytesOf(type));
  if (operand.kind == Operand::Kind::Register)
    return writtenRegister(operand, bitsOf(type), false);
  fail("expected a register to write to");
  return {};
}

Slot Decoder::wideDestination(const Operand &operand, Type type) {
  if (operand.kind == Operand::Kind::Register)
    return writtenRegister(operand, bitsOf(type), true);
  return destination(operand, type);
}

uint8_t Decoder::registerBits(const Operand &operand, Type type) const {
  bool isRegister = operand.kind == Operand::Kind::Register;
  return static_cast<uint8_t>(
      bitsOf(isRegister ? function.registers[operand.index].type : type));
}

Slot Decoder::address(const Operand &memory) {
  if (memory.kind != Operand::Kind::Memory) {
    fail("expected an address between brackets");
    return {};
  }
  operation.offset = memory.offset;
  const Operand &base = memory.parts[0];
  if (base.kind == Operand::Kind::Register) {
    unsigned bits = bitsOf(function.registers[base.index].type);
    return registerOf(base, bits == 32 ? 32 : 64, false);
  }
  if (base.kind == Operand::Kind::Integer)
    return layout.constantSlot(base.bits, 8);
  if (base.kind == Operand::Kind::Variable || base.kind == Operand::Kind::Name)
    if (std::optional<Layout::Address> found = layout.addressOf(base)) {
      // A parameter of a function is kept in local memory.
      if (operation.space == Space::Param)
        operation.space = found->space;
      return layout.constantSlot(found->address, 8);
    }
  fail("expected the address of a variable");
  return {};
}

int64_t Decoder::constant(size_t index) {
  const Operand &found = operand(index);
  if (!isConstant(found))
    fail("expected operand " + std::to_string(index + 1) +
         " to be an integer constant");
  return static_cast<int64_t>(found.bits);
}

bool Decoder::isPredicate(const Operand &operand) const {
  return operand.kind == Operand::Kind::Register &&
         function.registers[operand.index].type == Type::Pred;
}

bool Decoder::isClock(const Operand &operand) const {
  return operand.kind == Operand::Kind::Register &&
         function.registers[operand.index].isSpecial &&
         ptx::isClock(function.registers[operand.index].name);
}

void Decoder::fail(const std::string &message) {
  if (error.empty())
    error = message;
}

std::string Decoder::finish() {
  if (std::string_view left = nextModifier(); !left.empty())
    fail("the emulator does not know the modifier '." + std::string(left) +
         "' here");
  if (error.empty())
    return "";
  return "line " + std::to_string(statement.line) + ": '" + statement.text +
         "': " + error;
}

Builder findBuilder(std::string_view opcode) {
  static const std::unordered_map<std::string_view, Builder> all = [] {
    std::unordered_map<std::string_view, Builder> map;
    for (std::span<const BuilderRow> table :
         {integerBuilders(), logicBuilders(), comparisonBuilders(),
          floatBuilders(), conversionBuilders(), movementBuilders(),
          memoryBuilders(), atomicBuilders(), collectiveBuilders(),
          barrierBuilders(), controlBuilders(), tensorCoreBuilders(),
          asyncCopyBuilders(), mbarrierBuilders(), warpgroupBuilders(),
          clusterBuilders()})
      for (const BuilderRow &row : table)
        map.emplace(row.opcode, row.build);
    return map;
  }();
  auto found = all.find(opcode);
  return found == all.end() ? nullptr : found->second;
}

} // namespace moec::ptx
