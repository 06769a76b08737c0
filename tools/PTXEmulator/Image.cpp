// A module that was loaded onto the device.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Image.h"

#include "tools/PTXEmulator/Parser.h"
#include "tools/PTXEmulator/ProgramBuilder.h"

#include <algorithm>
#include <cstring>

using namespace moec::weights;

namespace moec::ptx {

static bool isInDeviceMemory(const Variable &variable) {
  return variable.space == Space::Global || variable.space == Space::Const;
}

Result<std::unique_ptr<Image>> Image::load(DeviceMemory &memory,
                                           std::string_view text) {
  Result<Module> parsed = parseModule(text);
  if (!parsed)
    return Error{parsed.error()};
  std::unique_ptr<Image> image(new Image(memory));
  image->parsed = std::make_shared<const Module>(std::move(*parsed));
  if (Status status = image->placeVariables(); !status)
    return Error{status.error()};
  for (const Variable &variable : image->parsed->variables)
    if (isInDeviceMemory(variable))
      if (Status status = image->fillVariable(variable); !status)
        return Error{status.error()};
  if (Status status = image->buildPrograms(); !status)
    return Error{status.error()};
  return image;
}

Image::~Image() {
  for (const auto &[name, allocation] : variables)
    memory.free(allocation.begin);
}

Status Image::placeVariables() {
  for (const Variable &variable : parsed->variables) {
    if (!isInDeviceMemory(variable))
      continue;
    std::string where =
        "line " + std::to_string(variable.line) + ": '" + variable.name + "': ";
    if (variable.isExternal)
      return Error{where + "expected a definition, found .extern"};
    uint64_t bytes = std::max<uint64_t>(variable.bytes, 1);
    uint64_t address = memory.allocate(bytes);
    if (address == 0)
      return Error{where + "out of device memory"};
    variables[variable.name] = {address, bytes};
  }
  return success();
}

/// Bytes without initial value are zero.
Status Image::fillVariable(const Variable &variable) {
  const DeviceMemory::Allocation &allocation = variables[variable.name];
  uint8_t *bytes = memory.backing(allocation.begin);
  std::memset(bytes, 0, allocation.bytes);
  std::copy(variable.initial.begin(), variable.initial.end(), bytes);
  for (const Variable::Address &address : variable.addresses) {
    auto found = variables.find(address.symbol);
    if (found == variables.end())
      return Error{"line " + std::to_string(variable.line) +
                   ": expected a variable in global memory, found '" +
                   address.symbol + "'"};
    uint64_t value =
        found->second.begin + static_cast<uint64_t>(address.offset);
    std::memcpy(bytes + address.place, &value,
                std::min<size_t>(sizeof value, bytesOf(variable.type)));
  }
  return success();
}

Status Image::buildPrograms() {
  SymbolAddresses symbols;
  for (const auto &[name, allocation] : variables)
    symbols[name] = allocation.begin;
  for (const auto &[name, function] : parsed->functions) {
    if (!function.isEntry || !function.hasBody)
      continue;
    Result<Program> program = buildProgram(parsed, function, symbols);
    if (!program)
      return Error{program.error()};
    programs[name] = std::move(*program);
  }
  return success();
}

const Program *Image::findProgram(const std::string &name) const {
  auto found = programs.find(name);
  return found == programs.end() ? nullptr : &found->second;
}

const DeviceMemory::Allocation *
Image::findVariable(const std::string &name) const {
  auto found = variables.find(name);
  return found == variables.end() ? nullptr : &found->second;
}

} // namespace moec::ptx
