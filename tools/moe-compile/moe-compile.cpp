// moe-compile: compiles a module to an artifact.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-compile/Driver.h"

#include "lowering/CPU/Schedule.h"
#include "lowering/CUDA/Targets.h"
#include "lowering/Library/EntryTable.h"
#include "tools/moe-compile/Output.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

#include <csignal>

using namespace llvm;
using namespace moec;

static constexpr StringLiteral overview =
    R"(moec compiler: from a module of the moe dialect to a library with a C interface

  moe-compile layer.mlir -o layer                              layer/library.so, layer/manifest.json
  moe-compile layer.mlir -o layer --weights=model=w.safetensors  external params from a file
  moe-compile layer.mlir -o layer --passes='func.func(moe-decompose-experts)'
  moe-compile layer.mlir -o layer --optimize --report=-        the exact rewrites, and what they decided
  moe-compile layer.mlir -o layer --separate-weights --pipeline=reference  what fast kernels are compared with
  moe-compile layer.mlir -o - --emit=linalg                    the reference lowering, to be read
  moe-compile MODEL --compress --samples=s.safetensors -o small  a checkpoint, compressed; what its layers lose
  moe-compile MODEL --bytes=2000000 -o small                   a checkpoint, in encodings that are chosen to fit

Exit code 0: done. 1: the module does not compile. 2: the command line is wrong. A pass that fails or crashes leaves a
reproducer, whose path is printed.
)";

static cl::OptionCategory category("moe-compile options");
static cl::opt<std::string> input(cl::Positional,
                                  cl::desc("<module.mlir, - for stdin>"),
                                  cl::init("-"), cl::cat(category));
static cl::opt<std::string>
    output("o", cl::desc("Artifact directory, or file for --emit"),
           cl::value_desc("path"), cl::cat(category));
static cl::opt<Emit> emit(
    "emit", cl::desc("What to write"), cl::init(Emit::library),
    cl::cat(category),
    cl::values(clEnumValN(Emit::library, "library", "an artifact (default)"),
               clEnumValN(Emit::object, "object", "its object file"),
               clEnumValN(Emit::llvm, "llvm", "LLVM IR, not optimised"),
               clEnumValN(Emit::ptx, "ptx",
                          "with --pipeline=cuda: the kernels as PTX"),
               clEnumValN(Emit::loops, "loops",
                          "loops on buffers, kernels among them"),
               clEnumValN(Emit::linalg, "linalg", "linalg on tensors")));
static cl::opt<std::string> pipeline(
    "pipeline",
    cl::desc("Lowering: cpu, fast kernels (default of a checkpoint and with "
             "--separate-weights); cuda, kernels of NVIDIA GPUs; or reference, "
             "plain and slow (default of other modules)"),
    cl::value_desc("name"), cl::cat(category));
static cl::opt<std::string>
    passes("passes",
           cl::desc("Passes to run first, as moe-opt's --pass-pipeline inside "
                    "builtin.module(...)"),
           cl::value_desc("pipeline"), cl::cat(category));
static cl::opt<bool>
    optimize("optimize", cl::desc("Run moe-optimize behind --passes; exact"),
             cl::cat(category));
static cl::list<std::string> weights(
    "weights",
    cl::desc("Binds a scope of external params: scope=file.safetensors, "
             "scope=splat:V or scope=seeded:S[:scale]"),
    cl::value_desc("scope=source"), cl::cat(category));
static cl::opt<bool> compress(
    "compress",
    cl::desc("Of a checkpoint: cluster and factorise the experts. Lossy; the "
             "plan states the errors"),
    cl::cat(category));
static cl::opt<std::string>
    clustering("clustering",
               cl::desc("With --compress: who shares a cluster, experts of "
                        "similarity, or random ones to compare with"),
               cl::init("similarity"), cl::cat(category));
static cl::opt<int64_t>
    clusters("clusters", cl::desc("With --compress: clusters of a layer"),
             cl::init(4), cl::cat(category));
static cl::opt<int64_t> rankOption(
    "rank",
    cl::desc("With --compress: rank of residuals (default 16, unless "
             "--error-budget or --bytes is given), or of mixed bases (default: "
             "the smaller side of each matrix)"),
    cl::init(0), cl::cat(category));
static cl::opt<int64_t> bases(
    "bases",
    cl::desc("With --compress: experts as mixes of so many bases of their "
             "layer, each times a factor of its own, instead of clusters"),
    cl::init(0), cl::cat(category));
static cl::opt<std::string>
    phi("phi",
        cl::desc("With --bases: map that mixes go through, element by "
                 "element: identity, silu or tanh"),
        cl::init("identity"), cl::cat(category));
static cl::opt<double> errorBudget(
    "error-budget",
    cl::desc("Encodings with the fewest bytes, or with --target-tokens the "
             "shortest time, within this relative error (root mean square over "
             "matrices). With --compress and no --rank: ranks, by the largest "
             "error of a matrix"),
    cl::init(0), cl::cat(category));
static cl::opt<int64_t> byteBudget(
    "bytes",
    cl::desc("Encodings with the least error within these bytes of all "
             "experts' matrices. With --compress and no --rank: ranks, by the "
             "bytes of all residuals"),
    cl::init(0), cl::cat(category));
static cl::opt<double> latencyBudget(
    "latency-us",
    cl::desc("Encodings with the least error within these microseconds of all "
             "layers' matrices at --target-tokens, by the cost model"),
    cl::init(0), cl::cat(category));
static cl::opt<std::string> preset(
    "preset",
    cl::desc("Encodings by name: paper (f16 bases, int4 residuals), exact (as "
             "they are), small (fewest bytes) or fast (shortest time), within "
             "--error-budget or 0.1 more error (docs/precision.md)"),
    cl::init("none"), cl::cat(category));
static cl::opt<int64_t> targetTokens(
    "target-tokens",
    cl::desc("Tokens of a call, whose time encodings are chosen for"),
    cl::init(0), cl::cat(category));
static cl::opt<std::string> encodings(
    "encodings",
    cl::desc("Encodings to choose from beside the checkpoint's, between commas "
             "(default: f16, and f8e4m3, int8, int4 in groups of 32)"),
    cl::value_desc("list"), cl::cat(category));
static cl::opt<std::string> targetDescription(
    "target-description",
    cl::desc("What times are of: x86-64-core (default), a100, h200, mobile, or "
             "a file (docs/precision.md)"),
    cl::value_desc("name or file"), cl::init("x86-64-core"), cl::cat(category));
static cl::opt<double>
    alpha("alpha",
          cl::desc("With --compress: share of weights, beside the inputs that "
                   "experts answer, in their similarity"),
          cl::init(0.7), cl::cat(category));
static cl::opt<uint64_t> seed(
    "seed",
    cl::desc("With --compress: of random clusters and of the starts of others"),
    cl::init(0), cl::cat(category));
static cl::opt<std::string> baseOption(
    "base",
    cl::desc(
        "With --compress: what a cluster shares, its mean, that weighted by "
        "usage or by fisher, which the profile has, or none"),
    cl::init("mean"), cl::cat(category));
static cl::opt<std::string>
    residual("residual",
             cl::desc("With --compress: what an expert has of its own, svd, a "
                      "low-rank product, or none: merged experts"),
             cl::init("svd"), cl::cat(category));
static cl::opt<std::string>
    whiten("whiten",
           cl::desc("With --compress: none, diagonal or full second moments"),
           cl::init("none"), cl::cat(category));
static cl::opt<bool> align(
    "align",
    cl::desc("With --compress: put the hidden neurons of a cluster's experts "
             "in like order first; exact by itself"),
    cl::cat(category));
static cl::opt<std::string>
    baseEncoding("base-encoding",
                 cl::desc("With --compress: encoding of bases, for example "
                          "'int8 group 32' (default: the checkpoint's)"),
                 cl::cat(category));
static cl::opt<std::string> encoding(
    "encoding",
    cl::desc(
        "Of a checkpoint, without --compress: encoding of experts, for "
        "example 'int4 group 32 scale f16'. Lossy; the plan states the errors"),
    cl::cat(category));
static cl::opt<std::string>
    residualEncoding("residual-encoding",
                     cl::desc("With --compress: encoding of residuals, or of "
                              "the factors beside mixed bases"),
                     cl::cat(category));
static cl::opt<int64_t> twoStage(
    "two-stage",
    cl::desc("With --compress: clusters that a token keeps; 0 leaves its "
             "choices as they are"),
    cl::value_desc("M"), cl::init(0), cl::cat(category));
static cl::opt<std::string> clusterScore(
    "cluster-score",
    cl::desc("With --two-stage: score of a cluster, max (its best member's), "
             "top2_sum, sum (with softmax, the log-sum-exp of logits) or "
             "prototypes (learned from the profile)"),
    cl::init("max"), cl::cat(category));
static cl::opt<std::string>
    profile("profile",
            cl::desc("Traffic profile, as moe-run --profile makes it"),
            cl::value_desc("file"), cl::cat(category));
static cl::opt<std::string>
    samples("samples",
            cl::desc("Of a checkpoint: run each layer N of the artifact on "
                     "layers.N.input of this safetensors file, and print how "
                     "far outputs are from layers.N.output, the model's own"),
            cl::value_desc("file"), cl::cat(category));
static cl::opt<std::string>
    cache("cache",
          cl::desc("Directory where similarities, spectra, mixes and errors of "
                   "weights are kept by content"),
          cl::value_desc("directory"), cl::cat(category));
static cl::opt<bool> instrument(
    "instrument",
    cl::desc("Of a checkpoint: entries also return ids and gates, for moe-run "
             "--profile"),
    cl::cat(category));
static cl::opt<Activations> activations(
    "activations",
    cl::desc("What rows are rounded to before the weights of experts multiply "
             "them; lossy but for f32, the default"),
    cl::values(clEnumValN(Activations::f32, "f32", "they are not rounded"),
               clEnumValN(Activations::bf16, "bf16", "bf16"),
               clEnumValN(Activations::int8, "int8",
                          "symmetric int8, by rows or the weights' groups")),
    cl::init(Activations::f32), cl::cat(category));
static cl::opt<Rounding> rounding(
    "rounding",
    cl::desc("With --encoding, --compress or chosen encodings: how codes of "
             "encodings with scales are chosen (docs/precision.md)"),
    cl::values(clEnumValN(Rounding::nearest, "nearest",
                          "the nearest to each weight (default)"),
               clEnumValN(Rounding::calibrated, "calibrated",
                          "by the second moments of inputs in --profile, so "
                          "that outputs err less")),
    cl::init(Rounding::nearest), cl::cat(category));
static cl::opt<bool> checkFinite(
    "check-finite",
    cl::desc("Of a checkpoint: read all expert weights first, and refuse NaN "
             "and infinity"),
    cl::cat(category));
static cl::opt<bool>
    dryRun("dry-run", cl::desc("Of a checkpoint: print the plan and stop"),
           cl::cat(category));
static cl::opt<bool> separateWeights(
    "separate-weights",
    cl::desc("Keep weights out of the library: an archive beside it, which "
             "layers bind (moe-bind-params)"),
    cl::cat(category));
static cl::opt<std::string> layout(
    "layout",
    cl::desc("Order of matrices in the archive: panel16 as CPU kernels read "
             "them (default of --pipeline=cpu), or row_major"),
    cl::value_desc("name"), cl::cat(category));
static cl::opt<bool> noArchive(
    "no-archive",
    cl::desc("With --separate-weights: do not write the archive; whoever calls "
             "an entry binds its weights"),
    cl::cat(category));
static cl::opt<bool> pageBases(
    "page-bases",
    cl::desc(
        "Of an archive of weights, with --pipeline=cpu: layers ask for the "
        "bases of the clusters that they meet, which need not all be in "
        "memory then (docs/residency.md)"),
    cl::cat(category));
static cl::opt<unsigned> gatesAhead(
    "gates-ahead",
    cl::desc("With --page-bases: of how many layers behind it a layer applies "
             "the routers to guess which bases they will read (1; 0: of none)"),
    cl::value_desc("layers"), cl::init(1), cl::cat(category));
static cl::opt<int64_t> memoryBudget(
    "memory-budget",
    cl::desc("With --page-bases: bytes of memory that there will be for bases; "
             "fewer than those of one layer are refused"),
    cl::value_desc("bytes"), cl::init(0), cl::cat(category));
static cl::opt<bool> expertParallel(
    "expert-parallel",
    cl::desc("Of an archive of weights, with --pipeline=cpu: layers send rows "
             "to the ranks that have their clusters, and sum what comes back; "
             "one artifact for any number of ranks (docs/communication.md)"),
    cl::cat(category));
static cl::opt<int64_t> exchangeParts(
    "exchange-parts",
    cl::desc("With --expert-parallel: parts that a layer's tokens go in, one "
             "of which is computed while others are on their way; 0: by a "
             "model of the time (moe-overlap-communication)"),
    cl::value_desc("number"), cl::init(1), cl::cat(category));
static cl::opt<int64_t> ranks(
    "ranks",
    cl::desc("With --expert-parallel: write which of so many ranks have which "
             "clusters, by load, memory and what is chosen together "
             "(moe-place-experts); --profile says what the loads are"),
    cl::value_desc("number"), cl::init(0), cl::cat(category));
static cl::opt<std::string> placement(
    "placement",
    cl::desc("With --ranks: where to write it (default: placement.json beside "
             "the library, where the runtime looks for it)"),
    cl::value_desc("file"), cl::cat(category));
static cl::opt<int64_t> ranksPerNode(
    "ranks-per-node",
    cl::desc("With --ranks: ranks that are near each other (default: all)"),
    cl::value_desc("number"), cl::init(0), cl::cat(category));
static cl::opt<int64_t> rankMemory(
    "rank-memory",
    cl::desc("With --ranks: bytes that the clusters of a rank may take, of "
             "all layers (default: any number)"),
    cl::value_desc("bytes"), cl::init(0), cl::cat(category));
static cl::opt<unsigned> optLevel(
    "opt-level",
    cl::desc("0: none, 1: quick to compile, 2 (default), 3: as C compilers"),
    cl::init(2), cl::cat(category));
static cl::opt<std::string>
    target("target",
           cl::desc("LLVM's name of the target (default: this machine), or "
                    "cuda, short for --pipeline=cuda"),
           cl::value_desc("triple"), cl::cat(category));
static cl::opt<std::string>
    cpu("cpu",
        cl::desc("Oldest CPU to run on, or native (default: any of the "
                 "target)"),
        cl::cat(category));
static cl::list<std::string> isas(
    "isas", cl::CommaSeparated,
    cl::desc("Instruction sets to have variants for, from which a call takes "
             "the best that its CPU has: portable, x86-64-v3, x86-64-v4, "
             "sapphirerapids "
             "(default: one variant, for --cpu; --pipeline=cpu without --cpu: "
             "all that the target may have). With --pipeline=cuda: sm_80, "
             "sm_90a (default: both for a library, else sm_80)"),
    cl::value_desc("names"), cl::cat(category));
static cl::opt<bool> fastActivations(
    "fast-activations",
    cl::desc("With --pipeline=cuda: make activations of the GPU's instruction "
             "for tanh, whose relative error is up to 2^-11"),
    cl::cat(category));
static cl::opt<bool>
    noOverlap("no-overlap",
              cl::desc("With --pipeline=cuda: no kernel begins before the one "
                       "in front of it has ended"),
              cl::cat(category));
static cl::opt<bool> atomicSums(
    "atomic-sums",
    cl::desc("With --pipeline=cuda: blocks add to one sum in any order, so "
             "last bits of results differ from run to run"),
    cl::cat(category));
static cl::opt<std::string> residualForm(
    "residual-form",
    cl::desc("With --pipeline=cuda: how experts' residuals are added, dense, "
             "present or slot (default: what costs least)"),
    cl::value_desc("form"), cl::init("auto"), cl::cat(category));
static cl::opt<std::string>
    ptxas("ptxas",
          cl::desc("With --pipeline=cuda: CUDA's assembler, by which kernels "
                   "are kept as machine code beside the PTX; none: PTX alone "
                   "(default: ptxas, if it is found)"),
          cl::value_desc("program"), cl::cat(category));
static cl::opt<std::string>
    linker("cc", cl::desc("C compiler that links the library"), cl::init("cc"),
           cl::cat(category));
static cl::opt<std::string>
    archive("entry-archive",
            cl::desc("libmoert_entry.a (default: ../lib next to this program)"),
            cl::value_desc("file"), cl::cat(category));
static cl::opt<std::string>
    report("report",
           cl::desc("Write times and decisions as JSON; - for stdout"),
           cl::value_desc("file"), cl::cat(category));
static cl::opt<bool> printLayout(
    "print-abi-layout",
    cl::desc("Print where generated code has the fields of moert/abi.h"),
    cl::Hidden, cl::cat(category));

static int usage(const Twine &message);

/// What --isas may name, the plainest first.
static SmallVector<StringRef> knownVariants() {
  SmallVector<StringRef> names;
  if (pipeline == "cuda")
    for (const lowering::GPUTarget &gpu : lowering::gpuTargets())
      names.push_back(gpu.name);
  else
    for (const lowering::InstructionSet &set : lowering::instructionSets())
      names.push_back(set.name);
  return names;
}

/// What there are variants for if nobody says so.
static bool isDefaultVariant(StringRef name, const Triple &triple) {
  if (cpu.getNumOccurrences() && pipeline != "cuda")
    return false;
  if (pipeline == "cuda")
    return emit == Emit::library || name == knownVariants().front();
  if (pipeline != "cpu" || emit != Emit::library)
    return false;
  const lowering::InstructionSet *set = lowering::findInstructionSet(name);
  // Dot products are of use for rounded rows only.
  bool isOfUse = !set->hasDot || activations != Activations::f32;
  return set->cpu.empty() || (triple.getArch() == Triple::x86_64 && isOfUse);
}

/// Takes over --isas, the plainest first.
static int readInstructionSets(CompileRequest &request) {
  if (isas.getNumOccurrences() && cpu.getNumOccurrences() && pipeline != "cuda")
    return usage("expected --cpu or --isas, found both");
  SmallVector<StringRef> known = knownVariants();
  for (auto [i, name] : enumerate(isas)) {
    if (!is_contained(known, name))
      return usage("expected --isas to be of " + join(known, ", ") +
                   ", found '" + name + "'");
    if (is_contained(ArrayRef<std::string>(isas).take_front(i), name))
      return usage("expected --isas to name each once, found '" + name +
                   "' twice");
  }
  if (isas.size() > 1 && emit != Emit::library && emit != Emit::linalg)
    return usage("expected --emit=library for several --isas");
  Triple triple = lowering::targetTriple(request.library);
  for (StringRef name : known)
    if (isas.getNumOccurrences() ? is_contained(isas, name)
                                 : isDefaultVariant(name, triple))
      request.instructionSets.push_back(name.str());
  return compiled;
}

static int usage(const Twine &message) {
  errs() << "moe-compile: " << message << "\n";
  return usageError;
}

/// Refuses mixes that are none, and options that they have no use for.
static int checkMixes() {
  if (phi != "identity" && phi != "silu" && phi != "tanh")
    return usage("expected --phi to be identity, silu or tanh, found '" + phi +
                 "'");
  if (!bases.getNumOccurrences())
    return phi.getNumOccurrences()
               ? usage("--phi is for --bases, found no --bases")
               : int(compiled);
  if (bases < 1)
    return usage("expected --bases to be positive, found " + Twine(bases));
  if (!compress)
    return usage("--bases is for --compress, found no --compress");
  for (const cl::Option *option : std::initializer_list<const cl::Option *>{
           &clustering, &clusters, &alpha, &seed, &baseOption, &residual,
           &twoStage, &align, &whiten, &errorBudget, &byteBudget, &preset,
           &targetTokens, &latencyBudget, &rounding})
    if (option->getNumOccurrences())
      return usage("--" + option->ArgStr + " is for clusters, found --bases");
  return compiled;
}

/// Refuses a form of experts that is none, and options that it has no use for.
static int checkForm() {
  if (clustering != "similarity" && clustering != "random")
    return usage("expected --clustering to be similarity or random, found '" +
                 clustering + "'");
  if (baseOption != "mean" && baseOption != "usage" && baseOption != "fisher" &&
      baseOption != "none")
    return usage("expected --base to be mean, usage, fisher or none, found '" +
                 baseOption + "'");
  if (residual != "svd" && residual != "none")
    return usage("expected --residual to be svd or none, found '" + residual +
                 "'");
  if (baseOption == "none" && residual == "none")
    return usage("expected a base or a residual, found --base=none and "
                 "--residual=none");
  for (const cl::Option *option : std::initializer_list<const cl::Option *>{
           &clustering, &clusters, &alpha, &seed, &twoStage, &align,
           &baseEncoding})
    if (option->getNumOccurrences() && baseOption == "none")
      return usage("--" + option->ArgStr + " is for bases, found --base=none");
  for (const cl::Option *option : std::initializer_list<const cl::Option *>{
           &rankOption, &whiten, &residualEncoding})
    if (option->getNumOccurrences() && residual == "none")
      return usage("--" + option->ArgStr +
                   " is for residuals, found --residual=none");
  if (clustering == "random" && alpha.getNumOccurrences())
    return usage("--alpha is for --clustering=similarity, found "
                 "--clustering=random");
  if (compress && encoding.getNumOccurrences())
    return usage("--encoding is for experts as they are, found --compress: "
                 "expected --base-encoding and --residual-encoding");
  return compiled;
}

/// Whether encodings are chosen. --bytes and --error-budget are about ranks where those are not known.
static bool selectsPrecision() {
  bool knowsRanks = !compress || rankOption > 0 || residual == "none";
  return preset.getNumOccurrences() || targetTokens.getNumOccurrences() ||
         latencyBudget.getNumOccurrences() ||
         (knowsRanks &&
          (byteBudget.getNumOccurrences() || errorBudget.getNumOccurrences()));
}

/// Takes over how encodings are chosen.
static int readPrecision(PrecisionOptions &asked) {
  asked.enabled = selectsPrecision();
  if (!asked.enabled) {
    for (const cl::Option *option : std::initializer_list<const cl::Option *>{
             &targetDescription, &encodings})
      if (option->getNumOccurrences())
        return usage("--" + option->ArgStr +
                     " is for encodings that are chosen, found no "
                     "--target-tokens, --preset or budget");
    return compiled;
  }
  if (!is_contained({"none", "paper", "exact", "small", "fast"}, preset))
    return usage(
        "expected --preset to be paper, exact, small or fast, found '" +
        preset + "'");
  for (const cl::Option *option : std::initializer_list<const cl::Option *>{
           &encoding, &baseEncoding, &residualEncoding})
    if (option->getNumOccurrences())
      return usage(
          "--" + option->ArgStr +
          " fixes an encoding, found an option that chooses encodings");
  asked.preset = preset;
  asked.bytes = byteBudget;
  asked.errorBudget = errorBudget;
  asked.latency = latencyBudget;
  asked.targetTokens = targetTokens;
  asked.target = targetDescription;
  asked.encodings = encodings;
  return compiled;
}

/// Refuses codes that are chosen by nothing, or for nothing.
static int checkRounding(const CompileRequest &request) {
  if (rounding.getNumOccurrences() && !compress && encoding.empty() &&
      !request.precision.enabled)
    return usage("--rounding is for --encoding, --compress and chosen "
                 "encodings, found none of them");
  if (rounding == Rounding::calibrated && profile.empty())
    return usage("--rounding=calibrated is by the moments of a profile, found "
                 "no --profile");
  return compiled;
}

/// Takes over --expert-parallel.
static int readCommunication(CompileRequest &request, bool hasArchive) {
  if (expertParallel && !hasArchive)
    return usage("--expert-parallel is for an archive of weights, found "
                 "neither --separate-weights nor a checkpoint");
  if (expertParallel && pipeline != "cpu")
    return usage("--expert-parallel is for --pipeline=cpu, found --pipeline=" +
                 pipeline);
  if (expertParallel && pageBases)
    return usage("--expert-parallel is for bases in memory, found "
                 "--page-bases");
  for (const cl::Option *option :
       std::initializer_list<const cl::Option *>{&exchangeParts, &ranks})
    if (option->getNumOccurrences() && !expertParallel)
      return usage("--" + option->ArgStr +
                   " is for --expert-parallel, found no --expert-parallel");
  for (const cl::Option *option : std::initializer_list<const cl::Option *>{
           &placement, &ranksPerNode, &rankMemory})
    if (option->getNumOccurrences() && !ranks.getNumOccurrences())
      return usage("--" + option->ArgStr + " is for --ranks, found no --ranks");
  if (ranks.getNumOccurrences() && ranks < 1)
    return usage("expected --ranks from 1 on, found " + Twine(ranks));
  if (ranks > 0 && placement.empty() && emit != Emit::library)
    return usage("--ranks without --placement writes beside a library, found "
                 "--emit of something else");
  request.expertParallel = expertParallel;
  request.exchangeParts = exchangeParts;
  if (ranks > 0)
    request.placement =
        placement.empty() ? output + "/placement.json" : std::string(placement);
  request.ranks = ranks;
  request.ranksPerNode = ranksPerNode;
  request.rankMemory = rankMemory;
  return compiled;
}

/// Takes over --page-bases, and what goes with it.
static int readPaging(CompileRequest &request, bool hasArchive) {
  for (const cl::Option *option :
       std::initializer_list<const cl::Option *>{&gatesAhead, &memoryBudget})
    if (option->getNumOccurrences() && !pageBases)
      return usage("--" + option->ArgStr +
                   " is for --page-bases, found no --page-bases");
  if (memoryBudget.getNumOccurrences() && memoryBudget <= 0)
    return usage("expected --memory-budget to be positive, found " +
                 Twine(memoryBudget));
  if (pageBases && !hasArchive)
    return usage("--page-bases is for an archive of weights, found neither "
                 "--separate-weights nor a checkpoint");
  if (pageBases && pipeline != "cpu")
    return usage("--page-bases is for --pipeline=cpu, found --pipeline=" +
                 pipeline);
  request.pageBases = pageBases;
  request.gatesAhead = gatesAhead;
  request.memoryBudget = memoryBudget;
  return compiled;
}

/// Takes over --ptxas, or what is found.
static int readAssembler(CompileRequest &request) {
  if (pipeline != "cuda")
    return ptxas.getNumOccurrences()
               ? usage("--ptxas is for --pipeline=cuda, found --pipeline=" +
                       pipeline)
               : 0;
  if (ptxas == "none" || request.emit != Emit::library)
    return 0;
  StringRef name = ptxas.empty() ? StringRef("ptxas") : StringRef(ptxas);
  ErrorOr<std::string> found = sys::findProgramByName(name);
  if (found && sys::fs::can_execute(*found))
    request.ptxas = *found;
  else if (!ptxas.empty())
    return usage("--ptxas: there is no program '" + ptxas + "'");
  return 0;
}

int main(int argc, char **argv) {
  struct sigaction hangup = {};
  ::sigaction(SIGHUP, nullptr, &hangup);
  InitLLVM initialise(argc, argv);
  // InitLLVM catches what nohup had ignored.
  if (hangup.sa_handler == SIG_IGN)
    ::sigaction(SIGHUP, &hangup, nullptr);
  // A file beyond the user's limit is an error of writing, not a crash.
  std::signal(SIGXFSZ, SIG_IGN);
  cl::HideUnrelatedOptions(category);
  cl::SetVersionPrinter([](raw_ostream &os) {
    os << "moec " MOEC_VERSION ", LLVM " LLVM_VERSION_STRING "\n";
  });
  if (!cl::ParseCommandLineOptions(argc, argv, overview, &errs()))
    return usageError;
  if (printLayout) {
    lowering::printEntryTableLayout(outs());
    return compiled;
  }

  CompileRequest request;
  request.input = input;
  request.output = output;
  request.emit = emit;
  request.passes = passes;
  request.optimize = optimize;
  request.separateWeights = separateWeights;
  request.noArchive = noArchive;
  request.profile = profile;
  request.samples = samples;
  request.cache = cache;
  request.instrument = instrument;
  request.dryRun = dryRun;
  request.checkFinite = checkFinite;
  CompressionRequest &asked = request.compression;
  asked.enabled = compress;
  request.encoding = encoding;
  request.activations = activations;
  request.rounding = rounding;
  asked.clustering = clustering;
  asked.clusters = clusters;
  asked.bases = bases;
  asked.phi = phi;
  asked.alpha = alpha;
  asked.seed = seed;
  asked.rank = rankOption;
  asked.base = baseOption;
  asked.residual = residual;
  asked.whiten = whiten;
  asked.align = align;
  asked.baseEncoding = baseEncoding;
  asked.residualEncoding = residualEncoding;
  asked.clustersPerToken = twoStage;
  asked.clusterScore = clusterScore;
  if (errorBudget.getNumOccurrences() + byteBudget.getNumOccurrences() +
          latencyBudget.getNumOccurrences() >
      1)
    return usage("expected one of --error-budget, --bytes and --latency-us");
  if (rankOption < 0 || errorBudget < 0 || byteBudget < 0 ||
      latencyBudget < 0 || targetTokens < 0)
    return usage("expected --rank, --error-budget, --bytes, --latency-us and "
                 "--target-tokens to be positive");
  if (int code = readPrecision(request.precision))
    return code;
  if (!request.precision.enabled) {
    asked.errorBudget = errorBudget;
    asked.bytes = byteBudget;
  }
  if (compress && asked.hasResidual() && rankOption == 0 &&
      asked.errorBudget == 0 && asked.bytes == 0)
    asked.rank = 16;
  if (int code = checkForm())
    return code;
  if (int code = checkMixes())
    return code;
  if (int code = checkRounding(request))
    return code;
  if (whiten != "none" && whiten != "diagonal" && whiten != "full")
    return usage("expected --whiten to be none, diagonal or full, found '" +
                 whiten + "'");
  if (clusterScore != "max" && clusterScore != "top2_sum" &&
      clusterScore != "sum" && clusterScore != "prototypes")
    return usage("expected --cluster-score to be max, top2_sum, sum or "
                 "prototypes, found '" +
                 clusterScore + "'");
  if (clusterScore.getNumOccurrences() && twoStage == 0)
    return usage("--cluster-score is for --two-stage, found no --two-stage");
  if (cache.getNumOccurrences() && !compress && !request.precision.enabled)
    return usage("--cache is for --compress and chosen encodings, found "
                 "neither");
  if (samples.getNumOccurrences() && (dryRun || emit != Emit::library))
    return usage("--samples runs what was compiled, found " +
                 Twine(dryRun ? "--dry-run" : "--emit"));
  bool isCheckpoint = sys::fs::is_directory(input.getValue());
  for (const cl::Option *option : std::initializer_list<const cl::Option *>{
           &compress, &profile, &samples, &cache, &instrument, &encoding,
           &checkFinite, &dryRun, &byteBudget, &errorBudget, &latencyBudget,
           &preset, &targetTokens, &rounding})
    if (option->getNumOccurrences() && !isCheckpoint)
      return usage("--" + option->ArgStr +
                   " is for the directory of a checkpoint, found the file '" +
                   input + "'");
  if (isCheckpoint && (passes.getNumOccurrences() || optimize ||
                       weights.getNumOccurrences() || separateWeights))
    return usage("expected a module for --passes, --optimize, --weights and "
                 "--separate-weights, found the directory '" +
                 input + "'");
  if (target == "cuda") {
    if (pipeline.empty())
      pipeline = "cuda";
    if (pipeline != "cuda")
      return usage("--target=cuda is for --pipeline=cuda, found --pipeline=" +
                   pipeline);
    target = "";
  }
  if (pipeline.empty())
    pipeline = isCheckpoint || separateWeights ? "cpu" : "reference";
  if (!is_contained({"reference", "cpu", "cuda"}, pipeline))
    return usage("unknown pipeline '" + pipeline +
                 "': expected reference, cpu or cuda");
  if (layout.empty())
    layout = pipeline == "cpu" ? "panel16" : "row_major";
  if (layout != "row_major" && layout != "panel16")
    return usage("expected --layout to be row_major or panel16, found '" +
                 layout + "'");
  if (layout.getNumOccurrences() && !isCheckpoint && !separateWeights)
    return usage("--layout is for an archive of weights, found neither "
                 "--separate-weights nor a checkpoint");
  request.inPanels = layout == "panel16" && (isCheckpoint || separateWeights);
  if (int code = readPaging(request, isCheckpoint || separateWeights))
    return code;
  if (int code = readCommunication(request, isCheckpoint || separateWeights))
    return code;
  if (noArchive && !separateWeights)
    return usage("--no-archive is for --separate-weights, found no "
                 "--separate-weights");
  request.weights = weights;
  request.report = report;
  request.library.pipeline = pipeline;
  request.library.optimizationLevel = optLevel;
  request.library.triple = target;
  request.library.cpu = cpu;
  request.library.linkDriver = linker;
  request.library.entryArchive = archive;
  if (request.output.empty() && !dryRun)
    return usage("expected -o, an artifact directory or a file");
  if (emit == Emit::ptx && pipeline != "cuda")
    return usage("--emit=ptx is for --pipeline=cuda, found --pipeline=" +
                 pipeline);
  if (emit == Emit::library && output == "-")
    return usage("an artifact is a directory: expected -o to name one");
  if (int code = readInstructionSets(request))
    return code;
  if (int code = readAssembler(request))
    return code;
  for (const cl::Option *option : {static_cast<cl::Option *>(&fastActivations),
                                   static_cast<cl::Option *>(&noOverlap),
                                   static_cast<cl::Option *>(&atomicSums),
                                   static_cast<cl::Option *>(&residualForm)})
    if (option->getNumOccurrences() && pipeline != "cuda")
      return usage("--" + option->ArgStr + " is for --pipeline=cuda, found " +
                   "--pipeline=" + pipeline);
  request.fastActivations = fastActivations;
  request.overlap = !noOverlap;
  request.residualForm = residualForm;
  request.atomicSums = atomicSums;
  if (optLevel > 3)
    return usage("expected --opt-level to be 0 to 3, found " + Twine(optLevel));
  if (archive.empty()) {
    static int anchor;
    SmallString<256> path(sys::fs::getMainExecutable(argv[0], &anchor));
    sys::path::remove_filename(path);
    sys::path::append(path, "..", "lib", "libmoert_entry.a");
    request.library.entryArchive = std::string(path);
  }
  ExitCode code = compile(request);
  if (std::error_code error = finishOutput(outs())) {
    errs() << "moe-compile: cannot write to standard output: "
           << error.message() << "\n";
    return code == compiled ? compileError : code;
  }
  return code;
}
