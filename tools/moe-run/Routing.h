// What routers decided in a run: experts and clusters per token, and how two runs agree.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_RUN_ROUTING_H
#define MOEC_TOOLS_MOE_RUN_ROUTING_H

#include "tools/Execution/Artifact.h"
#include "tools/Execution/Tensor.h"

#include <span>
#include <string>

namespace moec::run {

/// "routing: 2.00 experts and 1.62 clusters per token", from the outputs `ids`
/// of an instrumented entry and the table `cluster` that its layer binds. Empty
/// without ids.
std::string describeRouting(const Callable &callable,
                            std::span<const Tensor> tensors);

/// "routing: 87.5 % of the choices and 93.1 % of the gate weight kept", of the
/// outputs `ids` and `gates` of two runs on the same inputs. Empty without.
std::string compareRouting(std::span<const Tensor> tensors,
                           std::span<const Tensor> others);

} // namespace moec::run

#endif // MOEC_TOOLS_MOE_RUN_ROUTING_H
