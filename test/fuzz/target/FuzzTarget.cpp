// Fuzz entry of target descriptions: whole texts.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/CostModel.h"
#include "weights/TargetDescription.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace moec::weights;

namespace {

void require(bool condition) {
  if (!condition)
    std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Result<TargetDescription> target = targetFromText(
      "target", std::string_view(reinterpret_cast<const char *>(data), size));
  if (!target) {
    require(!target.error().empty());
    return 0;
  }
  // What is accepted can be worked with; rates of any size make no NaN.
  require(!target->memory.empty() && operandBytes(*target) > 0);
  ExpertLayerShape shape{64, 32, true, 8, 2, 2, 1, 16};
  Needs needs = layerNeeds(shape, {{Format::Int4, 32}, {Format::F16}}, 3,
                           meetingsOf(shape, 3), operandBytes(*target));
  require(timeBound(needs, *target).seconds() >= 0);
  require(energyOf(needs, *target) >= 0);
  for (const MemoryTier &tier : target->memory)
    if (Result<double> seconds = fetchSeconds(*target, tier.name, 1e6))
      require(*seconds >= 0);
  return 0;
}
