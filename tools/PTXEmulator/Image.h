// A module that was loaded onto the device.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_IMAGE_H
#define MOEC_TOOLS_PTXEMULATOR_IMAGE_H

#include "tools/PTXEmulator/DeviceMemory.h"
#include "tools/PTXEmulator/Program.h"
#include "weights/Result.h"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace moec::ptx {

/// The programs of a module's entries, and its variables in device memory,
/// which go with it.
class Image {
public:
  /// Parses and decodes PTX. Errors name the line.
  static weights::Result<std::unique_ptr<Image>> load(DeviceMemory &memory,
                                                      std::string_view text);
  ~Image();

  /// Null if the module has no such entry.
  const Program *findProgram(const std::string &name) const;

  /// A .global or .const variable; null if the module has none of that name.
  const DeviceMemory::Allocation *findVariable(const std::string &name) const;

  const Module &module() const { return *parsed; }

private:
  explicit Image(DeviceMemory &memory) : memory(memory) {}
  weights::Status placeVariables();
  weights::Status fillVariable(const Variable &variable);
  weights::Status buildPrograms();

  DeviceMemory &memory;
  std::shared_ptr<const Module> parsed;
  std::map<std::string, DeviceMemory::Allocation> variables;
  std::map<std::string, Program> programs;
};

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_IMAGE_H
