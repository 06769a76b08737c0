// Fuzz entry of traffic profiles: whole files, from memory.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Profile.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

using namespace moec::weights;

namespace {

void require(bool condition) {
  if (!condition)
    std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  int file = ::memfd_create("profile", MFD_CLOEXEC);
  require(file >= 0 && ::write(file, data, size) == ssize_t(size));
  Result<Profile> profile =
      readProfile("/proc/self/fd/" + std::to_string(file));
  ::close(file);
  if (!profile) {
    require(!profile.error().empty());
    return 0;
  }
  // What is accepted can be worked with.
  for (const auto &[number, layer] : profile->layers) {
    require(layer.counts.size() == size_t(layer.experts));
    require(layer.cooccurrence.size() ==
            layer.counts.size() * layer.counts.size());
    LoadFigures figures = loadFigures(layer);
    require(std::isfinite(figures.coefficientOfVariation) &&
            std::isfinite(figures.relativeEntropy));
  }
  Profile empty{profile->model, profile->beta, {}};
  require(bool(mergeProfile(empty, *profile)));
  require(empty == *profile);
  // A second helping fails only by counts that grow too large.
  Profile twice = *profile;
  if (!mergeProfile(twice, *profile))
    require(twice == *profile);
  return 0;
}
