// moe-opt: runs passes and pipelines over MLIR files.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/Registration.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  moec::registerEverything(registry);
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "moec optimizer driver\n", registry));
}
