// One run of moe-compile.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOECOMPILE_DRIVER_H
#define MOEC_TOOLS_MOECOMPILE_DRIVER_H

#include "lowering/Library/EmitLibrary.h"
#include "passes/Passes.h"

#include <string>
#include <vector>

namespace moec {

/// Where to stop, and so what is written.
enum class Emit { linalg, loops, llvm, ptx, object, library };

/// How a checkpoint is compressed; each option of the pass that it goes to.
struct CompressionRequest {
  bool enabled = false;
  /// "similarity" or "random".
  std::string clustering = "similarity";
  int64_t clusters = 4;
  /// Bases that all experts of a layer mix, instead of clusters; 0 for none.
  int64_t bases = 0;
  /// "identity", "silu" or "tanh".
  std::string phi = "identity";
  double alpha = 0.7;
  uint64_t seed = 0;
  int64_t rank = 0;
  double errorBudget = 0;
  int64_t bytes = 0;
  /// "mean", "usage", "fisher" or "none"; "svd" or "none"; "none", "diagonal" or "full".
  std::string base = "mean";
  std::string residual = "svd";
  std::string whiten = "none";
  /// Whether the neurons of a cluster's experts are put in like order first.
  bool align = false;
  std::string baseEncoding;
  std::string residualEncoding;
  /// Clusters that a token keeps; 0 leaves routers flat.
  int64_t clustersPerToken = 0;
  /// "max", "top2_sum" or "sum".
  std::string clusterScore = "max";

  bool hasMixes() const { return bases > 0; }
  bool hasBase() const { return base != "none" && !hasMixes(); }
  bool hasResidual() const { return residual != "none" && !hasMixes(); }
};

/// How a checkpoint's encodings are chosen; each option of moe-select-precision.
struct PrecisionOptions {
  bool enabled = false;
  /// "none", "paper", "exact", "small" or "fast".
  std::string preset = "none";
  int64_t bytes = 0;
  double errorBudget = 0;
  /// Microseconds.
  double latency = 0;
  int64_t targetTokens = 0;
  /// A built-in target or a file.
  std::string target = "x86-64-core";
  /// What there is to choose from, between commas; empty: the usual ones.
  std::string encodings;
};

/// What the command line asks for.
struct CompileRequest {
  /// A module, or the directory of a checkpoint.
  std::string input;
  /// A directory for a library, else a file; "-" is stdout.
  std::string output;
  Emit emit = Emit::library;
  /// Passes on the module before it is lowered, as text.
  std::string passes;
  /// Whether moe-optimize runs, behind `passes`.
  bool optimize = false;
  CompressionRequest compression;
  PrecisionOptions precision;
  /// Encoding of a checkpoint's experts as they are; empty: the checkpoint's.
  std::string encoding;
  /// How the codes of experts, bases and residuals are chosen.
  Rounding rounding = Rounding::nearest;
  /// What rows are rounded to before the weights of experts multiply them.
  Activations activations = Activations::f32;
  /// File of a traffic profile; empty for none.
  std::string profile;
  /// File of stored inputs and outputs of the model's layers; empty for none.
  std::string samples;
  /// Directory where statistics of weights are kept; empty for none.
  std::string cache;
  /// Whether entries return what routers decide.
  bool instrument = false;
  /// Whether NaN and infinity among a checkpoint's weights are refused.
  bool checkFinite = false;
  /// Print the plan and stop.
  bool dryRun = false;
  /// Instruction sets, or GPUs, that entries have variants for, the plainest first; empty: one variant, for library.cpu.
  std::vector<std::string> instructionSets;
  /// Whether kernels of GPUs make activations of the instruction for tanh, which is less exact.
  bool fastActivations = false;
  /// Whether kernels of GPUs begin before the ones in front of them have ended, where GPUs can.
  bool overlap = true;
  /// How kernels of GPUs add experts' residuals: "auto", or a form.
  std::string residualForm = "auto";
  /// Whether blocks of GPUs add to one sum in any order.
  bool atomicSums = false;
  /// CUDA's assembler; empty: kernels are kept as PTX alone.
  std::string ptxas;
  /// Whether weights are kept out of the library: an archive beside it, bound by layers.
  bool separateWeights = false;
  /// Whether matrices of the archive lie in panels, as CPU kernels read them.
  bool inPanels = false;
  /// Whether layers ask for the bases of the clusters that they meet, which may be on disk.
  bool pageBases = false;
  /// Of how many layers behind them they guess what those will meet.
  unsigned gatesAhead = 1;
  /// Bytes of memory for these bases; 0 for any number.
  int64_t memoryBudget = 0;
  /// Whether layers send rows to the ranks that have their experts, where there are several.
  bool expertParallel = false;
  /// In how many parts tokens go; 0: by a model of the time that it takes.
  int64_t exchangeParts = 1;
  /// Where it goes which of how many ranks have which clusters, a file; empty for nowhere.
  std::string placement;
  int64_t ranks = 0;
  /// Ranks that are near each other (0: all are), and bytes that the clusters of one may take (0: any number).
  int64_t ranksPerNode = 0;
  int64_t rankMemory = 0;
  /// Whether that archive is left to be written elsewhere.
  bool noArchive = false;
  /// Bindings of external params.
  std::vector<std::string> weights;
  /// Where times and remarks go; empty for nowhere.
  std::string report;
  lowering::LibraryOptions library;
};

/// Exit codes of moe-compile.
enum ExitCode { compiled = 0, compileError = 1, usageError = 2 };

/// Compiles; errors are printed with their place in the source.
ExitCode compile(const CompileRequest &request);

} // namespace moec

#endif // MOEC_TOOLS_MOECOMPILE_DRIVER_H
