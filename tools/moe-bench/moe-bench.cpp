// Times artifacts beside one another, libraries, and what the machine can do.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Blas.h"
#include "tools/moe-bench/Machine.h"
#include "tools/moe-bench/Plot.h"
#include "tools/moe-bench/Session.h"
#include "weights/File.h"

#include <cstdio>
#include <cstdlib>
#include <new>

using namespace moec::bench;
using namespace moec::weights;

namespace {

enum ExitCode { Succeeded = 0, Failed = 1, WrongUsage = 2 };

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

} // namespace

int main(int argc, char **argv) {
  Result<Options> options =
      parseOptions(std::span(argv + 1, argc > 0 ? size_t(argc - 1) : 0));
  if (!options) {
    std::fprintf(stderr, "moe-bench: %s\nSee moe-bench --help.\n",
                 options.error().c_str());
    return WrongUsage;
  }
  if (options->help) {
    std::fputs(helpText, stdout);
    return Succeeded;
  }
  if (options->version) {
    std::printf("moe-bench %s\n", MOEC_VERSION);
    return Succeeded;
  }
  // Libraries read these when they are loaded; a machine's count is not wanted.
  std::string threads = std::to_string(options->threads[0]);
  for (const char *name :
       {"OPENBLAS_NUM_THREADS", "BLIS_NUM_THREADS", "OMP_NUM_THREADS"})
    ::setenv(name, threads.c_str(), 1);
  // What the user chose stays.
  if (std::string kernels = openBlasKernels(); !kernels.empty())
    ::setenv("OPENBLAS_CORETYPE", kernels.c_str(), /*overwrite=*/0);
  try {
    Status status =
        options->from.empty() ? runAndShow(*options) : showFiles(*options);
    if ((std::fflush(stdout) != 0 || std::ferror(stdout)) && status)
      status = Error{"cannot write to standard output"};
    if (status)
      return Succeeded;
    std::fprintf(stderr, "moe-bench: %s\n", status.error().c_str());
  } catch (const std::bad_alloc &) {
    std::fprintf(stderr, "moe-bench: out of memory\n");
  }
  return Failed;
}
