// A run of moe-bench: problems, contenders in turn, and what they took.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Session.h"

#include "tools/moe-bench/ArtifactContender.h"
#include "tools/moe-bench/BlasContender.h"
#include "tools/moe-bench/Compile.h"
#include "tools/moe-bench/Reference.h"
#include "tools/moe-bench/Roofline.h"
#include "tools/moe-bench/Statistics.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <unistd.h>

using namespace moec::weights;

namespace moec::bench {

size_t copiesFor(uint64_t cache, double touched, uint64_t resident,
                 uint64_t memory) {
  constexpr double most = 512;
  double wanted = touched > 0 ? std::ceil(1.25 * double(cache) / touched) : 1;
  double held =
      resident > 0 ? std::floor(double(memory) / double(resident)) : most;
  return size_t(std::clamp(std::min(wanted, held), 1.0, most));
}

namespace {

std::string describeBytes(double bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MB", bytes * 1e-6);
  return text;
}

/// A folder that is removed at the end, or one that is the user's.
class Scratch {
public:
  Status open(const std::string &wanted) {
    std::error_code code;
    if (!wanted.empty()) {
      std::filesystem::create_directories(wanted, code);
      path = wanted;
      return code ? Status(Error{wanted + ": cannot create: " + code.message()})
                  : success();
    }
    std::string pattern =
        (std::filesystem::temp_directory_path(code) / "moe-bench-XXXXXX")
            .string();
    if (!::mkdtemp(pattern.data()))
      return Error{pattern + ": cannot create"};
    path = pattern;
    isOwn = true;
    return success();
  }
  ~Scratch() {
    std::error_code code;
    if (isOwn)
      std::filesystem::remove_all(path, code);
  }
  std::string path;

private:
  bool isOwn = false;
};

class Session {
public:
  Session(const Options &options, std::vector<Measurement> &measurements)
      : options(options), measurements(measurements) {}

  Status run() {
    Suite suite;
    if (!options.suite.empty()) {
      Result<Suite> read = readSuite(options.suite);
      if (!read)
        return Error{read.error()};
      suite = *std::move(read);
    } else {
      suite = suiteOfArtifacts();
    }
    if (Status status = scratch.open(options.scratch); !status)
      return status;
    compiler.scratch = scratch.path;
    compiler.flags = options.flags;
    compiler.program =
        options.compiler.empty() ? findCompiler() : options.compiler;
    if (!options.suite.empty()) {
      Result<std::string> generator = findGenerator(suite);
      if (!generator)
        return Error{generator.error()};
      compiler.generator = *generator;
    }
    bool found = false;
    for (Problem &problem : suite.problems) {
      if (problem.name.find(options.only) == std::string::npos)
        continue;
      found = true;
      if (Status status = addArtifacts(problem); !status)
        return status;
      if (problem.kind == Kind::Compile) {
        if (Status status = compile(suite, problem); !status)
          return status;
        continue;
      }
      for (int64_t threads : options.threads)
        if (Status status = solve(suite, problem, threads); !status)
          return Error{problem.name + ": " + status.error()};
    }
    if (!found)
      return Error{options.suite + ": expected a problem with '" +
                   options.only + "' in its name, found none"};
    return success();
  }

private:
  /// Artifacts alone are a problem of which nothing is known.
  Suite suiteOfArtifacts() {
    Suite suite;
    suite.name = "artifacts";
    Problem &problem = suite.problems.emplace_back();
    problem.name = "artifacts";
    problem.tokens = {8};
    for (const ArtifactOption &artifact : options.artifacts) {
      ContenderSpec &contender = problem.contenders.emplace_back();
      contender.name = contender.artifact = artifact.path;
    }
    return suite;
  }

  Status addArtifacts(Problem &problem) {
    if (options.suite.empty())
      return success();
    for (const ArtifactOption &artifact : options.artifacts) {
      auto place =
          std::find_if(problem.contenders.begin(), problem.contenders.end(),
                       [&](const ContenderSpec &contender) {
                         return contender.name == artifact.contender &&
                                contender.solver == Solver::Moec;
                       });
      if (place == problem.contenders.end())
        return Error{problem.name + ": expected a contender '" +
                     artifact.contender + "' of moec, found none"};
      ContenderSpec added = *place;
      added.artifact = artifact.path;
      added.name = artifact.contender + " (" + artifact.path + ")";
      problem.contenders.push_back(std::move(added));
    }
    return success();
  }

  Status compile(const Suite &suite, const Problem &problem) {
    std::string input =
        (suite.folder.empty() ? "." : suite.folder) + "/" + problem.checkpoint;
    if (problem.checkpoint.empty()) {
      Result<std::string> module =
          writeModule(compiler, problem, problem.contenders[0]);
      if (!module)
        return Error{problem.name + ": " + module.error()};
      input = *module;
    }
    std::vector<std::string> names;
    std::vector<std::vector<double>> times;
    double end = wallSeconds() + options.seconds;
    for (int64_t round = 0; round < options.rounds || wallSeconds() < end;
         ++round) {
      Result<std::vector<Stage>> stages =
          timeCompilation(compiler, problem, input);
      if (!stages)
        return Error{problem.name + ": " + stages.error()};
      for (const Stage &stage : *stages) {
        auto place = std::find(names.begin(), names.end(), stage.name);
        if (place == names.end()) {
          names.push_back(stage.name);
          times.emplace_back();
          place = names.end() - 1;
        }
        times[size_t(place - names.begin())].push_back(stage.seconds);
      }
    }
    for (size_t i = 0; i < names.size(); ++i) {
      Summary summary = summarize(times[i]);
      // A stage below the clock's resolution.
      if (summary.median <= 0)
        continue;
      Measurement one;
      one.suite = suite.name;
      one.problem = problem.name;
      one.contender = names[i];
      one.tokens = problem.layers;
      one.rounds = int64_t(summary.rounds);
      one.median = summary.median;
      one.least = summary.least;
      one.spread = summary.spread;
      print(one);
      measurements.push_back(one);
    }
    return success();
  }

  /// Opens the contenders that this machine has what it takes for.
  Result<std::vector<std::unique_ptr<Contender>>>
  openContenders(const Problem &problem, int64_t threads) {
    std::vector<std::unique_ptr<Contender>> contenders;
    for (const ContenderSpec &spec : problem.contenders) {
      if (spec.solver != Solver::Moec) {
        if (options.withoutPeers)
          continue;
        Result<Blas> blas = loadBlas(spec.solver);
        if (!blas) {
          std::printf("  %s: left out: %s\n", spec.name.c_str(),
                      blas.error().c_str());
          continue;
        }
        if (!blas->kernels.empty())
          std::printf("  %s: %s with its kernels for %s\n", spec.name.c_str(),
                      blas->name.c_str(), blas->kernels.c_str());
        blas->setThreads(threads);
        contenders.push_back(makeBlasContender(problem, spec, *blas));
        continue;
      }
      ContenderSpec own = spec;
      if (own.artifact.empty()) {
        Result<std::string> artifact = compileArtifact(compiler, problem, own);
        if (!artifact)
          return Error{spec.name + ": " + artifact.error()};
        own.artifact = *artifact;
      }
      Result<std::unique_ptr<Contender>> contender =
          openArtifact(problem, own, options.randomWeights, threads);
      if (!contender)
        return Error{spec.name + ": " + contender.error()};
      contenders.push_back(*std::move(contender));
    }
    if (contenders.empty())
      return Error{"expected a contender, found none"};
    return contenders;
  }

  Status solve(const Suite &suite, const Problem &problem, int64_t threads) {
    std::printf("%s, %s, %lld %s\n", suite.name.c_str(), problem.name.c_str(),
                static_cast<long long>(threads),
                threads == 1 ? "thread" : "threads");
    std::fflush(stdout);
    if (!useProcessors(threads))
      std::printf("  cannot choose processors: times may move between them\n");
    auto contenders = openContenders(problem, threads);
    if (!contenders)
      return Error{contenders.error()};
    Rates rates = measure(threads);
    size_t first = measurements.size();
    for (int64_t tokens :
         options.tokens.empty() ? problem.tokens : options.tokens)
      if (Status status =
              solveFor(suite, problem, *contenders, tokens, threads);
          !status)
        return status;
    // The machine's best before and after: a slow moment flatters no one.
    Rates after = measure(threads);
    rates.bytesPerSecond = std::max(rates.bytesPerSecond, after.bytesPerSecond);
    rates.flopsPerSecond = std::max(rates.flopsPerSecond, after.flopsPerSecond);
    std::printf("  rates: %.1f GB/s read, %.1f GFLOP/s %s\n",
                rates.bytesPerSecond * 1e-9, rates.flopsPerSecond * 1e-9,
                vectorInstructions().c_str());
    for (size_t i = first; i < measurements.size(); ++i) {
      Measurement &one = measurements[i];
      one.bytesPerSecond = rates.bytesPerSecond;
      one.flopsPerSecond = rates.flopsPerSecond;
      if (one.bytes > 0)
        one.roofline = rooflineSeconds({one.bytes, one.flops}, rates);
      print(one);
    }
    return success();
  }

  Rates measure(int64_t threads) const {
    uint64_t bytes = options.readMebibytes > 0
                         ? uint64_t(options.readMebibytes) << 20
                         : std::max(uint64_t(256) << 20, 3 * largestCache());
    return measureRates(threads, bytes);
  }

  /// One point: all contenders, so many tokens.
  Status solveFor(const Suite &suite, const Problem &problem,
                  std::vector<std::unique_ptr<Contender>> &contenders,
                  int64_t tokens, int64_t threads) {
    Inputs inputs = makeInputs(problem, tokens, options.routings);
    bool isKnown = !options.suite.empty();
    std::vector<Measurement> points;
    double touched = 0;
    uint64_t resident = 0;
    for (auto &contender : contenders) {
      Measurement &one = points.emplace_back();
      one.suite = suite.name;
      one.problem = problem.name;
      one.contender = contender->description().name;
      one.baseline = contenders[0]->description().name;
      one.tokens = tokens;
      one.threads = threads;
      if (isKnown)
        addNeeds(problem, contender->description(), inputs, one);
      touched += one.bytes > 0 ? one.bytes : double(contender->bytes());
      resident += contender->bytes();
      if (Status status = contender->prepare(inputs); !status)
        return Error{one.contender + ": " + status.error()};
    }
    size_t copies = options.rotate > 0
                        ? size_t(options.rotate)
                        : copiesFor(largestCache(), touched, resident,
                                    uint64_t(options.memory) << 30);
    for (size_t i = 0; i < contenders.size(); ++i) {
      contenders[i]->setCopies(copies);
      points[i].rotatedBytes =
          double(contenders[i]->bytes()) *
          double(std::min(copies, contenders[i]->copies()));
    }
    std::printf("  %lld tokens: %zu copies of weights in turn, %s touched "
                "between two uses; the largest cache has %s\n",
                static_cast<long long>(tokens), copies,
                describeBytes(touched * double(copies)).c_str(),
                describeBytes(double(largestCache())).c_str());
    for (size_t i = 0; i < contenders.size(); ++i)
      if (Status status =
              warmUpAndCheck(problem, *contenders[i], inputs, points[i]);
          !status)
        return Error{points[i].contender + ", " + std::to_string(tokens) +
                     " tokens: " + status.error()};

    std::vector<std::vector<double>> times(contenders.size());
    double end = wallSeconds() + options.seconds;
    for (size_t round = 0;
         round < size_t(options.rounds) || wallSeconds() < end; ++round)
      for (size_t i = 0; i < contenders.size(); ++i) {
        double start = threads == 1 ? threadSeconds() : wallSeconds();
        if (Status status = contenders[i]->run(round % size_t(options.routings),
                                               round % copies);
            !status)
          return status;
        times[i].push_back((threads == 1 ? threadSeconds() : wallSeconds()) -
                           start);
      }
    for (size_t i = 0; i < contenders.size(); ++i) {
      Summary summary = summarize(times[i]);
      points[i].rounds = int64_t(summary.rounds);
      points[i].median = summary.median;
      points[i].least = summary.least;
      points[i].spread = summary.spread;
      points[i].speedup = medianRatio(times[0], times[i]);
      measurements.push_back(points[i]);
    }
    return success();
  }

  /// Means over the routings.
  void addNeeds(const Problem &problem, const ContenderSpec &spec,
                const Inputs &inputs, Measurement &one) {
    if (problem.kind != Kind::Kernel) {
      char text[32];
      std::snprintf(text, sizeof text, "zipf %g", problem.zipf);
      one.routing = problem.kind == Kind::Block ? "by its router"
                    : problem.zipf > 0          ? text
                                                : "uniform";
    }
    double count = double(inputs.logits.size());
    for (const std::vector<float> &logits : inputs.logits) {
      Hits hits;
      if (problem.kind != Kind::Kernel) {
        hits = countHits(problem, choose(problem, spec, logits));
        one.expertsHit += hits.experts / count;
        one.clustersHit += hits.clusters / count;
      }
      Needs needs = needsOf(problem, spec, inputs.tokens, hits);
      one.bytes += needs.bytes / count;
      one.flops += needs.flops / count;
    }
  }

  Status warmUpAndCheck(const Problem &problem, Contender &contender,
                        const Inputs &inputs, Measurement &one) {
    if (Status status = contender.run(0, 0); !status)
      return status;
    if (options.suite.empty())
      return success();
    Result<double> error = measureError(problem, contender, inputs, 0);
    if (!error)
      return Error{error.error()};
    if (!(*error <= options.maxError)) {
      char text[96];
      std::snprintf(text, sizeof text,
                    "expected errors up to %g of the root mean square, found "
                    "%g",
                    options.maxError, *error);
      return Error{text};
    }
    one.error = *error;
    return success();
  }

  static void print(const Measurement &one) {
    std::printf("  %6lld %-32s %10s, least %s",
                static_cast<long long>(one.tokens), one.contender.c_str(),
                describeSeconds(one.median).c_str(),
                describeSeconds(one.least).c_str());
    if (one.speedup > 0)
      std::printf(", speedup %.2f", one.speedup);
    if (one.roofline > 0)
      std::printf(", %.0f %% of the bound %s", 100 * one.roofline / one.median,
                  describeSeconds(one.roofline).c_str());
    std::printf(", %lld rounds\n", static_cast<long long>(one.rounds));
    std::fflush(stdout);
  }

  const Options &options;
  std::vector<Measurement> &measurements;
  Scratch scratch;
  Compiler compiler;
};

} // namespace

Status run(const Options &options, std::vector<Measurement> &measurements) {
  return Session(options, measurements).run();
}

} // namespace moec::bench
