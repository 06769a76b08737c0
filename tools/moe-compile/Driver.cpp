// One run of moe-compile: parse, rewrite, lower, emit.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-compile/Driver.h"

#include "lowering/Artifact/LayerWeights.h"
#include "lowering/Pipelines.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Passes.h"
#include "passes/Pipelines.h"
#include "tools/Registration.h"
#include "tools/moe-compile/Report.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/ToolOutputFile.h"

using namespace mlir;
using namespace moec;

namespace {
/// Where the module goes that a failing pass was given; compilers that run side by side do not share it.
std::string reproducerPath() {
  SmallString<128> path;
  llvm::sys::fs::createUniquePath("moe-compile-%%%%%%%%.mlir", path, /*MakeAbsolute=*/true);
  return std::string(path);
}

/// Compiles one module.
class Compilation {
public:
  explicit Compilation(const CompileRequest &request)
      : request(request), library(request.library),
        // Remarks and diagnostics come in the order of the text.
        context(makeRegistry(), MLIRContext::Threading::DISABLED) {}

  ExitCode run() {
    if (!request.report.empty() && failed(report.listen(context)))
      return compileError;
    std::string message;
    auto file = openInputFile(request.input, &message);
    if (!file) {
      llvm::errs() << "moe-compile: " << message << "\n";
      return compileError;
    }
    sources.AddNewSourceBuffer(std::move(file), SMLoc());
    SourceMgrDiagnosticHandler handler(sources, &context);
    context.printOpOnDiagnostic(false);
    report.endStage("start");

    module = parseSourceFile<ModuleOp>(sources, &context);
    if (!module)
      return compileError;
    report.endStage("parse");

    ExitCode code = rewrite();
    if (code == compiled && request.separateWeights)
      code = separate();
    if (code == compiled)
      code = lower();
    if (code == compiled && !request.report.empty() &&
        failed(report.write(request.report)))
      code = compileError;
    return code;
  }

private:
  static const DialectRegistry &makeRegistry() {
    static DialectRegistry registry = [] {
      DialectRegistry registry;
      registerEverything(registry);
      return registry;
    }();
    return registry;
  }

  /// Passes that were asked for: moe to moe.
  ExitCode rewrite() {
    PassManager rewrites(&context);
    if (!request.passes.empty() &&
        failed(parsePassPipeline(request.passes, rewrites, llvm::errs()))) {
      llvm::errs() << "moe-compile: --passes: expected a pass pipeline\n";
      return usageError;
    }
    if (request.optimize)
      buildOptimizePipeline(rewrites, Form::scheduled);
    return run(rewrites, "rewrite");
  }

  /// Layers bind their weights, which are planned here and written with the library.
  ExitCode separate() {
    PassManager binding(&context);
    binding.addPass(createInlinerPass());
    binding.addPass(createBindParamsPass());
    if (ExitCode code = run(binding, "bind"))
      return code;
    for (const std::string &text : request.weights)
      if (weights::Status bound = provider.bind(text); !bound) {
        llvm::errs() << "moe-compile: --weights: " << bound.error() << "\n";
        return usageError;
      }
    FailureOr<lowering::LayerWeights> plan =
        lowering::LayerWeights::plan(*module, provider, source);
    if (failed(plan))
      return compileError;
    layerWeights = *std::move(plan);
    report.endStage("plan weights");
    if (layerWeights.isEmpty())
      return compiled;
    library.layoutHash = layerWeights.layoutHash();
    library.writeWeights = [&](StringRef path) {
      LogicalResult status =
          layerWeights.write(module->getLoc(), path);
      report.endStage("write weights");
      return status;
    };
    return compiled;
  }

  ExitCode lower() {
    lowering::ReferenceOptions options;
    if (!request.separateWeights)
      options.weights = ArrayRef<std::string>(request.weights);
    PassManager toLinalg(&context);
    lowering::buildReferenceToLinalg(toLinalg, options);
    if (ExitCode code = run(toLinalg, "lower to linalg"))
      return code;
    if (request.emit == Emit::linalg)
      return write([&](raw_ostream &os) { module->print(os); });

    PassManager toLoops(&context);
    lowering::buildLinalgToLoops(toLoops);
    if (ExitCode code = run(toLoops, "lower to loops"))
      return code;
    PassManager toLLVM(&context);
    lowering::buildLoopsToLLVM(toLLVM);
    if (ExitCode code = run(toLLVM, "lower to LLVM"))
      return code;
    return emit();
  }

  ExitCode emit() {
    if (request.emit == Emit::library) {
      auto stage = [&](StringRef name) { report.endStage(name); };
      return failed(lowering::emitLibrary(*module, request.output, library,
                                          stage))
                 ? compileError
                 : compiled;
    }
    std::string manifest;
    if (request.emit == Emit::llvm) {
      llvm::LLVMContext llvmContext;
      auto code = lowering::translateLibrary(*module, llvmContext,
                                             library, manifest);
      if (!code)
        return compileError;
      return write([&](raw_ostream &os) { code->print(os, nullptr); });
    }
    SmallVector<char, 0> object;
    if (failed(
            lowering::emitObject(*module, library, object, manifest)))
      return compileError;
    return write(
        [&](raw_ostream &os) { os.write(object.data(), object.size()); });
  }

  ExitCode run(PassManager &manager, StringRef stage) {
    manager.enableCrashReproducerGeneration(reproducerPath());
    LogicalResult status = manager.run(*module);
    report.endStage(stage);
    return failed(status) ? compileError : compiled;
  }

  template <typename Writer> ExitCode write(Writer writer) {
    std::string message;
    auto file = openOutputFile(request.output, &message);
    if (!file) {
      llvm::errs() << "moe-compile: " << message << "\n";
      return compileError;
    }
    writer(file->os());
    file->keep();
    report.endStage("write");
    return compiled;
  }

  const CompileRequest &request;
  lowering::LibraryOptions library;
  weights::WeightProvider provider;
  weights::ArchiveSource source;
  lowering::LayerWeights layerWeights;
  Report report;
  MLIRContext context;
  llvm::SourceMgr sources;
  OwningOpRef<ModuleOp> module;
};
} // namespace

ExitCode moec::compile(const CompileRequest &request) {
  return Compilation(request).run();
}
