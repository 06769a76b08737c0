// moe-lsp-server: the MLIR language server, with moec's dialects.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/Registration.h"

#include "mlir/IR/Dialect.h"
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  moec::registerEverything(registry);
  return mlir::failed(mlir::MlirLspServerMain(argc, argv, registry));
}
