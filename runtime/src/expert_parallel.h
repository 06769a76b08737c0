// A model whose clusters are shared out among ranks.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_RUNTIME_EXPERT_PARALLEL_H
#define MOEC_RUNTIME_EXPERT_PARALLEL_H

#include "library.h"
#include "moert/model.h"
#include "runtime/comm/Exchange.h"

#include <memory>
#include <string>
#include <vector>

namespace moec::runtime {

/// One rank's exchange, and where the clusters of each layer are.
class ExpertParallel {
public:
  /// Over a communicator, with the placement of a file, or of the artifact if
  /// that is null, or by turns if that has none. Waits for all ranks, and
  /// refuses what differs between them: library, weights, placement. A rank
  /// that does not get so far tells the others.
  static moert_status_t
  open(const std::string &path, const moert_library &library,
       moert_communicator &communicator, const char *placement,
       std::unique_ptr<ExpertParallel> &opened, std::string &error);

  /// Of a layer by its number in the manifest.
  const moert_exchange *of(size_t layer) const { return layers[layer]->view(); }
  /// The clusters of it that this rank has.
  comm::ClusterShare shareOf(size_t layer) const {
    return {&layers[layer]->placement(), layers[layer]->view()->rank};
  }
  const comm::ExchangeStatistics &statistics() const {
    return exchange.statistics();
  }

private:
  explicit ExpertParallel(moert_communicator &communicator)
      : exchange(communicator) {}

  moert_status_t readPlacement(const std::string &path,
                               const moert_library &library,
                               moert_communicator &communicator,
                               const char *placement, std::string &error);
  moert_status_t agree(const std::string &path, const moert_library &library,
                       std::string &error);

  comm::Exchange exchange;
  std::vector<std::unique_ptr<comm::LayerExchange>> layers;
  /// Of the placement's text; 0 without one.
  uint64_t placementHash = 0;
};

} // namespace moec::runtime

#endif // MOEC_RUNTIME_EXPERT_PARALLEL_H
