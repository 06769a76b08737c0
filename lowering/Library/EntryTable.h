// The constants and functions of moert/abi.h in a compiled module.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_LIBRARY_ENTRYTABLE_H
#define MOEC_LOWERING_LIBRARY_ENTRYTABLE_H

#include "lowering/Library/EntryArguments.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <array>
#include <string>

namespace llvm {
class Module;
class raw_ostream;
} // namespace llvm

namespace moec::lowering {

/// A function that the library offers.
struct Entry {
  std::string name;
  llvm::SmallVector<EntryArgument> arguments;
  /// Whether it sends rows to other ranks, where there are any.
  bool exchanges = false;
};

/// What entries are compiled for.
struct Variant {
  /// "portable", "x86-64-v3", "x86-64-v4" or LLVM's name of a CPU.
  std::string name;
  /// MOERT_CPU_* that its code needs.
  uint64_t features = 0;
  /// Whether its kernels are of a device: then addDeviceCode says which.
  bool hasDeviceCode = false;
};

/// Device code of one architecture: moert_device_code.
struct DeviceCode {
  struct Image {
    /// "PTX" or "cubin".
    std::string name;
    /// PTX as text, a cubin as its bytes.
    std::string content;
  };
  struct Kernel {
    std::string name;
    /// Most dynamic shared memory that it is launched with.
    uint32_t sharedBytes = 0;
    /// Blocks of a cluster in x, y and z; all 0: what the kernel says itself.
    std::array<uint32_t, 3> cluster = {};
    /// Whether it may start before the kernel in front of it has ended.
    bool isDependent = false;
  };
  /// 80, 90: major * 10 + minor.
  int32_t capability = 0;
  /// Whether newer devices cannot run it.
  bool isExact = false;
  /// What is loaded first, first.
  llvm::SmallVector<Image> images;
  llvm::SmallVector<Kernel> kernels;
};

/// A layer that runs an entry: where its bindings come from.
struct Layer {
  struct Bound {
    std::string argument, tensor, part;
  };
  std::string name, entry;
  llvm::SmallVector<Bound> binding;
};

/// The manifest: which entries there are and what they take, as JSON (docs/artifact.md). `pipeline` is the lowering that
/// made them, `variants` what for; `layoutHash` is of the archive that the layers' weights are in.
std::string makeManifest(llvm::ArrayRef<Entry> entries,
                         llvm::ArrayRef<Variant> variants,
                         llvm::ArrayRef<Layer> layers,
                         llvm::StringRef layoutHash,
                         llvm::StringRef pipeline);

/// Adds to a module that defines `_mlir_ciface_moec.<name>` and `_mlir_ciface_moec.<name>_workspace` for each entry the
/// hidden functions of a variant that tables point to. Everything else in the module becomes internal.
llvm::Error addVariantFunctions(llvm::Module &module,
                                llvm::ArrayRef<Entry> entries,
                                llvm::StringRef variant);

/// Adds the device code that tables point to as that of a variant. Linking the module then takes the CUDA runtime out of
/// libmoert_entry.a.
void addDeviceCode(llvm::Module &module, llvm::StringRef variant,
                   const DeviceCode &code);

/// Adds what moert/abi.h promises of a library: `moec_<name>`, `moec_<name>_workspace`, `moec_manifest`,
/// `moec_abi_version`, and the tables they point to. The variants' functions are of this module or of others, which are
/// linked with it; the plainest variant comes first.
llvm::Error addEntryTable(llvm::Module &module, llvm::ArrayRef<Entry> entries,
                          llvm::ArrayRef<Variant> variants,
                          llvm::StringRef manifest);

/// Prints one line for each field of the tables: where generated code has it, for this machine. The C header must agree.
void printEntryTableLayout(llvm::raw_ostream &os);

} // namespace moec::lowering

#endif // MOEC_LOWERING_LIBRARY_ENTRYTABLE_H
