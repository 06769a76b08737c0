// From a function of a module to a program.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/ProgramBuilder.h"

#include "tools/PTXEmulator/Decoder.h"

#include <algorithm>
#include <cstring>

using namespace moec::weights;

namespace moec::ptx {

namespace {

uint64_t alignUp(uint64_t value, uint64_t to) {
  return (value + to - 1) / to * to;
}

/// A function of the program: where its parts are.
struct Placed {
  const Function *function;
  /// Of the first operation.
  uint32_t code;
  /// The operation of each statement.
  std::vector<uint32_t> operations;
  /// Addresses of Function::variables within their space.
  std::vector<uint64_t> variables;
  /// Slots of registers, given when first asked for.
  std::map<uint32_t, Slot> registers;
};

class ProgramBuilder : public Layout {
public:
  ProgramBuilder(std::shared_ptr<const Module> module,
                 const SymbolAddresses &symbols)
      : module(std::move(module)), symbols(symbols) {}

  Result<Program> run(const Function &entry) {
    program.module = module;
    program.name = entry.name;
    program.threads = entry.threads;
    program.threadsRequired = entry.threadsRequired;
    program.cluster = entry.cluster;
    if (Status status = place(entry); !status)
      return Error{status.error()};
    layOutShared();
    for (current = 0; current < placed.size(); ++current)
      if (Status status = decodeFunction(); !status)
        return Error{"in '" + placed[current].function->name +
                     "': " + status.error()};
    return std::move(program);
  }

  // Layout.

  Slot registerSlot(uint32_t index) override {
    const Register &declared = placed[current].function->registers[index];
    if (declared.isSpecial)
      return specialSlot(declared);
    auto [found, added] = placed[current].registers.try_emplace(index);
    if (added)
      found->second = allocateRegister(laneBytesOf(declared.type));
    return found->second;
  }

  Slot constantSlot(uint64_t bits, uint8_t laneBytes) override {
    auto [found, added] = constants.try_emplace({bits, laneBytes});
    if (!added)
      return found->second;
    uint32_t offset = static_cast<uint32_t>(program.constants.size());
    found->second = {offset, 1, laneBytes, false};
    // Whole cache lines, so that no value lies across two.
    program.constants.resize(offset + std::max(64u, laneBytes * warpSize));
    if (laneBytes == 0)
      std::memcpy(&program.constants[offset], &bits, sizeof(Mask));
    for (unsigned lane = 0; laneBytes && lane < warpSize; ++lane)
      std::memcpy(&program.constants[offset + lane * laneBytes], &bits,
                  std::min<size_t>(laneBytes, sizeof bits));
    return found->second;
  }

  Slot sinkSlot(uint8_t laneBytes) override {
    auto [found, added] = sinks.try_emplace(laneBytes);
    if (added)
      found->second = allocateRegister(laneBytes);
    return found->second;
  }

  std::optional<Address> addressOf(const Operand &operand) override {
    if (operand.kind == Operand::Kind::Variable) {
      const Placed &own = placed[current];
      return Address{spaceOf(own, operand.index), own.variables[operand.index]};
    }
    if (auto found = shared.find(operand.name); found != shared.end())
      return Address{Space::Shared, found->second};
    if (auto found = symbols.find(operand.name); found != symbols.end())
      return Address{Space::Global, found->second};
    return std::nullopt;
  }

private:
  /// Parameters of functions that are called, and what is passed to them, are
  /// kept in local memory.
  static Space spaceOf(const Placed &own, uint32_t index) {
    Space space = own.function->variables[index].space;
    bool ofKernel =
        own.function->isEntry && index < own.function->parameterCount;
    return space == Space::Param && !ofKernel ? Space::Local : space;
  }

  static bool isCall(const Statement &statement) {
    return statement.opcode[0] == "call";
  }

  /// The callee of `call (result), name, (arguments);` is the first name.
  static const Operand *calleeOf(const Statement &call) {
    for (const Operand &operand : call.operands)
      if (operand.kind == Operand::Kind::Name)
        return &operand;
    return nullptr;
  }

  /// Finds room for a function and, once each, for those it calls.
  Status place(const Function &function) {
    if (std::find(callers.begin(), callers.end(), &function) != callers.end())
      return Error{"expected functions that do not call themselves, found '" +
                   function.name + "'"};
    for (const Placed &known : placed)
      if (known.function == &function)
        return success();
    if (!function.hasBody)
      return Error{"expected the body of '" + function.name +
                   "', found a declaration"};
    Placed own{&function, codeSize, {}, {}, {}};
    for (const Statement &statement : function.statements) {
      own.operations.push_back(codeSize);
      // What a callee returns is fetched by an operation of its own.
      codeSize += isCall(statement) ? 2 : 1;
    }
    own.operations.push_back(codeSize++);
    for (size_t i = 0; i < function.variables.size(); ++i)
      own.variables.push_back(placeVariable(own, static_cast<uint32_t>(i)));
    placed.push_back(std::move(own));
    callers.push_back(&function);
    for (const Statement &statement : function.statements)
      if (isCall(statement))
        if (Status status = placeCallee(statement); !status)
          return status;
    callers.pop_back();
    return success();
  }

  Status placeCallee(const Statement &call) {
    std::string where =
        "line " + std::to_string(call.line) + ": '" + call.text + "': ";
    const Operand *name = calleeOf(call);
    if (!name)
      return Error{where + "expected the name of a function"};
    auto callee = module->functions.find(name->name);
    if (callee == module->functions.end() || !callee->second.hasBody)
      return Error{where + "expected a function with a body"};
    return place(callee->second);
  }

  uint64_t placeVariable(const Placed &own, uint32_t index) {
    const Variable &variable = own.function->variables[index];
    switch (spaceOf(own, index)) {
    case Space::Param: {
      uint32_t offset = static_cast<uint32_t>(
          alignUp(program.parameterBytes, variable.alignment));
      uint32_t bytes = static_cast<uint32_t>(variable.bytes);
      program.parameters.push_back({offset, bytes});
      program.parameterBytes = offset + bytes;
      return offset;
    }
    case Space::Shared:
      return placeShared(variable);
    default: {
      uint64_t offset = alignUp(program.localBytes, variable.alignment);
      program.localBytes = static_cast<uint32_t>(offset + variable.bytes);
      return offset;
    }
    }
  }

  uint64_t placeShared(const Variable &variable) {
    uint64_t offset = alignUp(program.sharedBytes, variable.alignment);
    program.sharedBytes = static_cast<uint32_t>(offset + variable.bytes);
    return offset;
  }

  /// Variables of the module; those of functions have their place already.
  /// Dynamic memory comes last, and all names for it mean the same.
  void layOutShared() {
    unsigned alignment = 16;
    for (const Variable &variable : module->variables) {
      if (variable.space != Space::Shared)
        continue;
      if (variable.isExternal)
        alignment = std::max(alignment, variable.alignment);
      else
        shared[variable.name] = placeShared(variable);
    }
    program.dynamicSharedOffset =
        static_cast<uint32_t>(alignUp(program.sharedBytes, alignment));
    for (const Variable &variable : module->variables)
      if (variable.space == Space::Shared && variable.isExternal)
        shared[variable.name] = program.dynamicSharedOffset;
  }

  Slot allocateRegister(uint8_t laneBytes) {
    Slot slot{program.registerBytes, 0, laneBytes, false};
    program.registerBytes += std::max(64u, laneBytes * warpSize);
    return slot;
  }

  Slot specialSlot(const Register &declared) {
    auto [found, added] = specials.try_emplace(declared.name);
    if (added) {
      found->second = allocateRegister(laneBytesOf(declared.type));
      program.specialRegisters.emplace_back(declared.name, found->second);
    }
    return found->second;
  }

  Status decodeFunction() {
    const Function &function = *placed[current].function;
    for (const Statement &statement : function.statements)
      if (Status status = decode(function, statement); !status)
        return status;
    // Code may end without a ret.
    Operation end;
    end.flow = function.isEntry ? Flow::Exit : Flow::Return;
    program.code.push_back(std::move(end));
    return success();
  }

  Status decode(const Function &function, const Statement &statement) {
    Builder build = findBuilder(statement.opcode[0]);
    if (!build)
      return Error{"line " + std::to_string(statement.line) + ": '" +
                   statement.text +
                   "': the emulator does not know the "
                   "instruction '" +
                   statement.opcode[0] + "'"};
    Operation operation;
    Decoder decoder(*this, function, statement, operation);
    noteFeatures(statement);
    build(decoder);
    if (isCall(statement))
      return decodeCall(decoder, statement);
    if (std::string error = decoder.finish(); !error.empty())
      return Error{error};
    for (uint32_t target : statement.targets)
      operation.targets.push_back(placed[current].operations[target]);
    if (operation.flow == Flow::Return && function.isEntry)
      operation.flow = Flow::Exit;
    program.code.push_back(std::move(operation));
    return success();
  }

  /// What the interpreter must keep track of.
  void noteFeatures(const Statement &statement) {
    const std::vector<std::string> &opcode = statement.opcode;
    bool isBulk = opcode[0] == "cp" && std::find(opcode.begin(), opcode.end(),
                                                 "bulk") != opcode.end();
    program.usesWarpgroups |= opcode[0] == "wgmma";
    program.usesAsyncProxy |= isBulk || opcode[0] == "wgmma";
  }

  /// A call copies arguments and jumps; behind it results are copied.
  Status decodeCall(Decoder &decoder, const Statement &statement) {
    const Function &callee = module->functions.at(calleeOf(statement)->name);
    auto own = std::find_if(placed.begin(), placed.end(), [&](const Placed &p) {
      return p.function == &callee;
    });
    Operation results;
    results.handler = decoder.operation.handler;
    results.statement = &statement;
    results.guarded = decoder.operation.guarded;
    results.guard = decoder.operation.guard;
    bool behindName = false;
    size_t arguments = 0, returns = 0;
    for (const Operand &operand : statement.operands) {
      behindName |= operand.kind == Operand::Kind::Name;
      for (const Operand &part : operand.parts) {
        size_t index =
            behindName ? arguments++ : callee.parameterCount + returns++;
        if (part.kind != Operand::Kind::Variable ||
            index >= callee.parameterCount + callee.returnCount) {
          decoder.fail("expected variables as '" + callee.name + "' declares");
          break;
        }
        uint32_t here =
            static_cast<uint32_t>(placed[current].variables[part.index]);
        uint32_t there = static_cast<uint32_t>(own->variables[index]);
        uint32_t bytes = static_cast<uint32_t>(callee.variables[index].bytes);
        if (behindName)
          decoder.operation.copies.push_back({here, there, bytes});
        else
          results.copies.push_back({there, here, bytes});
      }
    }
    if (arguments != callee.parameterCount)
      decoder.fail("expected " + std::to_string(callee.parameterCount) +
                   " arguments, found " + std::to_string(arguments));
    if (std::string error = decoder.finish(); !error.empty())
      return Error{error};
    decoder.operation.targets = {own->code};
    program.code.push_back(std::move(decoder.operation));
    program.code.push_back(std::move(results));
    return success();
  }

  std::shared_ptr<const Module> module;
  const SymbolAddresses &symbols;
  Program program;
  std::vector<Placed> placed;
  /// Functions that are being placed: each calls the next. Frames are static,
  /// so none may be there twice.
  std::vector<const Function *> callers;
  size_t current = 0;
  uint32_t codeSize = 0;
  /// Offsets of the module's shared variables.
  std::map<std::string, uint64_t> shared;
  std::map<std::string, Slot> specials;
  std::map<uint8_t, Slot> sinks;
  std::map<std::pair<uint64_t, uint8_t>, Slot> constants;
};

} // namespace

Result<Program> buildProgram(std::shared_ptr<const Module> module,
                             const Function &entry,
                             const SymbolAddresses &symbols) {
  return ProgramBuilder(std::move(module), symbols).run(entry);
}

} // namespace moec::ptx
