// Other clusters for the experts of an archive, and the archive that follows
// from them. Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// docs/regrouping.md says what is accepted, what is computed anew and what is
// written.
#ifndef MOEC_WEIGHTS_REGROUPING_H
#define MOEC_WEIGHTS_REGROUPING_H

#include "weights/ArchiveWriter.h"
#include "weights/ClusterChange.h"
#include "weights/Clustering.h"
#include "weights/Parallel.h"
#include "weights/Profile.h"
#include "weights/Result.h"
#include "weights/Similarity.h"
#include "weights/StatisticsCache.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace moec::weights {

struct RegroupOptions {
  /// S = alpha·S_param + (1 − alpha)·S_task (docs/clustering.md).
  double alpha = 0.7;
  /// Of random starts.
  uint64_t seed = 0;
  /// Pairs less similar than this are no neighbours (docs/clustering.md).
  double threshold = 0.1;
  /// The largest cluster, in units of an even one; 0 for any size.
  double slack = 1.25;
  /// New clusters must gain more than this in the objective J.
  double minGain = 0.01;
  /// Bound on |W - W'| / |W| of each matrix as it is stored; 0: the largest
  /// that the archive has in the same layer and role.
  double maxError = 0;
  /// Similarities by content; may be null. Outlives the regrouper.
  const StatisticsCache *cache = nullptr;
  ParallelOptions parallel;
  /// Ends the work with an error soon after it was asked for.
  std::stop_token stop;
  /// Of the file that is written.
  FileCalls calls = FileCalls::system();
};

/// What became of a layer, and the numbers that decided it.
struct RegroupedLayer {
  std::string name;
  /// Its experts have new clusters.
  bool isRegrouped = false;
  /// Its prototypes were learned from the traffic.
  bool hasNewPrototypes = false;
  /// Of the present clusters and of the best that were found.
  double objective = 0;
  double objectiveFound = 0;
  /// Experts whose cluster has other members than before; of the best clusters
  /// that were found.
  int64_t movedExperts = 0;
  /// Of the role that uses most of its bound; 0 where no factor was computed.
  double largestError = 0;
  double errorBound = 0;
  /// Why its clusters are as before; empty if they are not.
  std::string reason;
};

/// "layer0: 6 experts in new clusters; ...", one line without its end.
std::string describe(const RegroupedLayer &layer);

struct RegroupReport {
  std::vector<RegroupedLayer> layers;
  /// Whether there is anything new; else no file was written.
  bool isWritten = false;
  /// Records with a tensor that was computed; all others were copied.
  uint64_t recordsComputed = 0;
  uint64_t recordsCopied = 0;
};

/// Regroups again and again: what does not change with traffic is kept. Not for
/// several threads at once.
class Regrouper {
public:
  /// Without originals clusters stay, and prototypes alone follow the traffic.
  static Result<Regrouper> create(std::optional<OriginalMatrices> originals,
                                  RegroupOptions options);

  /// Reads the archive `from` and writes the one of the new clusters to `to`,
  /// which appears whole or not at all; nothing if there is nothing new. Layers
  /// that the traffic does not have stay as they are. Fails when the originals
  /// are others than the archive was made from, or when the archive's bases and
  /// residuals are not what they give: it was made with options that this does
  /// not know.
  Result<RegroupReport> regroup(const std::string &from, const Profile &traffic,
                                const std::string &to);

private:
  class Run;

  Regrouper(std::optional<OriginalMatrices> originals, RegroupOptions options)
      : originals(std::move(originals)), options(std::move(options)) {}

  std::optional<OriginalMatrices> originals;
  RegroupOptions options;
  /// S_param, by layer: weights do not change.
  std::map<int64_t, Similarity> ofWeights;
};

} // namespace moec::weights

#endif // MOEC_WEIGHTS_REGROUPING_H
