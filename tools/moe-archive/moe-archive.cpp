// Lists, checks, compares and rewrites weight archives.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/Program.h"
#include "tools/moe-archive/Commands.h"
#include "tools/moe-archive/Options.h"
#include "weights/ArchiveHeader.h"

#include <cstdio>

using namespace moec::archive;
using namespace moec::weights;

namespace {

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
  std::string version = MOEC_VERSION ", archive format " +
                        std::to_string(archiveMajor) + "." +
                        std::to_string(archiveMinor);
  return moec::runProgram(
      "moe-archive",
      parseOptions(std::span(argv + 1, argc > 0 ? size_t(argc - 1) : 0)),
      helpText, version, run);
}
