// Registers all dialects, passes and pipelines: moec's and upstream's.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/Registration.h"

#include "dialects/MoE/IR/MoE.h"
#include "dialects/MoE/Interfaces/BufferizableOpInterface.h"
#include "dialects/MoE/Interfaces/TilingInterface.h"
#include "dialects/MoERT/IR/MoERT.h"
#include "dialects/MoERT/Interfaces/BufferizableOpInterface.h"
#include "lowering/Passes.h"
#include "lowering/Pipelines.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "passes/Passes.h"
#include "passes/Pipelines.h"

void moec::registerAllDialects(mlir::DialectRegistry &registry) {
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  registry.insert<moe::MoEDialect, moert::MoERTDialect>();
  moe::registerBufferizableOpInterfaceExternalModels(registry);
  moe::registerTilingInterfaceExternalModels(registry);
  moert::registerBufferizableOpInterfaceExternalModels(registry);
}

void moec::registerEverything(mlir::DialectRegistry &registry) {
  moec::registerAllDialects(registry);
  mlir::registerAllPasses();
  moec::lowering::registerMoELoweringPasses();
  moec::lowering::registerPipelines();
  moec::registerMoEPasses();
  moec::registerPassPipelines();
}
