// Lists, checks, compares and rewrites weight archives.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-archive/Commands.h"
#include "tools/moe-archive/Options.h"
#include "weights/ArchiveHeader.h"

#include <cstdio>
#include <new>
#include <stdexcept>

using namespace moec::archive;
using namespace moec::weights;

namespace {

enum ExitCode { Succeeded = 0, Failed = 1, WrongUsage = 2 };

Status run(const Options &options) {
  struct {
    const char *name;
    Status (*function)(const Options &);
  } const commands[] = {{"list", list},     {"verify", verify},
                        {"unpack", unpack}, {"repack", repack},
                        {"diff", diff},     {"splat", splat}};
  for (auto [name, function] : commands)
    if (options.command == name)
      return function(options);
  return Error{"unknown command " + options.command};
}

} // namespace

int main(int argc, char **argv) {
  Result<Options> options =
      parseOptions(std::span(argv + 1, argc > 0 ? size_t(argc - 1) : 0));
  if (!options) {
    std::fprintf(stderr, "moe-archive: %s\nSee moe-archive --help.\n",
                 options.error().c_str());
    return WrongUsage;
  }
  if (options->help) {
    std::fputs(helpText, stdout);
    return Succeeded;
  }
  if (options->version) {
    std::printf("moe-archive %s, archive format %u.%u\n", MOEC_VERSION,
                archiveMajor, archiveMinor);
    return Succeeded;
  }
  // Sizes are the archive's, so memory may end; vectors say so by an exception.
  try {
    Status status = run(*options);
    if ((std::fflush(stdout) != 0 || std::ferror(stdout)) && status)
      status = Error{"cannot write to standard output"};
    if (status)
      return Succeeded;
    std::fprintf(stderr, "moe-archive: %s\n", status.error().c_str());
  } catch (const std::bad_alloc &) {
    std::fprintf(stderr, "moe-archive: out of memory\n");
  } catch (const std::length_error &) {
    // What could not be in memory even if there were enough of it.
    std::fprintf(stderr, "moe-archive: out of memory\n");
  }
  return Failed;
}
