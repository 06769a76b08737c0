// One run of moe-compile: parse, rewrite, lower, emit.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-compile/Driver.h"

#include "frontend/Importer.h"
#include "lowering/Artifact/LayerWeights.h"
#include "lowering/Library/DeviceCode.h"
#include "lowering/Passes.h"
#include "lowering/Pipelines.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Threading.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Transforms/Passes.h"
#include "passes/LayerParams.h"
#include "passes/Passes.h"
#include "passes/Pipelines.h"
#include "passes/TerminalProgress.h"
#include "tools/Execution/Loss.h"
#include "tools/Registration.h"
#include "tools/moe-compile/Interruption.h"
#include "tools/moe-compile/Output.h"
#include "tools/moe-compile/Plan.h"
#include "tools/moe-compile/Report.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/ToolOutputFile.h"

#include <deque>

using namespace mlir;
using namespace moec;
using llvm::outs;

namespace {
/// Where the module goes that a failing pass was given; compilers that run side
/// by side do not share it.
std::string reproducerPath() {
  SmallString<128> path;
  llvm::sys::fs::createUniquePath("moe-compile-%%%%%%%%.mlir", path,
                                  /*MakeAbsolute=*/true);
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
    if (llvm::sys::fs::is_directory(request.input))
      return runCheckpoint();
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
    if (code == compiled)
      code = writePlacement();
    if (code == compiled && !request.report.empty() &&
        failed(report.write(request.report)))
      code = compileError;
    return code;
  }

private:
  /// The main job: a checkpoint becomes an artifact with its weights.
  ExitCode runCheckpoint() {
    frontend::CheckpointOptions options;
    options.checkFinite = request.checkFinite;
    auto opened = frontend::Checkpoint::open(request.input, options);
    if (!opened) {
      llvm::errs() << "moe-compile: " << opened.error() << "\n";
      return compileError;
    }
    checkpoint.emplace(*std::move(opened));
    source.name = checkpoint->description();
    source.hash = weights::hashText(checkpoint->identity());
    if (weights::Status bound =
            provider.bind(frontend::modelScope, checkpoint->source());
        !bound)
      return fail(bound.error());
    if (!request.profile.empty()) {
      if (weights::Status bound = provider.bind("profile=" + request.profile);
          !bound)
        return fail("--profile: " + bound.error());
      auto read = weights::readProfile(request.profile);
      if (!read)
        return fail("--profile: " + read.error());
      profile = *std::move(read);
      if (profile->model != source.hash)
        return fail("--profile: " + request.profile + " is of model " +
                    profile->model + ", expected one of this model, " +
                    source.hash);
    }
    if (!request.samples.empty())
      if (weights::Status found =
              moec::run::checkSamples(request.samples, checkpointLayers());
          !found)
        return fail("--samples: " + found.error());
    report.endStage("open");
    module = frontend::importCheckpoint(context, *checkpoint);
    report.endStage("import");
    outs() << request.input << ": " << checkpoint->description() << "\n";

    ExitCode code = isLossy() ? plan() : bindExact();
    outs().flush();
    if (code == compiled && !request.dryRun)
      code = lower();
    if (code == compiled)
      code = writePlacement();
    if (code == compiled && !request.samples.empty())
      code = measureLoss();
    if (code == compiled && !request.report.empty() &&
        failed(report.write(request.report)))
      code = compileError;
    return code;
  }

  bool isLossy() const {
    return request.compression.enabled || request.precision.enabled ||
           !request.encoding.empty();
  }

  std::vector<int64_t> checkpointLayers() const {
    std::vector<int64_t> layers;
    for (const frontend::MoELayer &layer : checkpoint->layers())
      layers.push_back(layer.index);
    return layers;
  }

  /// What the artifact, which is written, computes beside the model.
  ExitCode measureLoss() {
    auto loss = moec::run::describeLoss(request.output, request.samples,
                                        checkpointLayers());
    report.endStage("measure outputs");
    if (!loss)
      return fail("--samples: " + loss.error());
    outs() << "outputs on " << request.samples << ", against the model's own:\n"
           << *loss;
    return compiled;
  }

  ExitCode fail(const std::string &message) {
    llvm::errs() << "moe-compile: " << message << "\n";
    return compileError;
  }

  void addClustering(PassManager &manager) const {
    const CompressionRequest &asked = request.compression;
    ClusterExpertsPassOptions options;
    options.weights = {"model=" + request.input};
    options.profilePath = request.profile;
    options.cacheDirectory = request.cache;
    options.progress = true;
    options.clustering = asked.clustering == "random"
                             ? ClusteringKind::random
                             : ClusteringKind::similarity;
    options.clusters = asked.clusters;
    options.alpha = asked.alpha;
    options.seed = asked.seed;
    manager.addPass(createClusterExpertsPass(options));
  }

  /// In graph form. Of a module that is compiled for its figures alone nothing is placed: it may not fit.
  void addCommunication(PassManager &manager, bool place) const {
    if (!request.expertParallel)
      return;
    manager.addNestedPass<func::FuncOp>(createInsertCommunicationPass());
    if (request.placement.empty() || !place)
      return;
    PlaceExpertsPassOptions options;
    options.profilePath = request.profile;
    options.ranks = request.ranks;
    options.ranksPerNode = request.ranksPerNode;
    options.memory = request.rankMemory;
    manager.addPass(createPlaceExpertsPass(options));
  }

  /// Behind what decides which products there are.
  void addOverlap(PassManager &manager) const {
    if (!request.expertParallel)
      return;
    OverlapCommunicationPassOptions options;
    options.parts = request.exchangeParts;
    if (request.ranks)
      options.ranks = request.ranks;
    manager.addNestedPass<func::FuncOp>(
        createOverlapCommunicationPass(options));
  }

  /// What the runtime reads (docs/communication.md), perhaps beside the library that has just been written.
  ExitCode writePlacement() {
    if (request.placement.empty() || request.dryRun)
      return compiled;
    return write(request.placement, [&](raw_ostream &os) {
      os << describePlacement(*module) << "\n";
    });
  }

  void addRounding(PassManager &manager) const {
    if (request.activations == Activations::f32)
      return;
    RoundActivationsPassOptions options;
    options.to = request.activations;
    manager.addNestedPass<func::FuncOp>(createRoundActivationsPass(options));
  }

  /// What rounding costs, for the plan.
  StringRef describeRounding() const {
    switch (request.activations) {
    case Activations::f32:
      return "";
    case Activations::bf16:
      return "  rows are rounded to bf16 before experts' weights multiply "
             "them: by 1/512 of each number at most\n";
    case Activations::int8:
      return "  rows are rounded to int8 before experts' weights multiply "
             "them: by 1/254 of a row's or group's largest at most\n";
    }
    llvm_unreachable("all are named");
  }

  void addTwoStageRouting(PassManager &manager) const {
    const CompressionRequest &asked = request.compression;
    RouteTwoStagePassOptions options;
    options.keep = asked.clustersPerToken;
    options.by = asked.clusterScore == "prototypes"
                     ? moe::GroupBy::logits
                     : *moe::symbolizeGroupBy(asked.clusterScore);
    options.profilePath = request.profile;
    manager.addPass(createRouteTwoStagePass(options));
  }

  void addFactorization(PassManager &manager) const {
    const CompressionRequest &asked = request.compression;
    FactorizeExpertsPassOptions options;
    options.weights = bindings();
    options.profilePath = request.profile;
    options.cacheDirectory = request.cache;
    options.progress = true;
    options.rank = asked.rank;
    options.errorBound = asked.errorBudget;
    options.bytes = asked.bytes;
    options.base = asked.base == "usage"    ? BaseKind::usage
                   : asked.base == "fisher" ? BaseKind::fisher
                   : asked.base == "none"   ? BaseKind::none
                                            : BaseKind::mean;
    options.residual =
        asked.hasResidual() ? ResidualKind::svd : ResidualKind::none;
    options.whiten = asked.whiten == "full"       ? Whitening::full
                     : asked.whiten == "diagonal" ? Whitening::diagonal
                                                  : Whitening::none;
    options.align = asked.align;
    options.rounding = request.rounding;
    options.baseEncoding = asked.baseEncoding;
    options.residualEncoding = asked.residualEncoding;
    manager.addPass(createFactorizeExpertsPass(options));
  }

  void addMixes(PassManager &manager) const {
    const CompressionRequest &asked = request.compression;
    MixExpertsPassOptions options;
    options.weights = {"model=" + request.input};
    options.cacheDirectory = request.cache;
    options.bases = asked.bases;
    options.rank = asked.rank;
    options.phi = *moe::symbolizePhi(asked.phi);
    options.baseEncoding = asked.baseEncoding;
    options.factorEncoding = asked.residualEncoding;
    manager.addPass(createMixExpertsPass(options));
  }

  /// What is bound for passes: the checkpoint, and the profile if there is one.
  SmallVector<std::string> bindings() const {
    SmallVector<std::string> texts{"model=" + request.input};
    if (!request.profile.empty())
      texts.push_back("profile=" + request.profile);
    return texts;
  }

  void addPrecision(PassManager &manager) const {
    const PrecisionOptions &asked = request.precision;
    if (!asked.enabled)
      return;
    SelectPrecisionPassOptions options;
    options.weights = bindings();
    options.profilePath = request.profile;
    options.cacheDirectory = request.cache;
    options.progress = true;
    options.preset = llvm::StringSwitch<PrecisionPreset>(asked.preset)
                         .Case("paper", PrecisionPreset::paper)
                         .Case("exact", PrecisionPreset::exact)
                         .Case("small", PrecisionPreset::small)
                         .Case("fast", PrecisionPreset::fast)
                         .Default(PrecisionPreset::none);
    options.bytes = asked.bytes;
    options.errorBudget = asked.errorBudget;
    options.latency = asked.latency;
    options.targetTokens = asked.targetTokens;
    options.target = asked.target;
    options.encodings = asked.encodings;
    options.rounding = request.rounding;
    options.activations = request.activations;
    manager.addPass(createSelectPrecisionPass(options));
  }

  /// What was asked for of the passes that lose.
  void addCompression(PassManager &manager) const {
    if (request.compression.enabled)
      addForm(manager);
    if (!request.encoding.empty()) {
      EncodeExpertsPassOptions options;
      options.weights = {"model=" + request.input};
      options.encoding = request.encoding;
      options.profilePath = request.profile;
      options.rounding = request.rounding;
      manager.addPass(createEncodeExpertsPass(options));
    }
    addPrecision(manager);
  }

  /// What experts have in common, and of their own.
  void addForm(PassManager &manager) const {
    const CompressionRequest &asked = request.compression;
    if (asked.hasMixes())
      return addMixes(manager);
    // Clusters are for what their members share.
    if (asked.hasBase())
      addClustering(manager);
    if (asked.clustersPerToken > 0)
      addTwoStageRouting(manager);
    addFactorization(manager);
  }

  /// Rewrites up to bound layers, and what the archive will hold.
  ExitCode rewriteAndBind(bool compress) {
    PassManager manager(&context);
    if (compress)
      addCompression(manager);
    if (ExitCode code = run(manager, "compress"))
      return code;
    if (compress)
      meetings = countMeetings(*module, profile);
    PassManager rest(&context);
    if (request.instrument)
      rest.addNestedPass<func::FuncOp>(createInstrumentPass());
    addCommunication(rest, /*place=*/compress || !isLossy());
    buildOptimizePipeline(rest, Form::scheduled);
    addOverlap(rest);
    addRounding(rest);
    rest.addNestedPass<func::FuncOp>(createCountMultiplyAddsPass());
    addBinding(rest);
    if (ExitCode code = run(rest, "rewrite"))
      return code;
    return planWeights();
  }

  void addBinding(PassManager &manager) {
    if (request.inPanels)
      manager.addPass(createSelectLayoutPass());
    if (request.pageBases) {
      PlanResidencyPassOptions residency;
      residency.budget = request.memoryBudget;
      manager.addPass(createPlanResidencyPass(residency));
      InsertPrefetchPassOptions prefetch;
      prefetch.gatesAhead = request.gatesAhead;
      manager.addPass(createInsertPrefetchPass(prefetch));
    }
    manager.addPass(createBindParamsPass());
    if (request.pageBases || request.expertParallel)
      manager.addPass(lowering::createConvertMoEToMoERTPass());
    if (request.pageBases)
      manager.addNestedPass<func::FuncOp>(createVerifyLeasesPass());
    if (request.expertParallel)
      manager.addNestedPass<func::FuncOp>(createVerifyExchangesPass());
  }

  ExitCode bindExact() {
    if (ExitCode code = rewriteAndBind(/*compress=*/false))
      return code;
    LayerFigures figures = measureLayers(*module, layerWeights);
    outs() << (request.activations == Activations::f32 ? "exact: "
                                                       : "exact weights: ")
           << figures.parameters << " parameters, "
           << describeBytes(figures.bytes) << ", "
           << figures.multiplyAddsPerToken << " multiply-adds per token\n"
           << describeResidency(*module) << describeRounding();
    return compiled;
  }

  bool hasClusters() const {
    return request.compression.enabled && request.compression.hasBase();
  }

  /// In what form the experts will be, as the command line says it.
  std::string describeForm() const {
    const CompressionRequest &asked = request.compression;
    if (!asked.enabled)
      return "experts as they are, in " + (request.precision.enabled
                                               ? "chosen encodings"
                                               : request.encoding);
    if (asked.hasMixes())
      return "mixes of " + std::to_string(asked.bases) +
             " bases a layer, routers flat";
    if (!asked.hasBase())
      return "no bases, routers flat";
    bool isRandom = asked.clustering == "random";
    std::string text = std::to_string(asked.clusters) +
                       (isRandom ? " random" : "") + " clusters a layer";
    if (!isRandom)
      text += request.profile.empty()
                  ? std::string(", by weights alone (no profile)")
                  : llvm::formatv(", alpha {0:F2}", asked.alpha).str();
    if (!asked.hasResidual())
      text += ", no residuals";
    text += ", routers ";
    text += asked.clustersPerToken
                ? "in two stages, " + std::to_string(asked.clustersPerToken) +
                      " clusters per token by " + asked.clusterScore
                : std::string("flat");
    return text + (asked.align ? ", neurons aligned" : "");
  }

  /// Compresses, and compares with the model as it is.
  ExitCode plan() {
    // The model as it is, beside: figures only.
    OwningOpRef<ModuleOp> compressed = module->clone();
    if (ExitCode code = rewriteAndBind(/*compress=*/false))
      return code;
    LayerFigures before = measureLayers(*module, layerWeights);
    module = std::move(compressed);
    if (ExitCode code = rewriteAndBind(/*compress=*/true))
      return code;
    LayerFigures after = measureLayers(*module, layerWeights);
    auto ratio = [](double from, double to) {
      return llvm::formatv("{0:F2}x", to > 0 ? from / to : 0).str();
    };
    outs() << "plan: " << describeForm() << "\n"
           << (request.precision.enabled ? describePrecision(*module)
                                         : describeLayers(*module))
           << "  parameters " << before.parameters << " -> " << after.parameters
           << " (" << ratio(double(before.parameters), double(after.parameters))
           << " fewer), bytes " << describeBytes(before.bytes) << " -> "
           << describeBytes(after.bytes) << " ("
           << ratio(double(before.bytes), double(after.bytes)) << ")\n";
    if (hasClusters())
      outs() << llvm::formatv(
          "  flat choices meet {0:F2} clusters per token ({1})\n",
          meetings.perToken,
          meetings.isCounted ? "counted by the profile"
                             : "if choices were independent");
    outs() << "  multiply-adds per token " << before.multiplyAddsPerToken
           << " -> at most " << after.multiplyAddsPerToken << " ("
           << ratio(double(before.multiplyAddsPerToken),
                    double(after.multiplyAddsPerToken))
           << ")\n";
    if (after.bytes >= before.bytes)
      outs()
          << "  compression does not pay: it takes more bytes than the model "
             "as it is\n";
    else if (after.multiplyAddsPerToken >= before.multiplyAddsPerToken)
      outs() << "  pays in bytes only: "
             << (hasClusters() ? "tokens meet so many clusters that the "
                               : "the ")
             << "arithmetic is no less\n";
    if (request.precision.enabled)
      outs() << "  archive " << archiveBytes(layerWeights) << " bytes\n";
    outs() << describeResidency(*module) << describeRounding();
    if (request.samples.empty())
      outs() << "  outputs are not measured; --samples=FILE runs the layers on "
                "stored inputs\n";
    return compiled;
  }

  ExitCode planWeights() {
    if (!statistics) {
      auto opened = openCacheOf(*module, request.cache);
      if (failed(opened))
        return compileError;
      statistics = *std::move(opened);
    }
    FailureOr<lowering::LayerWeights> plan = lowering::LayerWeights::plan(
        *module, provider, source, statistics ? &*statistics : nullptr);
    if (failed(plan))
      return compileError;
    layerWeights = *std::move(plan);
    report.endStage("plan weights");
    if (layerWeights.isEmpty())
      return compiled;
    library.layoutHash = layerWeights.layoutHash();
    if (request.noArchive)
      return compiled;
    library.writeWeights = [&](StringRef path) {
      LogicalResult status = layerWeights.write(
          module->getLoc(), path, progressOnTerminal("weights", "records"));
      report.endStage("write weights");
      return status;
    };
    return compiled;
  }

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
    addCommunication(rewrites, /*place=*/true);
    if (request.optimize)
      buildOptimizePipeline(rewrites, Form::scheduled);
    addOverlap(rewrites);
    addRounding(rewrites);
    return run(rewrites, "rewrite");
  }

  /// Layers bind their weights, which are planned here and written with the
  /// library.
  ExitCode separate() {
    PassManager binding(&context);
    binding.addPass(createInlinerPass());
    addBinding(binding);
    if (ExitCode code = run(binding, "bind"))
      return code;
    for (const std::string &text : request.weights)
      if (weights::Status bound = provider.bind(text); !bound) {
        llvm::errs() << "moe-compile: --weights: " << bound.error() << "\n";
        return usageError;
      }
    return planWeights();
  }

  ExitCode lower() {
    lowering::ReferenceOptions options;
    if (!request.separateWeights && !checkpoint)
      options.weights = ArrayRef<std::string>(request.weights);
    PassManager toLinalg(&context);
    if (hasCPUKernels())
      lowering::buildCPUToLinalg(toLinalg, options);
    else if (isForGPU())
      lowering::buildCUDAToLinalg(toLinalg, options);
    else
      lowering::buildReferenceToLinalg(toLinalg, options);
    if (ExitCode code = run(toLinalg, "lower to linalg"))
      return code;
    if (request.emit == Emit::linalg)
      return write([&](raw_ostream &os) { module->print(os); });
    if (request.instructionSets.size() > 1)
      return emitVariants();

    std::string variant;
    if (!request.instructionSets.empty())
      variant = request.instructionSets.front();
    else if (hasCPUKernels())
      variant = lowering::bestInstructionSet(lowering::targetCPU(library),
                                             lowering::targetTriple(library))
                    .name.str();
    if (!request.instructionSets.empty() && !isForGPU())
      library.cpu = lowering::findInstructionSet(variant)->cpu.str();
    if (ExitCode code = lowerLoops({{variant, *module}}))
      return code;
    if (request.emit == Emit::loops)
      return write([&](raw_ostream &os) { module->print(os); });
    return emit();
  }

  /// Whether the lowering has kernels of its own, which differ between
  /// instruction sets.
  bool hasCPUKernels() const { return library.pipeline == "cpu"; }
  bool isForGPU() const { return library.pipeline == "cuda"; }

  /// A copy of the module, and the instruction set or the GPU that it is
  /// lowered for.
  struct VariantModule {
    std::string name;
    ModuleOp module;
  };

  const lowering::InstructionSet *instructionSetOf(StringRef variant) const {
    return hasCPUKernels() ? lowering::findInstructionSet(variant) : nullptr;
  }

  ExitCode lowerLoops(ArrayRef<VariantModule> variants) {
    ExitCode code = runEach(
        variants, "lower to loops", [&](PassManager &manager, StringRef name) {
          if (isForGPU())
            lowering::buildLinalgToKernels(
                manager, {name.str(), request.fastActivations, request.overlap,
                          request.residualForm, request.atomicSums});
          else
            lowering::buildLinalgToLoops(manager, instructionSetOf(name));
        });
    if (code != compiled || request.emit == Emit::loops)
      return code;
    return runEach(
        variants, "lower to LLVM", [&](PassManager &manager, StringRef name) {
          if (isForGPU())
            lowering::buildKernelsToLLVM(manager, name, request.ptxas);
          else
            lowering::buildLoopsToLLVM(manager, instructionSetOf(name));
        });
  }

  /// Variants share nothing but the context, so they are lowered side by side.
  ExitCode runEach(ArrayRef<VariantModule> variants, StringRef stage,
                   llvm::function_ref<void(PassManager &, StringRef)> build) {
    std::deque<PassManager> managers;
    DialectRegistry dialects;
    for (const VariantModule &variant : variants) {
      PassManager &manager = managers.emplace_back(&context);
      build(manager, variant.name);
      manager.enableCrashReproducerGeneration(reproducerPath());
      manager.getDependentDialects(dialects);
    }
    // None may be loaded while several run.
    context.appendDialectRegistry(dialects);
    for (StringRef name : dialects.getDialectNames())
      context.getOrLoadDialect(name);
    LogicalResult status = failableParallelForEach(
        &context, llvm::seq(variants.size()),
        [&](size_t i) { return managers[i].run(variants[i].module); });
    report.endStage(stage);
    return failed(status) ? compileError : compiled;
  }

  /// A library of a variant for each instruction set, or each GPU.
  ExitCode emitVariants() {
    SmallVector<OwningOpRef<ModuleOp>> clones;
    SmallVector<VariantModule> lowered;
    SmallVector<lowering::LibraryVariant> variants;
    for (const std::string &name : request.instructionSets) {
      std::string cpu = isForGPU()
                            ? library.cpu
                            : lowering::findInstructionSet(name)->cpu.str();
      clones.push_back(module->clone());
      lowered.push_back({name, *clones.back()});
      variants.push_back({cpu, *clones.back()});
    }
    if (ExitCode code = lowerLoops(lowered))
      return code;
    return writeLibrary(ArrayRef<lowering::LibraryVariant>(variants));
  }

  /// An artifact of one module, or of variants. What is half made is removed
  /// when a signal ends the program.
  template <typename Code> ExitCode writeLibrary(Code code) {
    auto stage = [&](StringRef name) { report.endStage(name); };
    Interruption interruption(lowering::scratchFiles);
    library.onScratch = [&interruption](StringRef directory) {
      if (directory.empty())
        interruption.hold();
      else
        interruption.removeFirst(directory);
    };
    return failed(lowering::emitLibrary(code, request.output, library, stage))
               ? compileError
               : compiled;
  }

  ExitCode emitPTX() {
    std::optional<lowering::TargetCode> code = lowering::getDeviceCode(*module);
    if (!code)
      return fail("--emit=ptx: the module has no kernels");
    // A cubin stands in front of it.
    return write(
        [&](raw_ostream &os) { os << code->code.images.back().content; });
  }

  ExitCode emit() {
    if (request.emit == Emit::library)
      return writeLibrary(*module);
    if (request.emit == Emit::ptx)
      return emitPTX();
    std::string manifest;
    if (request.emit == Emit::llvm) {
      llvm::LLVMContext llvmContext;
      auto code =
          lowering::translateLibrary(*module, llvmContext, library, manifest);
      if (!code)
        return compileError;
      return write([&](raw_ostream &os) { code->print(os, nullptr); });
    }
    SmallVector<char, 0> object;
    if (failed(lowering::emitObject(*module, library, object, manifest)))
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
    return write(request.output, writer);
  }

  template <typename Writer>
  ExitCode write(const std::string &path, Writer writer) {
    std::string message;
    auto file = openOutputFile(path, &message);
    if (!file) {
      llvm::errs() << "moe-compile: " << message << "\n";
      return compileError;
    }
    writer(file->os());
    if (std::error_code error = finishOutput(file->os()))
      return fail("cannot write output file '" + path +
                  "': " + error.message());
    file->keep();
    report.endStage("write");
    return compiled;
  }

  const CompileRequest &request;
  lowering::LibraryOptions library;
  weights::WeightProvider provider;
  std::optional<weights::StatisticsCache> statistics;
  weights::ArchiveSource source;
  std::optional<frontend::Checkpoint> checkpoint;
  std::optional<weights::Profile> profile;
  ClusterMeetings meetings;
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
