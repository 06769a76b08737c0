// A PTX module as it is written: variables, functions, statements.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_SYNTAX_H
#define MOEC_TOOLS_PTXEMULATOR_SYNTAX_H

#include "tools/PTXEmulator/Types.h"

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace moec::ptx {

enum class Space : uint8_t { Generic, Global, Shared, Local, Param, Const };

/// What an instruction works on.
struct Operand {
  enum class Kind : uint8_t {
    /// `index` into Function::registers.
    Register,
    /// `bits`, two's complement.
    Integer,
    /// `bits` of an f32 (0f...) or an f64 (0d...).
    Float32,
    Float64,
    /// A variable of the function: `index` into Function::variables.
    Variable,
    /// A name of the module or a label: `name`.
    Name,
    /// [parts[0] + offset, parts[1]...]
    Memory,
    /// {parts...}
    Vector,
    /// (parts...), of a call.
    List,
    /// parts[0] | parts[1]
    Pair,
    /// _
    Sink,
  };
  Kind kind = Kind::Sink;
  /// Of a predicate: !p.
  bool negated = false;
  uint32_t index = 0;
  uint64_t bits = 0;
  int64_t offset = 0;
  std::string name;
  std::vector<Operand> parts;
};

/// One instruction.
struct Statement {
  unsigned line = 0;
  /// The opcode and its modifiers: `ld.global.u32` is {"ld", "global", "u32"}.
  std::vector<std::string> opcode;
  std::vector<Operand> operands;
  bool guarded = false;
  Operand guard;
  /// Where branches may go: indices into Function::statements.
  std::vector<uint32_t> targets;
  /// As it was written, for messages.
  std::string text;
};

/// A variable in memory, or a parameter.
struct Variable {
  std::string name;
  Space space = Space::Global;
  Type type = Type::B8;
  uint64_t bytes = 0;
  unsigned alignment = 1;
  bool isExternal = false;
  unsigned line = 0;
  /// The first bytes; the rest is zero.
  std::vector<uint8_t> initial;
  /// Addresses to be put into the initial bytes: where, whose, plus what.
  struct Address {
    uint64_t place;
    std::string symbol;
    int64_t offset;
  };
  std::vector<Address> addresses;
};

struct Register {
  std::string name;
  Type type = Type::B32;
  /// Read-only, such as %tid.x.
  bool isSpecial = false;
};

struct Function {
  std::string name;
  bool isEntry = false;
  /// False for a declaration.
  bool hasBody = false;
  unsigned line = 0;
  /// Parameters first, then return values, then what the body declares.
  std::vector<Variable> variables;
  size_t parameterCount = 0;
  size_t returnCount = 0;
  std::vector<Register> registers;
  std::vector<Statement> statements;
  /// .maxntid (0: not given) and whether it is .reqntid.
  std::array<unsigned, 3> threads = {0, 0, 0};
  bool threadsRequired = false;
  /// .reqnctapercluster (0: not given).
  std::array<unsigned, 3> cluster = {0, 0, 0};
};

struct Module {
  unsigned versionMajor = 0, versionMinor = 0;
  /// "sm_90a"
  std::string target;
  std::vector<Variable> variables;
  /// By name.
  std::map<std::string, Function> functions;
};

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_SYNTAX_H
