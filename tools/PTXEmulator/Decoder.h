// One instruction at a time from its text to an operation.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_DECODER_H
#define MOEC_TOOLS_PTXEMULATOR_DECODER_H

#include "tools/PTXEmulator/Program.h"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace moec::ptx {

/// Bytes of a lane that values of a type are kept in; 0 for predicates.
uint8_t laneBytesOf(Type type);

/// Where the registers and variables of a program are, while it is made.
class Layout {
public:
  virtual ~Layout() = default;

  struct Address {
    Space space;
    uint64_t address;
  };
  /// The slot of a register of the function in hand.
  virtual Slot registerSlot(uint32_t index) = 0;
  /// The slot of a constant, the same in each lane.
  virtual Slot constantSlot(uint64_t bits, uint8_t laneBytes) = 0;
  /// A slot for values without use.
  virtual Slot sinkSlot(uint8_t laneBytes) = 0;
  /// The address of a variable or a name of the module.
  virtual std::optional<Address> addressOf(const Operand &operand) = 0;
};

/// An instruction that is being decoded. Builders take its modifiers and
/// operands; what none took is an error, and so is a modifier or an operand
/// that was expected and is not there. Only the first error is kept.
class Decoder {
public:
  Decoder(Layout &layout, const Function &function, const Statement &statement,
          Operation &operation);

  Operation &operation;

  // Modifiers.

  /// Takes a modifier if it is there.
  bool take(std::string_view modifier);
  /// Takes whichever of the modifiers is there.
  template <typename T, size_t count>
  std::optional<T>
  takeOneOf(const std::pair<std::string_view, T> (&choices)[count]) {
    for (const auto &[name, value] : choices)
      if (take(name))
        return value;
    return std::nullopt;
  }
  /// As takeOneOf, but one of them must be there.
  template <typename T, size_t count>
  T require(const std::pair<std::string_view, T> (&choices)[count]) {
    if (std::optional<T> value = takeOneOf(choices))
      return *value;
    std::string names;
    for (const auto &[name, value] : choices)
      names += (names.empty() ? "." : ", .") + std::string(name);
    fail("expected one of " + names);
    return choices[0].second;
  }
  /// Takes the first type among the modifiers not taken.
  Type takeType();
  /// Takes the modifiers that say how memory is ordered or cached, which change
  /// nothing here: every access is performed in one order.
  void takeMemoryHints();
  /// The one modifier that is next among those not taken; empty if none is.
  std::string_view nextModifier() const;

  // Operands.

  size_t operandCount() const;
  /// Operand `index`; fails and returns a sink if there is none.
  const Operand &operand(size_t index);
  void expectOperands(size_t least, size_t most);

  /// A register with the bits of the type, or a constant.
  Slot source(const Operand &operand, Type type);
  Slot source(size_t index, Type type) { return source(operand(index), type); }
  /// A register, or nowhere.
  Slot destination(const Operand &operand, Type type);
  Slot destination(size_t index, Type type) {
    return destination(operand(index), type);
  }
  /// As source and destination; registers may be wider than the type.
  Slot wideSource(const Operand &operand, Type type);
  Slot wideDestination(const Operand &operand, Type type);
  /// The bits of a register operand; those of the type if it is none.
  uint8_t registerBits(const Operand &operand, Type type) const;
  /// The address operand: its slot; offset and state space go to the operation,
  /// the latter unless a modifier gave one.
  Slot address(const Operand &operand);
  /// The value of an operand that must be an integer constant.
  int64_t constant(size_t index);
  bool isConstant(const Operand &operand) const {
    return operand.kind == Operand::Kind::Integer;
  }

  /// Whether an operand is a predicate register.
  bool isPredicate(const Operand &operand) const;
  /// Whether an operand is a register that changes by itself.
  bool isClock(const Operand &operand) const;

  /// Notes an error: what was expected.
  void fail(const std::string &message);

  /// The error, with the line and the text; empty if there is none. To be asked
  /// after the builder.
  std::string finish();

  Layout &layout;

private:
  Slot registerOf(const Operand &operand, unsigned bits, bool mayBeWider);
  Slot writtenRegister(const Operand &operand, unsigned bits, bool mayBeWider);
  Slot constantOf(const Operand &operand, Type type);

  const Function &function;
  const Statement &statement;
  /// Of each modifier, whether it was taken; the opcode is the first.
  std::vector<bool> taken;
  std::string error;
};

/// Fills the operation in.
using Builder = void (*)(Decoder &);
struct BuilderRow {
  std::string_view opcode;
  Builder build;
};

// Each family of instructions has a table.
std::span<const BuilderRow> integerBuilders();
std::span<const BuilderRow> logicBuilders();
std::span<const BuilderRow> comparisonBuilders();
std::span<const BuilderRow> floatBuilders();
std::span<const BuilderRow> conversionBuilders();
std::span<const BuilderRow> movementBuilders();
std::span<const BuilderRow> memoryBuilders();
std::span<const BuilderRow> atomicBuilders();
std::span<const BuilderRow> collectiveBuilders();
std::span<const BuilderRow> barrierBuilders();
std::span<const BuilderRow> controlBuilders();
std::span<const BuilderRow> tensorCoreBuilders();
std::span<const BuilderRow> asyncCopyBuilders();
std::span<const BuilderRow> mbarrierBuilders();
std::span<const BuilderRow> warpgroupBuilders();
std::span<const BuilderRow> clusterBuilders();

/// The builder of an opcode, or null if there is no such instruction.
Builder findBuilder(std::string_view opcode);

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_DECODER_H
