// From the LLVM dialect to a shared library.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// In a process of one's own, on a context with moec::registerAllDialects (tools/Registration.h):
//   mlir::PassManager manager(&context);
//   lowering::buildReferencePipeline(manager, lowering::ReferenceOptions());  // lowering/Pipelines.h
//   lowering::LibraryOptions options;
//   options.entryArchive = ".../libmoert_entry.a";
//   if (failed(manager.run(module)) || failed(lowering::emitLibrary(module, "layer.moec", options))) ...
#ifndef MOEC_LOWERING_LIBRARY_EMITLIBRARY_H
#define MOEC_LOWERING_LIBRARY_EMITLIBRARY_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/LogicalResult.h"
#include "llvm/TargetParser/Triple.h"

#include <functional>
#include <memory>
#include <string>

namespace llvm {
class LLVMContext;
class Module;
class TargetMachine;
} // namespace llvm
namespace moec::lowering {

/// How a library is made.
struct LibraryOptions {
  /// The lowering that made the module, for the manifest.
  std::string pipeline = "reference";
  /// 0: as it is. 1: quick to compile. 2 and 3: as a C compiler has them.
  unsigned optimizationLevel = 2;
  /// LLVM's name of the target; empty for this machine's.
  std::string triple;
  /// Oldest CPU that the library must run on; empty for any of the target.
  std::string cpu;
  /// The C compiler, by which objects are linked: a path, or a name to find on PATH.
  std::string linkDriver = "cc";
  /// libmoert_entry.a, the check in front of each entry.
  std::string entryArchive;
  /// Of the archive that the module's layers are bound to; empty without layers.
  std::string layoutHash;
  /// Writes that archive to a path, with a diagnostic where it fails. The artifact appears when all is there.
  std::function<llvm::LogicalResult(llvm::StringRef path)> writeWeights;
  /// For programs that a signal may end: told the directory in which the artifact is being made, whose files are among
  /// scratchFiles. An empty path comes before the directory is made and before files move to where they belong, which
  /// are the moments not to end at.
  std::function<void(llvm::StringRef directory)> onScratch;
};

/// The target of the options, and the oldest CPU, by LLVM's names: "native" is this machine's; empty for any.
llvm::Triple targetTriple(const LibraryOptions &options);
llvm::StringRef targetCPU(const LibraryOptions &options);

/// A module lowered for one instruction set.
struct LibraryVariant {
  /// Oldest CPU that has it, by which moert_call names it too; empty: any, "portable".
  std::string cpu;
  mlir::ModuleOp module;
};

/// All that may stand in the directory that LibraryOptions::onScratch tells.
extern const llvm::ArrayRef<llvm::StringLiteral> scratchFiles;

/// Called at the end of each stage, with its name: for measuring.
using StageEnd = llvm::function_ref<void(llvm::StringRef)>;

/// LLVM's optimisations for a machine, at a level of LibraryOptions.
void optimize(llvm::Module &module, llvm::TargetMachine &machine,
              unsigned level);

/// Translates a module of the LLVM dialect, whose entries carry `moec.arguments`, and adds the tables of moert/abi.h.
/// Everything below reports failures as diagnostics at the module. `manifest` receives the manifest's text.
std::unique_ptr<llvm::Module> translateLibrary(mlir::ModuleOp module,
                                               llvm::LLVMContext &context,
                                               const LibraryOptions &options,
                                               std::string &manifest);

/// As an object file that can be linked into a shared library.
llvm::LogicalResult emitObject(mlir::ModuleOp module,
                               const LibraryOptions &options,
                               llvm::SmallVectorImpl<char> &object,
                               std::string &manifest, StageEnd stageEnd = {});

/// Writes `directory`/library.so, `directory`/manifest.json and weights. A new directory appears at once, complete; in one
/// that exists the files are replaced one after the other, all or none, and the runtime refuses files that do not match.
llvm::LogicalResult emitLibrary(mlir::ModuleOp module,
                                llvm::StringRef directory,
                                const LibraryOptions &options,
                                StageEnd stageEnd = {});

/// The same with several variants of each entry, the plainest first: a call runs the last one that the CPU can run. The
/// modules have the same entries; `options.cpu` is not looked at.
llvm::LogicalResult emitLibrary(llvm::ArrayRef<LibraryVariant> variants,
                                llvm::StringRef directory,
                                const LibraryOptions &options,
                                StageEnd stageEnd = {});

} // namespace moec::lowering

#endif // MOEC_LOWERING_LIBRARY_EMITLIBRARY_H
