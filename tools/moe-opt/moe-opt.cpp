// moe-opt: runs passes and pipelines over MLIR files.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/Registration.h"

#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

static constexpr llvm::StringLiteral overview = R"(moec optimizer driver

  moe-opt layer.mlir --moe-optimize                      from graph form to scheduled form
  moe-opt layer.mlir --moe-optimize=to=slot              stop where the algebra is done
  moe-opt layer.mlir --moe-optimize --remarks-filter=.*  say every decision, taken and declined
  moe-opt layer.mlir --convert-moe-to-linalg             the reference lowering

Exit code 0: done. 1: the input or a pass failed, or the command line is wrong. A pass that fails or crashes leaves a
reproducer, whose path is printed.
)";

int main(int argc, char **argv) {
  llvm::cl::AddExtraVersionPrinter(
      [](llvm::raw_ostream &out) { out << "moec " MOEC_VERSION "\n"; });
  mlir::DialectRegistry registry;
  moec::registerEverything(registry);

  // A reproducer by default, but not where the test of a diagnostic would trip over the note about it.
  llvm::SmallVector<char *> arguments(argv, argv + argc);
  llvm::SmallString<128> path;
  llvm::sys::path::system_temp_directory(/*erasedOnReboot=*/true, path);
  llvm::sys::path::append(path, "moe-opt-reproducer.mlir");
  std::string reproducer =
      ("--mlir-pass-pipeline-crash-reproducer=" + path).str();
  bool asked = llvm::any_of(arguments, [](llvm::StringRef argument) {
    return argument.contains("crash-reproducer") ||
           argument.contains("verify-diagnostics");
  });
  if (!asked)
    arguments.push_back(reproducer.data());
  return mlir::asMainReturnCode(mlir::MlirOptMain(
      arguments.size(), arguments.data(), overview, registry));
}
