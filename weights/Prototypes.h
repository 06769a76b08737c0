// Which cluster an input belongs to, learned from traffic.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_PROTOTYPES_H
#define MOEC_WEIGHTS_PROTOTYPES_H

#include "weights/Profile.h"
#include "weights/Result.h"

#include <cstdint>
#include <span>
#include <vector>

namespace moec::weights {

/// One prototype for each cluster, [D, G] row-major: x·prototypes estimates how
/// many of a token's experts lie in each cluster. The least squares solution
///   (X^T X + ridge mean(diag) I) P = X^T N
/// over the profile's tokens X, N the choices counted by cluster. X^T X are the
/// profile's full input moments, and X^T N follows from the mean input of each
/// expert: sum over members of count * mean. Needs both.
Result<std::vector<float>> learnPrototypes(const LayerProfile &layer,
                                           std::span<const int32_t> table,
                                           int64_t clusters,
                                           double ridge = 1e-6);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_PROTOTYPES_H
