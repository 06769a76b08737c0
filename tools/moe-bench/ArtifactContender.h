// An entry of an artifact as a contender.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_BENCH_ARTIFACTCONTENDER_H
#define MOEC_TOOLS_MOE_BENCH_ARTIFACTCONTENDER_H

#include "tools/moe-bench/Contender.h"

namespace moec::bench {

/// Opens spec.artifact: its only entry, or that of its first layer. Binding
/// tensors are made up, unless the artifact has an archive of weights and
/// `randomWeights` is false. More than one thread is a pool for its parallel
/// loops.
weights::Result<std::unique_ptr<Contender>>
openArtifact(const Problem &problem, const ContenderSpec &spec,
             bool randomWeights, int64_t threads);

} // namespace moec::bench

#endif // MOEC_TOOLS_MOE_BENCH_ARTIFACTCONTENDER_H
