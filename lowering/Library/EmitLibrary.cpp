// Emits a shared library: LLVM dialect, LLVM IR, object code, linker.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/Library/EmitLibrary.h"

#include "lowering/Library/DeviceCode.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"
#include "moert/abi.h"

#include <thread>

using namespace mlir;
using namespace moec::lowering;

//===----------------------------------------------------------------------===//
// LLVM IR and object code
//===----------------------------------------------------------------------===//

llvm::Triple moec::lowering::targetTriple(const LibraryOptions &options) {
  return llvm::Triple(options.triple.empty()
                          ? llvm::sys::getDefaultTargetTriple()
                          : llvm::Triple::normalize(options.triple));
}

StringRef moec::lowering::targetCPU(const LibraryOptions &options) {
  bool isHost =
      targetTriple(options) == llvm::Triple(llvm::sys::getProcessTriple());
  return options.cpu == "native" && isHost ? llvm::sys::getHostCPUName()
                                           : StringRef(options.cpu);
}

static std::unique_ptr<llvm::TargetMachine>
createTargetMachine(ModuleOp module, const LibraryOptions &options) {
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  llvm::Triple triple = targetTriple(options);
  std::string message;
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, message);
  if (!target) {
    module.emitError("cannot compile for '")
        << triple.str() << "', expected a variant of this machine: " << message;
    return nullptr;
  }
  StringRef cpu = targetCPU(options);
  if (!cpu.empty()) {
    // LLVM takes an unknown name for a CPU without features, and aborts.
    std::unique_ptr<llvm::MCSubtargetInfo> subtarget(
        target->createMCSubtargetInfo(triple, /*CPU=*/"", /*Features=*/""));
    if (!subtarget->isCPUStringValid(cpu)) {
      module.emitError("cannot compile for CPU '")
          << cpu << "', expected native or a name LLVM knows for "
          << triple.str() << ", for example x86-64-v3";
      return nullptr;
    }
  }
  // The rounding of each operation is part of the meaning: nothing is fused.
  llvm::TargetOptions targetOptions;
  targetOptions.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  auto level = llvm::CodeGenOpt::getLevel(options.optimizationLevel);
  std::unique_ptr<llvm::TargetMachine> machine(target->createTargetMachine(
      triple, cpu, /*Features=*/"", targetOptions, llvm::Reloc::PIC_,
      /*CM=*/std::nullopt, level.value_or(llvm::CodeGenOptLevel::Default)));
  assert(machine && "this machine's target is built with a code generator");
  return machine;
}

/// The exported functions of the module, in its order.
static FailureOr<SmallVector<Entry>> collectEntries(ModuleOp module) {
  SmallVector<Entry> entries;
  for (auto function : module.getOps<LLVM::LLVMFuncOp>()) {
    // C wrappers carry their function's attributes too.
    StringRef name = function.getSymName();
    if (!hasEntryArguments(function) || !name.consume_front(entryPrefix))
      continue;
    auto arguments = getEntryArguments(function);
    if (failed(arguments))
      return failure();
    entries.push_back({name.str(), *arguments,
                       function->hasAttr(exchangesAttrName)});
  }
  if (entries.empty())
    return module.emitError("expected a public function with a body: there is "
                            "nothing to put into a library");
  return entries;
}

/// What moe-export-entries says of layers.
static SmallVector<Layer> collectLayers(ModuleOp module) {
  SmallVector<Layer> layers;
  auto described = module->getAttrOfType<ArrayAttr>("moec.layers");
  if (!described)
    return layers;
  for (auto layer : described.getAsRange<DictionaryAttr>()) {
    auto text = [](DictionaryAttr from, StringRef key) {
      return from.getAs<StringAttr>(key).str();
    };
    Layer &result = layers.emplace_back();
    result.name = text(layer, "name");
    result.entry = text(layer, "entry");
    for (auto bound :
         layer.getAs<ArrayAttr>("binding").getAsRange<DictionaryAttr>())
      result.binding.push_back({text(bound, "argument"), text(bound, "tensor"),
                                text(bound, "part")});
  }
  return layers;
}

/// What code for the machine's CPU is, and what of the features that are asked for at run time it needs; with kernels of a
/// device, what they are for.
static Variant describeVariant(ModuleOp module,
                               const llvm::TargetMachine &machine) {
  if (std::optional<TargetCode> device = getDeviceCode(module)) {
    Variant variant;
    variant.name = device->target;
    variant.hasDeviceCode = true;
    return variant;
  }
  StringRef cpu = machine.getTargetCPU();
  Variant variant{cpu.empty() ? "portable" : cpu.str(), 0};
  if (machine.getTargetTriple().getArch() != llvm::Triple::x86_64)
    return variant;
  constexpr const char *names[MOERT_CPU_FEATURE_COUNT] =
      MOERT_CPU_FEATURE_NAMES;
  for (auto [bit, name] : llvm::enumerate(names))
    if (machine.getMCSubtargetInfo()->checkFeatures(std::string("+") + name))
      variant.features |= uint64_t(1) << bit;
  return variant;
}

/// An LLVM module for a target, with nothing in it.
static std::unique_ptr<llvm::Module>
prepare(std::unique_ptr<llvm::Module> module,
        const llvm::TargetMachine &machine) {
  module->setTargetTriple(machine.getTargetTriple());
  module->setDataLayout(machine.createDataLayout());
  module->setSourceFileName("moec");
  return module;
}

static LogicalResult report(ModuleOp module, llvm::Error error) {
  if (!error)
    return success();
  return module.emitError("cannot make the entry table: ")
         << llvm::toString(std::move(error));
}

/// The module's functions, with what tables point to.
static std::unique_ptr<llvm::Module>
translateVariant(ModuleOp module, llvm::LLVMContext &context,
                 const llvm::TargetMachine &machine, ArrayRef<Entry> entries,
                 StringRef variant) {
  registerBuiltinDialectTranslation(*module.getContext());
  registerLLVMDialectTranslation(*module.getContext());
  std::unique_ptr<llvm::Module> result =
      translateModuleToLLVMIR(module, context, "moec");
  if (!result)
    return nullptr;
  result = prepare(std::move(result), machine);
  if (failed(report(module, addVariantFunctions(*result, entries, variant))))
    return nullptr;
  if (std::optional<TargetCode> device = getDeviceCode(module))
    addDeviceCode(*result, variant, device->code);
  return result;
}

/// A library of one variant as one module.
static std::unique_ptr<llvm::Module>
translate(ModuleOp module, llvm::LLVMContext &context,
          const LibraryOptions &options, const llvm::TargetMachine &machine,
          std::string &manifest) {
  FailureOr<SmallVector<Entry>> entries = collectEntries(module);
  if (failed(entries))
    return nullptr;
  Variant variant = describeVariant(module, machine);
  manifest = makeManifest(*entries, variant, collectLayers(module),
                          options.layoutHash, options.pipeline);
  std::unique_ptr<llvm::Module> result =
      translateVariant(module, context, machine, *entries, variant.name);
  if (!result ||
      failed(report(module,
                    addEntryTable(*result, *entries, variant, manifest))))
    return nullptr;
  return result;
}

std::unique_ptr<llvm::Module>
moec::lowering::translateLibrary(ModuleOp module, llvm::LLVMContext &context,
                                 const LibraryOptions &options,
                                 std::string &manifest) {
  std::unique_ptr<llvm::TargetMachine> machine =
      createTargetMachine(module, options);
  if (!machine)
    return nullptr;
  return translate(module, context, options, *machine, manifest);
}

/// What pays at once: a third of the time to compile that level 2 takes, for code of half the speed.
static constexpr llvm::StringLiteral quickPipeline =
    "inline,function<eager-inv>(sroa,early-cse<memssa>,simplifycfg,"
    "instcombine<no-verify-fixpoint>,loop-mssa(licm),gvn,simplifycfg,dse)";

void moec::lowering::optimize(llvm::Module &module,
                              llvm::TargetMachine &machine, unsigned level) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  llvm::ModulePassManager passes;
  if (level == 1)
    llvm::cantFail(builder.parsePassPipeline(passes, quickPipeline));
  else if (level > 1)
    passes = builder.buildPerModuleDefaultPipeline(
        level == 2 ? llvm::OptimizationLevel::O2 : llvm::OptimizationLevel::O3);
  passes.run(module, modules);
}

static void generate(llvm::Module &module, llvm::TargetMachine &machine,
                     SmallVectorImpl<char> &object) {
  llvm::raw_svector_ostream os(object);
  llvm::legacy::PassManager codegen;
  if (machine.addPassesToEmitFile(codegen, os, /*DwoOut=*/nullptr,
                                  llvm::CodeGenFileType::ObjectFile))
    llvm_unreachable("this machine's target writes object files");
  codegen.run(module);
}

LogicalResult moec::lowering::emitObject(ModuleOp module,
                                         const LibraryOptions &options,
                                         SmallVectorImpl<char> &object,
                                         std::string &manifest,
                                         StageEnd stageEnd) {
  auto end = [&](StringRef name) {
    if (stageEnd)
      stageEnd(name);
  };
  std::unique_ptr<llvm::TargetMachine> machine =
      createTargetMachine(module, options);
  if (!machine)
    return failure();
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code =
      translate(module, context, options, *machine, manifest);
  if (!code)
    return failure();
  end("translate");
  optimize(*code, *machine, options.optimizationLevel);
  end("optimise");
  generate(*code, *machine, object);
  end("generate code");
  return success();
}

//===----------------------------------------------------------------------===//
// The artifact
//===----------------------------------------------------------------------===//

static constexpr llvm::StringLiteral weightsName = "weights.safetensors";

static constexpr llvm::StringLiteral scratchFileNames[] = {
    weightsName,
    "weights.safetensors.partial",
    "weights.safetensors.partial.journal",
    // One object for each variant, one in front of them.
    "entries0.o", "entries1.o", "entries2.o", "entries3.o",
    "entries4.o", "entries5.o", "entries6.o", "entries7.o",
    "exports.map",
    "link.log",
    "library.so",
    "manifest.json"};
const ArrayRef<llvm::StringLiteral> moec::lowering::scratchFiles =
    scratchFileNames;

namespace {
/// Makes the files of an artifact in a directory of its own next to where they belong.
class ArtifactWriter {
public:
  ArtifactWriter(ModuleOp module, const LibraryOptions &options)
      : module(module), options(options) {}
  ~ArtifactWriter() {
    if (!scratch.empty())
      llvm::sys::fs::remove_directories(scratch);
  }

  /// To be called first: what is wrong with the place is found out before anything takes time.
  LogicalResult open(StringRef directory) {
    destination = directory;
    if (std::error_code error = llvm::sys::fs::make_absolute(destination))
      return fail("find", directory, error);
    llvm::sys::path::remove_dots(destination, /*remove_dot_dot=*/true);
    if (llvm::sys::fs::exists(destination) &&
        !llvm::sys::fs::is_directory(destination))
      return module.emitError("cannot write an artifact to ")
             << destination << ": expected a directory or nothing there";
    StringRef parent = llvm::sys::path::parent_path(destination);
    if (std::error_code error = llvm::sys::fs::create_directories(parent))
      return fail("create", parent, error);
    tell("");
    SmallString<256> created;
    if (std::error_code error =
            llvm::sys::fs::createUniqueDirectory(destination + ".tmp", created))
      return fail("create a directory next to", destination, error);
    scratch = created;
    tell(scratch);
    // What mkdir gives.
    llvm::sys::fs::setPermissions(
        scratch, llvm::sys::fs::perms(llvm::sys::fs::all_all &
                                      ~llvm::sys::fs::getUmask()));
    return success();
  }

  LogicalResult run(ArrayRef<StringRef> objects, StringRef manifest) {
    if ((options.writeWeights &&
         failed(options.writeWeights(path(weightsName)))) ||
        failed(writeObjects(objects)) ||
        failed(write("exports.map",
                     "{ global: moec_*; __tvm_ffi_*; local: *; };\n")) ||
        failed(link()) || failed(write("manifest.json", manifest)))
      return failure();
    for (const std::string &object : objectPaths)
      llvm::sys::fs::remove(object);
    llvm::sys::fs::remove(path("exports.map"));
    tell("");
    return publish();
  }

private:
  LogicalResult fail(const Twine &action, StringRef path,
                     std::error_code error) {
    return module.emitError("cannot ")
           << action.str() << " " << path << ": " << error.message();
  }

  std::string path(StringRef name) const {
    SmallString<256> result(scratch);
    llvm::sys::path::append(result, name);
    return std::string(result);
  }

  void tell(StringRef directory) {
    if (options.onScratch)
      options.onScratch(directory);
  }

  LogicalResult write(StringRef name, StringRef text) {
    std::error_code error;
    llvm::raw_fd_ostream os(path(name), error);
    if (!error) {
      os << text;
      os.close();
      error = os.error();
      os.clear_error();
    }
    return error ? fail("write", path(name), error) : success();
  }

  LogicalResult writeObjects(ArrayRef<StringRef> objects) {
    for (auto [i, object] : llvm::enumerate(objects)) {
      std::string name = ("entries" + Twine(i) + ".o").str();
      objectPaths.push_back(path(name));
      if (failed(write(name, object)))
        return failure();
    }
    return success();
  }

  LogicalResult link() {
    llvm::ErrorOr<std::string> driver =
        llvm::sys::findProgramByName(options.linkDriver);
    if (!driver)
      return module.emitError("linking needs the C compiler '")
             << options.linkDriver << "': " << driver.getError().message();
    if (!llvm::sys::fs::exists(options.entryArchive))
      return module.emitError("linking needs libmoert_entry.a: '")
             << options.entryArchive << "' does not exist";
    std::string library = path("library.so"),
                log = path("link.log"),
                exports = "--version-script=" + path("exports.map");
    SmallVector<StringRef> arguments{*driver, "-shared", "-o", library};
    llvm::append_range(arguments, objectPaths);
    arguments.append({
        // Not by -Wl, which takes commas of a path for its own.
        options.entryArchive, "-Xlinker", exports,
        // Whatever is not found now would fail at load time.
        "-Wl,-z,defs", "-Wl,-z,noexecstack",
        // Nothing but the C library may be needed.
        "-static-libgcc", "-Wl,--as-needed", "-lm",
        // Same input, same bytes.
        "-Wl,--build-id=none"});
    std::string message;
    int status = llvm::sys::ExecuteAndWait(
        *driver, arguments, /*Env=*/std::nullopt,
        /*Redirects=*/{StringRef(), StringRef(log), StringRef(log)},
        /*SecondsToWait=*/0, /*MemoryLimit=*/0, &message);
    if (status != 0) {
      if (auto buffer = llvm::MemoryBuffer::getFile(log))
        message += (*buffer)->getBuffer().rtrim();
      return module.emitError("linking by '")
             << *driver << "' failed with status " << status << ": " << message;
    }
    llvm::sys::fs::remove(log);
    return success();
  }

  LogicalResult publish() {
    if (!llvm::sys::fs::exists(destination)) {
      if (std::error_code error = llvm::sys::fs::rename(scratch, destination))
        return fail("rename to", destination, error);
      scratch.clear();
      return success();
    }
    // All or none: what was there stays at hand until the last file has moved.
    SmallVector<StringRef> replaced;
    for (StringRef name : {StringRef(weightsName), StringRef("library.so"),
                           StringRef("manifest.json")}) {
      if (name == weightsName && !options.writeWeights)
        continue;
      std::string to = target(name), kept = path("old." + name.str());
      // Where a file system has no links there is no way back.
      bool isKept = !llvm::sys::fs::create_hard_link(to, kept);
      bool isNew = !llvm::sys::fs::exists(to);
      if (std::error_code error = llvm::sys::fs::rename(path(name), to)) {
        for (StringRef earlier : replaced)
          putBack(earlier);
        return fail("replace", to, error);
      }
      if (isKept || isNew)
        replaced.push_back(name);
    }
    return success();
  }

  std::string target(StringRef name) const {
    SmallString<256> result(destination);
    llvm::sys::path::append(result, name);
    return std::string(result);
  }

  /// What was there before; nothing if nothing was.
  void putBack(StringRef name) {
    if (llvm::sys::fs::rename(path("old." + name.str()), target(name)))
      llvm::sys::fs::remove(target(name));
  }

  ModuleOp module;
  const LibraryOptions &options;
  SmallString<256> destination;
  SmallString<256> scratch;
  SmallVector<std::string> objectPaths;
};

/// An object file in the making, apart from all others.
struct ObjectPart {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::TargetMachine> machine;
  std::unique_ptr<llvm::Module> code;
  SmallVector<char, 0> object;
};
} // namespace

LogicalResult moec::lowering::emitLibrary(ModuleOp module, StringRef directory,
                                          const LibraryOptions &options,
                                          StageEnd stageEnd) {
  ArtifactWriter writer(module, options);
  SmallVector<char, 0> object;
  std::string manifest;
  if (failed(writer.open(directory)) ||
      failed(emitObject(module, options, object, manifest, stageEnd)))
    return failure();
  LogicalResult status =
      writer.run(StringRef(object.data(), object.size()), manifest);
  if (stageEnd)
    stageEnd("link");
  return status;
}

LogicalResult moec::lowering::emitLibrary(ArrayRef<LibraryVariant> variants,
                                          StringRef directory,
                                          const LibraryOptions &options,
                                          StageEnd stageEnd) {
  auto end = [&](StringRef name) {
    if (stageEnd)
      stageEnd(name);
  };
  ModuleOp first = variants.front().module;
  ArtifactWriter writer(first, options);
  if (failed(writer.open(directory)))
    return failure();
  FailureOr<SmallVector<Entry>> entries = collectEntries(first);
  if (failed(entries))
    return failure();

  // One part for each variant, and one for what runs before a variant is chosen.
  std::vector<std::unique_ptr<ObjectPart>> parts;
  auto addPart = [&](ModuleOp module, StringRef cpu) -> ObjectPart * {
    LibraryOptions forVariant = options;
    forVariant.cpu = cpu;
    auto part = std::make_unique<ObjectPart>();
    part->machine = createTargetMachine(module, forVariant);
    parts.push_back(std::move(part));
    return parts.back()->machine ? parts.back().get() : nullptr;
  };
  SmallVector<Variant> described;
  for (const LibraryVariant &variant : variants) {
    ObjectPart *part = addPart(variant.module, variant.cpu);
    if (!part)
      return failure();
    described.push_back(describeVariant(variant.module, *part->machine));
    part->code = translateVariant(variant.module, part->context, *part->machine,
                                  *entries, described.back().name);
    if (!part->code)
      return failure();
  }
  std::string manifest =
      makeManifest(*entries, described, collectLayers(first),
                   options.layoutHash, options.pipeline);
  ObjectPart *table = addPart(first, /*cpu=*/"");
  if (!table)
    return failure();
  table->code =
      prepare(std::make_unique<llvm::Module>("moec", table->context),
              *table->machine);
  if (failed(report(
          first, addEntryTable(*table->code, *entries, described, manifest))))
    return failure();
  end("translate");

  // Nothing is shared between parts.
  std::vector<std::thread> threads;
  for (std::unique_ptr<ObjectPart> &part : parts)
    threads.emplace_back([&options, part = part.get()] {
      optimize(*part->code, *part->machine, options.optimizationLevel);
      generate(*part->code, *part->machine, part->object);
    });
  for (std::thread &thread : threads)
    thread.join();
  end("generate code");

  SmallVector<StringRef> objects;
  for (const std::unique_ptr<ObjectPart> &part : parts)
    objects.push_back({part->object.data(), part->object.size()});
  LogicalResult status = writer.run(objects, manifest);
  end("link");
  return status;
}
