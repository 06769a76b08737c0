// Times artifacts beside one another, libraries, and what the machine can do.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/Program.h"
#include "tools/moe-bench/Blas.h"
#include "tools/moe-bench/Machine.h"
#include "tools/moe-bench/Plot.h"
#include "tools/moe-bench/Session.h"
#include "weights/File.h"

#include <cstdio>
#include <cstdlib>

using namespace moec::bench;
using namespace moec::weights;

namespace {

Status write(const std::string &path, const std::string &text) {
  if (path.empty())
    return success();
  std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t *>(text.data()),
                                 text.size());
  return writeFileAtomically(path, std::span(&bytes, 1));
}

Status show(const Options &options, std::span<const Measurement> all) {
  std::string lines;
  for (const Measurement &one : all)
    lines += toJson(one) + "\n";
  for (const auto &[path, text] :
       {std::pair(&options.json, std::move(lines)),
        std::pair(&options.csv, toCsv(all)),
        std::pair(&options.markdown, toMarkdown(all)),
        std::pair(&options.svg, toSvg(all))})
    if (Status status = write(*path, text); !status)
      return status;
  return success();
}

Status showFiles(const Options &options) {
  std::vector<Measurement> all;
  for (const std::string &path : options.from) {
    Result<MappedFile> file = MappedFile::open(path);
    if (!file)
      return Error{file.error()};
    auto read = parseMeasurements(
        path, {reinterpret_cast<const char *>(file->bytes().data()),
               file->bytes().size()});
    if (!read)
      return Error{read.error()};
    all.insert(all.end(), read->begin(), read->end());
  }
  if (all.empty())
    return Error{"--from: expected results, found none"};
  all = merge(all);
  if (options.markdown.empty())
    std::fputs(toMarkdown(all).c_str(), stdout);
  return show(options, all);
}

Status runAndShow(const Options &options) {
  std::printf("%s, %s, largest cache %.1f MB\n", cpuName().c_str(),
              vectorInstructions().c_str(), double(largestCache()) * 1e-6);
  std::vector<Measurement> measurements;
  Status status = run(options, measurements);
  Status shown = show(options, measurements);
  return status ? shown : status;
}

/// Libraries read these when they are loaded; a machine's count is not wanted.
void chooseLibrarySettings(const Options &options) {
  std::string threads = std::to_string(options.threads[0]);
  for (const char *name :
       {"OPENBLAS_NUM_THREADS", "BLIS_NUM_THREADS", "OMP_NUM_THREADS"})
    ::setenv(name, threads.c_str(), 1);
  // What the user chose stays.
  if (std::string kernels = openBlasKernels(); !kernels.empty())
    ::setenv("OPENBLAS_CORETYPE", kernels.c_str(), /*overwrite=*/0);
}

} // namespace

int main(int argc, char **argv) {
  return moec::runProgram(
      "moe-bench",
      parseOptions(std::span(argv + 1, argc > 0 ? size_t(argc - 1) : 0)),
      helpText, MOEC_VERSION, [](const Options &options) {
        chooseLibrarySettings(options);
        return options.from.empty() ? runAndShow(options) : showFiles(options);
      });
}
