// From PTX text to a module.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_PARSER_H
#define MOEC_TOOLS_PTXEMULATOR_PARSER_H

#include "tools/PTXEmulator/Syntax.h"
#include "weights/Result.h"

#include <string_view>

namespace moec::ptx {

/// Parses PTX; registers, variables of functions and labels are resolved. An
/// error names the line, what was expected and what was found.
weights::Result<Module> parseModule(std::string_view text);

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_PARSER_H
