// What moe-run prints and writes of an artifact and its outputs.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_RUN_REPORT_H
#define MOEC_TOOLS_MOE_RUN_REPORT_H

#include "moert/model.h"
#include "tools/Execution/Tensor.h"
#include "weights/Result.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace moec::run {

/// Prints the layers: what each runs, and the memory its weights take.
weights::Status listLayers(const moert_library *library);

/// Prints each entry, and its arguments below it.
void listEntries(const moert_library *library);

/// One line on a tensor: name, type, shape, min, max, mean, l2, checksum.
std::string summarize(const Tensor &tensor);

/// FNV-1a of bytes, behind those that had the checksum `before`.
inline constexpr uint64_t noChecksum = 14695981039346656037u;
uint64_t checksum(std::span<const uint8_t> bytes, uint64_t before = noChecksum);

/// What paging did, in three lines; empty without a memory budget.
std::string describePaging(const moert_paging_statistics &statistics);

/// Bytes of this process in memory: now, and at most so far; 0 where the system
/// does not say.
struct ResidentBytes {
  uint64_t now = 0, most = 0;
};
ResidentBytes residentBytes();

/// The values, a row of the last dimension in each line.
std::string printValues(const Tensor &tensor);

/// "3 runs: min 1.0 us, median 1.2 us" of the seconds of each run.
std::string summarizeTimes(std::vector<double> seconds);

/// Writes folder/NAME.npy, or folder/NAME.safetensors where .npy lacks the
/// type.
weights::Status writeTensor(const std::string &folder, const Tensor &tensor);

} // namespace moec::run

#endif // MOEC_TOOLS_MOE_RUN_REPORT_H
