// From a function of a module to a program.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_PROGRAMBUILDER_H
#define MOEC_TOOLS_PTXEMULATOR_PROGRAMBUILDER_H

#include "tools/PTXEmulator/Program.h"
#include "weights/Result.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace moec::ptx {

/// Device addresses of the .global and .const variables of a module.
using SymbolAddresses = std::map<std::string, uint64_t>;

/// Makes the program of an entry with the functions that it calls. Errors name
/// the line and the text of an instruction that the emulator does not know.
weights::Result<Program> buildProgram(std::shared_ptr<const Module> module,
                                      const Function &entry,
                                      const SymbolAddresses &symbols);

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_PROGRAMBUILDER_H
