// The manifest of an artifact: docs/artifact.md as a checked structure.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_RUNTIME_MANIFEST_H
#define MOEC_RUNTIME_MANIFEST_H

#include "moert/abi.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace moec::runtime {

/// An argument with its name's storage; `description.name` points to `name`.
struct ManifestArgument {
  std::string name;
  moert_argument description;
  /// Of ids and tables: each value is below this. 0 for others.
  int64_t below = 0;
  /// A pool whose places hold whichever clusters are in memory; its first
  /// extent is MOERT_DYNAMIC.
  bool isPaged = false;
};

struct ManifestEntry {
  std::string name;
  std::string symbol;
  /// Whether its code exchanges rows with other ranks where there are some.
  bool exchanges = false;
  std::vector<ManifestArgument> arguments;
};

/// What one argument of role binding is read from: a part of a tensor of the
/// archive. A '*' in the name stands for the place in the first extent.
struct ManifestBound {
  std::string argument;
  std::string tensor;
  /// table, codes, scales, zero_points or slots.
  std::string part;
};

struct ManifestLayer {
  std::string name;
  /// Its place among the entries.
  size_t entry = 0;
  /// One for each of the entry's arguments of role binding, in their order.
  std::vector<ManifestBound> binding;
  /// Clusters that its paged pools are of; 0 if it has none.
  int64_t pagedClusters = 0;
};

/// Calls function(argument, bound) for each of an entry's arguments of role
/// binding, with what the layer brings for it.
template <typename Function>
void forEachBound(const ManifestEntry &entry, const ManifestLayer &layer,
                  Function function) {
  size_t next = 0;
  for (const ManifestArgument &argument : entry.arguments)
    if (argument.description.role == MOERT_BINDING)
      function(argument, layer.binding[next++]);
}

struct Manifest {
  uint32_t abiVersion = 0;
  /// Where the entries' tensors are.
  DLDeviceType device = kDLCPU;
  std::vector<ManifestEntry> entries;
  /// The archive's file in the artifact, and the layout hash it must have.
  std::string weightsFile;
  std::string layoutHash;
  std::vector<ManifestLayer> layers;
};

/// Reads and checks a manifest. Fields of later minor versions are ignored; an
/// unknown major is refused. Returns MOERT_OK, or a status and its message.
moert_status_t parseManifest(std::string_view text, Manifest &manifest,
                             std::string &error);

/// "0.1" of major << 16 | minor.
std::string versionName(uint32_t version);

} // namespace moec::runtime

#endif // MOEC_RUNTIME_MANIFEST_H
